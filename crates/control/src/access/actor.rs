//! Who changes something, and on what condition.

use super::{Caller, Permission};
use crate::error::{ControlError, ErrorKind};

/// One order to change a resource.
#[derive(Debug, Clone)]
pub struct Actor {
    pub caller: Caller,
    /// The change is made only if the resource still has this generation: what its author has seen.
    pub if_generation: Option<i64>,
    /// Everything is checked and nothing is made.
    pub is_dry_run: bool,
}

impl Actor {
    pub fn new(caller: Caller) -> Self {
        Self { caller, if_generation: None, is_dry_run: false }
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
