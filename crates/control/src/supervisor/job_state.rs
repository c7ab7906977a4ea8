//! The states of a dagger's job as types, and the one list of the ways between them.
//!
//! A job goes from one state to another only where the first is [`To`] the second. So a transition that is not in
//! [`TRANSITIONS`] does not compile:
//!
//! ```
//! use control::job_state::{Deploying, Running, State, Suspended, To};
//! fn may<From: To<Next>, Next: State>() {}
//! may::<Suspended, Deploying>();
//! may::<Deploying, Running>();
//! ```
//! Nothing runs that was not deployed:
//! ```compile_fail,E0277
//! use control::job_state::{Running, State, Suspended, To};
//! fn may<From: To<Next>, Next: State>() {}
//! may::<Suspended, Running>();
//! ```
//! What has ended stays so:
//! ```compile_fail,E0277
//! use control::job_state::{Deploying, State, Stopped, To};
//! fn may<From: To<Next>, Next: State>() {}
//! may::<Stopped, Deploying>();
//! ```
//! What runs is stopped, with a checkpoint, before it sleeps:
//! ```compile_fail,E0277
//! use control::job_state::{Running, State, Suspended, To};
//! fn may<From: To<Next>, Next: State>() {}
//! may::<Running, Suspended>();
//! ```

/// A state by name, for those who look at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Deploying,
    Running,
    Stopping,
    Failing,
    Suspended,
    Stopped,
    Failed,
}

impl Phase {
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Deploying => "deploying",
            Phase::Running => "running",
            Phase::Stopping => "stopping",
            Phase::Failing => "failing",
            Phase::Suspended => "suspended",
            Phase::Stopped => "stopped",
            Phase::Failed => "failed",
        }
    }
}

pub trait State {
    const PHASE: Phase;
}

/// A job in this state may go to `Next`.
pub trait To<Next: State>: State {}

macro_rules! states {
    ($($(#[doc = $doc:literal])+ $state:ident,)+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug)]
        pub struct $state;

        impl State for $state {
            const PHASE: Phase = Phase::$state;
        }
    )+};
}

states! {
    /// It is made, and takes its first checkpoint.
    Deploying,
    /// It reads records.
    Running,
    /// It was told to, and makes its last checkpoint.
    Stopping,
    /// It failed and will be tried again.
    Failing,
    /// It was stopped by somebody, and keeps its state.
    Suspended,
    /// The server ends, or it was deleted.
    Stopped,
    /// It failed, and trying again would not help.
    Failed,
}

macro_rules! transitions {
    ($($from:ident => $to:ident: $when:literal,)+) => {
        $(impl To<$to> for $from {})+

        /// From, to, and when.
        pub const TRANSITIONS: &[(Phase, Phase, &str)] = &[$(($from::PHASE, $to::PHASE, $when)),+];
    };
}

transitions! {
    Deploying => Running: "its first checkpoint is on disk",
    Deploying => Stopping: "it was changed, stopped or started anew meanwhile, or the server ends",
    Deploying => Failing: "an error that may pass",
    Deploying => Failed: "an error that does not pass by itself",
    Deploying => Stopped: "the server has ended before it was made",
    Running => Stopping: "it is changed, stopped, started anew or deleted, its cluster is out of memory, or the server ends",
    Running => Failing: "an error that may pass",
    Running => Failed: "an error that does not pass by itself",
    Stopping => Deploying: "it was changed or started anew",
    Stopping => Suspended: "somebody stopped it",
    Stopping => Failed: "its cluster is out of memory",
    Stopping => Stopped: "the server ends, or it was deleted",
    Failing => Deploying: "the wait is over, or it was changed or started",
    Failing => Suspended: "somebody stopped it",
    Failing => Failed: "its cluster ran out of memory as it failed",
    Failing => Stopped: "the server ends, or it was deleted",
    Failed => Deploying: "it was changed or started",
    Failed => Suspended: "somebody stopped it",
    Failed => Stopped: "the server ends, or it was deleted",
    Suspended => Deploying: "it was changed or started",
    Suspended => Stopped: "the server ends, or it was deleted",
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::marker::PhantomData;

    #[test]
    fn the_documented_transitions_are_these() {
        let mut table = "| from | to | when |\n|---|---|---|\n".to_owned();
        for (from, to, when) in TRANSITIONS {
            table += &format!("| `{}` | `{}` | {when} |\n", from.as_str(), to.as_str());
        }
        let page = include_str!("../../../../docs/daggers.md").to_owned() + "\n";
        assert!(page.contains(&(table.clone() + "\n")), "docs/daggers.md should have this table:\n{table}");
    }

    struct Way<From, Next>(PhantomData<(From, Next)>);

    /// What holds of a way of which nothing else is said.
    trait Illegal {
        const IS_LEGAL: bool = false;
    }
    impl<From, Next> Illegal for Way<From, Next> {}

    impl<From: To<Next>, Next: State> Way<From, Next> {
        const IS_LEGAL: bool = true;
    }

    #[test]
    fn what_compiles_is_what_is_listed() {
        macro_rules! check {
            ($($from:ident)+) => {$( check!(from $from: Deploying Running Stopping Failing Suspended Stopped Failed); )+};
            (from $from:ident: $($to:ident)+) => {$(
                let way = ($from::PHASE, $to::PHASE);
                let is_listed = TRANSITIONS.iter().any(|(from, to, _)| (*from, *to) == way);
                assert_eq!(Way::<$from, $to>::IS_LEGAL, is_listed, "{way:?}");
            )+};
        }
        check!(Deploying Running Stopping Failing Suspended Stopped Failed);
    }
}
