//! How a receiver of remote write 1.0 is asked: the concatenated series are the message, compressed as one Snappy block.
//!
//! <https://prometheus.io/docs/specs/prw/remote_write_spec/>

use delivery::{CallError, ErrorClass};
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, USER_AGENT};
use reqwest::{Client, RequestBuilder, Url};

pub(super) fn write(client: &Client, url: Url, series: &[u8]) -> Result<RequestBuilder, CallError> {
    let body = snap::raw::Encoder::new().compress_vec(series);
    let body =
        body.map_err(|error| CallError::new(ErrorClass::Ours, format!("a body cannot be compressed: {error}")))?;
    Ok(client
        .post(url)
        .header(CONTENT_ENCODING, "snappy")
        .header(CONTENT_TYPE, "application/x-protobuf")
        .header("X-Prometheus-Remote-Write-Version", "0.1.0")
        .header(USER_AGENT, concat!("millrace/", env!("CARGO_PKG_VERSION")))
        .body(body))
}
