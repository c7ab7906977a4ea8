//! Tokens for logging in to Kafka, from a token endpoint by client credentials (RFC 6749, section 4.4).

use std::sync::{Mutex, mpsc};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use tokio::runtime::Handle;

use crate::cluster_config::{ConfigError, Token, TokenSource};

/// Longest wait for the token endpoint.
const TIME_MAX: Duration = Duration::from_secs(10);
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// What a token is good for when neither answer nor token says.
const LIFETIME_DEFAULT_MS: i64 = 300_000;
/// How much of an error's text of the endpoint is repeated.
const REASON_CHARS_MAX: usize = 300;

/// Who asks, and where. The secret is never shown.
pub struct OauthClient {
    pub token_url: String,
    pub id: String,
    pub secret: String,
    pub scope: Option<String>,
}

/// Keeps the last token for as long as it has a good part of its life before it: all clients of a cluster share it.
pub struct OauthTokens {
    http: reqwest::Client,
    client: OauthClient,
    runtime: Handle,
    last: Mutex<Option<Kept>>,
}

struct Kept {
    token: Token,
    got_ms: i64,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    #[serde(default)]
    expires_in: Option<f64>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: Option<String>,
}

/// What we read in a token, if it is a JSON web token; the broker is the one who verifies it.
#[derive(Default, Deserialize)]
struct Claims {
    #[serde(default)]
    sub: Option<String>,
    #[serde(default)]
    exp: Option<f64>,
}

impl OauthClient {
    /// The secret goes there, so it goes encrypted, or does not leave the machine.
    pub fn check_url(text: &str) -> Result<(), &'static str> {
        let url = reqwest::Url::parse(text).map_err(|_| "it is no address, write https://HOST/PATH")?;
        let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        match url.scheme() {
            "https" if url.host_str().is_some() => Ok(()),
            "http" if is_here => Ok(()),
            "http" => Err("the client's secret would be sent readable, write https://"),
            _ => Err("it is no address of a token endpoint, write https://HOST/PATH"),
        }
    }
}

impl OauthTokens {
    /// To be called within the runtime that is to talk to the endpoint.
    pub fn new(client: OauthClient) -> Result<Self, ConfigError> {
        let http = reqwest::Client::builder()
            // A redirect could carry the secret elsewhere.
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIME_MAX)
            .build()
            .map_err(|error| ConfigError::Refused(format!("the HTTP client cannot be started: {error}")))?;
        Ok(Self { http, client, runtime: Handle::current(), last: Mutex::default() })
    }

    fn request(&self) -> reqwest::RequestBuilder {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if let Some(scope) = &self.client.scope {
            form.append_pair("scope", scope);
        }
        self.http
            .post(&self.client.token_url)
            .basic_auth(&self.client.id, Some(&self.client.secret))
            .header(reqwest::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(reqwest::header::ACCEPT, "application/json")
            .body(form.finish())
    }

    /// Asks on the runtime and waits here, on a thread of the Kafka client.
    fn ask(&self) -> Result<Granted, String> {
        let (answer, answered) = mpsc::sync_channel(1);
        let request = self.request();
        self.runtime.spawn(async move {
            let _ = answer.send(granted(request).await);
        });
        let answer = answered.recv_timeout(TIME_MAX + Duration::from_secs(1));
        let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {} s", TIME_MAX.as_secs())));
        answer.map_err(|reason| format!("{}: {reason}", self.client.token_url))
    }

    fn fresh(&self) -> Result<Kept, String> {
        let got_ms = now_ms();
        let granted = self.ask()?;
        let claims = claims(&granted.access_token);
        let in_ms = |seconds: f64| (seconds * 1_000.0) as i64;
        let expires_ms = match (granted.expires_in, claims.exp) {
            (Some(seconds), _) if seconds > 0.0 => got_ms.saturating_add(in_ms(seconds)),
            (_, Some(at)) => in_ms(at),
            _ => got_ms + LIFETIME_DEFAULT_MS,
        };
        let principal = claims.sub.unwrap_or_else(|| self.client.id.clone());
        Ok(Kept { token: Token { value: granted.access_token, principal, expires_ms }, got_ms })
    }
}

impl TokenSource for OauthTokens {
    fn token(&self) -> Result<Token, String> {
        // Held while it asks: others then have the same answer.
        let mut last = self.last.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(kept) = last.as_ref().filter(|kept| kept.is_young(now_ms())) {
            return Ok(kept.token.clone());
        }
        *last = None;
        let kept = last.insert(self.fresh()?);
        Ok(kept.token.clone())
    }
}

impl Kept {
    /// A client asks again after four fifths of what a token has left when it gets it; by then it has to be another one.
    fn is_young(&self, now_ms: i64) -> bool {
        let lifetime = self.token.expires_ms.saturating_sub(self.got_ms);
        self.token.expires_ms.saturating_sub(now_ms) > lifetime / 3
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_millis()).unwrap_or(i64::MAX)
}

async fn granted(request: reqwest::RequestBuilder) -> Result<Granted, String> {
    let mut response = request.send().await.map_err(|error| root_cause(&error))?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| root_cause(&error))? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(format!("the answer has more than {ANSWER_BYTES_MAX} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return serde_json::from_slice(&body).map_err(|_| "the answer has no `access_token`".to_owned());
    }
    // What refuses does not have to speak JSON.
    let reason = match serde_json::from_slice::<Refused>(&body) {
        Ok(Refused { error, error_description: Some(description) }) => format!("{error}, {description}"),
        Ok(Refused { error, .. }) => error,
        Err(_) => "it says no reason".to_owned(),
    };
    Err(format!("it answered {status}: {}", reason.chars().take(REASON_CHARS_MAX).collect::<String>()))
}

fn claims(token: &str) -> Claims {
    let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok());
    payload.and_then(|payload| serde_json::from_slice(&payload).ok()).unwrap_or_default()
}

/// Without the outer words, which have the address once more.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_secret_goes_encrypted_or_stays_here() {
        for good in
            ["https://login.example/token", "http://localhost:1/token", "http://127.0.0.1/t", "http://[::1]:8/t"]
        {
            assert_eq!(OauthClient::check_url(good), Ok(()), "{good}");
        }
        for bad in
            ["", "login.example/token", "http://login.example/token", "file:///etc/passwd", "http://localhost.example/"]
        {
            assert!(OauthClient::check_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_principal_is_the_subject() {
        let token =
            format!("{}.{}.", URL_SAFE_NO_PAD.encode("{}"), URL_SAFE_NO_PAD.encode(r#"{"sub":"alice","exp":5}"#));
        assert_eq!(claims(&token).sub.as_deref(), Some("alice"));
        for opaque in ["", "opaque", "a.b.c", "a.e30.c"] {
            assert_eq!(claims(opaque).sub, None, "{opaque}");
        }
    }

    #[test]
    fn a_token_near_its_end_is_not_given_again() {
        let token = Token { value: "t".to_owned(), principal: "p".to_owned(), expires_ms: 3_000 };
        let kept = Kept { token, got_ms: 0 };
        assert!(kept.is_young(1_900));
        assert!(!kept.is_young(2_000));
    }
}
