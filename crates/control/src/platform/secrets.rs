//! Secrets: values that sinks use by name. They are written and never shown; at rest they are sealed by a key that lies in
//! the data directory and is not in the database.

use super::Platform;
use crate::access::{Actor, Permission, Subject, audit};
use crate::data_directory::DataDirectory;
use crate::error::ControlError;
use crate::resource::{GROUP_DEFAULT, check_name};
use crate::time_text::{millis, now_ms};
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use serde_json::{Value, json};
use sqlx::Row;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;

pub const SECRET_BYTES_MAX: usize = 64 * 1024;
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
const KIND: &str = "Secret";

/// Seals and opens values. The name is part of what is sealed, so that one value cannot be put in place of another.
pub(super) struct Seal(XChaCha20Poly1305);

impl Seal {
    /// The data directory's key, made if it is missing.
    pub fn open(directory: &DataDirectory) -> Result<Self, ControlError> {
        let path = directory.secret_key_file();
        let failed = |error: std::io::Error| {
            ControlError::unavailable("secret_key_unusable", format!("the key {}: {error}", path.display()))
        };
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let bytes = random::<KEY_BYTES>()?.to_vec();
                let beside = path.with_extension("new");
                let _ = std::fs::remove_file(&beside);
                let mut file =
                    OpenOptions::new().create_new(true).write(true).mode(0o600).open(&beside).map_err(failed)?;
                file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed)?;
                std::fs::rename(&beside, &path).map_err(failed)?;
                bytes
            }
            Err(error) => return Err(failed(error)),
        };
        let key = Key::try_from(bytes.as_slice()).map_err(|_| {
            ControlError::unavailable("secret_key_unusable", format!("the key {} is not whole", path.display()))
                .with_hint("put the key back from a copy; without it the secrets have to be written again")
        })?;
        Ok(Self(XChaCha20Poly1305::new(&key)))
    }

    fn seal(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, ControlError> {
        let nonce = random::<NONCE_BYTES>()?;
        let payload = Payload { msg: value, aad: name.as_bytes() };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| ControlError::internal("a secret cannot be sealed"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    fn unseal(&self, name: &str, sealed: &[u8]) -> Result<Vec<u8>, ControlError> {
        let unreadable = || {
            ControlError::unavailable("secret_unreadable", format!("the secret `{name}` was sealed by another key"))
                .with_hint("write it again")
        };
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>().ok_or_else(unreadable)?;
        let payload = Payload { msg: sealed, aad: name.as_bytes() };
        self.0.decrypt(&XNonce::from(*nonce), payload).map_err(|_| unreadable())
    }
}

fn random<const N: usize>() -> Result<[u8; N], ControlError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| ControlError::internal(format!("no randomness: {error}")))?;
    Ok(bytes)
}

