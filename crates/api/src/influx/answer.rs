//! Answers in InfluxDB's shapes, and the headers that all of them have.

use super::VERSION;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use influxql::{write_csv_error, write_json_error, write_message_pack_error};

const VERSION_HEADER: HeaderName = HeaderName::from_static("x-influxdb-version");
const BUILD_HEADER: HeaderName = HeaderName::from_static("x-influxdb-build");
const ERROR_HEADER: HeaderName = HeaderName::from_static("x-influxdb-error");
const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ERROR_HEADER_BYTES_MAX: usize = 1_024;
const REQUEST_ID_BYTES_MAX: usize = 200;

/// In which form a client wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json { is_pretty: bool },
    Csv,
    MessagePack,
}

impl Form {
    pub fn of(headers: &HeaderMap, uri: &Uri) -> Self {
        match headers.get(header::ACCEPT).map(HeaderValue::as_bytes) {
            Some(b"application/csv" | b"text/csv") => Self::Csv,
            Some(b"application/x-msgpack") => Self::MessagePack,
            _ => {
                let query = uri.query().unwrap_or_default().as_bytes();
                let is_pretty = form_urlencoded::parse(query).any(|(key, value)| key == "pretty" && value == "true");
                Self::Json { is_pretty }
            }
        }
    }

    pub fn media_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Json { .. } => "application/json",
            Self::Csv => "text/csv",
            Self::MessagePack => "application/x-msgpack",
        })
    }

    pub fn error(self, status: StatusCode, text: &str) -> Response {
        let mut body = Vec::new();
        let written = match self {
            Self::Json { is_pretty } => write_json_error(&mut body, text, is_pretty),
            Self::Csv => write_csv_error(&mut body, text),
            Self::MessagePack => write_message_pack_error(&mut body, text),
        };
        if let Err(error) = written {
            tracing::warn!(%error, "an error was not written whole");
        }
        let mut response = (status, body).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, self.media_type());
        if status != StatusCode::UNAUTHORIZED {
            let end = (0..=text.len().min(ERROR_HEADER_BYTES_MAX)).rev().find(|end| text.is_char_boundary(*end));
            let line = text[..end.unwrap_or(0)].replace(|c: char| c.is_control(), " ");
            if let Ok(value) = HeaderValue::from_bytes(line.as_bytes()) {
                response.headers_mut().insert(ERROR_HEADER, value);
            }
        }
        response
    }

    /// Browsers that show a page are not asked to log in: the page does that.
    pub fn unauthorized(self, headers: &HeaderMap, text: &str) -> Response {
        let mut response = self.error(StatusCode::UNAUTHORIZED, text);
        if !headers.contains_key("sec-fetch-site") {
            let realm = HeaderValue::from_static("Basic realm=\"InfluxDB\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, realm);
        }
        response
    }
}

/// The client's own id of the request, or a new one.
pub(crate) fn request_id(headers: &HeaderMap) -> HeaderValue {
    let given = [X_REQUEST_ID, REQUEST_ID].into_iter().filter_map(|name| headers.get(name)).find(|id| !id.is_empty());
    if let Some(given) = given.filter(|id| id.len() <= REQUEST_ID_BYTES_MAX) {
        return given.clone();
    }
    let mut bytes = [0_u8; 16];
    // Without randomness the id is the same as another's, which hurts nobody.
    let _ = getrandom::fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let id = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
    HeaderValue::from_str(&id).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
}

pub(crate) fn put_headers(response: &mut Response, request_id: HeaderValue) {
    let headers = response.headers_mut();
    headers.insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
    headers.insert(BUILD_HEADER, HeaderValue::from_static("OSS"));
    headers.insert(X_REQUEST_ID, request_id.clone());
    headers.insert(REQUEST_ID, request_id);
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(response: Response) -> String {
        String::from_utf8(axum::body::to_bytes(response.into_body(), 10_000).await.unwrap().to_vec()).unwrap()
    }

    #[tokio::test]
    async fn errors_have_influxdbs_shape() {
        let uri: Uri = "/query?pretty=true".parse().unwrap();
        let mut headers = HeaderMap::new();
        let pretty = Form::of(&headers, &uri).error(StatusCode::BAD_REQUEST, "a <b>\n\"c\"");
        assert_eq!(pretty.headers()[ERROR_HEADER], "a <b> \"c\"");
        assert_eq!(text(pretty).await, "{\n    \"error\": \"a \\u003cb\\u003e\\n\\\"c\\\"\"\n}\n");
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/csv"));
        let csv = Form::of(&headers, &uri).unauthorized(&headers, "no, \"you\"");
        assert_eq!(csv.headers()[header::WWW_AUTHENTICATE], "Basic realm=\"InfluxDB\"");
        assert_eq!(csv.headers()[header::CONTENT_TYPE], "text/csv");
        assert!(!csv.headers().contains_key(ERROR_HEADER));
        assert_eq!(text(csv).await, "error\n\"no, \"\"you\"\"\"\n");
        let packed = Form::MessagePack.error(StatusCode::BAD_REQUEST, "no");
        assert_eq!(packed.headers()[header::CONTENT_TYPE], "application/x-msgpack");
        let body = axum::body::to_bytes(packed.into_body(), 100).await.unwrap();
        assert_eq!(body.as_ref(), b"\x81\xa5error\xa2no");
        let long = "\u{fc}".repeat(1_000);
        let cut = Form::Csv.error(StatusCode::BAD_REQUEST, &long);
        assert_eq!(cut.headers()[ERROR_HEADER].len(), 1_024);
    }

    #[test]
    fn a_request_keeps_its_id() {
        let mut headers = HeaderMap::new();
        let made = request_id(&headers);
        assert_eq!((made.len(), made.as_bytes()[14]), (36, b'4'));
        headers.insert(REQUEST_ID, HeaderValue::from_static("mine"));
        assert_eq!(request_id(&headers), "mine");
    }
}
