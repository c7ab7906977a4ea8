//! Points in line protocol.

use super::answer::Form;
use super::quoted;
use crate::AppState;
use crate::access::By;
use crate::body::{BULK_BYTES_MAX, Unreadable, read_bytes};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use control::access::Caller;
use control::{InfluxRefusal, WritePrecision};
use std::collections::HashMap;
use std::io::Read;

/// Of a body once it is unpacked.
const PLAIN_BYTES_MAX: usize = 2 * BULK_BYTES_MAX;

/// `POST /write?db=..&rp=..&precision=..&consistency=..`
pub(crate) async fn write(
    State(state): State<AppState>,
    By(caller): By,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let query = query(&uri);
    let parameter = |name: &str| query.get(name).map_or("", String::as_str);
    let form = Form::of(&headers, &uri);
    let Some(precision) = WritePrecision::parse(parameter("precision")) else {
        let written = quoted(parameter("precision"));
        let text = format!("invalid precision {written} (use n, u, ms, s, m or h)");
        return form.error(StatusCode::BAD_REQUEST, &text);
    };
    let level = parameter("consistency").to_ascii_lowercase();
    if !["", "any", "one", "quorum", "all"].contains(&level.as_str()) {
        return form.error(StatusCode::BAD_REQUEST, "invalid consistency level");
    }
    let place = (parameter("db"), parameter("rp"));
    take(&state, &caller, form, &headers, body, place, precision).await
}

/// `POST /api/v2/write?bucket=DATABASE/POLICY&precision=..`, as InfluxDB 1.8 has it for client libraries of InfluxDB 2.
pub(crate) async fn write_v2(
    State(state): State<AppState>,
    By(caller): By,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let query = query(&uri);
    let parameter = |name: &str| query.get(name).map_or("", String::as_str);
    let form = Form::of(&headers, &uri);
    let precision = match parameter("precision") {
        "" | "ns" => WritePrecision::Nanosecond,
        "us" => WritePrecision::Microsecond,
        "ms" => WritePrecision::Millisecond,
        "s" => WritePrecision::Second,
        other => {
            let text = format!("invalid precision {} (use ns, us, ms or s)", quoted(other));
            return form.error(StatusCode::BAD_REQUEST, &text);
        }
    };
    let bucket = parameter("bucket");
    let place = bucket.split_once('/').unwrap_or((bucket, ""));
    if place.0.is_empty() {
        let why = match bucket {
            "" => "is missing a slash; not in \"database/retention-policy\" format",
            _ => "is in db/rp form but has an empty database",
        };
        return form.error(StatusCode::NOT_FOUND, &format!("bucket name {} {why}", quoted(bucket)));
    }
    take(&state, &caller, form, &headers, body, place, precision).await
}

/// The first value of each parameter in the address.
fn query(uri: &Uri) -> HashMap<String, String> {
    let mut query = HashMap::new();
    for (key, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        query.entry(key.into_owned()).or_insert_with(|| value.into_owned());
    }
    query
}

async fn take(
    state: &AppState,
    caller: &Caller,
    form: Form,
    headers: &HeaderMap,
    body: Body,
    (database, retention_policy): (&str, &str),
    precision: WritePrecision,
) -> Response {
    if database.is_empty() {
        return form.error(StatusCode::BAD_REQUEST, "database is required");
    }
    let written = async {
        // Who may not write gets no body read.
        let writer = state.platform.influx_writer(caller, database, retention_policy).await?;
        let packing = Packing::of(headers)?;
        let body = read_bytes(body, BULK_BYTES_MAX).await.map_err(|error| match error {
            Unreadable::TooLarge => too_large(),
            Unreadable::Broken(text) => Refused { status: StatusCode::BAD_REQUEST, text },
        })?;
        writer.write(precision, move || packing.unpack(body)).await
    };
    match written.await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(Refused { status, text }) => form.error(status, &text),
    }
}

pub(super) fn status(refusal: &InfluxRefusal) -> StatusCode {
    match refusal {
        InfluxRefusal::NoDatabase(_) => StatusCode::NOT_FOUND,
        InfluxRefusal::Forbidden(_) => StatusCode::FORBIDDEN,
        InfluxRefusal::Invalid(_) | InfluxRefusal::Partial { .. } => StatusCode::BAD_REQUEST,
        InfluxRefusal::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        // InfluxDB answers a policy that is not there so.
        InfluxRefusal::NoRetentionPolicy(_) | InfluxRefusal::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

struct Refused {
    status: StatusCode,
    text: String,
}

impl From<InfluxRefusal> for Refused {
    fn from(refusal: InfluxRefusal) -> Self {
        Self { status: status(&refusal), text: refusal.to_string() }
    }
}

fn too_large() -> Refused {
    Refused { status: StatusCode::PAYLOAD_TOO_LARGE, text: "Request Entity Too Large".to_owned() }
}

/// How a body is packed.
#[derive(Clone, Copy)]
enum Packing {
    Plain,
    Gzip,
}

impl Packing {
    fn of(headers: &HeaderMap) -> Result<Self, Refused> {
        let encoding = headers.get(header::CONTENT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
        match encoding.to_ascii_lowercase().as_str() {
            "" | "identity" => Ok(Self::Plain),
            "gzip" => Ok(Self::Gzip),
            other => Err(Refused {
                status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
                text: format!("content encoding {} (use gzip)", quoted(other)),
            }),
        }
    }

    fn unpack(self, body: Bytes) -> Result<Bytes, Refused> {
        match self {
            Self::Plain => Ok(body),
            Self::Gzip => unpack(&body),
        }
    }
}

/// In Go's words, where InfluxDB's clients may look for them.
fn gzip_error(error: &std::io::Error) -> String {
    match (error.kind(), error.to_string().as_str()) {
        (std::io::ErrorKind::UnexpectedEof, _) => "unexpected EOF".to_owned(),
        (_, "invalid gzip header") => "gzip: invalid header".to_owned(),
        (_, text) => format!("gzip: {text}"),
    }
}

fn unpack(packed: &[u8]) -> Result<Bytes, Refused> {
    let mut plain = Vec::with_capacity((packed.len() * 4).min(PLAIN_BYTES_MAX));
    let mut reader = flate2::read::MultiGzDecoder::new(packed).take(PLAIN_BYTES_MAX as u64 + 1);
    match reader.read_to_end(&mut plain) {
        Ok(_) if plain.len() > PLAIN_BYTES_MAX => Err(too_large()),
        Ok(_) => Ok(Bytes::from(plain)),
        Err(error) => Err(Refused { status: StatusCode::BAD_REQUEST, text: gzip_error(&error) }),
    }
}
