//! The one error of the control plane: what, in detail, what to do about it, and where in the text it is.
//!
//! The edge (REST, command line) shows exactly these parts; nothing below needs to know how.

use std::fmt;

/// Whose mistake it is, and with that the HTTP status and the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nobody knows who asks.
    Unauthenticated,
    /// It is known who asks, and that is not enough.
    Forbidden,
    /// The request cannot be right as it is.
    Invalid,
    NotFound,
    /// Right as such, but not in the present state of things.
    Conflict,
    /// Somebody else was faster.
    Stale,
    /// Too many attempts; later.
    Throttled,
    /// Beyond a limit.
    TooLarge,
    /// Something outside is missing or full; the same request may succeed later.
    Unavailable,
    /// Ours.
    Internal,
}

/// A place in a text that the user wrote, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlError {
    pub kind: ErrorKind,
    /// Stable, for scripts: `dagger_not_found`, `sql_invalid`.
    pub code: &'static str,
    pub detail: String,
    pub hint: Option<String>,
    pub position: Option<Position>,
}

impl ControlError {
    pub fn new(kind: ErrorKind, code: &'static str, detail: impl Into<String>) -> Self {
        Self { kind, code, detail: detail.into(), hint: None, position: None }
    }

    pub fn invalid(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, code, detail)
    }

    pub fn not_found(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, code, detail)
    }

    pub fn conflict(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Conflict, code, detail)
    }

    pub fn too_large(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::TooLarge, code, detail)
    }

    pub fn unavailable(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, code, detail)
    }

    pub fn internal(detail: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, "internal", detail)
    }

    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub fn maybe_hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint.or(self.hint);
        self
    }

    pub fn at(mut self, line: usize, column: usize) -> Self {
        self.position = Some(Position { line, column });
        self
    }
}

impl fmt::Display for ControlError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.detail)?;
        if let Some(hint) = &self.hint {
            write!(formatter, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ControlError {}

/// A worker thread that died is a bug of ours; the request that waited for it is told so.
impl From<tokio::task::JoinError> for ControlError {
    fn from(error: tokio::task::JoinError) -> Self {
        Self::internal(format!("a worker ended unexpectedly: {error}"))
    }
}

impl From<sqlx::Error> for ControlError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut => {
                Self::unavailable("database_busy", "the resource database is busy").with_hint("try again in a moment")
            }
            sqlx::Error::Database(database) if database.message().contains("full") => {
                Self::unavailable("disk_full", "the disk of the data directory is full")
                    .with_hint("make room and try again")
            }
            _ => Self::internal(format!("the resource database failed: {error}")),
        }
    }
}

impl From<series::SeriesError> for ControlError {
    fn from(error: series::SeriesError) -> Self {
        use series::SeriesError as S;
        match &error {
            S::UnknownMeasurement { .. } => Self::not_found("measurement_not_found", error.to_string()),
            S::DiskFull => Self::unavailable("disk_full", error.to_string()),
            S::InUse | S::Storage { .. } => Self::unavailable("series_unavailable", error.to_string()),
            S::Corrupt { .. } | S::Arrow(_) => Self::internal(error.to_string()),
            S::LimitExceeded { .. } => Self::too_large("series_limit", error.to_string()),
            _ => Self::invalid("series_invalid", error.to_string()),
        }
    }
}

/// The nearest of `candidates` to what was written, for "did you mean". `None` when nothing is near.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lowered = written.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lowered, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 2.max(candidate.len().max(written.len()) / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_nearest_name_is_near() {
        let keys = ["watermark", "timestamp", "topics", "startFrom"];
        assert_eq!(nearest("watermrak", keys), Some("watermark"));
        assert_eq!(nearest("topic", keys), Some("topics"));
        assert_eq!(nearest("startfrom", keys), Some("startFrom"));
        assert_eq!(nearest("zebra", keys), None);
    }
}
