//! Who changes something, and on what condition.

use super::{Caller, Permission, Via};
use crate::error::{ControlError, ErrorKind};

/// Through what a change comes. A resource that comes from a file is best changed there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeOrigin {
    Portal,
    /// `millrace apply -f`.
    File,
    CommandLine,
    Api,
    /// The server itself, such as the demo.
    Server,
}

impl ChangeOrigin {
    pub fn as_str(self) -> &'static str {
        match self {
            ChangeOrigin::Portal => "portal",
            ChangeOrigin::File => "file",
            ChangeOrigin::CommandLine => "command-line",
            ChangeOrigin::Api => "api",
            ChangeOrigin::Server => "server",
        }
    }
}

/// One order to change a resource.
#[derive(Debug, Clone)]
pub struct Actor {
    pub caller: Caller,
    pub origin: ChangeOrigin,
    /// The change is made only if the resource still has this generation: what its author has seen.
    pub if_generation: Option<i64>,
    /// Everything is checked and nothing is made.
    pub is_dry_run: bool,
}

impl Actor {
    pub fn new(caller: Caller) -> Self {
        let origin = match caller.via {
            Via::Session | Via::Invitation => ChangeOrigin::Portal,
            Via::Password | Via::Token(_) | Via::LocalFile => ChangeOrigin::Api,
            Via::Server => ChangeOrigin::Server,
        };
        Self { caller, origin, if_generation: None, is_dry_run: false }
    }

    /// The server itself.
    pub fn server() -> Self {
        Self::new(Caller::server())
    }

    /// For what is made on the way to something else, which the condition does not speak of.
    pub fn unconditional(&self) -> Self {
        Self { if_generation: None, ..self.clone() }
    }

    pub fn require(&self, permission: Permission, group: &str) -> Result<(), ControlError> {
        self.caller.require(permission, group)
    }

    /// Whether the resource is as its author has seen it; `None` is a resource that is not there.
    pub fn check_generation(&self, what: &str, is: Option<i64>) -> Result<(), ControlError> {
        match self.if_generation {
            Some(wanted) if is != Some(wanted) => {
                let now = is.map_or("it was deleted".to_owned(), |is| format!("it has generation {is} by now"));
                Err(ControlError::new(
                    ErrorKind::Stale,
                    "generation_conflict",
                    format!("{what} was changed by somebody else: you have seen generation {wanted}, {now}"),
                )
                .with_hint("look at what has changed, then make your change again"))
            }
            _ => Ok(()),
        }
    }
}
