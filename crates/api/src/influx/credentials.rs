//! Who asks, in the ways of InfluxDB's clients: `u` and `p` in the address, basic auth, `Token NAME:PASSWORD` of the
//! libraries for InfluxDB 2, a bearer token; and the cookie of the portal.

use super::answer::{Form, put_headers, request_id};
use crate::AppState;
use crate::access::session_cookie;
use crate::problem::status_of;
use axum::extract::Request;
use axum::http::{HeaderMap, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine;
use control::access::Caller;
use control::{ControlError, ErrorKind};

#[derive(Debug, PartialEq, Eq)]
enum Credentials {
    /// A name with a password or a token.
    Name(String, String),
    Token(String),
    Session(String),
    None,
}

/// Puts the caller beside the request, as [`crate::access::identify`] does for all others.
pub(crate) async fn identify(state: AppState, mut request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let form = Form::of(request.headers(), request.uri());
    let found = match request.uri().path() {
        "/ping" => Ok(None),
        _ => find(&state, credentials(request.headers(), request.uri())).await,
    };
    let mut response = match found {
        Ok(caller) => {
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            next.run(request).await
        }
        Err(error) if error.kind == ErrorKind::Unauthenticated => {
            form.unauthorized(request.headers(), "authorization failed")
        }
        Err(error) => form.error(status_of(error.kind), &error.detail),
    };
    put_headers(&mut response, id);
    response
}

async fn find(state: &AppState, credentials: Credentials) -> Result<Option<Caller>, ControlError> {
    let wrong = || ControlError::new(ErrorKind::Unauthenticated, "login_failed", "authorization failed");
    match credentials {
        Credentials::None => Ok(None),
        Credentials::Session(secret) => state.platform.caller(&secret).await,
        Credentials::Token(token) => state.platform.caller(&token).await?.ok_or_else(wrong).map(Some),
        Credentials::Name(name, secret) => state.platform.caller_by_name(&name, &secret).await.map(Some),
    }
}

fn credentials(headers: &HeaderMap, uri: &Uri) -> Credentials {
    let (mut user, mut password) = (String::new(), String::new());
    for (key, value) in form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()) {
        match key.as_ref() {
            "u" if user.is_empty() => user = value.into_owned(),
            "p" if password.is_empty() => password = value.into_owned(),
            _ => {}
        }
    }
    if !user.is_empty() && !password.is_empty() {
        return Credentials::Name(user, password);
    }
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return session_cookie(headers).map_or(Credentials::None, Credentials::Session);
    };
    let (scheme, rest) = value.to_str().ok().and_then(|value| value.split_once(' ')).unwrap_or_default();
    let rest = rest.trim();
    let name = |text: &str| text.split_once(':').map(|(name, secret)| Credentials::Name(name.into(), secret.into()));
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Credentials::Token(rest.to_owned()),
        "token" => name(rest).unwrap_or_else(|| Credentials::Token(rest.to_owned())),
        "basic" => {
            let decoded = base64::engine::general_purpose::STANDARD.decode(rest).ok();
            decoded
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .and_then(|text| name(&text))
                .unwrap_or(Credentials::None)
        }
        _ => Credentials::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn all_ways_are_read() {
        let named = |name: &str, secret: &str| Credentials::Name(name.to_owned(), secret.to_owned());
        let token = |token: &str| Credentials::Token(token.to_owned());
        for (address, authorization, expected) in [
            ("/write?db=x&u=rani&p=a%20b", "", named("rani", "a b")),
            ("/write?u=rani&p=secret", "Bearer other", named("rani", "secret")),
            ("/write?u=rani", "Bearer other", token("other")),
            ("/write", "Basic cmFuaTphOmI=", named("rani", "a:b")),
            ("/write", "Basic nonsense", Credentials::None),
            ("/write", "Token rani:secret", named("rani", "secret")),
            ("/write", "Token mlr_x", token("mlr_x")),
            ("/write", "bearer  mlr_x ", token("mlr_x")),
            ("/write", "Digest x", Credentials::None),
            ("/write", "", Credentials::None),
        ] {
            let mut headers = HeaderMap::new();
            if !authorization.is_empty() {
                headers.insert(header::AUTHORIZATION, HeaderValue::from_str(authorization).unwrap());
            }
            assert_eq!(credentials(&headers, &address.parse().unwrap()), expected, "{address} {authorization}");
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, HeaderValue::from_static("millrace_session=s"));
        assert_eq!(credentials(&headers, &"/query".parse().unwrap()), Credentials::Session("s".to_owned()));
    }
}
