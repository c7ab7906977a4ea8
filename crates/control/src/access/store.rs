//! People, members, credentials and the audit log, as rows.

use super::{Caller, Permission, Role, Via, password, secret};
use crate::database::Database;
use crate::error::{ControlError, ErrorKind, nearest};
use crate::resource::{Kind, check_name};
use crate::time_text::{millis, now_ms};
use serde_json::{Value, json};
use sqlx::AnyConnection;
use sqlx::Row;
use sqlx::any::AnyRow;
use std::collections::BTreeMap;
use std::time::Duration;

pub const USERS_MAX: i64 = 100_000;
pub const TOKENS_PER_USER_MAX: i64 = 1_000;
pub const AUDIT_PAGE_MAX: i64 = 1_000;
/// A browser stays logged in this long after it logged in.
const SESSION_TIME: Duration = Duration::from_secs(12 * 3_600);
const INVITATION_TIME: Duration = Duration::from_secs(24 * 3_600);

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub display_name: String,
    pub is_admin: bool,
    /// Without one only the identity provider, tokens and links let them in.
    pub has_password: bool,
    pub created_ms: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub group: String,
    pub user: String,
    pub role: Role,
}

/// What a secret is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CredentialKind {
    Session,
    Token,
    /// Sets a password, once.
    Invitation,
}

impl CredentialKind {
    fn as_str(self) -> &'static str {
        match self {
            CredentialKind::Session => "session",
            CredentialKind::Token => "token",
            CredentialKind::Invitation => "invitation",
        }
    }
}

/// A credential without its secret, which nobody can see again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    pub id: String,
    pub name: String,
    pub user: String,
    pub scopes: Option<Vec<Permission>>,
    pub created_ms: i64,
    pub expires_ms: Option<i64>,
    pub used_ms: Option<i64>,
}

/// One change, as the audit log tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    pub id: i64,
    pub at_ms: i64,
    pub actor: String,
    pub via: String,
    /// `create`, `update`, `delete`, `login` and their like.
    pub action: String,
    pub kind: String,
    pub name: String,
    pub group: String,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

#[derive(Clone)]
pub struct AccessDb {
    database: Database,
}

impl AccessDb {
    pub fn new(database: Database) -> Self {
        Self { database }
    }

    /// Whether there is nobody yet.
    pub async fn is_empty(&self) -> Result<bool, ControlError> {
        let row = sqlx::query("SELECT COUNT(*) AS count FROM users").fetch_one(&self.database.pool).await?;
        Ok(row.try_get::<i64, _>("count")? == 0)
    }

