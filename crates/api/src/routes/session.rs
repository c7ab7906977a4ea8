//! Logging in and out, and what the one who is logged in may do.

use crate::AppState;
use crate::access::{By, SESSION_COOKIE, session_cookie};
use crate::body::{DOCUMENT_BYTES_MAX, read_text};
use crate::problem::Problem;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use control::access::{Caller, Permission, SESSION_TIME};
use control::{ControlError, document};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// Nobody is an answer too: the portal then shows its login.
pub(crate) async fn show(
    State(state): State<AppState>,
    caller: Option<axum::Extension<Caller>>,
) -> Result<Json<Value>, Problem> {
    let Some(axum::Extension(caller)) = caller else {
        let setup_needed = !state.platform.access().has_password().await?;
        return Ok(Json(json!({
            "user": null, "via": null, "setupNeeded": setup_needed, "login": ways_in(&state), "groups": [],
            "permissions": {}, "grafanaUrl": null,
        })));
    };
    let groups: Vec<Value> =
        caller.roles.iter().map(|(group, role)| json!({ "name": group, "role": role.as_str() })).collect();
    let permissions: Map<String, Value> = Permission::ALL
        .into_iter()
        .map(|permission| (permission.as_str().to_owned(), json!(caller.groups_with(permission))))
        .collect();
    Ok(Json(json!({
        "user": { "name": caller.user, "displayName": caller.display_name, "admin": caller.is_admin },
        "via": caller.via.as_text(), "setupNeeded": false, "login": ways_in(&state), "groups": groups,
        "permissions": permissions, "grafanaUrl": state.platform.grafana_url(),
    })))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    name: String,
    password: String,
}

pub(crate) async fn log_in(State(state): State<AppState>, body: Body) -> Result<Response, Problem> {
    let login: Login = document::parse_json(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    let session = state.platform.log_in(&login.name, &login.password).await?;
    with_session(&session, state.secure_cookies)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Invitation {
    invitation: String,
    password: String,
}

/// Sets the password of the one who holds the link, and logs them in.
pub(crate) async fn accept_invitation(State(state): State<AppState>, body: Body) -> Result<Response, Problem> {
    let asked: Invitation = document::parse_json(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    let (_, session) = state.platform.access().accept_invitation(&asked.invitation, &asked.password).await?;
    with_session(&session, state.secure_cookies)
}

pub(crate) async fn log_out(State(state): State<AppState>, headers: HeaderMap) -> Result<Response, Problem> {
    if let Some(session) = session_cookie(&headers) {
        state.platform.access().close_session(&session).await?;
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    response.headers_mut().insert(header::SET_COOKIE, cookie(SESSION_COOKIE, "", 0, state.secure_cookies)?);
    Ok(response)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    current: String,
    new: String,
}

/// Changes the caller's own password.
pub(crate) async fn set_password(
    State(state): State<AppState>,
    By(caller): By,
    body: Body,
) -> Result<Response, Problem> {
    let asked: Change = document::parse_json(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    let platform = &state.platform;
    let checked = platform.log_in(&caller.user, &asked.current).await?;
    platform.access().close_session(&checked).await?;
    platform.access().set_password(&caller, &caller.user, &asked.new).await?;
    // The old sessions have ended with the old password; whoever has just given the new one stays.
    let session = platform.access().open_session(&caller.user).await?;
    with_session(&session, state.secure_cookies)
}

fn with_session(session: &str, secure: bool) -> Result<Response, Problem> {
    let mut response = StatusCode::NO_CONTENT.into_response();
    set_cookie(&mut response, session, secure)?;
    Ok(response)
}

pub(crate) fn set_cookie(response: &mut Response, session: &str, secure: bool) -> Result<(), Problem> {
    let cookie = cookie(SESSION_COOKIE, session, SESSION_TIME.as_secs(), secure)?;
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    Ok(())
}

pub(crate) fn cookie(name: &str, value: &str, max_age_s: u64, secure: bool) -> Result<HeaderValue, Problem> {
    let secure = if secure { "; Secure" } else { "" };
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={max_age_s}{secure}");
    HeaderValue::from_str(&text).map_err(|error| ControlError::internal(error.to_string()).into())
}

/// The ways in that the login page offers.
fn ways_in(state: &AppState) -> Value {
    let oidc: Vec<Value> = state
        .oidc
        .iter()
        .map(|oidc| {
            let name = &oidc.config.name;
            json!({ "name": name, "label": oidc.config.label, "url": format!("/api/v1/session/oidc/{name}") })
        })
        .collect();
    json!({ "local": true, "oidc": oidc })
}
