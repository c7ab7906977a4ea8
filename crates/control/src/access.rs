//! Who may do what: people, their roles in groups, what proves who they are, and the record of what they did.
//!
//! Judging is pure ([`Caller::may`]); [`AccessDb`] keeps the rows. Everybody who is logged in finds everything; records and
//! changes need a role in the group that owns the resource.

mod actor;
pub(crate) mod audit;
mod caller;
mod credentials;
mod password;
mod people;
mod permission;
mod secret;
mod store;

pub use actor::{Actor, ChangeOrigin};
pub use audit::{AuditEntry, AuditFilter, Subject};
pub use caller::{Caller, Via};
pub use credentials::{Credential, CredentialKind, SESSION_TIME};
pub use people::{Member, ProviderUser, User};
pub use permission::{Permission, Role};
pub use secret::generate as new_secret;
pub use store::AccessDb;
