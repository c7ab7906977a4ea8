//! Who asks, and whether they may: found out once per request, before any handler runs.

use crate::AppState;
use crate::influx;
use crate::problem::Problem;
use axum::extract::{FromRequestParts, RawPathParams, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use control::access::{Actor, Caller, ChangeOrigin, Permission};
use control::{ControlError, ErrorKind, Kind};

pub(crate) const SESSION_COOKIE: &str = "millrace_session";
/// Through what a change comes: `file` or `command-line`.
pub(crate) const ORIGIN_HEADER: &str = "millrace-origin";

/// What a route asks of the one who calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Open to everybody.
    Nothing,
    /// Somebody who is known; the handler shows or changes only what is theirs, or judges by what the body says.
    Login,
    /// To find things: names, owners, schemas, queries and states, of all groups.
    Find,
    /// The permission over the resource that the path names (`{name}`).
    Of(Kind, Permission),
    /// The permission in the group that the path names (`{name}`).
    InGroup(Permission),
    /// The permission somewhere: the handler leaves out what is of other groups.
    Somewhere(Permission),
    /// An admin of the platform.
    Platform,
}

impl Needs {
    /// In words, for documents.
    pub fn to_text(self) -> String {
        match self {
            Needs::Nothing => "none".to_owned(),
            Needs::Login => "a login".to_owned(),
            Needs::Find => Permission::Find.as_str().to_owned(),
            Needs::Of(_, permission) | Needs::InGroup(permission) => permission.as_str().to_owned(),
            Needs::Somewhere(permission) => format!("{} in the group that the request is about", permission.as_str()),
            Needs::Platform => Permission::WritePlatform.as_str().to_owned(),
        }
    }
}

/// Puts the caller beside the request, if there is one. A secret that is wrong is refused; none at all is nobody.
pub(crate) async fn identify(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    if influx::answers(request.uri().path()) {
        return influx::identify(state, request, next).await;
    }
    if let Some(secret) = presented(request.headers()) {
        match state.platform.caller(&secret).await {
            Ok(Some(caller)) => {
                request.extensions_mut().insert(caller);
            }
            Ok(None) if request.headers().contains_key(header::AUTHORIZATION) => {
                return Problem::from(unknown_token()).into_response();
            }
            // The cookie of a session that has ended: the one who asks is nobody until the next login.
            Ok(None) => {}
            Err(error) => return Problem::from(error).into_response(),
        }
    }
    next.run(request).await
}

/// Lets a request through if its caller has what the route needs.
pub(crate) async fn guard(
    State((state, needs)): State<(AppState, Needs)>,
    params: RawPathParams,
    request: Request,
    next: Next,
) -> Response {
    let named = params.iter().find(|(key, _)| *key == "name").map(|(_, value)| value.to_owned());
    let judged = judge(&state, needs, request.extensions().get::<Caller>(), named.as_deref()).await;
    match judged {
        Ok(()) => next.run(request).await,
        Err(error) if influx::answers(request.uri().path()) => influx::refuse(request.headers(), request.uri(), &error),
        Err(error) => Problem::from(error).into_response(),
    }
}

async fn judge(
    state: &AppState,
    needs: Needs,
    caller: Option<&Caller>,
    named: Option<&str>,
) -> Result<(), ControlError> {
    if needs == Needs::Nothing {
        return Ok(());
    }
    let caller = caller.ok_or_else(nobody)?;
    let named = named.unwrap_or_default();
    match needs {
        Needs::Nothing | Needs::Login => Ok(()),
        Needs::Find => caller.require(Permission::Find, control::GROUP_DEFAULT),
        Needs::Of(kind, permission) => caller.require(permission, &state.platform.group_of(kind, named).await?),
        Needs::InGroup(permission) => caller.require(permission, named),
        Needs::Somewhere(permission) => match caller.groups_with(permission) {
            Some(groups) if groups.is_empty() => caller.require(permission, control::GROUP_DEFAULT),
            _ => Ok(()),
        },
        Needs::Platform => caller.require(Permission::WritePlatform, control::GROUP_DEFAULT),
    }
}

fn nobody() -> ControlError {
    ControlError::new(ErrorKind::Unauthenticated, "login_needed", "log in first").with_hint(
        "in the portal with name and password; scripts send `Authorization: Bearer TOKEN`; the command line takes --token \
         or MILLRACE_TOKEN, and on the server's own machine --data-dir",
    )
}

fn unknown_token() -> ControlError {
    ControlError::new(ErrorKind::Unauthenticated, "token_invalid", "the token is wrong, has expired or was revoked")
        .with_hint("make one in the portal under Settings, or with `POST /api/v1/tokens`")
}

/// The secret that a request brings: a token, or the cookie of a session.
fn presented(headers: &HeaderMap) -> Option<String> {
    if let Some(value) = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()) {
        let (scheme, token) = value.split_once(' ')?;
        return scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned());
    }
    session_cookie(headers)
}

pub(crate) fn session_cookie(headers: &HeaderMap) -> Option<String> {
    cookie(headers, SESSION_COOKIE)
}

pub(crate) fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let cookies = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    cookies
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix(name)?.strip_prefix('=').map(str::to_owned))
}

/// The caller, for handlers of routes that need one.
pub(crate) struct By(pub Caller);

/// The caller with the conditions of the request: `If-Match` names the generation that they have seen, `?dryRun=true`
/// checks everything and makes nothing.
pub(crate) struct Ordered(pub Actor);

impl<S: Sync> FromRequestParts<S> for Ordered {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let By(caller) = By::from_request_parts(parts, state).await?;
        let if_generation = match parts.headers.get(header::IF_MATCH) {
            None => None,
            Some(value) => read_etag(value.to_str().unwrap_or_default())?,
        };
        let is_dry_run = parts.uri.query().is_some_and(|query| query.split('&').any(|pair| pair == "dryRun=true"));
        let actor = Actor::new(caller);
        let origin = match actor.origin {
            ChangeOrigin::Api => said_origin(&parts.headers),
            known => known,
        };
        Ok(Self(Actor { origin, if_generation, is_dry_run, ..actor }))
    }
}

/// The command line says so itself.
fn said_origin(headers: &HeaderMap) -> ChangeOrigin {
    match headers.get(ORIGIN_HEADER).and_then(|value| value.to_str().ok()) {
        Some("file") => ChangeOrigin::File,
        Some("command-line") => ChangeOrigin::CommandLine,
        _ => ChangeOrigin::Api,
    }
}

/// `"7"` is generation 7, `*` is any.
fn read_etag(text: &str) -> Result<Option<i64>, Problem> {
    let text = text.trim();
    if text == "*" {
        return Ok(None);
    }
    let number = text.trim_start_matches("W/").trim_matches('"').parse();
    number.map(Some).map_err(|_| {
        ControlError::invalid("if_match_invalid", format!("`If-Match: {text}` is not a generation"))
            .with_hint("write the ETag that GET has answered, such as \"7\"")
            .into()
    })
}

impl<S: Sync> FromRequestParts<S> for By {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Caller>().cloned().map(By).ok_or_else(|| nobody().into())
    }
}
