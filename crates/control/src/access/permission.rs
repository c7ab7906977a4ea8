//! The one list of permissions, and which role has which.

/// What a request needs, as `verb:resource`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// Names, owners, schemas, queries and states of everything.
    Find,
    /// Records of topics, results of daggers, dead letters.
    ReadRecords,
    WriteRecords,
    /// Daggers and firehoses.
    WriteDaggers,
    WriteTopics,
    WriteSchemas,
    ReplayDeadLetters,
    WriteSecrets,
    WriteMembers,
    ReadAudit,
    /// Groups, people and clusters.
    WritePlatform,
}

impl Permission {
    pub const ALL: [Permission; 11] = [
        Permission::Find,
        Permission::ReadRecords,
        Permission::WriteRecords,
        Permission::WriteDaggers,
        Permission::WriteTopics,
        Permission::WriteSchemas,
        Permission::ReplayDeadLetters,
        Permission::WriteSecrets,
        Permission::WriteMembers,
        Permission::ReadAudit,
        Permission::WritePlatform,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Permission::Find => "find:resources",
            Permission::ReadRecords => "read:records",
            Permission::WriteRecords => "write:records",
            Permission::WriteDaggers => "write:daggers",
            Permission::WriteTopics => "write:topics",
            Permission::WriteSchemas => "write:schemas",
            Permission::ReplayDeadLetters => "replay:dead-letters",
            Permission::WriteSecrets => "write:secrets",
            Permission::WriteMembers => "write:members",
            Permission::ReadAudit => "read:audit",
            Permission::WritePlatform => "write:platform",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.as_str() == text)
    }
}

/// What a member is in a group. Each role has what the one before has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Viewer,
    Editor,
    Admin,
}

impl Role {
    pub const ALL: [Role; 3] = [Role::Viewer, Role::Editor, Role::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Editor => "editor",
            Role::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Whether the role has the permission over what its group owns.
    pub fn has(self, permission: Permission) -> bool {
        let least = match permission {
            Permission::Find | Permission::ReadRecords => Role::Viewer,
            Permission::WriteRecords
            | Permission::WriteDaggers
            | Permission::WriteTopics
            | Permission::WriteSchemas
            | Permission::ReplayDeadLetters
            | Permission::WriteSecrets => Role::Editor,
            Permission::WriteMembers | Permission::ReadAudit => Role::Admin,
            Permission::WritePlatform => return false,
        };
        self >= least
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for permission in Permission::ALL {
            assert_eq!(Permission::parse(permission.as_str()), Some(permission));
        }
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
    }

    #[test]
    fn a_higher_role_has_what_a_lower_has() {
        for permission in Permission::ALL {
            assert!(!Role::Viewer.has(permission) || Role::Editor.has(permission), "{permission:?}");
            assert!(!Role::Editor.has(permission) || Role::Admin.has(permission), "{permission:?}");
            assert!(!Role::Admin.has(Permission::WritePlatform));
        }
    }
}
