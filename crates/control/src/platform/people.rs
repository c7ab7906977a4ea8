//! Who comes in, and the groups, members, people and tokens that say what they may do.

use super::Platform;
use crate::access::{AccessDb, Actor, Caller, Credential, Member, Permission, ProviderUser, Role, User, Via};
use crate::error::{ControlError, ErrorKind};
use crate::resource::{GROUP_DEFAULT, Kind, Metadata, check_name};
use crate::resource_db::Change;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// The first admin, made at the first start.
pub const FIRST_ADMIN: &str = "admin";
/// The token that `MILLRACE_ADMIN_TOKEN` sets, and the one of the data directory's token file.
const ENVIRONMENT_TOKEN: &str = "environment";
const LOCAL_TOKEN: &str = "local";
pub const DESCRIPTION_BYTES_MAX: usize = 4_096;
/// After so many wrong passwords for one name, the next is looked at only when the time is over.
const FAILURES_MAX: u32 = 10;
const FAILURES_TIME: Duration = Duration::from_secs(60);
/// Passwords that are looked at together: each takes a core for tens of milliseconds.
const PASSWORDS_AT_ONCE: usize = 2;
const FAILING_NAMES_MAX: usize = 10_000;
/// A password that was right is not looked at again for so long.
const KNOWN_TIME: Duration = Duration::from_secs(300);
const KNOWN_MAX: usize = 10_000;

/// What a group says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct GroupSpec {
    #[serde(default)]
    pub description: Option<String>,
    /// Everybody in the organisation may read the records of what the group owns, as if they were its viewers.
    #[serde(default)]
    pub open_records: bool,
}

impl GroupSpec {
    pub fn to_json(&self) -> Value {
        json!({ "description": self.description, "openRecords": self.open_records })
    }
}

/// A new person, and the secret of the link with which they set their password.
pub struct Invited {
    pub user: User,
    pub invitation: String,
}

/// Wrong passwords by name, so that nobody can try many; and right ones, for those who send theirs with every request.
pub(super) struct Logins {
    failures: Mutex<HashMap<String, (u32, Instant)>>,
    turns: tokio::sync::Semaphore,
    /// Digests of what was right lately, worth nothing outside of this process.
    known: Mutex<HashMap<Proof, Instant>>,
    key: [u8; 32],
}

type Proof = [u8; 32];

impl Logins {
    pub fn new() -> Result<Self, ControlError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(|error| ControlError::internal(format!("no randomness: {error}")))?;
        Ok(Self {
            failures: Mutex::default(),
            turns: tokio::sync::Semaphore::new(PASSWORDS_AT_ONCE),
            known: Mutex::default(),
            key,
        })
    }
}

impl Logins {
    fn check(&self, name: &str) -> Result<(), ControlError> {
        let mut failures = self.lock();
        failures.retain(|_, (_, since)| since.elapsed() < FAILURES_TIME);
        match failures.get(name) {
            Some((count, _)) if *count >= FAILURES_MAX => Err(too_many()),
            None if failures.len() >= FAILING_NAMES_MAX => Err(too_many()),
            _ => Ok(()),
        }
    }

    fn note(&self, name: &str, is_right: bool) {
        let mut failures = self.lock();
        if is_right {
            failures.remove(name);
        } else {
            let entry = failures.entry(name.to_owned()).or_insert((0, Instant::now()));
            *entry = (entry.0 + 1, Instant::now());
        }
    }

    /// Another password, or another user, is another proof; so is the same one after the password was changed.
    fn proof(&self, name: &str, secret: &str, hash: Option<&str>) -> Proof {
        let mut digest = Sha256::new();
        digest.update(self.key);
        for part in [name, secret, hash.unwrap_or_default()] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        digest.finalize().into()
    }

    fn is_known(&self, proof: &Proof) -> bool {
        let known = self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        known.get(proof).is_some_and(|since| since.elapsed() < KNOWN_TIME)
    }

