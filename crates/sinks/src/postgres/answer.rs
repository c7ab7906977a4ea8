//! What PostgreSQL's errors mean.
//!
//! A record can only be the reason of what the server says about a value or a constraint. A table that is not there, a right
//! that is missing, a disk that is full is somebody's to mend.
//!
//! <https://www.postgresql.org/docs/current/errcodes-appendix.html>

use std::error::Error as _;

use delivery::{CallError, ErrorClass};
use tokio_postgres::Error;

use crate::http::shortened;

/// An error, and the row of a COPY that it is about if the server says so, counted from 0.
pub(super) struct Judged {
    pub error: CallError,
    pub row: Option<usize>,
    /// The column that takes no NULL, when it is about one.
    pub null_column: Option<String>,
}

pub(super) fn judge(error: &Error) -> Judged {
    let Some(said) = error.as_db_error() else {
        let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
        let reason = match error.is_closed() {
            true => "the connection broke".to_owned(),
            false => format!("{error}{cause}"),
        };
        return Judged { error: CallError::new(ErrorClass::Down, shortened(&reason)), row: None, null_column: None };
    };
    let code = said.code().code();
    let class = class_of(code);
    let mut reason = said.message().to_owned();
    if let Some(detail) = said.detail() {
        reason = format!("{reason}: {detail}");
    }
    if let Some(hint) = hint_of(code).or(said.hint()) {
        reason = format!("{reason}; {hint}");
    }
    let reason = shortened(&format!("{reason} ({code})"));
    let row = said.where_().and_then(row_of);
    let null_column = said.column().filter(|_| code == "23502").map(str::to_owned);
    Judged { error: CallError::new(class, reason), row, null_column }
}

pub(super) fn class_of(code: &str) -> ErrorClass {
    match code {
        // The binary form does not fit the table: it has been changed under us, or it is our defect. No record's fault.
        "22P03" | "22P04" => ErrorClass::Down,
        // A value or a key that is too long for a page or an index, JSON that is too deep.
        "54000" | "54001" => ErrorClass::Refused,
        // A trigger or a view that does not want it.
        "P0001" | "P0004" | "44000" => ErrorClass::Refused,
        // Two rows of a batch are one for the index; each alone is not.
        "21000" => ErrorClass::Refused,
        "42501" => ErrorClass::Auth,
        _ => match code.get(..2) {
            Some("22" | "23") => ErrorClass::Refused,
            Some("28") => ErrorClass::Auth,
            _ => ErrorClass::Down,
        },
    }
}

fn hint_of(code: &str) -> Option<&'static str> {
    match code {
        "42P01" => Some("create the table, or set `createTable: true`"),
        "42703" => Some("add the column, or set `createTable: true`"),
        "42P10" => Some("the table needs a unique index over exactly `uniqueKeys`"),
        "26000" => {
            Some("a pooler between us and the server has to keep a session on one connection (`pool_mode = session`)")
        }
        "25006" => Some("the server is a standby or read-only; connect to the primary"),
        "53100" => Some("the disk of the server is full"),
        _ => None,
    }
}

/// `COPY orders, line 3141, column id: ...`; in other languages the words differ, the number is there all the same.
fn row_of(context: &str) -> Option<usize> {
    let line = context.lines().rev().find_map(|line| line.strip_prefix("COPY "))?;
    // A name can have anything in it, so the number is the first after the last name that can end there.
    let (_, after) = line.split_once(", ")?;
    let digits = after.find(|c: char| c.is_ascii_digit())?;
    let words = &after[..digits];
    if words.contains([',', ':', '"']) {
        return None;
    }
    let number: String = after[digits..].chars().take_while(char::is_ascii_digit).collect();
    number.parse::<usize>().ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_is_read_from_the_context() {
        assert_eq!(row_of("COPY orders, line 3141, column id"), Some(3_140));
        assert_eq!(row_of("COPY orders, line 1"), Some(0));
        assert_eq!(row_of("COPY orders, Zeile 12, Spalte id: \"7\""), Some(11));
        let trigger = "PL/pgSQL function f() line 3 at RAISE\nCOPY orders, line 9";
        assert_eq!(row_of(trigger), Some(8));
        assert_eq!(row_of("SQL statement \"SELECT 1\""), None);
        assert_eq!(row_of("COPY orders"), None);
    }

    #[test]
    fn what_an_operator_can_mend_is_an_outage() {
        for (code, class) in [
            ("22001", ErrorClass::Refused),
            ("22003", ErrorClass::Refused),
            ("22021", ErrorClass::Refused),
            ("22P02", ErrorClass::Refused),
            ("22P05", ErrorClass::Refused),
            ("23502", ErrorClass::Refused),
            ("23503", ErrorClass::Refused),
            ("23505", ErrorClass::Refused),
            ("23514", ErrorClass::Refused),
            ("23P01", ErrorClass::Refused),
            ("54000", ErrorClass::Refused),
            ("P0001", ErrorClass::Refused),
            ("22P03", ErrorClass::Down),
            ("22P04", ErrorClass::Down),
            ("28000", ErrorClass::Auth),
            ("28P01", ErrorClass::Auth),
            ("42501", ErrorClass::Auth),
            ("08006", ErrorClass::Down),
            ("08P01", ErrorClass::Down),
            ("0A000", ErrorClass::Down),
            ("25006", ErrorClass::Down),
            ("25P02", ErrorClass::Down),
            ("3D000", ErrorClass::Down),
            ("3F000", ErrorClass::Down),
            ("40001", ErrorClass::Down),
            ("40P01", ErrorClass::Down),
            ("42703", ErrorClass::Down),
            ("42804", ErrorClass::Down),
            ("42P01", ErrorClass::Down),
            ("53100", ErrorClass::Down),
            ("53300", ErrorClass::Down),
            ("55P03", ErrorClass::Down),
            ("57014", ErrorClass::Down),
            ("57P01", ErrorClass::Down),
            ("57P03", ErrorClass::Down),
            ("58030", ErrorClass::Down),
            ("XX000", ErrorClass::Down),
            ("XX001", ErrorClass::Down),
            ("", ErrorClass::Down),
        ] {
            assert_eq!(class_of(code), class, "{code}");
        }
    }
}
