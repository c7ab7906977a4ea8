//! How a command fails: text on stderr in the form what, hint; and the exit code.

use crate::output::paint_error;
use serde::Deserialize;
use std::io::Write;
use std::process::ExitCode;

/// 0 is success; 2, wrong usage, is also what clap exits with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    Error = 1,
    Usage = 2,
    NotFound = 3,
}

#[derive(Debug)]
pub struct Failure {
    exit: Exit,
    detail: String,
    hint: Option<String>,
    /// Nobody reads our output any more (`| head`): not an error, and nothing to say.
    is_closed_pipe: bool,
}

/// An error of the server, as `application/problem+json`.
#[derive(Debug, Deserialize)]
pub struct Problem {
    #[serde(default)]
    pub status: u16,
    pub detail: String,
    #[serde(default)]
    pub hint: Option<String>,
}

impl Failure {
    pub fn error(detail: impl Into<String>) -> Self {
        Self { exit: Exit::Error, detail: detail.into(), hint: None, is_closed_pipe: false }
    }

    pub fn usage(detail: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, ..Self::error(detail) }
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Writing to stdout failed.
    pub fn output(error: std::io::Error) -> Self {
        Self {
            is_closed_pipe: error.kind() == std::io::ErrorKind::BrokenPipe,
            ..Self::error(format!("the output cannot be written: {error}"))
        }
    }

    pub fn report(&self) -> ExitCode {
        if self.is_closed_pipe {
            return ExitCode::SUCCESS;
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
        Self { exit, detail: problem.detail, hint: problem.hint, is_closed_pipe: false }
    }
}

impl From<control::ControlError> for Failure {
    fn from(error: control::ControlError) -> Self {
        let exit = if error.kind == control::ErrorKind::NotFound { Exit::NotFound } else { Exit::Error };
        Self { exit, detail: error.detail, hint: error.hint, is_closed_pipe: false }
    }
}