impl Platform {
    /// Names and owners, never a value.
    pub async fn secrets(&self) -> Result<Vec<Value>, ControlError> {
        let rows = sqlx::query("SELECT name, group_name, updated_ms, updated_by FROM secrets ORDER BY name")
            .fetch_all(&self.database.pool)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(json!({
                    "name": row.try_get::<String, _>("name")?, "group": row.try_get::<String, _>("group_name")?,
                    "updated": millis(row.try_get("updated_ms")?), "updatedBy": row.try_get::<String, _>("updated_by")?,
                }))
            })
            .collect()
    }

    /// Writes a value, over the former one if there was one. Without a group it stays where it is.
    pub async fn put_secret(
        &self,
        actor: &Actor,
        name: &str,
        group: Option<&str>,
        value: &str,
    ) -> Result<(), ControlError> {
        check_name("the secret's name", name)?;
        if value.is_empty() || value.len() > SECRET_BYTES_MAX {
            return Err(ControlError::invalid(
                "secret_invalid",
                format!("a secret has 1 to {SECRET_BYTES_MAX} bytes, this one has {}", value.len()),
            ));
        }
        let _change = self.changes.lock().await;
        let before = self.secret_group(name).await?;
        let group = group.map(str::to_owned).or_else(|| before.clone()).unwrap_or_else(|| GROUP_DEFAULT.to_owned());
        self.check_group_exists(&group).await?;
        actor.require(Permission::WriteSecrets, &group)?;
        if let Some(before) = &before {
            actor.require(Permission::WriteSecrets, before)?;
        }
        if actor.is_dry_run {
            return Ok(());
        }
        let sealed = self.seal.seal(name, value.as_bytes())?;
        let mut transaction = self.database.begin().await?;
        sqlx::query(
            "INSERT INTO secrets (name, group_name, sealed, updated_ms, updated_by) VALUES ($1, $2, $3, $4, $5) \
             ON CONFLICT (name) DO UPDATE SET group_name = $2, sealed = $3, updated_ms = $4, updated_by = $5",
        )
        .bind(name)
        .bind(&group)
        .bind(&sealed[..])
        .bind(now_ms())
        .bind(&actor.caller.user)
        .execute(&mut *transaction)
        .await?;
        let action = if before.is_some() { "update" } else { "create" };
        let subject = Subject { kind: KIND, name, group: &group };
        audit::write(&mut transaction, &actor.caller, action, subject, None, None).await?;
        transaction.commit().await?;
        self.restart_sinks_with(name).await?;
        self.restart_firehoses_with_secret(name).await?;
        self.reconnect_kafka_clusters_with(name).await
    }

    pub async fn delete_secret(&self, actor: &Actor, name: &str) -> Result<(), ControlError> {
        let _change = self.changes.lock().await;
        let Some(group) = self.secret_group(name).await? else { return Err(self.no_secret(name).await) };
        actor.require(Permission::WriteSecrets, &group)?;
        if actor.is_dry_run {
            return Ok(());
        }
        let mut transaction = self.database.begin().await?;
        sqlx::query("DELETE FROM secrets WHERE name = $1").bind(name).execute(&mut *transaction).await?;
        let subject = Subject { kind: KIND, name, group: &group };
        audit::write(&mut transaction, &actor.caller, "delete", subject, None, None).await?;
        Ok(transaction.commit().await?)
    }

    /// The value, for what the group runs; nobody sees it.
    pub async fn secret_value(&self, name: &str, group: &str) -> Result<String, ControlError> {
        let row = sqlx::query("SELECT group_name, sealed FROM secrets WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.database.pool)
            .await?;
        let Some(row) = row else { return Err(self.no_secret(name).await) };
        let owner: String = row.try_get("group_name")?;
        if owner != group {
            return Err(ControlError::invalid(
                "secret_of_another_group",
                format!("the secret `{name}` belongs to the group `{owner}`, not to `{group}`"),
            ));
        }
        let value = self.seal.unseal(name, &row.try_get::<Vec<u8>, _>("sealed")?)?;
        String::from_utf8(value).map_err(|_| ControlError::internal("a secret is not text"))
    }

    async fn secret_group(&self, name: &str) -> Result<Option<String>, ControlError> {
        let row = sqlx::query("SELECT group_name FROM secrets WHERE name = $1")
            .bind(name)
            .fetch_optional(&self.database.pool)
            .await?;
        row.map(|row| Ok(row.try_get("group_name")?)).transpose()
    }

    async fn no_secret(&self, name: &str) -> ControlError {
        let known = self.secrets().await.unwrap_or_default();
        let names = known.iter().filter_map(|secret| secret.get("name").and_then(Value::as_str));
        let near = crate::error::nearest(name, names).map(|near| format!("did you mean `{near}`?"));
        ControlError::not_found("secret_not_found", format!("there is no secret `{name}`")).maybe_hint(near)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_key_and_the_name_open_it() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let directory = DataDirectory::open(one.path()).unwrap();
        let sealed = Seal::open(&directory).unwrap().seal("password", b"open sesame").unwrap();
        assert!(!sealed.windows(4).any(|part| part == b"sesa"));
        // The key is the directory's, also when it is opened again.
        let seal = Seal::open(&directory).unwrap();
        assert_eq!(seal.unseal("password", &sealed).unwrap(), b"open sesame");
        assert!(seal.unseal("other", &sealed).is_err());
        assert!(seal.unseal("password", b"short").is_err());
        let other = Seal::open(&DataDirectory::open(two.path()).unwrap()).unwrap();
        assert_eq!(other.unseal("password", &sealed).unwrap_err().code, "secret_unreadable");
    }
}