    fn remember(&self, proof: Proof) {
        let mut known = self.known.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        known.retain(|_, since| since.elapsed() < KNOWN_TIME);
        if known.len() < KNOWN_MAX {
            known.insert(proof, Instant::now());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, (u32, Instant)>> {
        self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn too_many() -> ControlError {
    ControlError::new(ErrorKind::Throttled, "too_many_attempts", "too many wrong passwords")
        .with_hint(format!("wait {} seconds and try again", FAILURES_TIME.as_secs()))
}

impl Platform {
    pub fn access(&self) -> &AccessDb {
        &self.access
    }

    /// Makes the first admin, lets the command line of this machine in by a file that only the server's owner can read,
    /// and takes the token that was chosen for scripts.
    pub(super) async fn prepare_access(&self, admin_token: Option<&str>) -> Result<(), ControlError> {
        let server = Caller::server();
        if self.access.is_empty().await? {
            self.access.create_user(&server, FIRST_ADMIN, "Admin", None, true).await?;
            self.access.put_member(&server, GROUP_DEFAULT, FIRST_ADMIN, Role::Admin).await?;
        }
        let Some(admin) = self.access.first_admin().await? else { return Ok(()) };
        if let Some(token) = admin_token {
            check_chosen_token(token)?;
            self.access.adopt_token(&admin, ENVIRONMENT_TOKEN, token).await?;
        }
        let local = crate::access::new_secret()?;
        self.access.adopt_token(&admin, LOCAL_TOKEN, &local).await?;
        self.directory.write_token(&local)
    }

    /// The secret of the link with which the first admin sets a password; `None` once anybody has one.
    pub async fn first_admin_invitation(&self) -> Result<Option<String>, ControlError> {
        if self.access.has_password().await? {
            return Ok(None);
        }
        match self.access.first_admin().await? {
            Some(admin) => self.access.invite(&admin).await.map(Some),
            None => Ok(None),
        }
    }

    /// Who the holder of a session's or token's secret is. Groups that are open make everybody their viewer.
    pub async fn caller(&self, presented: &str) -> Result<Option<Caller>, ControlError> {
        let Some(caller) = self.access.caller(presented).await? else { return Ok(None) };
        self.with_open_groups(caller).await.map(Some)
    }

    async fn with_open_groups(&self, mut caller: Caller) -> Result<Caller, ControlError> {
        if !caller.is_admin {
            for (group, resource) in self.db.by_name(Kind::Group).await?.iter() {
                if resource.spec.get("openRecords") == Some(&Value::Bool(true)) {
                    caller.roles.entry(group.clone()).or_insert(Role::Viewer);
                }
            }
        }
        Ok(caller)
    }

    /// Who somebody is that sends a name and, as the password, theirs or one of their tokens, with every request.
    pub async fn caller_by_name(&self, name: &str, secret: &str) -> Result<Caller, ControlError> {
        if let Some(caller) = self.access.caller(secret).await?
            && caller.user == name
            && caller.via != Via::Session
        {
            return self.with_open_groups(caller).await;
        }
        let hash = self.access.password_hash(name).await?;
        let proof = self.logins.proof(name, secret, hash.as_deref());
        if !self.logins.is_known(&proof) {
            self.logins.check(name)?;
            let _turn = self.logins.turns.acquire().await.map_err(|_| ControlError::internal("the server ends"))?;
            let checked = self.access.check_password(secret, hash).await;
            self.logins.note(name, checked.is_ok());
            checked?;
            self.logins.remember(proof);
        }
        let caller = self.access.caller_by_password(name).await?.ok_or_else(|| {
            ControlError::new(ErrorKind::Unauthenticated, "login_failed", "name or password is wrong")
        })?;
        self.with_open_groups(caller).await
    }

    /// The session's secret, if name and password fit.
    pub async fn log_in(&self, name: &str, password: &str) -> Result<String, ControlError> {
        self.logins.check(name)?;
        let _turn = self.logins.turns.acquire().await.map_err(|_| ControlError::internal("the server ends"))?;
        let session = self.access.log_in(name, password).await;
        self.logins.note(name, session.is_ok());
        session
    }

    /// A session for somebody whom the identity provider vouches for.
    pub async fn log_in_from_provider(&self, user: &ProviderUser) -> Result<String, ControlError> {
        let mut known = user.clone();
        // What the provider names and this server does not have gives nothing.
        for group in user.roles.keys() {
            if self.db.get(Kind::Group, group).await?.is_none() {
                tracing::warn!(group, "the identity provider gives a role in a group that is not there");
                known.roles.remove(group);
            }
        }
        let name = self.access.upsert_from_provider(&known).await?;
        self.access.log_in_as(&name).await
    }

    /// The group that owns a resource.
    pub async fn group_of(&self, kind: Kind, name: &str) -> Result<String, ControlError> {
        match self.db.get(kind, name).await? {
            Some(resource) => Ok(resource.metadata.group),
            None => Err(self.not_found(kind, name).await),
        }
    }

    /// All groups with the numbers of their members and of what they own.
    pub async fn groups(&self) -> Result<Vec<Value>, ControlError> {
        let members = self.access.member_counts().await?;
        let mut owned: HashMap<String, usize> = HashMap::new();
        for kind in [Kind::Dagger, Kind::Firehose, Kind::Topic] {
            for resource in self.db.by_name(kind).await?.values() {
                match owned.get_mut(&resource.metadata.group) {
                    Some(count) => *count += 1,
                    None => {
                        owned.insert(resource.metadata.group.clone(), 1);
                    }
                }
            }
        }
        let groups = self.db.list(Kind::Group).await?;
        let shown = groups.iter().map(|group| {
            let name = &group.metadata.name;
            let (members, owned) = (members.get(name).copied().unwrap_or(0), owned.get(name).copied().unwrap_or(0));
            group.to_json(Some(json!({ "members": members, "resources": owned })))
        });
        Ok(shown.collect())
    }

    pub async fn group(&self, name: &str) -> Result<Value, ControlError> {
        let groups = self.groups().await?;
        match groups.into_iter().find(|group| group["metadata"]["name"] == name) {
            Some(group) => Ok(group),
            None => Err(self.not_found(Kind::Group, name).await),
        }
    }

    /// Makes a group; whoever makes it is its first admin.
    pub async fn create_group(&self, actor: &Actor, name: &str, spec: &GroupSpec) -> Result<Value, ControlError> {
        check_group(name, spec)?;
        actor.require(Permission::WritePlatform, name)?;
        let _change = self.changes.lock().await;
        if self.db.get(Kind::Group, name).await?.is_some() {
            return Err(ControlError::conflict("group_exists", format!("there is a group `{name}` already")));
        }
        let metadata = Metadata { group: name.to_owned(), ..Metadata::named(name) };
        let (group, _) = self.db.put(actor, Kind::Group, &metadata, &spec.to_json()).await?;
        if !actor.is_dry_run && self.access.user(&actor.caller.user).await.is_ok() {
            self.access.put_member(&actor.caller, name, &actor.caller.user, Role::Admin).await?;
        }
        Ok(group.to_json(None))
    }

    /// Makes a group, or changes what it says of itself.
    pub async fn apply_group(
        &self,
        actor: &Actor,
        name: &str,
        spec: &GroupSpec,
    ) -> Result<(Value, Change), ControlError> {
        match self.db.get(Kind::Group, name).await? {
            None => Ok((self.create_group(actor, name, spec).await?, Change::Created)),
            Some(before) if before.spec == spec.to_json() => Ok((before.to_json(None), Change::Unchanged)),
            Some(_) => Ok((self.update_group(actor, name, spec).await?, Change::Updated)),
        }
    }

    pub async fn update_group(&self, actor: &Actor, name: &str, spec: &GroupSpec) -> Result<Value, ControlError> {
        check_group(name, spec)?;
        actor.require(Permission::WriteMembers, name)?;
        let _change = self.changes.lock().await;
        let Some(group) = self.db.get(Kind::Group, name).await? else {
            return Err(self.not_found(Kind::Group, name).await);
        };
        Ok(self.db.put(actor, Kind::Group, &group.metadata, &spec.to_json()).await?.0.to_json(None))
    }

    /// Only an empty group goes: what it owns would have no owner.
    pub async fn delete_group(&self, actor: &Actor, name: &str) -> Result<(), ControlError> {
        actor.require(Permission::WritePlatform, name)?;
        let _change = self.changes.lock().await;
        self.check_group_deletable(name).await?;
        if let Some(measurement) = self.measurements_of(name).first() {
            return Err(ControlError::conflict(
                "group_in_use",
                format!("the group `{name}` owns the measurement `{measurement}`"),
            )
            .with_hint("drop its measurements first: `DROP MEASUREMENT`, asked through /query"));
        }
        if actor.is_dry_run {
            return Ok(());
        }
        for member in self.access.members(name).await? {
            self.access.delete_member(&actor.caller, name, &member.user).await?;
        }
        self.db.delete(actor, Kind::Group, name).await.map(drop)
    }

    /// That it is there, and that nothing but measurements is in it.
    pub(super) async fn check_group_deletable(&self, name: &str) -> Result<(), ControlError> {
        self.check_group_exists(name).await?;
        if name == GROUP_DEFAULT {
            return Err(ControlError::conflict("group_in_use", format!("the group `{GROUP_DEFAULT}` stays")));
        }
        for kind in [Kind::Dagger, Kind::Firehose, Kind::Topic] {
            let owned = self.db.by_name(kind).await?;
            if let Some(resource) = owned.values().find(|resource| resource.metadata.group == name) {
                return Err(ControlError::conflict(
                    "group_in_use",
                    format!("the group `{name}` owns the {} `{}`", kind.word(), resource.metadata.name),
                )
                .with_hint("delete what it owns, or give it to another group, first"));
            }
        }
        Ok(())
    }

    pub async fn members(&self, group: &str) -> Result<Vec<Member>, ControlError> {
        self.check_group_exists(group).await?;
        self.access.members(group).await
    }

    pub async fn put_member(&self, by: &Caller, group: &str, user: &str, role: Role) -> Result<(), ControlError> {
        self.check_group_exists(group).await?;
        by.require(Permission::WriteMembers, group)?;
        self.access.put_member(by, group, user, role).await
    }

    pub async fn delete_member(&self, by: &Caller, group: &str, user: &str) -> Result<(), ControlError> {
        self.check_group_exists(group).await?;
        by.require(Permission::WriteMembers, group)?;
        self.access.delete_member(by, group, user).await
    }

    pub async fn create_user(
        &self,
        by: &Caller,
        name: &str,
        display_name: &str,
        is_admin: bool,
    ) -> Result<Invited, ControlError> {
        by.require(Permission::WritePlatform, GROUP_DEFAULT)?;
        let user = self.access.create_user(by, name, display_name, None, is_admin).await?;
        let invitation = self.access.invite(name).await?;
        Ok(Invited { user, invitation })
    }

    pub async fn set_admin(&self, by: &Caller, name: &str, is_admin: bool) -> Result<User, ControlError> {
        by.require(Permission::WritePlatform, GROUP_DEFAULT)?;
        self.access.set_admin(by, name, is_admin).await
    }

    /// A new link for somebody who has lost theirs, or their password.
    pub async fn invite_user(&self, by: &Caller, name: &str) -> Result<Invited, ControlError> {
        by.require(Permission::WritePlatform, GROUP_DEFAULT)?;
        let user = self.access.user(name).await?;
        let invitation = self.access.invite(name).await?;
        Ok(Invited { user, invitation })
    }

    pub async fn delete_user(&self, by: &Caller, name: &str) -> Result<(), ControlError> {
        by.require(Permission::WritePlatform, GROUP_DEFAULT)?;
        if name == by.user {
            return Err(ControlError::conflict("user_in_use", "nobody can delete themselves"));
        }
        self.access.delete_user(by, name).await
    }

    /// A token can have no more than the one who makes it, also when that is a token.
    pub async fn create_token(
        &self,
        by: &Caller,
        name: &str,
        scopes: Option<&[Permission]>,
        expires_ms: Option<i64>,
    ) -> Result<(Credential, String), ControlError> {
        let scopes = match (&by.scopes, scopes) {
            (Some(own), None) => Some(own.as_slice()),
            (Some(own), Some(asked)) if asked.iter().any(|scope| !own.contains(scope)) => {
                return Err(ControlError::invalid(
                    "scope_invalid",
                    "a token cannot make one that may more than itself",
                ));
            }
            (_, asked) => asked,
        };
        self.access.create_token(by, &by.user, name, scopes, expires_ms).await
    }

    pub(super) async fn check_group_exists(&self, name: &str) -> Result<(), ControlError> {
        match self.db.get(Kind::Group, name).await? {
            Some(_) => Ok(()),
            None => Err(self.not_found(Kind::Group, name).await),
        }
    }
}

fn check_group(name: &str, spec: &GroupSpec) -> Result<(), ControlError> {
    check_name("the group's name", name)?;
    match spec.description.as_ref().is_some_and(|text| text.len() > DESCRIPTION_BYTES_MAX) {
        true => Err(ControlError::too_large(
            "description_too_long",
            format!("the description has more than {DESCRIPTION_BYTES_MAX} bytes"),
        )),
        false => Ok(()),
    }
}

fn check_chosen_token(token: &str) -> Result<(), ControlError> {
    const CHARS_MIN: usize = 16;
    if token.len() >= CHARS_MIN && token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(ControlError::invalid(
        "token_invalid",
        format!("MILLRACE_ADMIN_TOKEN needs at least {CHARS_MIN} letters, digits or signs, without spaces"),
    )
    .with_hint("make one with `openssl rand -hex 32`"))
}
