//! Which identity provider, and what its groups are here: a YAML file that the operator writes.

use control::access::{ProviderUser, Role};
use control::{ControlError, document};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What one group of the provider gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OidcGrant {
    /// A role in a group of this server.
    Member {
        group: String,
        role: Role,
    },
    PlatformAdmin,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcConfig {
    /// In addresses; `oidc` by default.
    pub name: String,
    /// On the button of the login page.
    pub label: String,
    pub issuer: String,
    pub client_id: String,
    pub client_secret: Option<String>,
    /// The server's address as browsers see it; without it the address of the request is taken.
    pub public_url: Option<String>,
    pub scopes: Vec<String>,
    pub groups_claim: String,
    /// By the provider's names.
    pub groups: BTreeMap<String, Vec<OidcGrant>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ConfigDocument {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    label: Option<String>,
    issuer: String,
    client_id: String,
    #[serde(default)]
    client_secret_file: Option<String>,
    #[serde(default)]
    public_url: Option<String>,
    #[serde(default)]
    scopes: Option<Vec<String>>,
    #[serde(default)]
    groups_claim: Option<String>,
    #[serde(default)]
    groups: BTreeMap<String, GrantDocument>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct GrantDocument {
    #[serde(default)]
    group: Option<String>,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    platform_admin: bool,
}

fn invalid(detail: impl Into<String>) -> ControlError {
    ControlError::invalid("oidc_invalid", detail)
}

impl OidcConfig {
    /// Reads the file's text; `read_secret` reads the file that `clientSecretFile` names.
    pub fn parse(text: &str, read_secret: impl Fn(&str) -> std::io::Result<String>) -> Result<Self, ControlError> {
        let document: ConfigDocument = document::parse(text)?;
        let client_secret = document
            .client_secret_file
            .map(|path| {
                let secret = read_secret(&path).map_err(|error| invalid(format!("`clientSecretFile`: {error}")))?;
                Ok::<_, ControlError>(secret.trim().to_owned())
            })
            .transpose()?;
        let mut groups = BTreeMap::new();
        for (theirs, grant) in document.groups {
            groups.insert(theirs.clone(), grant.complete(&theirs)?);
        }
        let scopes = document.scopes.unwrap_or_else(|| vec!["profile".to_owned(), "email".to_owned()]);
        Ok(Self {
            name: document.name.unwrap_or_else(|| "oidc".to_owned()),
            label: document.label.unwrap_or_else(|| "Single sign-on".to_owned()),
            issuer: document.issuer,
            client_id: document.client_id,
            client_secret,
            public_url: document.public_url.map(|url| url.trim_end_matches('/').to_owned()),
            scopes,
            groups_claim: document.groups_claim.unwrap_or_else(|| "groups".to_owned()),
            groups,
        })
    }

    /// Who the claims speak of, and what they may do here.
    pub(super) fn user(&self, subject: &str, claims: &Value) -> Result<ProviderUser, ControlError> {
        let text = |claim: &str| claims.get(claim).and_then(Value::as_str).filter(|text| !text.is_empty());
        let written = text("preferred_username").or_else(|| text("email")).unwrap_or(subject);
        // An address as a name: what stands before the `@`. What names cannot hold becomes `-`.
        let written = written.split('@').next().unwrap_or(written);
        let legal = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '-' };
        let name: String = written.chars().map(legal).skip_while(|c| !c.is_ascii_alphanumeric()).take(100).collect();
        if name.is_empty() {
            return Err(invalid(format!("the identity provider's name `{written}` has no letter or digit")));
        }
        let theirs: Vec<&str> = match claims.get(&self.groups_claim) {
            Some(Value::Array(groups)) => groups.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(group)) => vec![group.as_str()],
            _ => Vec::new(),
        };
        let mut user = ProviderUser {
            subject: format!("{}|{subject}", self.issuer),
            display_name: text("name").unwrap_or(&name).chars().take(200).collect(),
            name,
            roles: BTreeMap::new(),
            is_admin: false,
        };
        for grant in theirs.iter().filter_map(|group| self.groups.get(*group)).flatten() {
            match grant {
                OidcGrant::PlatformAdmin => user.is_admin = true,
                OidcGrant::Member { group, role } => {
                    let entry = user.roles.entry(group.clone()).or_insert(*role);
                    *entry = (*entry).max(*role);
                }
            }
        }
        Ok(user)
    }
}

impl GrantDocument {
    fn complete(self, theirs: &str) -> Result<Vec<OidcGrant>, ControlError> {
        let mut grants = Vec::new();
        if self.platform_admin {
            grants.push(OidcGrant::PlatformAdmin);
        }
        match (self.group, self.role) {
            (Some(group), role) => {
                let role = role.as_deref().unwrap_or("viewer");
                let role = Role::parse(role).ok_or_else(|| {
                    invalid(format!("`groups.{theirs}.role` is `{role}`"))
                        .with_hint("the roles are viewer, editor and admin")
                })?;
                grants.push(OidcGrant::Member { group, role });
            }
            (None, Some(_)) => return Err(invalid(format!("`groups.{theirs}` has a role and no group"))),
            (None, None) => {}
        }
        if grants.is_empty() {
            return Err(invalid(format!("`groups.{theirs}` gives nothing"))
                .with_hint("write `{group: rides, role: editor}` or `{platformAdmin: true}`"));
        }
        Ok(grants)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const FILE: &str = "issuer: https://id.example.org\nclientId: millrace\ngroups:\n  team-rides: {group: rides, role: \
                        editor}\n  everybody: {group: rides}\n  platform: {platformAdmin: true}\n";

    fn config() -> OidcConfig {
        OidcConfig::parse(FILE, |_| Ok(String::new())).unwrap()
    }

    #[test]
    fn groups_of_the_provider_become_roles() {
        let claims =
            json!({ "preferred_username": "r.sari@example.org", "groups": ["everybody", "team-rides", "other"] });
        let user = config().user("17", &claims).unwrap();
        assert_eq!((user.name.as_str(), user.is_admin), ("r.sari", false));
        assert_eq!(user.subject, "https://id.example.org|17");
        assert_eq!(user.roles, BTreeMap::from([("rides".to_owned(), Role::Editor)]));
        assert!(config().user("17", &json!({ "groups": "platform" })).unwrap().is_admin);
        assert!(config().user("@@", &json!({})).is_err());
    }

    #[test]
    fn mistakes_in_the_file_are_said() {
        let parse = |text: &str| OidcConfig::parse(text, |_| Err(std::io::Error::other("no such file"))).unwrap_err();
        assert!(parse("issuer: x\nclientID: y\n").hint.unwrap().contains("clientId"));
        assert!(parse("issuer: x\nclientId: y\ngroups: {a: {role: viewer}}\n").detail.contains("groups.a"));
        assert!(parse("issuer: x\nclientId: y\ngroups: {a: {group: g, role: boss}}\n").detail.contains("boss"));
        assert!(parse("issuer: x\nclientId: y\nclientSecretFile: s\n").detail.contains("no such file"));
    }
}
