//! What went wrong between us and a sink, in six classes, and what follows from each.
//!
//! The classes decide who has to do something; the [`Policy`] decides what happens to the records meanwhile. What the sink
//! cannot take because it is down, overloaded or no longer knows us is not the record's fault: such a class can be waited
//! for or end the run, and there is no way to write down that its records become dead letters.

use std::fmt;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// The record cannot be written in the sink's form at all.
    BadRecord,
    /// The sink has understood the record and does not take it: a type conflict, a broken constraint.
    Refused,
    /// Not reachable, too slow, in trouble, or not set up as it has to be.
    Down,
    /// The sink asks for fewer calls.
    Throttled,
    /// The sink does not know us, or does not let us.
    Auth,
    /// A defect of Millrace.
    Ours,
}

impl ErrorClass {
    pub const ALL: [Self; 6] = [Self::BadRecord, Self::Refused, Self::Down, Self::Throttled, Self::Auth, Self::Ours];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadRecord => "bad_record",
            Self::Refused => "refused",
            Self::Down => "down",
            Self::Throttled => "throttled",
            Self::Auth => "auth",
            Self::Ours => "ours",
        }
    }

    /// Whether one record can be the reason that a call with many fails.
    pub fn is_of_a_record(self) -> bool {
        matches!(self, Self::BadRecord | Self::Refused)
    }
}

impl fmt::Display for ErrorClass {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// What becomes of a record that the sink does not take for its own sake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordRoute {
    DeadLetter,
    /// It waits, and what is behind it in its lane with it, until the sink takes it.
    Retry,
    Fail,
}

/// What becomes of records while the sink cannot take any. They never become dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutageRoute {
    Retry,
    Fail,
}

/// Where a record goes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    DeadLetter,
    Retry,
    Fail,
}

/// What follows from each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Default: dead letter.
    pub bad_record: RecordRoute,
    /// Default: dead letter.
    pub refused: RecordRoute,
    /// Default: retry, for as long as it takes.
    pub down: OutageRoute,
    /// Default: retry, not before the sink has said.
    pub throttled: OutageRoute,
    /// Default: retry. Somebody gives the right back, and nothing is lost meanwhile.
    pub auth: OutageRoute,
    /// Default: fail. It does not get better by itself.
    pub ours: OutageRoute,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            bad_record: RecordRoute::DeadLetter,
            refused: RecordRoute::DeadLetter,
            down: OutageRoute::Retry,
            throttled: OutageRoute::Retry,
            auth: OutageRoute::Retry,
            ours: OutageRoute::Fail,
        }
    }
}

impl Policy {
    pub fn route(&self, class: ErrorClass) -> Route {
        match class {
            ErrorClass::BadRecord => self.bad_record.into(),
            ErrorClass::Refused => self.refused.into(),
            ErrorClass::Down => self.down.into(),
            ErrorClass::Throttled => self.throttled.into(),
            ErrorClass::Auth => self.auth.into(),
            ErrorClass::Ours => self.ours.into(),
        }
    }
}

impl From<RecordRoute> for Route {
    fn from(route: RecordRoute) -> Self {
        match route {
            RecordRoute::DeadLetter => Self::DeadLetter,
            RecordRoute::Retry => Self::Retry,
            RecordRoute::Fail => Self::Fail,
        }
    }
}

impl From<OutageRoute> for Route {
    fn from(route: OutageRoute) -> Self {
        match route {
            OutageRoute::Retry => Self::Retry,
            OutageRoute::Fail => Self::Fail,
        }
    }
}

/// What to do after a call that failed as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterCall {
    /// Try both halves, to find the record that is the reason.
    Halve,
    DeadLetter,
    Retry,
    Fail,
}

pub(crate) fn after_call(policy: &Policy, class: ErrorClass, records: usize) -> AfterCall {
    match policy.route(class) {
        Route::DeadLetter if records > 1 => AfterCall::Halve,
        Route::DeadLetter => AfterCall::DeadLetter,
        Route::Retry => AfterCall::Retry,
        Route::Fail => AfterCall::Fail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_record_can_be_the_reason_of_is_halved_and_put_aside() {
        let policy = Policy::default();
        for class in ErrorClass::ALL {
            let expected = match class {
                ErrorClass::BadRecord | ErrorClass::Refused => [AfterCall::Halve, AfterCall::DeadLetter],
                ErrorClass::Down | ErrorClass::Throttled | ErrorClass::Auth => [AfterCall::Retry; 2],
                ErrorClass::Ours => [AfterCall::Fail; 2],
            };
            assert_eq!([after_call(&policy, class, 5_000), after_call(&policy, class, 1)], expected, "{class}");
            assert_eq!(class.is_of_a_record(), expected[0] == AfterCall::Halve);
        }
    }

    #[test]
    fn a_policy_can_wait_or_fail_instead() {
        let strict = Policy { refused: RecordRoute::Fail, down: OutageRoute::Fail, ..Policy::default() };
        assert_eq!(after_call(&strict, ErrorClass::Refused, 9), AfterCall::Fail);
        assert_eq!(after_call(&strict, ErrorClass::Down, 9), AfterCall::Fail);
        let patient = Policy { refused: RecordRoute::Retry, ..Policy::default() };
        assert_eq!(after_call(&patient, ErrorClass::Refused, 9), AfterCall::Retry);
    }
}