    /// Makes a person. With no password they come in by an invitation, a token or the identity provider.
    pub async fn create_user(
        &self,
        name: &str,
        display_name: &str,
        password: Option<&str>,
        is_admin: bool,
    ) -> Result<User, ControlError> {
        check_name("the user's name", name)?;
        let hash = password.map(password::hash).transpose()?;
        let mut transaction = self.database.begin().await?;
        if find_user(&mut transaction, name).await?.is_some() {
            return Err(ControlError::conflict("user_exists", format!("there is a user `{name}` already")));
        }
        let count = sqlx::query("SELECT COUNT(*) AS count FROM users").fetch_one(&mut *transaction).await?;
        if count.try_get::<i64, _>("count")? >= USERS_MAX {
            return Err(ControlError::too_large(
                "too_many_users",
                format!("there are {USERS_MAX} users, which is the limit"),
            ));
        }
        sqlx::query(
            "INSERT INTO users (name, display_name, password_hash, is_admin, created_ms) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(name)
        .bind(display_name)
        .bind(hash)
        .bind(i64::from(is_admin))
        .bind(now_ms())
        .execute(&mut *transaction)
        .await?;
        let user = find_user(&mut transaction, name).await?;
        transaction.commit().await?;
        user.ok_or_else(|| ControlError::internal("a user vanished while being made"))
    }

    pub async fn user(&self, name: &str) -> Result<User, ControlError> {
        let found = find_user(&mut *self.database.pool.acquire().await?, name).await?;
        match found {
            Some(user) => Ok(user),
            None => {
                let known = self.users().await?;
                let near = nearest(name, known.iter().map(|user| user.name.as_str()));
                Err(ControlError::not_found("user_not_found", format!("there is no user `{name}`"))
                    .maybe_hint(near.map(|near| format!("did you mean `{near}`?"))))
            }
        }
    }

    /// Everybody, by name.
    pub async fn users(&self) -> Result<Vec<User>, ControlError> {
        let rows =
            sqlx::query("SELECT name, display_name, password_hash, is_admin, created_ms FROM users ORDER BY name")
                .fetch_all(&self.database.pool)
                .await?;
        rows.iter().map(read_user).collect()
    }

    /// Removes a person with all that lets them in.
    pub async fn delete_user(&self, name: &str) -> Result<(), ControlError> {
        self.user(name).await?;
        let mut transaction = self.database.begin().await?;
        for statement in [
            "DELETE FROM credentials WHERE user_name = $1",
            "DELETE FROM members WHERE user_name = $1",
            "DELETE FROM users WHERE name = $1",
        ] {
            sqlx::query(statement).bind(name).execute(&mut *transaction).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Sets a password; every session of the user ends.
    pub async fn set_password(&self, name: &str, password: &str) -> Result<(), ControlError> {
        let hash = password::hash(password)?;
        let mut transaction = self.database.begin().await?;
        sqlx::query("UPDATE users SET password_hash = $1 WHERE name = $2")
            .bind(hash)
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        sqlx::query("DELETE FROM credentials WHERE user_name = $1 AND kind = 'session'")
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    /// The session's secret, if name and password fit.
    pub async fn log_in(&self, name: &str, password: &str) -> Result<String, ControlError> {
        let row = sqlx::query("SELECT password_hash FROM users WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.database.pool)
            .await?;
        let hash: Option<String> = row.map(|row| row.try_get("password_hash")).transpose()?.flatten();
        let password = password.to_owned();
        let fits = tokio::task::spawn_blocking(move || password::verify(&password, hash.as_deref())).await?;
        if !fits {
            return Err(ControlError::new(ErrorKind::Unauthenticated, "login_failed", "name or password is wrong"));
        }
        self.open_session(name).await
    }

    /// A session for somebody who has proved who they are; returns its secret.
    pub async fn open_session(&self, user: &str) -> Result<String, ControlError> {
        self.issue(CredentialKind::Session, "", user, None, Some(now_ms() + to_ms(SESSION_TIME))).await.map(|it| it.1)
    }

    pub async fn close_session(&self, session: &str) -> Result<(), ControlError> {
        sqlx::query("DELETE FROM credentials WHERE secret_hash = $1 AND kind = 'session'")
            .bind(secret::hash(session))
            .execute(&self.database.pool)
            .await?;
        Ok(())
    }

    /// A token with its secret, which is shown this once.
    pub async fn create_token(
        &self,
        user: &str,
        name: &str,
        scopes: Option<&[Permission]>,
        expires_ms: Option<i64>,
    ) -> Result<(Credential, String), ControlError> {
        check_name("the token's name", name)?;
        if expires_ms.is_some_and(|expires| expires <= now_ms()) {
            return Err(ControlError::invalid("token_invalid", "the token would have expired already"));
        }
        let tokens = self.tokens(user).await?;
        if tokens.iter().any(|token| token.name == name) {
            return Err(ControlError::conflict("token_exists", format!("`{user}` has a token `{name}` already")));
        }
        if tokens.len() as i64 >= TOKENS_PER_USER_MAX {
            return Err(ControlError::too_large(
                "too_many_tokens",
                format!("{TOKENS_PER_USER_MAX} tokens are the limit"),
            ));
        }
        self.issue(CredentialKind::Token, name, user, scopes, expires_ms).await
    }

    /// Makes a token of a secret that was chosen elsewhere; the same again changes nothing.
    pub async fn adopt_token(&self, user: &str, name: &str, chosen: &str) -> Result<(), ControlError> {
        let mut transaction = self.database.begin().await?;
        sqlx::query("DELETE FROM credentials WHERE user_name = $1 AND name = $2 AND kind = 'token'")
            .bind(user)
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        insert_credential(&mut transaction, CredentialKind::Token, name, user, None, None, chosen).await?;
        Ok(transaction.commit().await?)
    }

    /// The tokens of a user, by name.
    pub async fn tokens(&self, user: &str) -> Result<Vec<Credential>, ControlError> {
        let rows = sqlx::query(
            "SELECT id, name, user_name, scopes, created_ms, expires_ms, used_ms FROM credentials \
             WHERE user_name = $1 AND kind = 'token' ORDER BY name",
        )
        .bind(user)
        .fetch_all(&self.database.pool)
        .await?;
        rows.iter().map(read_credential).collect()
    }

    pub async fn delete_token(&self, user: &str, id: &str) -> Result<(), ControlError> {
        let done = sqlx::query("DELETE FROM credentials WHERE user_name = $1 AND id = $2 AND kind = 'token'")
            .bind(user)
            .bind(id)
            .execute(&self.database.pool)
            .await?;
        match done.rows_affected() {
            0 => Err(ControlError::not_found("token_not_found", format!("`{user}` has no token `{id}`"))),
            _ => Ok(()),
        }
    }

    /// The secret of a link with which the user sets a password, once. Former links end.
    pub async fn invite(&self, user: &str) -> Result<String, ControlError> {
        sqlx::query("DELETE FROM credentials WHERE user_name = $1 AND kind = 'invitation'")
            .bind(user)
            .execute(&self.database.pool)
            .await?;
        let expires = now_ms() + to_ms(INVITATION_TIME);
        self.issue(CredentialKind::Invitation, "", user, None, Some(expires)).await.map(|it| it.1)
    }

    /// Sets the password of the one who was invited, and logs them in.
    pub async fn accept_invitation(&self, invitation: &str, password: &str) -> Result<(String, String), ControlError> {
        let refused = || {
            ControlError::new(
                ErrorKind::Unauthenticated,
                "invitation_invalid",
                "the link was used already or has expired",
            )
            .with_hint("ask an admin for a new one; for the first admin, `millrace login --new-link` prints one")
        };
        let hash = secret::hash(invitation);
        let row = sqlx::query(
            "SELECT user_name FROM credentials WHERE secret_hash = $1 AND kind = 'invitation' AND expires_ms > $2",
        )
        .bind(&hash)
        .bind(now_ms())
        .fetch_optional(&self.database.pool)
        .await?;
        let user: String = row.ok_or_else(refused)?.try_get("user_name")?;
        self.set_password(&user, password).await?;
        let used = sqlx::query("DELETE FROM credentials WHERE secret_hash = $1 AND kind = 'invitation'")
            .bind(&hash)
            .execute(&self.database.pool)
            .await?;
        if used.rows_affected() == 0 {
            return Err(refused());
        }
        let session = self.open_session(&user).await?;
        Ok((user, session))
    }

    /// Who the holder of a session's or token's secret is.
    pub async fn caller(&self, presented: &str) -> Result<Option<Caller>, ControlError> {
        let hash = secret::hash(presented);
        let row = sqlx::query(
            "SELECT c.kind, c.name AS credential, c.scopes, c.used_ms, u.name, u.display_name, u.is_admin \
             FROM credentials c JOIN users u ON u.name = c.user_name \
             WHERE c.secret_hash = $1 AND c.kind <> 'invitation' AND (c.expires_ms IS NULL OR c.expires_ms > $2)",
        )
        .bind(&hash)
        .bind(now_ms())
        .fetch_optional(&self.database.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let user: String = row.try_get("name")?;
        let kind: String = row.try_get("kind")?;
        self.note_use(&hash, row.try_get("used_ms")?).await?;
        Ok(Some(Caller {
            roles: self.roles(&user).await?,
            user,
            display_name: row.try_get("display_name")?,
            via: match kind.as_str() {
                "session" => Via::Session,
                _ => Via::Token(row.try_get("credential")?),
            },
            is_admin: row.try_get::<i64, _>("is_admin")? != 0,
            scopes: read_scopes(row.try_get("scopes")?)?,
        }))
    }

    /// Once a minute is exact enough, and keeps writes off the way of every request.
    async fn note_use(&self, hash: &str, used_ms: Option<i64>) -> Result<(), ControlError> {
        let now = now_ms();
        if used_ms.is_none_or(|used| now - used > 60_000) {
            sqlx::query("UPDATE credentials SET used_ms = $1 WHERE secret_hash = $2")
                .bind(now)
                .bind(hash)
                .execute(&self.database.pool)
                .await?;
        }
        Ok(())
    }

    /// A user's groups.
    pub async fn roles(&self, user: &str) -> Result<BTreeMap<String, Role>, ControlError> {
        let rows = sqlx::query("SELECT group_name, user_name, role FROM members WHERE user_name = $1")
            .bind(user)
            .fetch_all(&self.database.pool)
            .await?;
        rows.iter().map(|row| read_member(row).map(|member| (member.group, member.role))).collect()
    }

    /// A group's members, by name.
    pub async fn members(&self, group: &str) -> Result<Vec<Member>, ControlError> {
        let rows =
            sqlx::query("SELECT group_name, user_name, role FROM members WHERE group_name = $1 ORDER BY user_name")
                .bind(group)
                .fetch_all(&self.database.pool)
                .await?;
        rows.iter().map(read_member).collect()
    }

    pub async fn put_member(&self, group: &str, user: &str, role: Role) -> Result<(), ControlError> {
        self.user(user).await?;
        sqlx::query(
            "INSERT INTO members (group_name, user_name, role) VALUES ($1, $2, $3) \
             ON CONFLICT (group_name, user_name) DO UPDATE SET role = $3",
        )
        .bind(group)
        .bind(user)
        .bind(role.as_str())
        .execute(&self.database.pool)
        .await?;
        Ok(())
    }

    pub async fn delete_member(&self, group: &str, user: &str) -> Result<(), ControlError> {
        let done = sqlx::query("DELETE FROM members WHERE group_name = $1 AND user_name = $2")
            .bind(group)
            .bind(user)
            .execute(&self.database.pool)
            .await?;
        match done.rows_affected() {
            0 => Err(ControlError::not_found("member_not_found", format!("`{user}` is not in the group `{group}`"))),
            _ => Ok(()),
        }
    }

    /// What the identity provider says of somebody replaces what was known, but for memberships given here.
    pub async fn upsert_from_provider(
        &self,
        name: &str,
        display_name: &str,
        roles: &BTreeMap<String, Role>,
    ) -> Result<(), ControlError> {
        check_name("the user's name", name)?;
        sqlx::query(
            "INSERT INTO users (name, display_name, password_hash, is_admin, created_ms) VALUES ($1, $2, NULL, 0, $3) \
             ON CONFLICT (name) DO UPDATE SET display_name = $2",
        )
        .bind(name)
        .bind(display_name)
        .bind(now_ms())
        .execute(&self.database.pool)
        .await?;
        for (group, role) in roles {
            self.put_member(group, name, *role).await?;
        }
        Ok(())
    }

    /// Writes one line of the audit log.
    pub async fn record(
        &self,
        caller: &Caller,
        action: &str,
        subject: (Kind, &str, &str),
        before: Option<&Value>,
        after: Option<&Value>,
    ) -> Result<(), ControlError> {
        let (kind, name, group) = subject;
        let mut transaction = self.database.begin().await?;
        sqlx::query(
            "INSERT INTO audit (id, at_ms, actor, via, action, kind, name, group_name, spec_before, spec_after) \
             VALUES ((SELECT COALESCE(MAX(id), 0) + 1 FROM audit), $1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(now_ms())
        .bind(&caller.user)
        .bind(caller.via.as_text())
        .bind(action)
        .bind(kind.as_str())
        .bind(name)
        .bind(group)
        .bind(before.map(Value::to_string))
        .bind(after.map(Value::to_string))
        .execute(&mut *transaction)
        .await?;
        Ok(transaction.commit().await?)
    }

    /// The latest first, before the entry `before` if given; only of `groups` unless that is `None`.
    pub async fn audit(
        &self,
        groups: Option<&[&str]>,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<AuditEntry>, ControlError> {
        let rows = sqlx::query(
            "SELECT id, at_ms, actor, via, action, kind, name, group_name, spec_before, spec_after FROM audit \
             WHERE id < $1 ORDER BY id DESC LIMIT $2",
        )
        .bind(before.unwrap_or(i64::MAX))
        .bind(limit.clamp(1, AUDIT_PAGE_MAX))
        .fetch_all(&self.database.pool)
        .await?;
        let entries = rows.iter().map(read_audit).collect::<Result<Vec<_>, _>>()?;
        let visible = |entry: &AuditEntry| groups.is_none_or(|groups| groups.contains(&entry.group.as_str()));
        Ok(entries.into_iter().filter(visible).collect())
    }

    async fn issue(
        &self,
        kind: CredentialKind,
        name: &str,
        user: &str,
        scopes: Option<&[Permission]>,
        expires_ms: Option<i64>,
    ) -> Result<(Credential, String), ControlError> {
        let generated = secret::generate()?;
        let mut transaction = self.database.begin().await?;
        sqlx::query("DELETE FROM credentials WHERE expires_ms <= $1").bind(now_ms()).execute(&mut *transaction).await?;
        let id = insert_credential(&mut transaction, kind, name, user, scopes, expires_ms, &generated).await?;
        transaction.commit().await?;
        let credential = Credential {
            id,
            name: name.to_owned(),
            user: user.to_owned(),
            scopes: scopes.map(<[Permission]>::to_vec),
            created_ms: now_ms(),
            expires_ms,
            used_ms: None,
        };
        Ok((credential, generated))
    }
}

impl User {
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name, "displayName": self.display_name, "admin": self.is_admin,
            "hasPassword": self.has_password, "created": millis(self.created_ms),
        })
    }
}

impl Credential {
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "user": self.user, "created": millis(self.created_ms),
            "scopes": self.scopes.as_ref().map(|scopes| scopes.iter().map(|it| it.as_str()).collect::<Vec<_>>()),
            "expires": self.expires_ms.map(millis), "lastUsed": self.used_ms.map(millis),
        })
    }
}

impl AuditEntry {
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id, "at": millis(self.at_ms), "actor": self.actor, "via": self.via, "action": self.action,
            "kind": self.kind, "name": self.name, "group": self.group, "before": self.before, "after": self.after,
        })
    }
}

