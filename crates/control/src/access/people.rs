//! People and their membership in groups, as rows.

use super::audit::{self, Subject};
use super::store::AccessDb;
use super::{Caller, Role, password};
use crate::error::{ControlError, nearest};
use crate::resource::check_name;
use crate::time_text::{millis, now_ms};
use serde_json::{Value, json};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};
use std::collections::BTreeMap;

pub const USERS_MAX: i64 = 100_000;

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
    /// When they joined; a change of their role leaves it. Unknown of those who came before it was kept.
    pub since_ms: Option<i64>,
}

impl Member {
    pub fn to_json(&self) -> Value {
        json!({ "user": self.user, "role": self.role.as_str(), "since": self.since_ms.map(millis) })
    }
}

/// What an identity provider says of somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderUser {
    /// The issuer and its own id of the person, which never changes.
    pub subject: String,
    pub name: String,
    pub display_name: String,
    pub roles: BTreeMap<String, Role>,
    pub is_admin: bool,
}

impl AccessDb {
    /// Whether there is nobody yet.
    pub async fn is_empty(&self) -> Result<bool, ControlError> {
        let row = sqlx::query("SELECT COUNT(*) AS count FROM users").fetch_one(&self.database.pool).await?;
        Ok(row.try_get::<i64, _>("count")? == 0)
    }

