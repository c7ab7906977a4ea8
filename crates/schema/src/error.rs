//! What went wrong with a schema: where, what, and what to do.

use std::fmt;

/// The class of a [`SchemaError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaErrorKind {
    /// The text or the descriptor set is not a valid schema.
    Invalid,
    /// A message type is asked for that is not there.
    NotFound,
    /// A push contradicts what is registered.
    Conflict,
    /// A limit is exceeded.
    TooLarge,
    /// Valid protobuf that is not supported here.
    Unsupported,
}

/// One finding with its place. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    pub file: Option<String>,
    pub line: Option<u32>,
    pub column: Option<u32>,
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
            if let Some(line) = self.line {
                write!(f, "{line}:{}:", self.column.unwrap_or(1))?;
            }
            write!(f, " ")?;
        }
        write!(f, "{}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

/// One or many findings of one [`SchemaErrorKind`]. Displayed one a line as `file:line:column: message (hint)`.
/// The fields without a list are those of the first finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SchemaError {
    pub kind: SchemaErrorKind,
    pub file: Option<String>,
    pub line: Option<u32>,
    pub column: Option<u32>,
    pub message: String,
    pub hint: Option<String>,
    /// The findings after the first.
    pub more: Vec<Diagnostic>,
}

impl SchemaError {
    pub(crate) fn new(kind: SchemaErrorKind, message: impl Into<String>) -> Self {
        Self { kind, file: None, line: None, column: None, message: message.into(), hint: None, more: Vec::new() }
    }

    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn with_file(mut self, file: impl Into<String>) -> Self {
        self.file = Some(file.into());
        self
    }

    /// `None` when there is no finding.
    pub(crate) fn from_diagnostics(kind: SchemaErrorKind, mut all: Vec<Diagnostic>) -> Option<Self> {
        if all.is_empty() {
            return None;
        }
        let first = all.remove(0);
        all.truncate(crate::DIAGNOSTICS_MAX - 1);
        Some(Self {
            kind,
            file: first.file,
            line: first.line,
            column: first.column,
            message: first.message,
            hint: first.hint,
            more: all,
        })
    }

    /// All findings, the first one first.
    pub fn diagnostics(&self) -> Vec<Diagnostic> {
        let first = Diagnostic {
            file: self.file.clone(),
            line: self.line,
            column: self.column,
            message: self.message.clone(),
            hint: self.hint.clone(),
        };
        std::iter::once(first).chain(self.more.iter().cloned()).collect()
    }
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.diagnostics().iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for SchemaError {}
