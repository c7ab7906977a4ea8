//! How sinks talk HTTP: bounded in time and size, to checked addresses, never following a redirect.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use delivery::{Answer, CallError, ErrorClass};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};

use crate::address::CheckedResolver;
use crate::{AddressPolicy, Credential};

/// Of an answer; errors of servers are short.
const ANSWER_BYTES_MAX: usize = 256 << 10;
/// Of a server's reason, for people.
const REASON_CHARS_MAX: usize = 400;
/// A shorter body is not worth compressing.
pub(crate) const COMPRESSED_BYTES_MIN: usize = 1_024;
/// A longer body is compressed where it keeps nobody waiting.
const COMPRESSED_HERE_BYTES_MAX: usize = 32 << 10;

#[derive(Clone, Debug)]
pub struct HttpOptions {
    pub addresses: AddressPolicy,
    pub connect_time_max: Duration,
    /// From the connection to the end of the answer.
    pub call_time_max: Duration,
}

impl HttpOptions {
    pub fn reaching(addresses: AddressPolicy) -> Self {
        Self { addresses, connect_time_max: Duration::from_secs(5), call_time_max: Duration::from_secs(30) }
    }
}

/// A client for one server.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    credential: Credential,
}

/// An answer, whatever its status.
#[derive(Debug)]
pub(crate) struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Http {
    pub fn new(options: &HttpOptions, credential: Credential) -> Result<Self, String> {
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            // A proxy would connect to whatever it likes.
            .no_proxy()
            .dns_resolver(Arc::new(CheckedResolver { policy: options.addresses.clone() }))
            .connect_timeout(options.connect_time_max)
            .timeout(options.call_time_max)
            .build()
            .map_err(|error| format!("the HTTP client cannot be started: {}", root_cause(&error)))?;
        Ok(Self { client, credential })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Posts a body that is text, compressed if that is worth it.
    pub(crate) async fn post_text(&self, url: Url, body: Bytes) -> Result<Reply, CallError> {
        let request = self.client.post(url).header(CONTENT_TYPE, "text/plain; charset=utf-8");
        let request = if body.len() < COMPRESSED_BYTES_MIN {
            request.body(body)
        } else {
            request.header(CONTENT_ENCODING, "gzip").body(compressed(body).await?)
        };
        self.send(request).await
    }

    pub(crate) async fn get(&self, url: Url) -> Result<Reply, CallError> {
        self.send(self.client.get(url)).await
    }

    /// An answer that is cut after so many bytes.
    pub(crate) async fn get_up_to(&self, url: Url, bytes_max: usize) -> Result<Reply, CallError> {
        self.send_for(self.client.get(url), bytes_max).await
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Reply, CallError> {
        self.send_for(request, ANSWER_BYTES_MAX).await
    }

    /// For sinks whose requests do not all prove the same.
    pub(crate) async fn send_with(&self, request: RequestBuilder, credential: &Credential) -> Result<Reply, CallError> {
        exchange(credential.put(request), ANSWER_BYTES_MAX).await
    }

    async fn send_for(&self, request: RequestBuilder, bytes_max: usize) -> Result<Reply, CallError> {
        exchange(self.credential.put(request), bytes_max).await
    }
}

async fn exchange(request: RequestBuilder, bytes_max: usize) -> Result<Reply, CallError> {
    let down = |error: reqwest::Error| CallError::new(ErrorClass::Down, transport_reason(&error));
    let response = request.send().await.map_err(down)?;
    read(response, bytes_max).await.map_err(down)
}

async fn read(mut response: Response, bytes_max: usize) -> Result<Reply, reqwest::Error> {
    let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
    let mut body = Vec::new();
    while body.len() < bytes_max {
        let Some(chunk) = response.chunk().await? else { break };
        body.extend_from_slice(&chunk[..chunk.len().min(bytes_max - body.len())]);
    }
    Ok(Reply { status, headers, body: body.into() })
}

pub(crate) async fn compressed(body: Bytes) -> Result<Vec<u8>, CallError> {
    let is_long = body.len() > COMPRESSED_HERE_BYTES_MAX;
    let compress = move || {
        let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
        encoder.write_all(&body)?;
        encoder.finish()
    };
    let done = match is_long {
        false => compress(),
        true => tokio::task::spawn_blocking(compress).await.unwrap_or_else(|error| Err(std::io::Error::other(error))),
    };
    done.map_err(|error| CallError::new(ErrorClass::Ours, format!("a body cannot be compressed: {error}")))
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What the server says is wrong: the `error` or `message` of its JSON, or else its text, shortened.
    pub fn reason(&self) -> String {
        let json: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        let said = json.as_ref().and_then(|json| {
            ["error", "message"].iter().find_map(|key| json.get(key)?.as_str().filter(|text| !text.is_empty()))
        });
        let text = said.map_or_else(|| self.text(), str::to_owned);
        let words: Vec<&str> = text.split_whitespace().collect();
        shortened(&words.join(" "))
    }

    /// Seconds, or a date of RFC 9110.
    pub fn retry_after(&self) -> Option<Duration> {
        let text = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let at = chrono::DateTime::parse_from_rfc2822(text).ok()?;
        (at.to_utc() - chrono::Utc::now()).to_std().ok()
    }

    /// Success, as a server says it that has taken what it was given: without a word. A page with 200 is from somebody else.
    pub fn taken(&self) -> Result<Answer, CallError> {
        if self.body.trim_ascii().is_empty() {
            return Ok(Answer::delivered());
        }
        let reason = format!(
            "it answers {} with words, which a server that takes points does not, so it may be another one: {}",
            self.status,
            self.reason()
        );
        Err(CallError::new(ErrorClass::Down, reason))
    }

    /// The class of an answer that is neither success nor about the records.
    pub fn error(&self) -> CallError {
        let reason = match self.reason() {
            said if said.is_empty() => format!("it answers {}", self.status),
            said => format!("it answers {}: {said}", self.status),
        };
        let (class, reason) = match self.status.as_u16() {
            401 | 403 => (ErrorClass::Auth, reason),
            413 => (ErrorClass::Refused, reason),
            429 => (ErrorClass::Throttled, reason),
            300..=399 => {
                let to = self.headers.get(LOCATION).and_then(|to| to.to_str().ok()).unwrap_or("somewhere else");
                (ErrorClass::Down, format!("it sends us to {}, and redirects are not followed", shortened(to)))
            }
            // Not there, not ready, or not what we take it for: nothing that a record could be the reason of.
            _ => (ErrorClass::Down, reason),
        };
        CallError::new(class, reason).after(self.retry_after())
    }
}

pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(REASON_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

fn transport_reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return if error.is_connect() { "no connection in time" } else { "no answer in time" }.to_owned();
    }
    let cause = root_cause(error);
    match error.is_connect() {
        true => format!("no connection: {cause}"),
        false => format!("the connection broke: {cause}"),
    }
}

/// Without the outer words, which have the address once more.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
