//! What a server has said to a call, in classes.
//!
//! <https://grpc.io/docs/guides/status-codes/>

use std::error::Error;
use std::time::Duration;

use delivery::{CallError, ErrorClass};
use prost::Message;
use tonic::{Code, Status};

use crate::http::shortened;

/// How long a server wants to be left alone, in milliseconds.
const PUSHBACK: &str = "grpc-retry-pushback-ms";
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// `google.rpc.Status`, without what is said elsewhere.
#[derive(Clone, PartialEq, Message)]
struct Details {
    #[prost(message, repeated, tag = "3")]
    details: Vec<Detail>,
}

/// `google.protobuf.Any`
#[derive(Clone, PartialEq, Message)]
struct Detail {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// `google.rpc.RetryInfo`
#[derive(Clone, PartialEq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<Delay>,
}

/// `google.protobuf.Duration`
#[derive(Clone, PartialEq, Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

pub(super) fn judge(status: &Status) -> CallError {
    CallError::new(class(status), reason(status)).after(retry_after(status))
}

fn class(status: &Status) -> ErrorClass {
    match status.code() {
        Code::InvalidArgument
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::AlreadyExists
        // What the record is about is not there; a method that is not there is `Unimplemented`.
        | Code::NotFound => ErrorClass::Refused,
        Code::ResourceExhausted if is_about_size(status.message()) => ErrorClass::Refused,
        Code::ResourceExhausted => ErrorClass::Throttled,
        Code::Unauthenticated | Code::PermissionDenied => ErrorClass::Auth,
        // Not there, not ready, in trouble, or without this method: nothing that a record could be the reason of.
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::DeadlineExceeded
        | Code::Aborted
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss => ErrorClass::Down,
    }
}

/// Servers say to a message over their limit what they say to too many calls.
fn is_about_size(message: &str) -> bool {
    ["larger than max", "exceeds maximum size", "message too large"].iter().any(|words| message.contains(words))
}

fn reason(status: &Status) -> String {
    let code = format!("{:?}", status.code());
    let said = match root_cause(status) {
        Some(cause) if !status.message().contains(&cause) => format!("{}: {cause}", status.message()),
        _ => status.message().to_owned(),
    };
    match said.trim() {
        "" => format!("it answers {code}"),
        said => shortened(&format!("it answers {code}: {said}")),
    }
}

/// Of an error that is not the server's but the connection's.
fn root_cause(status: &Status) -> Option<String> {
    let mut cause = status.source()?;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Some(cause.to_string())
}

fn retry_after(status: &Status) -> Option<Duration> {
    let pushback = status.metadata().get(PUSHBACK).and_then(|value| value.to_str().ok()?.parse().ok());
    pushback.map(Duration::from_millis).or_else(|| {
        let details = Details::decode(status.details()).ok()?;
        let info = details.details.iter().find(|detail| detail.type_url == RETRY_INFO)?;
        let delay = RetryInfo::decode(info.value.as_slice()).ok()?.retry_delay?;
        Some(Duration::new(u64::try_from(delay.seconds).ok()?, u32::try_from(delay.nanos).ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::metadata::MetadataMap;

    #[test]
    fn codes_say_whose_fault_it_is() {
        for (status, class) in [
            (Status::invalid_argument("n"), ErrorClass::Refused),
            (Status::failed_precondition("n"), ErrorClass::Refused),
            (Status::already_exists("n"), ErrorClass::Refused),
            (Status::not_found("no customer 7"), ErrorClass::Refused),
            (Status::unimplemented("n"), ErrorClass::Down),
            (Status::unknown("n"), ErrorClass::Down),
            (Status::internal("n"), ErrorClass::Down),
            (Status::resource_exhausted("quota"), ErrorClass::Throttled),
            (Status::resource_exhausted("Received message larger than max (5242880 vs. 4194304)"), ErrorClass::Refused),
            (Status::unauthenticated("n"), ErrorClass::Auth),
            (Status::permission_denied("n"), ErrorClass::Auth),
        ] {
            assert_eq!(judge(&status).class, class, "{status:?}");
        }
        assert_eq!(judge(&Status::unavailable("")).reason, "it answers Unavailable");
    }

    #[test]
    fn a_server_says_when_it_wants_to_be_called_again() {
        let mut metadata = MetadataMap::new();
        metadata.insert(PUSHBACK, "1500".parse().unwrap());
        let status = Status::with_metadata(Code::ResourceExhausted, "n", metadata);
        assert_eq!(judge(&status).retry_after, Some(Duration::from_millis(1_500)));
        let info = RetryInfo { retry_delay: Some(Delay { seconds: 2, nanos: 500_000_000 }) };
        let detail = Detail { type_url: RETRY_INFO.to_owned(), value: info.encode_to_vec() };
        let details = Details { details: vec![detail] }.encode_to_vec();
        let status = Status::with_details(Code::Unavailable, "n", details.into());
        assert_eq!(judge(&status).retry_after, Some(Duration::from_millis(2_500)));
    }
}
