//! How a command fails: text on stderr in the form what, hint; and the exit code.

use crate::output::paint_error;
use serde::Deserialize;
use std::io::Write;
use std::process::ExitCode;

/// 2, wrong usage, is also what clap exits with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Success = 0,
    Error = 1,
    Usage = 2,
    NotFound = 3,
    /// `diff --exit-code` has found some.
    Differences = 5,
}

#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    detail: String,
    hint: Option<String>,
    /// Nobody reads our output any more (`| head`), or the exit code says it all.
    is_silent: bool,
}

/// An error of the server, as `application/problem+json`.
#[derive(Debug, Deserialize)]
pub struct Problem {
    #[serde(default)]
    pub status: u16,
    #[serde(default)]
    pub code: String,
    pub detail: String,
    #[serde(default)]
    pub hint: Option<String>,
    /// In the document that was sent, or in its SQL.
    #[serde(default)]
    pub line: Option<usize>,
}

impl Failure {
    pub fn error(detail: impl Into<String>) -> Self {
        Self { exit: Exit::Error, detail: detail.into(), hint: None, is_silent: false }
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self { exit: Exit::NotFound, ..Self::error(detail) }
    }

    /// There are differences, and whoever asked is told by the exit code.
    pub fn differences() -> Self {
        Self { exit: Exit::Differences, is_silent: true, ..Self::error("there are differences") }
    }

    pub fn usage(detail: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::error(detail) }
    }

    /// The same in a place: a file, and a line in it.
    pub fn at(mut self, place: &str) -> Self {
        self.detail = format!("{place}: {}", self.detail);
        self
    }

    /// One more thing that is true of it.
    pub fn and(mut self, text: &str) -> Self {
        self.detail.push_str(text);
        self
    }

    pub fn is_not_found(&self) -> bool {
        self.exit == Exit::NotFound
    }

    #[cfg(test)]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Writing to stdout failed.
    pub fn output(error: std::io::Error) -> Self {
        let failure = Self::error(format!("the output cannot be written: {error}"));
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self { exit: Exit::Success, is_silent: true, ..failure },
            _ => failure,
        }
    }

    pub fn report(&self) -> ExitCode {
        if self.is_silent {
            return ExitCode::from(self.exit as u8);
        }
        let mut text = format!("{} {}\n", paint_error("error:"), self.detail);
        if let Some(hint) = &self.hint {
            text.push_str(&format!("  {} {}\n", paint_error("hint:"), hint.replace('\n', "\n        ")));
        }
        // With stderr gone there is nowhere left to complain.
        let _ = std::io::stderr().write_all(text.as_bytes());
        ExitCode::from(self.exit as u8)
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let exit = if problem.status == 404 { Exit::NotFound } else { Exit::Error };
        Self { exit, detail: problem.detail, hint: problem.hint, is_silent: false }
    }
}

impl From<control::ControlError> for Failure {
    fn from(error: control::ControlError) -> Self {
        let exit = if error.kind == control::ErrorKind::NotFound { Exit::NotFound } else { Exit::Error };
        Self { exit, detail: error.detail, hint: error.hint, is_silent: false }
    }
}
