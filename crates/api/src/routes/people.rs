//! Groups, members, people, tokens, and the audit log.

use crate::AppState;
use crate::access::{By, Ordered};
use crate::body::{DOCUMENT_BYTES_MAX, read_text};
use crate::problem::Problem;
use crate::query::Query;
use crate::shown::Shown;
use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use control::access::{AuditEntry, AuditFilter, Credential, Member, Permission, Role, User};
use control::{ControlError, GroupSpec, Invited, document, now_ms, parse_duration};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

const AUDIT_LIMIT_DEFAULT: i64 = 100;
const AUDIT_LIMIT_MAX: i64 = 1_000;

pub(crate) async fn groups(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    Ok(Json(json!({ "items": state.platform.groups().await? })))
}

pub(crate) async fn show_group(State(state): State<AppState>, Path(name): Path<String>) -> Result<Shown, Problem> {
    Ok(Shown(state.platform.group(&name).await?))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct GroupDocument {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    open_records: bool,
}

pub(crate) async fn create_group(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    body: Body,
) -> Result<(StatusCode, Shown), Problem> {
    let asked: GroupDocument = document::parse_json(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    let spec = GroupSpec { description: asked.description, open_records: asked.open_records };
    Ok((StatusCode::CREATED, Shown(state.platform.create_group(&actor, &asked.name, &spec).await?)))
}

pub(crate) async fn update_group(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(name): Path<String>,
    body: Body,
) -> Result<Shown, Problem> {
    let spec: GroupSpec = document::parse_json(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    Ok(Shown(state.platform.update_group(&actor, &name, &spec).await?))
}

pub(crate) async fn delete_group(
    State(state): State<AppState>,
    Ordered(actor): Ordered,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    state.platform.delete_group(&actor, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn members(State(state): State<AppState>, Path(name): Path<String>) -> Result<Json<Value>, Problem> {
    let members = state.platform.members(&name).await?;
    Ok(Json(json!({ "items": members.iter().map(Member::to_json).collect::<Vec<_>>() })))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberDocument {
    user: String,
    role: String,
}

pub(crate) async fn put_member(
    State(state): State<AppState>,
    By(caller): By,
    Path(name): Path<String>,
    body: Body,
) -> Result<StatusCode, Problem> {
    let asked: MemberDocument = document::parse_json(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    let role = Role::parse(&asked.role).ok_or_else(|| {
        ControlError::invalid("role_invalid", format!("`{}` is not a role", asked.role))
            .with_hint("the roles are viewer, editor and admin")
    })?;
    state.platform.put_member(&caller, &name, &asked.user, role).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn delete_member(
    State(state): State<AppState>,
    By(caller): By,
    Path((name, user)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    state.platform.delete_member(&caller, &name, &user).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn users(State(state): State<AppState>) -> Result<Json<Value>, Problem> {
    let users = state.platform.access().users().await?;
    Ok(Json(json!({ "items": users.iter().map(User::to_json).collect::<Vec<_>>() })))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct UserDocument {
    name: String,
    #[serde(default)]
    display_name: String,
    #[serde(default)]
    admin: bool,
}

/// The answer has the secret of the link with which the new user sets a password.
pub(crate) async fn create_user(
    State(state): State<AppState>,
    By(caller): By,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let asked: UserDocument = document::parse_json(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    let invited = state.platform.create_user(&caller, &asked.name, &asked.display_name, asked.admin).await?;
    Ok((StatusCode::CREATED, Json(invited_json(&invited))))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct UserChange {
    /// Whether they are an admin of the platform.
    platform_admin: bool,
}

pub(crate) async fn update_user(
    State(state): State<AppState>,
    By(caller): By,
    Path(user): Path<String>,
    body: Body,
) -> Result<Json<Value>, Problem> {
    let asked: UserChange = document::parse_json(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    Ok(Json(state.platform.set_admin(&caller, &user, asked.platform_admin).await?.to_json()))
}

pub(crate) async fn invite_user(
    State(state): State<AppState>,
    By(caller): By,
    Path(user): Path<String>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let invited = state.platform.invite_user(&caller, &user).await?;
    Ok((StatusCode::CREATED, Json(invited_json(&invited))))
}

/// The secret stands behind `#`, which no browser sends to a server and no server writes to its log.
fn invited_json(invited: &Invited) -> Value {
    let (user, invitation) = (&invited.user, &invited.invitation);
    json!({ "user": user.to_json(), "invitation": invitation, "link": format!("/welcome#{invitation}") })
}

pub(crate) async fn delete_user(
    State(state): State<AppState>,
    By(caller): By,
    Path(user): Path<String>,
) -> Result<StatusCode, Problem> {
    state.platform.delete_user(&caller, &user).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(crate) async fn tokens(State(state): State<AppState>, By(caller): By) -> Result<Json<Value>, Problem> {
    let tokens = state.platform.access().tokens(&caller.user).await?;
    Ok(Json(json!({ "items": tokens.iter().map(Credential::to_json).collect::<Vec<_>>() })))
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TokenDocument {
    name: String,
    #[serde(default)]
    scopes: Option<Vec<String>>,
    /// How long it is good for, such as `30d`.
    #[serde(default)]
    expires_in: Option<String>,
}

/// A token of the caller's own. The answer has its secret, which is shown this once.
pub(crate) async fn create_token(
    State(state): State<AppState>,
    By(caller): By,
    body: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let asked: TokenDocument = document::parse_json(&read_text(body, DOCUMENT_BYTES_MAX).await?)?;
    let scopes = asked.scopes.map(|scopes| scopes.iter().map(|scope| read_scope(scope)).collect::<Result<Vec<_>, _>>());
    let expires_ms = match asked.expires_in.as_deref().map(parse_duration).transpose() {
        Ok(time) => time.map(|time| now_ms().saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX))),
        Err(error) => {
            return Err(ControlError::invalid("duration_invalid", format!("`expiresIn`: {error}")).into());
        }
    };
    let (token, secret) =
        state.platform.create_token(&caller, &asked.name, scopes.transpose()?.as_deref(), expires_ms).await?;
    Ok((StatusCode::CREATED, Json(json!({ "token": token.to_json(), "secret": secret }))))
}

fn read_scope(text: &str) -> Result<Permission, ControlError> {
    Permission::parse(text).ok_or_else(|| {
        let known = Permission::ALL.map(Permission::as_str);
        let hint = control::nearest(text, known).map_or_else(
            || format!("the permissions are {}", known.join(", ")),
            |near| format!("did you mean `{near}`?"),
        );
        ControlError::invalid("scope_invalid", format!("`{text}` is not a permission")).with_hint(hint)
    })
}

pub(crate) async fn delete_token(
    State(state): State<AppState>,
    By(caller): By,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    state.platform.access().delete_token(&caller, &caller.user, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditQuery {
    #[serde(default)]
    before: Option<i64>,
    #[serde(default)]
    limit: Option<i64>,
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    actor: Option<String>,
}

pub(crate) async fn audit(
    State(state): State<AppState>,
    By(caller): By,
    Query(query): Query<AuditQuery>,
) -> Result<Json<Value>, Problem> {
    let readable = caller.groups_with(Permission::ReadAudit);
    let readable = readable.map(|groups| groups.into_iter().map(str::to_owned).collect::<Vec<_>>());
    let groups = match (readable, query.group) {
        (readable, None) => readable,
        (None, Some(group)) => Some(vec![group]),
        (Some(readable), Some(group)) => Some(readable.into_iter().filter(|known| *known == group).collect()),
    };
    let limit = query.limit.unwrap_or(AUDIT_LIMIT_DEFAULT).clamp(1, AUDIT_LIMIT_MAX);
    let filter = AuditFilter { groups, kind: query.kind, name: query.name, actor: query.actor, before: query.before };
    let entries = state.platform.access().audit(&filter, limit).await?;
    let next = entries.last().map(|entry| entry.id).filter(|_| entries.len() as i64 >= limit);
    Ok(Json(json!({ "items": entries.iter().map(AuditEntry::to_json).collect::<Vec<_>>(), "next": next })))
}
