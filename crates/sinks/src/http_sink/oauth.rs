//! OAuth 2 client credentials: <https://www.rfc-editor.org/rfc/rfc6749#section-4.4>. A token is kept until shortly before its
//! end, and given up when the server does not take it any more.

use std::fmt;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use delivery::{CallError, ErrorClass};
use form_urlencoded::{Serializer, byte_serialize};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::http::Reply;
use crate::{Credential, Endpoint, Http};

/// For a token without an end.
const LIFE_DEFAULT: Duration = Duration::from_secs(300);
const LIFE_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Before its end, a token is renewed by so much or by a tenth of its life, whichever is less.
const MARGIN_MAX: Duration = Duration::from_secs(60);
/// Requests that wait for a token that cannot be had do not each ask for it.
const QUESTION_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(crate) struct TokenConfig {
    pub endpoint: Endpoint,
    pub client_id: String,
    pub client_secret: String,
    pub scope: Option<String>,
    pub audience: Option<String>,
    /// Whether the client proves itself in the body and not in a header.
    pub in_body: bool,
}

impl fmt::Debug for TokenConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TokenConfig").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Asks for tokens, one question at a time.
pub(super) struct Tokens {
    config: TokenConfig,
    last: Mutex<Option<Last>>,
}

struct Last {
    outcome: Result<String, CallError>,
    ask_at: Instant,
}

impl Tokens {
    pub fn new(config: TokenConfig) -> Self {
        Self { config, last: Mutex::new(None) }
    }

    pub async fn credential(&self, http: &Http) -> Result<Credential, CallError> {
        let mut last = self.last.lock().await;
        if let Some(last) = last.as_ref().filter(|last| last.ask_at > Instant::now()) {
            return last.outcome.clone().map(Credential::Bearer);
        }
        let outcome = self.ask(http).await;
        let life = outcome.as_ref().map_or(QUESTION_INTERVAL, |(_, life)| *life);
        let outcome = outcome.map(|(token, _)| token);
        *last = Some(Last { outcome: outcome.clone(), ask_at: Instant::now() + life });
        outcome.map(Credential::Bearer)
    }

    /// The server does not take this one any more.
    pub async fn forget(&self, credential: &Credential) {
        let Credential::Bearer(refused) = credential else { return };
        let mut last = self.last.lock().await;
        if last.as_ref().is_some_and(|last| last.outcome.as_ref() == Ok(refused)) {
            *last = None;
        }
    }

    async fn ask(&self, http: &Http) -> Result<(String, Duration), CallError> {
        let TokenConfig { endpoint, client_id, client_secret, scope, audience, in_body } = &self.config;
        // It cannot be kept while the answer is awaited.
        let form = {
            let mut form = Serializer::new(String::new());
            form.append_pair("grant_type", "client_credentials");
            form.extend_pairs(scope.iter().map(|scope| ("scope", scope)));
            form.extend_pairs(audience.iter().map(|audience| ("audience", audience)));
            if *in_body {
                form.append_pair("client_id", client_id).append_pair("client_secret", client_secret);
            }
            form.finish()
        };
        let mut request = http.client().post(endpoint.with("", &[])).header(ACCEPT, "application/json");
        if !in_body {
            let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encoded(client_id), encoded(client_secret));
            request = request.header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(pair)));
        }
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        let reply = http.send_with(request, &Credential::None).await;
        let told = |error: CallError| {
            // Whatever it says, it is not about records.
            let class = if error.class.is_of_a_record() { ErrorClass::Down } else { error.class };
            CallError { class, reason: format!("no token from {endpoint}: {}", error.reason), ..error }
        };
        read(&reply.map_err(told)?).map_err(told)
    }
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    token_type: Option<String>,
    expires_in: Option<u64>,
}

fn read(reply: &Reply) -> Result<(String, Duration), CallError> {
    match reply.status.as_u16() {
        200..=299 => {}
        400 => {
            let reason = reply.error().reason;
            return Err(CallError::new(ErrorClass::Auth, reason));
        }
        _ => return Err(reply.error()),
    }
    let strange = |what: &str| CallError::new(ErrorClass::Down, what.to_owned());
    let granted: Granted =
        serde_json::from_slice(&reply.body).map_err(|_| strange("the answer has no `access_token`"))?;
    if granted.token_type.is_some_and(|kind| !kind.eq_ignore_ascii_case("bearer")) {
        return Err(strange("the token is not one to be sent as `Bearer`"));
    }
    if !Credential::Bearer(granted.access_token.clone()).can_be_sent() {
        return Err(strange("the token has something in it that a header cannot say"));
    }
    let life = granted.expires_in.map_or(LIFE_DEFAULT, Duration::from_secs).min(LIFE_MAX);
    Ok((granted.access_token, life - (life / 10).min(MARGIN_MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::StatusCode;
    use reqwest::header::HeaderMap;

    fn answer(status: u16, body: &'static str) -> Result<(String, Duration), CallError> {
        read(&Reply { status: StatusCode::from_u16(status).unwrap(), headers: HeaderMap::new(), body: body.into() })
    }

    #[test]
    fn tokens_are_renewed_before_their_end() {
        for (life, kept) in [("3600", 3_540), ("100", 90), ("9999999999", 24 * 3_600 - 60), ("null", 270)] {
            let body = format!(r#"{{"access_token":"t","token_type":"bearer","expires_in":{life}}}"#).leak();
            assert_eq!(answer(200, body).unwrap(), ("t".to_owned(), Duration::from_secs(kept)));
        }
    }

    #[test]
    fn what_is_no_token_is_somebodys_to_mend() {
        for (status, body, class) in [
            (400, r#"{"error":"invalid_client"}"#, ErrorClass::Auth),
            (401, r#"{"error":"invalid_client"}"#, ErrorClass::Auth),
            (503, "", ErrorClass::Down),
            (404, "", ErrorClass::Down),
            (200, "<html>", ErrorClass::Down),
            (200, r#"{"access_token":"t","token_type":"mac"}"#, ErrorClass::Down),
            (200, r#"{"access_token":"a\nb"}"#, ErrorClass::Down),
        ] {
            assert_eq!(answer(status, body).unwrap_err().class, class, "{status} {body}");
        }
    }
}