    /// Makes a person. With no password they come in by an invitation, a token or the identity provider.
    pub async fn create_user(
        &self,
        by: &Caller,
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
        let after = json!({ "displayName": display_name, "admin": is_admin });
        audit::write(&mut transaction, by, "create", about_user(name), None, Some(&after)).await?;
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

    /// Makes somebody an admin of the platform, or takes that away.
    pub async fn set_admin(&self, by: &Caller, name: &str, is_admin: bool) -> Result<User, ControlError> {
        self.user(name).await?;
        let mut transaction = self.database.begin().await?;
        let Some(before) = find_user(&mut transaction, name).await? else {
            return Err(ControlError::not_found("user_not_found", format!("there is no user `{name}`")));
        };
        let user = User { is_admin, ..before.clone() };
        if user == before {
            return Ok(user);
        }
        if !is_admin {
            check_other_admin(&mut transaction, name).await?;
        }
        sqlx::query("UPDATE users SET is_admin = $1 WHERE name = $2")
            .bind(i64::from(is_admin))
            .bind(name)
            .execute(&mut *transaction)
            .await?;
        let (before, after) = (before.to_json(), user.to_json());
        audit::write(&mut transaction, by, "update", about_user(name), Some(&before), Some(&after)).await?;
        transaction.commit().await?;
        Ok(user)
    }

    /// Removes a person with all that lets them in.
    pub async fn delete_user(&self, by: &Caller, name: &str) -> Result<(), ControlError> {
        let user = self.user(name).await?;
        let mut transaction = self.database.begin().await?;
        if user.is_admin {
            check_other_admin(&mut transaction, name).await?;
        }
        for statement in [
            "DELETE FROM credentials WHERE user_name = $1",
            "DELETE FROM members WHERE user_name = $1",
            "DELETE FROM users WHERE name = $1",
        ] {
            sqlx::query(statement).bind(name).execute(&mut *transaction).await?;
        }
        audit::write(&mut transaction, by, "delete", about_user(name), Some(&user.to_json()), None).await?;
        Ok(transaction.commit().await?)
    }

    /// The first of the platform's admins; there is always one once the server has started.
    pub async fn first_admin(&self) -> Result<Option<String>, ControlError> {
        let row = sqlx::query("SELECT name FROM users WHERE is_admin = 1 ORDER BY created_ms, name LIMIT 1")
            .fetch_optional(&self.database.pool)
            .await?;
        row.map(|row| Ok(row.try_get("name")?)).transpose()
    }

    /// Whether anybody could log in with a password.
    pub async fn has_password(&self) -> Result<bool, ControlError> {
        let row = sqlx::query("SELECT COUNT(*) AS count FROM users WHERE password_hash IS NOT NULL")
            .fetch_one(&self.database.pool)
            .await?;
        Ok(row.try_get::<i64, _>("count")? > 0)
    }

    /// Sets a password; every session of the user ends.
    pub async fn set_password(&self, by: &Caller, name: &str, password: &str) -> Result<(), ControlError> {
        let password = password.to_owned();
        let hash = tokio::task::spawn_blocking(move || password::hash(&password)).await??;
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
        audit::write(&mut transaction, by, "set-password", about_user(name), None, None).await?;
        Ok(transaction.commit().await?)
    }

    /// How many members each group has; groups without any are left out.
    pub async fn member_counts(&self) -> Result<BTreeMap<String, i64>, ControlError> {
        let rows = sqlx::query("SELECT group_name, COUNT(*) AS count FROM members GROUP BY group_name")
            .fetch_all(&self.database.pool)
            .await?;
        rows.iter().map(|row| Ok((row.try_get("group_name")?, row.try_get("count")?))).collect()
    }

    /// A user's groups.
    pub async fn roles(&self, user: &str) -> Result<BTreeMap<String, Role>, ControlError> {
        let rows = sqlx::query("SELECT group_name, user_name, role, since_ms FROM members WHERE user_name = $1")
            .bind(user)
            .fetch_all(&self.database.pool)
            .await?;
        rows.iter().map(|row| read_member(row).map(|member| (member.group, member.role))).collect()
    }

    /// A group's members, by name.
    pub async fn members(&self, group: &str) -> Result<Vec<Member>, ControlError> {
        let rows = sqlx::query(
            "SELECT group_name, user_name, role, since_ms FROM members WHERE group_name = $1 ORDER BY user_name",
        )
        .bind(group)
        .fetch_all(&self.database.pool)
        .await?;
        rows.iter().map(read_member).collect()
    }

    pub async fn put_member(&self, by: &Caller, group: &str, user: &str, role: Role) -> Result<(), ControlError> {
        self.user(user).await?;
        let mut transaction = self.database.begin().await?;
        set_role(&mut transaction, group, user, role).await?;
        let after = json!({ "user": user, "role": role.as_str() });
        audit::write(&mut transaction, by, "put-member", about_group(group), None, Some(&after)).await?;
        Ok(transaction.commit().await?)
    }

    pub async fn delete_member(&self, by: &Caller, group: &str, user: &str) -> Result<(), ControlError> {
        let mut transaction = self.database.begin().await?;
        let done = sqlx::query("DELETE FROM members WHERE group_name = $1 AND user_name = $2")
            .bind(group)
            .bind(user)
            .execute(&mut *transaction)
            .await?;
        if done.rows_affected() == 0 {
            return Err(ControlError::not_found("member_not_found", format!("`{user}` is not in the group `{group}`")));
        }
        let before = json!({ "user": user });
        audit::write(&mut transaction, by, "delete-member", about_group(group), Some(&before), None).await?;
        Ok(transaction.commit().await?)
    }

    /// Takes over what the identity provider says of somebody, and returns their name here. People are known by their
    /// subject: one whose name belongs to somebody else is refused, not taken for them. Memberships that were given here
    /// stay; those of the provider are as it says now.
    pub async fn upsert_from_provider(&self, user: &ProviderUser) -> Result<String, ControlError> {
        check_name("the user's name", &user.name)?;
        let mut transaction = self.database.begin().await?;
        let known = sqlx::query("SELECT name FROM users WHERE subject = $1")
            .bind(&user.subject)
            .fetch_optional(&mut *transaction)
            .await?;
        let name = match known {
            Some(row) => {
                let name: String = row.try_get("name")?;
                sqlx::query("UPDATE users SET display_name = $1, is_admin = $2 WHERE name = $3")
                    .bind(&user.display_name)
                    .bind(i64::from(user.is_admin))
                    .bind(&name)
                    .execute(&mut *transaction)
                    .await?;
                name
            }
            None => {
                if find_user(&mut transaction, &user.name).await?.is_some() {
                    let detail = format!("the name `{}` belongs to another account already", user.name);
                    return Err(ControlError::conflict("user_exists", detail)
                        .with_hint("an admin of the platform can delete that account"));
                }
                sqlx::query(
                    "INSERT INTO users (name, display_name, password_hash, is_admin, created_ms, subject) \
                     VALUES ($1, $2, NULL, $3, $4, $5)",
                )
                .bind(&user.name)
                .bind(&user.display_name)
                .bind(i64::from(user.is_admin))
                .bind(now_ms())
                .bind(&user.subject)
                .execute(&mut *transaction)
                .await?;
                let after = json!({ "displayName": user.display_name, "admin": user.is_admin });
                let server = Caller::server();
                audit::write(&mut transaction, &server, "create", about_user(&user.name), None, Some(&after)).await?;
                user.name.clone()
            }
        };
        take_provider_roles(&mut transaction, &name, &user.roles).await?;
        transaction.commit().await?;
        Ok(name)
    }
}

/// Gives somebody the roles that the provider names and no others of its own; who stays in a group is there since they came.
async fn take_provider_roles(
    connection: &mut AnyConnection,
    user: &str,
    roles: &BTreeMap<String, Role>,
) -> Result<(), ControlError> {
    let former = sqlx::query(
        "SELECT group_name, user_name, role, since_ms FROM members WHERE user_name = $1 AND from_provider = 1",
    )
    .bind(user)
    .fetch_all(&mut *connection)
    .await?;
    let former = former.iter().map(read_member).collect::<Result<Vec<_>, _>>()?;
    sqlx::query("DELETE FROM members WHERE user_name = $1 AND from_provider = 1")
        .bind(user)
        .execute(&mut *connection)
        .await?;
    for (group, role) in roles {
        let since_ms = former.iter().find(|member| member.group == *group).map_or(Some(now_ms()), |it| it.since_ms);
        sqlx::query(
            "INSERT INTO members (group_name, user_name, role, since_ms, from_provider) VALUES ($1, $2, $3, $4, 1) \
             ON CONFLICT (group_name, user_name) DO NOTHING",
        )
        .bind(group)
        .bind(user)
        .bind(role.as_str())
        .bind(since_ms)
        .execute(&mut *connection)
        .await?;
    }
    Ok(())
}

impl User {
    pub fn to_json(&self) -> Value {
        json!({
            "name": self.name, "displayName": self.display_name, "admin": self.is_admin,
            "hasPassword": self.has_password, "created": millis(self.created_ms),
        })
    }
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
        since_ms: row.try_get("since_ms")?,
    })
}

async fn set_role(connection: &mut AnyConnection, group: &str, user: &str, role: Role) -> Result<(), ControlError> {
    sqlx::query(
        "INSERT INTO members (group_name, user_name, role, since_ms) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (group_name, user_name) DO UPDATE SET role = $3, from_provider = 0",
    )
    .bind(group)
    .bind(user)
    .bind(role.as_str())
    .bind(now_ms())
    .execute(connection)
    .await?;
    Ok(())
}

/// There is always somebody who can let others in.
async fn check_other_admin(connection: &mut AnyConnection, name: &str) -> Result<(), ControlError> {
    let row = sqlx::query("SELECT COUNT(*) AS count FROM users WHERE is_admin = 1 AND name <> $1")
        .bind(name)
        .fetch_one(connection)
        .await?;
    match row.try_get::<i64, _>("count")? {
        0 => Err(ControlError::conflict("last_admin", format!("`{name}` is the only admin of the platform"))
            .with_hint("make somebody else an admin first")),
        _ => Ok(()),
    }
}

/// People are the platform's.
fn about_user(name: &str) -> Subject<'_> {
    Subject { kind: "User", name, group: "" }
}

fn about_group(name: &str) -> Subject<'_> {
    Subject { kind: "Group", name, group: name }
}
