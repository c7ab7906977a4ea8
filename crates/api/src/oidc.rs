//! Login by an identity provider: OpenID Connect, authorization code with PKCE, all of it on the server. The browser gets
//! nothing but the session's cookie.

mod config;
mod http;

pub use config::{OidcConfig, OidcGrant};

use ::http::StatusCode;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use control::access::ProviderUser;
use control::{ControlError, ErrorKind};
use http::ProviderHttp;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, IssuerUrl, Nonce, OAuth2TokenResponse, PkceCodeChallenge,
    PkceCodeVerifier, RedirectUrl, Scope, TokenResponse,
};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// A login that was begun and not ended within this time is forgotten.
const PENDING_TIME: Duration = Duration::from_secs(600);
const PENDING_MAX: usize = 10_000;
/// The provider's keys and addresses are asked for again after this time, so that new keys are taken up.
const METADATA_TIME: Duration = Duration::from_secs(600);

/// The identity provider, and the logins that are under way.
pub(crate) struct Oidc {
    pub config: OidcConfig,
    http: ProviderHttp,
    metadata: tokio::sync::Mutex<Option<(Instant, CoreProviderMetadata)>>,
    pending: Mutex<HashMap<String, Pending>>,
}

struct Pending {
    since: Instant,
    verifier: PkceCodeVerifier,
    nonce: Nonce,
    /// Where the portal wanted to go.
    next: String,
}

/// A login that was begun: where the browser goes, and what proves that the same browser comes back.
pub(crate) struct Begun {
    pub url: String,
    pub state: String,
}

impl Oidc {
    pub fn new(config: OidcConfig) -> Result<Self, ControlError> {
        let http = ProviderHttp::new()?;
        Ok(Self { config, http, metadata: tokio::sync::Mutex::new(None), pending: Mutex::default() })
    }

    /// `public` is the server's address as browsers see it.
    pub async fn begin(&self, public: &str, next: &str) -> Result<Begun, ControlError> {
        let metadata = self.metadata().await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let client = CoreClient::from_provider_metadata(metadata, self.client_id(), self.client_secret())
            .set_redirect_uri(self.redirect_url(public)?);
        let mut request =
            client.authorize_url(CoreAuthenticationFlow::AuthorizationCode, CsrfToken::new_random, Nonce::new_random);
        for scope in &self.config.scopes {
            request = request.add_scope(Scope::new(scope.clone()));
        }
        let (url, state, nonce) = request.set_pkce_challenge(challenge).url();
        // Only a path of this server: nobody is sent on to somewhere else.
        let next = if next.starts_with('/') && !next.starts_with("//") && !next.contains('\\') { next } else { "/" };
        let mut pending = self.pending();
        pending.retain(|_, login| login.since.elapsed() < PENDING_TIME);
        if pending.len() >= PENDING_MAX {
            return Err(ControlError::unavailable("too_many_logins", "too many logins are under way")
                .with_hint("try again in a few minutes"));
        }
        let login = Pending { since: Instant::now(), verifier, nonce, next: next.to_owned() };
        pending.insert(state.secret().clone(), login);
        Ok(Begun { url: url.to_string(), state: state.secret().clone() })
    }

    /// Trades the code for who it is. Each login is ended once.
    pub async fn end(&self, public: &str, state: &str, code: &str) -> Result<(ProviderUser, String), ControlError> {
        let login = self.pending().remove(state).filter(|login| login.since.elapsed() < PENDING_TIME);
        let login = login.ok_or_else(|| refused("the login was not begun here, or took too long"))?;
        let metadata = self.metadata().await?;
        let userinfo = metadata.userinfo_endpoint().map(|url| url.to_string());
        let client = CoreClient::from_provider_metadata(metadata, self.client_id(), self.client_secret())
            .set_redirect_uri(self.redirect_url(public)?);
        let request = client.exchange_code(AuthorizationCode::new(code.to_owned()));
        let request = request.map_err(|error| self.unusable(format!("it has no token endpoint: {error}")))?;
        let tokens =
            request.set_pkce_verifier(login.verifier).request_async(&self.http).await.map_err(|error| {
                refused(format!("the identity provider took the code for wrong: {}", chain(&error)))
            })?;
        let id_token = tokens.id_token().ok_or_else(|| self.unusable("it has sent no ID token"))?;
        let verified = id_token
            .claims(&client.id_token_verifier(), &login.nonce)
            .map_err(|error| refused(format!("the ID token is not valid: {}", chain(&error))))?;
        let subject = verified.subject().to_string();
        // The claims were verified just now; they are read once more because the groups' claim has a name of its own.
        let mut claims = payload(&id_token.to_string()).ok_or_else(|| self.unusable("its ID token cannot be read"))?;
        if let Some(url) = userinfo.filter(|_| claims.get(&self.config.groups_claim).is_none()) {
            let more = self.http.get_json(&url, tokens.access_token().secret()).await?;
            // Whatever it says is of somebody else if the subject is another one.
            if more.get("sub").and_then(Value::as_str) == Some(subject.as_str())
                && let (Some(claims), Value::Object(more)) = (claims.as_object_mut(), more)
            {
                for (key, value) in more {
                    claims.entry(key).or_insert(value);
                }
            }
        }
        Ok((self.config.user(&subject, &claims)?, login.next))
    }

    async fn metadata(&self) -> Result<CoreProviderMetadata, ControlError> {
        let mut known = self.metadata.lock().await;
        if let Some((since, metadata)) = known.as_ref()
            && since.elapsed() < METADATA_TIME
        {
            return Ok(metadata.clone());
        }
        let issuer = IssuerUrl::new(self.config.issuer.clone())
            .map_err(|error| ControlError::invalid("oidc_invalid", format!("`issuer`: {error}")))?;
        let metadata = CoreProviderMetadata::discover_async(issuer, &self.http)
            .await
            .map_err(|error| self.unusable(chain(&error)))?;
        *known = Some((Instant::now(), metadata.clone()));
        Ok(metadata)
    }

    fn unusable(&self, why: impl std::fmt::Display) -> ControlError {
        ControlError::unavailable(
            "identity_provider_unavailable",
            format!("the identity provider {} cannot be used: {why}", self.config.issuer),
        )
    }

    fn client_id(&self) -> ClientId {
        ClientId::new(self.config.client_id.clone())
    }

    fn client_secret(&self) -> Option<ClientSecret> {
        self.config.client_secret.clone().map(ClientSecret::new)
    }

    fn redirect_url(&self, public: &str) -> Result<RedirectUrl, ControlError> {
        let url = format!("{public}/api/v1/session/oidc/{}/callback", self.config.name);
        RedirectUrl::new(url).map_err(|error| ControlError::invalid("oidc_invalid", format!("`publicUrl`: {error}")))
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, HashMap<String, Pending>> {
        self.pending.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn refused(detail: impl Into<String>) -> ControlError {
    ControlError::new(ErrorKind::Unauthenticated, "login_failed", detail).with_hint("log in again")
}

/// The claims of a token, without looking at its signature.
fn payload(token: &str) -> Option<Value> {
    let bytes = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&bytes).ok()
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(&format!(": {inner}"));
        cause = inner.source();
    }
    text
}

/// Where the browser goes when its login has failed: the portal's page says why.
pub(crate) fn failure_page(error: &ControlError) -> (StatusCode, String) {
    let text: String = error
        .detail
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    (StatusCode::SEE_OTHER, format!("/login?problem={text}"))
}
