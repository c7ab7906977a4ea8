//! Who may do what: people, their roles in groups, what proves who they are, and the record of what they did.
//!
//! Judging is pure ([`Caller::may`]); [`AccessDb`] keeps the rows. Everybody who is logged in finds everything; records and
//! changes need a role in the group that owns the resource.

mod caller;
mod password;
mod permission;
mod secret;
mod store;

pub use caller::{Caller, Via};
pub use permission::{Permission, Role};
pub use store::{AccessDb, AuditEntry, Credential, CredentialKind, Member, User};
