//! Who asks, and what they may.

use super::{Permission, Role};
use crate::error::{ControlError, ErrorKind};
use std::collections::BTreeMap;

/// How somebody has proved who they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Via {
    /// A browser that logged in.
    Session,
    /// Name and password with the request itself.
    Password,
    /// A link that sets a password, once.
    Invitation,
    /// A token, by its name.
    Token(String),
    /// The token file of the data directory, which only the server's owner can read.
    LocalFile,
    /// The server itself, such as the demo.
    Server,
}

impl Via {
    pub fn as_text(&self) -> String {
        match self {
            Via::Session => "session".to_owned(),
            Via::Password => "password".to_owned(),
            Via::Invitation => "invitation".to_owned(),
            Via::Token(name) => format!("token {name}"),
            Via::LocalFile => "local".to_owned(),
            Via::Server => "server".to_owned(),
        }
    }
}

/// One who asks for something.
#[derive(Debug, Clone)]
pub struct Caller {
    pub user: String,
    pub display_name: String,
    pub via: Via,
    /// May do everything everywhere.
    pub is_admin: bool,
    pub roles: BTreeMap<String, Role>,
    /// A token can have less than its owner: only these.
    pub scopes: Option<Vec<Permission>>,
}

impl Caller {
    /// Somebody who holds the link that was made for them.
    pub fn invited(user: &str) -> Self {
        Self { user: user.to_owned(), via: Via::Invitation, is_admin: false, ..Self::server() }
    }

    /// The server itself, which may do everything.
    pub fn server() -> Self {
        Self {
            user: "millrace".to_owned(),
            display_name: "Millrace".to_owned(),
            via: Via::Server,
            is_admin: true,
            roles: BTreeMap::new(),
            scopes: None,
        }
    }

    /// Whether the caller may do this to what the group owns.
    pub fn may(&self, permission: Permission, group: &str) -> bool {
        let in_scope = self.scopes.as_ref().is_none_or(|scopes| scopes.contains(&permission));
        let allowed = self.is_admin
            || permission == Permission::Find
            || self.roles.get(group).is_some_and(|role| role.has(permission));
        in_scope && allowed
    }

    /// Like [`Self::may`], as a refusal that says what is missing and who can give it.
    pub fn require(&self, permission: Permission, group: &str) -> Result<(), ControlError> {
        if self.may(permission, group) {
            return Ok(());
        }
        let needed = permission.as_str();
        let error = ControlError::new(
            ErrorKind::Forbidden,
            "forbidden",
            format!("`{}` has no right to `{needed}` in the group `{group}`", self.user),
        );
        let hint = match (&self.scopes, &self.via) {
            (Some(scopes), Via::Token(name)) if !scopes.contains(&permission) => {
                format!("the token `{name}` is limited to other permissions; make one with `{needed}`")
            }
            _ => match Role::ALL.into_iter().find(|role| role.has(permission)) {
                Some(role) => format!("an admin of the group `{group}` can make you its {}", role.as_str()),
                None => "only an admin of the platform can do this".to_owned(),
            },
        };
        Err(error.with_hint(hint))
    }

    /// The groups in which the caller has the permission; `None` means all.
    pub fn groups_with(&self, permission: Permission) -> Option<Vec<&str>> {
        if self.scopes.as_ref().is_some_and(|scopes| !scopes.contains(&permission)) {
            return Some(Vec::new());
        }
        if self.is_admin {
            return None;
        }
        let groups = self.roles.iter().filter(|(_, role)| role.has(permission)).map(|(group, _)| group.as_str());
        Some(groups.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(role: Role) -> Caller {
        Caller {
            user: "u".to_owned(),
            display_name: String::new(),
            via: Via::Session,
            is_admin: false,
            roles: BTreeMap::from([("rides".to_owned(), role)]),
            scopes: None,
        }
    }

    #[test]
    fn a_role_counts_in_its_group_only() {
        let editor = member(Role::Editor);
        assert!(editor.may(Permission::WriteDaggers, "rides"));
        assert!(!editor.may(Permission::WriteDaggers, "food"));
        assert!(editor.may(Permission::Find, "food"));
        assert!(!editor.may(Permission::WriteMembers, "rides"));
        assert!(!member(Role::Admin).may(Permission::WritePlatform, "rides"));
        let error = editor.require(Permission::WriteDaggers, "food").unwrap_err();
        assert_eq!(error.kind, ErrorKind::Forbidden);
        assert_eq!(error.hint.as_deref(), Some("an admin of the group `food` can make you its editor"));
    }

    #[test]
    fn a_scope_takes_away_and_never_gives() {
        let limited = Caller { scopes: Some(vec![Permission::ReadRecords]), ..member(Role::Viewer) };
        assert!(limited.may(Permission::ReadRecords, "rides"));
        assert!(!limited.may(Permission::ReadRecords, "food"));
        assert!(!limited.may(Permission::Find, "rides"));
        let admin = Caller { is_admin: true, scopes: Some(vec![Permission::Find]), ..member(Role::Viewer) };
        assert!(!admin.may(Permission::WritePlatform, "rides"));
        assert_eq!(admin.groups_with(Permission::ReadRecords), Some(Vec::new()));
        assert_eq!(limited.groups_with(Permission::ReadRecords), Some(vec!["rides"]));
    }
}
