//! The two ends of a login by an identity provider.

use crate::AppState;
use crate::oidc::{Oidc, failure_page};
use crate::problem::Problem;
use crate::query::Query;
use crate::routes::session;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use control::{ControlError, ErrorKind};
use serde::Deserialize;
use utoipa::IntoParams;

/// Ties the login to the browser that began it.
const STATE_COOKIE: &str = "millrace_login";
const STATE_TIME_S: u64 = 600;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct BeginQuery {
    #[serde(default)]
    next: Option<String>,
}

/// Sends the browser to the provider.
pub(crate) async fn begin(
    State(state): State<AppState>,
    Path(provider): Path<String>,
    Query(query): Query<BeginQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let oidc = provider_of(&state, &provider)?;
    let begun = match oidc.begin(&public_url(&state, oidc, &headers), query.next.as_deref().unwrap_or("/")).await {
        Ok(begun) => begun,
        Err(error) => return Ok(failed(&error)),
    };
    let mut response = redirect(StatusCode::SEE_OTHER, &begun.url);
    let cookie = session::cookie(STATE_COOKIE, &begun.state, STATE_TIME_S, state.secure_cookies)?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(response)
}

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CallbackQuery {
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    state: Option<String>,
    #[serde(default)]
    error: Option<String>,
    #[serde(default)]
    error_description: Option<String>,
}

/// The browser comes back with a code, or with the reason why there is none.
pub(crate) async fn callback(
    State(state): State<AppState>,
    Path(provider): Path<String>,
    Query(query): Query<CallbackQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let oidc = provider_of(&state, &provider)?;
    match log_in(&state, oidc, query, &headers).await {
        Ok((session, next)) => {
            let mut response = redirect(StatusCode::SEE_OTHER, &next);
            session::set_cookie(&mut response, &session, state.secure_cookies)?;
            let gone = session::cookie(STATE_COOKIE, "", 0, state.secure_cookies)?;
            response.headers_mut().append(header::SET_COOKIE, gone);
            Ok(response)
        }
        Err(error) => {
            tracing::warn!(detail = %error.detail, "a login by the identity provider failed");
            Ok(failed(&error))
        }
    }
}

async fn log_in(
    state: &AppState,
    oidc: &Oidc,
    query: CallbackQuery,
    headers: &HeaderMap,
) -> Result<(String, String), ControlError> {
    let refused = |detail: String| ControlError::new(ErrorKind::Unauthenticated, "login_failed", detail);
    if let Some(error) = query.error {
        let more = query.error_description.map(|text| format!(": {text}")).unwrap_or_default();
        return Err(refused(format!("the identity provider refused: {error}{more}")));
    }
    let (Some(code), Some(begun)) = (query.code, query.state) else {
        return Err(refused("the identity provider sent no code".to_owned()));
    };
    if crate::access::cookie(headers, STATE_COOKIE).as_deref() != Some(begun.as_str()) {
        return Err(refused("the login was begun in another browser".to_owned()));
    }
    let (user, next) = oidc.end(&public_url(state, oidc, headers), &begun, &code).await?;
    Ok((state.platform.log_in_from_provider(&user).await?, next))
}

fn provider_of<'a>(state: &'a AppState, name: &str) -> Result<&'a Oidc, ControlError> {
    state.oidc.as_deref().filter(|oidc| oidc.config.name == name).ok_or_else(|| {
        ControlError::not_found("identity_provider_not_found", format!("there is no identity provider `{name}`"))
    })
}

/// The address that the browser has used; behind a proxy it should be stated, and is checked by the provider anyway.
fn public_url(state: &AppState, oidc: &Oidc, headers: &HeaderMap) -> String {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let scheme = if state.secure_cookies { "https" } else { "http" };
    oidc.config.public_url.clone().unwrap_or_else(|| format!("{scheme}://{host}"))
}

fn failed(error: &ControlError) -> Response {
    let (status, to) = failure_page(error);
    redirect(status, &to)
}

fn redirect(status: StatusCode, to: &str) -> Response {
    let mut response = status.into_response();
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(header::LOCATION, to);
    response
}