async fn insert_credential(
    connection: &mut AnyConnection,
    kind: CredentialKind,
    name: &str,
    user: &str,
    scopes: Option<&[Permission]>,
    expires_ms: Option<i64>,
    presented: &str,
) -> Result<String, ControlError> {
    let hash = secret::hash(presented);
    // The id names a credential in lists and links; it says nothing about the secret that could be used.
    let id = secret::hash(&hash)[..12].to_owned();
    let scopes = scopes.map(|scopes| scopes.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(" "));
    sqlx::query(
        "INSERT INTO credentials (secret_hash, id, kind, name, user_name, scopes, created_ms, expires_ms) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(hash)
    .bind(&id)
    .bind(kind.as_str())
    .bind(name)
    .bind(user)
    .bind(scopes)
    .bind(now_ms())
    .bind(expires_ms)
    .execute(connection)
    .await?;
    Ok(id)
}

async fn find_user(connection: &mut AnyConnection, name: &str) -> Result<Option<User>, ControlError> {
    let row = sqlx::query("SELECT name, display_name, password_hash, is_admin, created_ms FROM users WHERE name = $1")
        .bind(name)
        .fetch_optional(connection)
        .await?;
    row.map(|row| read_user(&row)).transpose()
}

fn read_user(row: &AnyRow) -> Result<User, ControlError> {
    Ok(User {
        name: row.try_get("name")?,
        display_name: row.try_get("display_name")?,
        is_admin: row.try_get::<i64, _>("is_admin")? != 0,
        has_password: row.try_get::<Option<String>, _>("password_hash")?.is_some(),
        created_ms: row.try_get("created_ms")?,
    })
}

fn read_member(row: &AnyRow) -> Result<Member, ControlError> {
    let role: String = row.try_get("role")?;
    Ok(Member {
        group: row.try_get("group_name")?,
        user: row.try_get("user_name")?,
        role: Role::parse(&role).ok_or_else(|| ControlError::internal(format!("`{role}` is stored as a role")))?,
    })
}

fn read_scopes(stored: Option<String>) -> Result<Option<Vec<Permission>>, ControlError> {
    let Some(stored) = stored else { return Ok(None) };
    let scopes = stored.split_whitespace().map(|scope| {
        Permission::parse(scope).ok_or_else(|| ControlError::internal(format!("`{scope}` is stored as a permission")))
    });
    scopes.collect::<Result<Vec<_>, _>>().map(Some)
}

fn read_credential(row: &AnyRow) -> Result<Credential, ControlError> {
    Ok(Credential {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        user: row.try_get("user_name")?,
        scopes: read_scopes(row.try_get("scopes")?)?,
        created_ms: row.try_get("created_ms")?,
        expires_ms: row.try_get("expires_ms")?,
        used_ms: row.try_get("used_ms")?,
    })
}

fn read_audit(row: &AnyRow) -> Result<AuditEntry, ControlError> {
    let spec = |column: &str| -> Result<Option<Value>, ControlError> {
        let text: Option<String> = row.try_get(column)?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    };
    Ok(AuditEntry {
        id: row.try_get("id")?,
        at_ms: row.try_get("at_ms")?,
        actor: row.try_get("actor")?,
        via: row.try_get("via")?,
        action: row.try_get("action")?,
        kind: row.try_get("kind")?,
        name: row.try_get("name")?,
        group: row.try_get("group_name")?,
        before: spec("spec_before")?,
        after: spec("spec_after")?,
    })
}

fn to_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn open(dir: &tempfile::TempDir) -> AccessDb {
        AccessDb::new(Database::open_file(&dir.path().join("a b%.db")).await.unwrap())
    }

    #[tokio::test]
    async fn a_session_is_its_user_until_it_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir).await;
        assert!(db.is_empty().await.unwrap());
        db.create_user("rani", "Rani", Some("correct horse"), false).await.unwrap();
        db.put_member("rides", "rani", Role::Editor).await.unwrap();
        assert_eq!(db.log_in("rani", "wrong horse!").await.unwrap_err().code, "login_failed");
        assert_eq!(db.log_in("nobody", "correct horse").await.unwrap_err().code, "login_failed");
        let session = db.log_in("rani", "correct horse").await.unwrap();
        let caller = db.caller(&session).await.unwrap().unwrap();
        assert_eq!((caller.user.as_str(), caller.via.clone()), ("rani", Via::Session));
        assert!(caller.may(Permission::WriteDaggers, "rides"));
        db.close_session(&session).await.unwrap();
        assert!(db.caller(&session).await.unwrap().is_none());
        assert!(db.caller("mlr_guess").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn tokens_are_limited_listed_and_revoked() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir).await;
        db.create_user("ci", "", None, true).await.unwrap();
        let scopes = [Permission::ReadRecords];
        let (token, secret) = db.create_token("ci", "nightly", Some(&scopes), None).await.unwrap();
        let caller = db.caller(&secret).await.unwrap().unwrap();
        assert!(caller.may(Permission::ReadRecords, "any") && !caller.may(Permission::WriteDaggers, "any"));
        assert_eq!(db.create_token("ci", "nightly", None, None).await.unwrap_err().code, "token_exists");
        assert_eq!(db.create_token("ci", "old", None, Some(1)).await.unwrap_err().code, "token_invalid");
        assert_eq!(db.tokens("ci").await.unwrap()[0].id, token.id);
        db.delete_token("ci", &token.id).await.unwrap();
        assert!(db.caller(&secret).await.unwrap().is_none());
        db.adopt_token("ci", "admin", "chosen elsewhere").await.unwrap();
        db.adopt_token("ci", "admin", "chosen elsewhere").await.unwrap();
        assert!(db.caller("chosen elsewhere").await.unwrap().is_some());
    }

    #[tokio::test]
    async fn an_invitation_works_once() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir).await;
        db.create_user("admin", "", None, true).await.unwrap();
        let link = db.invite("admin").await.unwrap();
        assert!(db.caller(&link).await.unwrap().is_none(), "a link is no login");
        let (user, session) = db.accept_invitation(&link, "long enough it is").await.unwrap();
        assert_eq!(user, "admin");
        assert!(db.caller(&session).await.unwrap().is_some());
        assert_eq!(db.accept_invitation(&link, "another password").await.unwrap_err().code, "invitation_invalid");
        assert!(db.log_in("admin", "long enough it is").await.is_ok());
    }

    #[tokio::test]
    async fn the_audit_log_is_read_by_group() {
        let dir = tempfile::tempdir().unwrap();
        let db = open(&dir).await;
        let server = Caller::server();
        let spec = json!({"a": 1});
        db.record(&server, "create", (Kind::Topic, "t", "rides"), None, Some(&spec)).await.unwrap();
        db.record(&server, "delete", (Kind::Dagger, "d", "food"), Some(&spec), None).await.unwrap();
        let all = db.audit(None, None, 10).await.unwrap();
        assert_eq!(all.iter().map(|entry| entry.id).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(all[1].after, Some(spec));
        let rides = db.audit(Some(&["rides"]), None, 10).await.unwrap();
        assert_eq!(rides.len(), 1);
    }
}
