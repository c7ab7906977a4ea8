//! Talking to the server over REST.

use crate::arguments::ServerArguments;
use crate::failure::{Failure, Problem};
use crate::server_location;
use futures::{Stream, StreamExt};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;
use std::time::Duration;

const CONNECT_TIME_MAX: Duration = Duration::from_secs(5);
/// One line of a streamed answer.
const LINE_BYTES_MAX: usize = 64 * 1024 * 1024;

pub struct Client {
    http: reqwest::Client,
    url: String,
}

/// Tells the server through what a change comes.
pub const ORIGIN_HEADER: &str = "millrace-origin";

impl Client {
    pub fn new(arguments: &ServerArguments) -> Result<Self, Failure> {
        let location = server_location::find(arguments)?;
        let mut headers = HeaderMap::new();
        if let Some(token) = &location.token {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
                .map_err(|_| Failure::usage("the token has letters that no token has"))?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        headers.insert(ORIGIN_HEADER, HeaderValue::from_static("command-line"));
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIME_MAX)
            .no_proxy()
            .default_headers(headers)
            .build()
            .map_err(|error| Failure::error(format!("the HTTP client cannot be started: {error}")))?;
        Ok(Self { http, url: location.url })
    }

    /// `segments` are escaped one by one, so that a name may hold anything.
    pub fn request(&self, method: Method, segments: &[&str]) -> Result<RequestBuilder, Failure> {
        let no_url =
            || Failure::usage(format!("`{}` is no address of a server", self.url)).with_hint("write http://HOST:PORT");
        let mut url = reqwest::Url::parse(&self.url).map_err(|_| no_url())?;
        url.path_segments_mut().map_err(|()| no_url())?.pop_if_empty().extend(["api", "v1"]).extend(segments);
        Ok(self.http.request(method, url))
    }

    pub async fn get(&self, segments: &[&str]) -> Result<Value, Failure> {
        json(self.send(self.request(Method::GET, segments)?).await?).await
    }

    pub async fn post_text(&self, segments: &[&str], text: String) -> Result<Value, Failure> {
        json(self.send(self.request(Method::POST, segments)?.body(text)).await?).await
    }

    pub async fn post_json(&self, segments: &[&str], body: &Value) -> Result<Value, Failure> {
        json(self.send(self.request(Method::POST, segments)?.json(body)).await?).await
    }

    pub async fn delete(&self, segments: &[&str]) -> Result<(), Failure> {
        self.send(self.request(Method::DELETE, segments)?).await.map(drop)
    }

    /// What is there, or nothing.
    pub async fn get_if_there(&self, segments: &[&str]) -> Result<Option<Value>, Failure> {
        match self.get(segments).await {
            Ok(value) => Ok(Some(value)),
            Err(failure) if failure.is_not_found() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// Sends it; whatever is no success becomes the failure that the server described.
    pub async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = self.send_any(request).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(failure_of(response).await)
    }

    pub async fn send_any(&self, request: RequestBuilder) -> Result<Response, Failure> {
        request.send().await.map_err(|error| {
            if error.is_connect() || error.is_timeout() {
                Failure::error(format!("no server answers at {}", self.url))
                    .with_hint("start one with `millrace up`, or name another with --server URL or --data-dir DIR")
            } else {
                Failure::error(format!("the request to {} failed: {}", self.url, root_cause(&error)))
            }
        })
    }

    /// The lines of a streamed answer. The line `{"error": ..}` is the server's way to fail half-way.
    pub async fn lines(
        &self,
        request: RequestBuilder,
    ) -> Result<impl Stream<Item = Result<Vec<u8>, Failure>> + use<>, Failure> {
        Ok(split_lines(self.send(request).await?))
    }
}

fn split_lines(response: Response) -> impl Stream<Item = Result<Vec<u8>, Failure>> {
    let state = (response.bytes_stream(), Vec::<u8>::new(), false);
    futures::stream::try_unfold(state, |(mut chunks, mut pending, mut ended)| async move {
        loop {
            if let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let rest = pending.split_off(end + 1);
                let mut line = std::mem::replace(&mut pending, rest);
                line.pop();
                refuse_error_line(&line)?;
                return Ok(Some((line, (chunks, pending, ended))));
            }
            if ended {
                return Ok(None);
            }
            match chunks.next().await {
                Some(Ok(chunk)) => pending.extend_from_slice(&chunk),
                Some(Err(error)) => {
                    return Err(Failure::error(format!("the server broke off: {}", root_cause(&error))));
                }
                None => {
                    ended = true;
                    if !pending.is_empty() {
                        pending.push(b'\n');
                    }
                }
            }
            if pending.len() > LINE_BYTES_MAX {
                return Err(Failure::error("the server sent a line that is too long"));
            }
        }
    })
}

fn refuse_error_line(line: &[u8]) -> Result<(), Failure> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ErrorLine {
        error: Problem,
    }
    if !line.starts_with(b"{\"error\":{") {
        return Ok(());
    }
    match serde_json::from_slice::<ErrorLine>(line) {
        Ok(line) => Err(line.error.into()),
        Err(_) => Ok(()),
    }
}

pub async fn json(response: Response) -> Result<Value, Failure> {
    response
        .json()
        .await
        .map_err(|error| Failure::error(format!("the server's answer cannot be read: {}", root_cause(&error))))
}

pub async fn failure_of(response: Response) -> Failure {
    match problem_of(response).await {
        Ok(problem) => problem.into(),
        Err(failure) => failure,
    }
}

/// What the server says of a failure; one that says nothing is a failure of another kind.
pub async fn problem_of(response: Response) -> Result<Problem, Failure> {
    let status = response.status();
    let text = response.text().await.unwrap_or_default();
    match serde_json::from_str::<Problem>(&text) {
        Ok(problem) => Ok(Problem { status: status.as_u16(), ..problem }),
        Err(_) => Err(Failure::error(format!("the server answered {status}"))),
    }
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}
