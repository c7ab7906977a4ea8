//! What a receiver has said to samples: 400 for one that it never takes, such as one that is out of order. It need not say
//! which. A page, or a word about HTTPS, is not about samples. Prometheus 2 says 500 to one that is further back than it takes
//! samples out of order, which is not an outage either.

use delivery::{Answer, CallError, ErrorClass};

use crate::http::Reply;

/// `storage.ErrTooOldSample` of Prometheus.
const TOO_OLD: &str = "too old sample";

/// Of a server that speaks HTTPS, or of a proxy before it.
fn is_about_http(text: &str) -> bool {
    text.trim_start().starts_with('<') || text.contains("HTTPS server")
}

pub(super) fn judge(reply: &Reply) -> Result<Answer, CallError> {
    match reply.status.as_u16() {
        200..=299 => reply.taken(),
        400 if is_about_http(&reply.text()) => Err(reply.error()),
        400 => Err(CallError::new(ErrorClass::Refused, reply.reason())),
        500 if reply.text().contains(TOO_OLD) => Err(CallError::new(ErrorClass::Refused, reply.reason())),
        _ => Err(reply.error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    #[test]
    fn only_words_about_samples_are_about_samples() {
        let class = |body: &'static str| {
            let reply = Reply { status: StatusCode::BAD_REQUEST, headers: HeaderMap::new(), body: body.into() };
            judge(&reply).unwrap_err().class
        };
        assert_eq!(class("out of order sample"), ErrorClass::Refused);
        assert_eq!(class("Client sent an HTTP request to an HTTPS server.\n"), ErrorClass::Down);
        assert_eq!(class("<html><h1>400 Bad Request</h1></html>"), ErrorClass::Down);
    }
}
