//! Sessions, tokens and invitations: what proves who someone is. Only hashes of the secrets are kept.

use super::audit::Subject;
use super::store::AccessDb;
use super::{Caller, Permission, Via, password, secret};
use crate::error::{ControlError, ErrorKind};
use crate::resource::check_name;
use crate::time_text::{millis, now_ms};
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use std::time::Duration;

pub const TOKENS_PER_USER_MAX: i64 = 1_000;
/// A browser stays logged in this long after it logged in.
pub const SESSION_TIME: Duration = Duration::from_secs(12 * 3_600);
const INVITATION_TIME: Duration = Duration::from_secs(24 * 3_600);

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

impl AccessDb {
    /// The session's secret, if name and password fit.
    pub async fn log_in(&self, name: &str, password: &str) -> Result<String, ControlError> {
        let hash = self.password_hash(name).await?;
        self.check_password(password, hash).await?;
        self.log_in_as(name).await
    }

    /// What is kept of a user's password; `None` without a password, or without such a user.
    pub async fn password_hash(&self, name: &str) -> Result<Option<String>, ControlError> {
        let row = sqlx::query("SELECT password_hash FROM users WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.database.pool)
            .await?;
        Ok(row.map(|row| row.try_get("password_hash")).transpose()?.flatten())
    }

    /// Takes tens of milliseconds of a core.
    pub async fn check_password(&self, password: &str, hash: Option<String>) -> Result<(), ControlError> {
        let password = password.to_owned();
        match tokio::task::spawn_blocking(move || password::verify(&password, hash.as_deref())).await? {
            true => Ok(()),
            false => Err(ControlError::new(ErrorKind::Unauthenticated, "login_failed", "name or password is wrong")),
        }
    }

    /// A user who has proved who they are by name and password.
    pub async fn caller_by_password(&self, name: &str) -> Result<Option<Caller>, ControlError> {
        let row = sqlx::query("SELECT display_name, is_admin FROM users WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.database.pool)
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(Caller {
            roles: self.roles(name).await?,
            user: name.to_owned(),
            display_name: row.try_get("display_name")?,
            via: Via::Password,
            is_admin: row.try_get::<i64, _>("is_admin")? != 0,
            scopes: None,
        }))
    }

    /// A session for somebody who has proved who they are, noted in the audit log; returns its secret.
    pub async fn log_in_as(&self, name: &str) -> Result<String, ControlError> {
        let session = self.open_session(name).await?;
        if let Some(caller) = self.caller(&session).await? {
            self.record(&caller, "login", about(&caller.user), None, None).await?;
        }
        Ok(session)
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
        by: &Caller,
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
        let issued = self.issue(CredentialKind::Token, name, user, scopes, expires_ms).await?;
        self.record(by, "create-token", about(user), None, Some(&issued.0.to_json())).await?;
        Ok(issued)
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

    pub async fn delete_token(&self, by: &Caller, user: &str, id: &str) -> Result<(), ControlError> {
        let done = sqlx::query("DELETE FROM credentials WHERE user_name = $1 AND id = $2 AND kind = 'token'")
            .bind(user)
            .bind(id)
            .execute(&self.database.pool)
            .await?;
        match done.rows_affected() {
            0 => Err(ControlError::not_found("token_not_found", format!("`{user}` has no token `{id}`"))),
            _ => self.record(by, "delete-token", about(user), Some(&json!({ "id": id })), None).await,
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
            .with_hint("ask an admin for a new one; the first admin's is printed when the server starts")
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
        self.set_password(&Caller::invited(&user), &user, password).await?;
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

impl Credential {
    pub fn to_json(&self) -> Value {
        json!({
            "id": self.id, "name": self.name, "user": self.user, "created": millis(self.created_ms),
            "scopes": self.scopes.as_ref().map(|scopes| scopes.iter().map(|it| it.as_str()).collect::<Vec<_>>()),
            "expires": self.expires_ms.map(millis), "lastUsed": self.used_ms.map(millis),
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

fn to_ms(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

fn about(user: &str) -> Subject<'_> {
    Subject { kind: "User", name: user, group: "" }
}
