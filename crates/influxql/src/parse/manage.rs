//! Statements that change what there is.

use super::select::Target;
use super::{ParseError, Parsed, Parser};
use crate::ast::Statement;
use crate::text::quote_identifiers;
use crate::time::parse_duration;
use crate::token::{Keyword, Token};

fn other(what: &'static str) -> Parsed<Statement> {
    Ok(Statement::Other { what, text: what.to_owned(), changes: true })
}

impl Parser<'_> {
    pub(super) fn create(&mut self) -> Parsed<Statement> {
        let found = self.scan_word();
        match found.token {
            Token::Key(Keyword::Database) => self.create_database(),
            Token::Key(Keyword::Continuous) => {
                self.expect(&[Keyword::Query])?;
                self.identifier()?;
                self.expect(&[Keyword::On])?;
                self.identifier()?;
                if self.take(Keyword::Resample) {
                    self.resample()?;
                }
                self.expect(&[Keyword::Begin, Keyword::Select])?;
                self.select(Target::Required)?;
                self.expect(&[Keyword::End])?;
                other("CREATE CONTINUOUS QUERY")
            }
            Token::Key(Keyword::User) => {
                self.identifier()?;
                self.expect(&[Keyword::With, Keyword::Password])?;
                self.text()?;
                if self.take(Keyword::With) {
                    self.expect(&[Keyword::All, Keyword::Privileges])?;
                }
                other("CREATE USER")
            }
            Token::Key(Keyword::Retention) => {
                self.expect(&[Keyword::Policy])?;
                self.identifier()?;
                self.expect(&[Keyword::On])?;
                self.identifier()?;
                self.expect(&[Keyword::Duration])?;
                self.duration()?;
                self.expect(&[Keyword::Replication])?;
                self.replicas()?;
                if self.take(Keyword::Shard) {
                    self.expect(&[Keyword::Duration])?;
                    self.shard_duration()?;
                }
                self.take(Keyword::Default);
                other("CREATE RETENTION POLICY")
            }
            Token::Key(Keyword::Subscription) => {
                self.identifier()?;
                self.expect(&[Keyword::On])?;
                self.database_and_policy()?;
                self.expect(&[Keyword::Destinations])?;
                let mode = self.scan_word();
                if !matches!(mode.token, Token::Key(Keyword::All | Keyword::Any)) {
                    return Err(ParseError::expected(&mode, &["ALL", "ANY"]));
                }
                self.text()?;
                while self.scan_word().token == Token::Comma {
                    self.text()?;
                }
                self.back();
                other("CREATE SUBSCRIPTION")
            }
            _ => {
                let expected = ["CONTINUOUS", "DATABASE", "USER", "RETENTION", "SUBSCRIPTION"];
                Err(ParseError::expected(&found, &expected))
            }
        }
    }

    fn create_database(&mut self) -> Parsed<Statement> {
        let name = self.identifier()?;
        let with_policy = self.take(Keyword::With);
        let mut kept_for = 0;
        if with_policy {
            let found = self.scan_word();
            self.back();
            let options = [Keyword::Duration, Keyword::Name, Keyword::Replication, Keyword::Shard];
            if !options.iter().any(|option| found.token == Token::Key(*option)) {
                return Err(ParseError::expected(&found, &options.map(Keyword::text)));
            }
            if self.take(Keyword::Duration) {
                kept_for = self.duration()?;
            }
            if self.take(Keyword::Replication) {
                self.replicas()?;
            }
            if self.take(Keyword::Shard) {
                self.expect(&[Keyword::Duration])?;
                self.duration()?;
            }
            if self.take(Keyword::Name) {
                self.identifier()?;
            }
        }
        Ok(Statement::CreateDatabase { name, with_policy, kept_for })
    }

    pub(super) fn drop_statement(&mut self) -> Parsed<Statement> {
        let found = self.scan_word();
        match found.token {
            Token::Key(Keyword::Database) => Ok(Statement::DropDatabase { name: self.identifier()? }),
            Token::Key(Keyword::Measurement) => Ok(Statement::DropMeasurement { name: self.identifier()? }),
            Token::Key(Keyword::Series) => self.series_to_remove("DROP SERIES"),
            Token::Key(Keyword::Continuous) => {
                self.expect(&[Keyword::Query])?;
                self.identifier()?;
                self.expect(&[Keyword::On])?;
                self.identifier()?;
                other("DROP CONTINUOUS QUERY")
            }
            Token::Key(Keyword::Retention) => {
                self.expect(&[Keyword::Policy])?;
                self.identifier()?;
                self.expect(&[Keyword::On])?;
                self.identifier()?;
                other("DROP RETENTION POLICY")
            }
            Token::Key(Keyword::Shard) => {
                self.integer()?;
                other("DROP SHARD")
            }
            Token::Key(Keyword::Subscription) => {
                self.identifier()?;
                self.expect(&[Keyword::On])?;
                self.database_and_policy()?;
                other("DROP SUBSCRIPTION")
            }
            Token::Key(Keyword::User) => {
                self.identifier()?;
                other("DROP USER")
            }
            _ => {
                let expected =
                    ["CONTINUOUS", "DATABASE", "MEASUREMENT", "RETENTION", "SERIES", "SHARD", "SUBSCRIPTION", "USER"];
                Err(ParseError::expected(&found, &expected))
            }
        }
    }

    pub(super) fn delete(&mut self) -> Parsed<Statement> {
        self.series_to_remove("DELETE")
    }

    fn series_to_remove(&mut self, what: &'static str) -> Parsed<Statement> {
        let found = self.scan_word();
        self.back();
        let sources = self.from()?;
        for source in &sources {
            if !source.database.is_empty() {
                return Err(ParseError::at("database not supported", Default::default()));
            } else if !source.retention_policy.is_empty() {
                return Err(ParseError::at("retention policy not supported", Default::default()));
            }
        }
        if self.condition()?.is_none() && sources.is_empty() {
            return Err(ParseError::expected(&found, &["FROM", "WHERE"]));
        }
        other(what)
    }

    /// `READ`, `WRITE` or `ALL [PRIVILEGES]`: whether all.
    fn privilege(&mut self) -> Parsed<bool> {
        let found = self.scan_word();
        match found.token {
            Token::Key(Keyword::Read | Keyword::Write) => Ok(false),
            Token::Key(Keyword::All) => {
                self.take(Keyword::Privileges);
                Ok(true)
            }
            _ => Err(ParseError::expected(&found, &["READ", "WRITE", "ALL [PRIVILEGES]"])),
        }
    }

    pub(super) fn grant(&mut self) -> Parsed<Statement> {
        self.privileges_of("GRANT", Keyword::To)
    }

    pub(super) fn revoke(&mut self) -> Parsed<Statement> {
        self.privileges_of("REVOKE", Keyword::From)
    }

    fn privileges_of(&mut self, what: &'static str, direction: Keyword) -> Parsed<Statement> {
        let all = self.privilege()?;
        let found = self.scan_word();
        if found.token == Token::Key(Keyword::On) {
            self.identifier()?;
            self.expect(&[direction])?;
        } else if found.token != Token::Key(direction) || !all {
            let expected: &[&str] = if all { &["ON", direction.text()] } else { &["ON"] };
            return Err(ParseError::expected(&found, expected));
        }
        self.identifier()?;
        other(what)
    }

    pub(super) fn alter(&mut self) -> Parsed<Statement> {
        self.expect(&[Keyword::Retention, Keyword::Policy])?;
        let name = self.scan_word();
        if !matches!(name.token, Token::Identifier | Token::Key(Keyword::Default)) {
            return Err(ParseError::expected(&name, &["identifier"]));
        }
        self.expect(&[Keyword::On])?;
        self.identifier()?;
        let mut options = Vec::new();
        loop {
            let found = self.scan_word();
            if options.contains(&found.token) {
                let text = format!("found duplicate {} option", found.token.text());
                return Err(ParseError::at(text, found.position));
            }
            match found.token {
                Token::Key(Keyword::Duration) => drop(self.duration()?),
                Token::Key(Keyword::Replication) => self.replicas()?,
                Token::Key(Keyword::Shard) => {
                    self.expect(&[Keyword::Duration])?;
                    self.shard_duration()?;
                }
                Token::Key(Keyword::Default) => {}
                _ if options.is_empty() => {
                    let expected = ["DURATION", "REPLICATION", "SHARD", "DEFAULT"];
                    return Err(ParseError::expected(&found, &expected));
                }
                _ => {
                    self.back();
                    return other("ALTER RETENTION POLICY");
                }
            }
            options.push(found.token);
        }
    }

    pub(super) fn set_password(&mut self) -> Parsed<Statement> {
        self.expect(&[Keyword::Password, Keyword::For])?;
        self.identifier()?;
        self.expect_sign(Token::Eq)?;
        self.text()?;
        other("SET PASSWORD")
    }

    pub(super) fn kill(&mut self) -> Parsed<Statement> {
        self.expect(&[Keyword::Query])?;
        self.integer()?;
        if self.take(Keyword::On) {
            self.identifier()?;
        }
        other("KILL QUERY")
    }

    fn database_and_policy(&mut self) -> Parsed<()> {
        self.identifier()?;
        let dot = self.scan();
        if dot.token != Token::Dot {
            return Err(ParseError::expected(&dot, &["."]));
        }
        self.identifier().map(drop)
    }

    fn resample(&mut self) -> Parsed<()> {
        let every = self.take(Keyword::Every);
        if every {
            self.duration()?;
        }
        let for_how_long = self.take(Keyword::For);
        if for_how_long {
            self.duration()?;
        }
        if !every && !for_how_long {
            return Err(ParseError::expected(&self.scan_word(), &["EVERY", "FOR"]));
        }
        Ok(())
    }

    fn integer(&mut self) -> Parsed<u64> {
        let found = self.scan_word();
        match found.literal.parse() {
            Ok(value) if found.token == Token::Integer => Ok(value),
            _ => Err(ParseError::expected(&found, &["integer"])),
        }
    }

    fn replicas(&mut self) -> Parsed<()> {
        let position = self.scan_word().position;
        self.back();
        let count = self.integer()?;
        if count == 0 || count > i32::MAX as u64 {
            let text = format!("invalid value {count}: must be 1 <= n <= {}", i32::MAX);
            return Err(ParseError::at(text, position));
        }
        Ok(())
    }

    fn shard_duration(&mut self) -> Parsed<i64> {
        let found = self.scan_word();
        self.back();
        if found.token == Token::Key(Keyword::Inf) {
            return Err(ParseError::at("invalid duration INF for shard duration", found.position));
        }
        self.duration()
    }

    /// Nanoseconds; 0 for `INF`.
    fn duration(&mut self) -> Parsed<i64> {
        let found = self.scan_word();
        match found.token {
            Token::Key(Keyword::Inf) => Ok(0),
            Token::Duration => parse_duration(&found.literal).map_err(|error| ParseError::at(error, found.position)),
            _ => Err(ParseError::expected(&found, &["duration"])),
        }
    }
}

/// As the warning about a statement sent by GET writes it.
pub(crate) fn statement_text(statement: &Statement) -> String {
    match statement {
        Statement::CreateDatabase { name, .. } => format!("CREATE DATABASE {}", quote_identifiers(&[name])),
        Statement::DropDatabase { name } => format!("DROP DATABASE {}", quote_identifiers(&[name])),
        Statement::DropMeasurement { name } => format!("DROP MEASUREMENT {}", quote_identifiers(&[name])),
        Statement::Other { text, .. } => text.clone(),
        _ => String::new(),
    }
}
