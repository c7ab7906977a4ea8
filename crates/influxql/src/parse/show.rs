//! Statements that begin with `SHOW`.

use super::{ParseError, Parsed, Parser};
use crate::ast::{Counted, Show, Statement, TagKeys};
use crate::token::{Keyword, Token};

const SHOWN: [&str; 16] = [
    "CONTINUOUS",
    "DATABASES",
    "DIAGNOSTICS",
    "FIELD",
    "GRANTS",
    "MEASUREMENT",
    "MEASUREMENTS",
    "QUERIES",
    "RETENTION",
    "SERIES",
    "SHARD",
    "SHARDS",
    "STATS",
    "SUBSCRIPTIONS",
    "TAG",
    "USERS",
];

/// Which clauses a statement takes besides `ON` and `FROM`.
#[derive(Clone, Copy, PartialEq)]
enum Clauses {
    /// `WHERE`, `ORDER BY`, `LIMIT`, `OFFSET`
    All,
    /// No `WHERE`.
    Fields,
    /// `WHERE`, `GROUP BY`, `LIMIT`, `OFFSET`
    Counting,
}

impl Parser<'_> {
    /// The word `SHOW` has been read.
    pub(super) fn show(&mut self) -> Parsed<Statement> {
        let found = self.scan_word();
        let Token::Key(keyword) = found.token else { return Err(ParseError::expected(&found, &SHOWN)) };
        match keyword {
            Keyword::Databases => Ok(Statement::ShowDatabases),
            Keyword::Measurements => self.show_measurements(),
            Keyword::Measurement => {
                let counting = self.scan_word();
                let exact = match counting.token {
                    Token::Key(Keyword::Exact) => true,
                    Token::Key(Keyword::Cardinality) => false,
                    _ => return Err(ParseError::expected(&counting, &["EXACT", "CARDINALITY"])),
                };
                if exact {
                    self.expect(&[Keyword::Cardinality])?;
                }
                self.cardinality(Counted::Measurements, exact)
            }
            Keyword::Series => {
                let exact = self.take(Keyword::Exact);
                if self.take(Keyword::Cardinality) {
                    return self.cardinality(Counted::Series, exact);
                }
                Ok(Statement::ShowSeries(self.shown(Clauses::All)?))
            }
            Keyword::Tag => self.show_tag(),
            Keyword::Field => {
                let keys = self.scan_word();
                match keys.token {
                    Token::Key(Keyword::Keys) => Ok(Statement::ShowFieldKeys(self.shown(Clauses::Fields)?)),
                    Token::Key(Keyword::Key) => {
                        let exact = self.counting()?;
                        self.cardinality(Counted::FieldKeys, exact)
                    }
                    _ => Err(ParseError::expected(&keys, &["KEY", "KEYS"])),
                }
            }
            Keyword::Retention => {
                self.expect(&[Keyword::Policies])?;
                let database = if self.take(Keyword::On) { self.identifier()? } else { String::new() };
                Ok(Statement::ShowRetentionPolicies { database })
            }
            _ => self.show_other(keyword, &found),
        }
    }

    fn show_other(&mut self, keyword: Keyword, found: &crate::lexer::Scanned) -> Parsed<Statement> {
        let what = match keyword {
            Keyword::Continuous => {
                self.expect(&[Keyword::Queries])?;
                "SHOW CONTINUOUS QUERIES"
            }
            Keyword::Grants => {
                self.expect(&[Keyword::For])?;
                self.identifier()?;
                "SHOW GRANTS"
            }
            Keyword::Shard => {
                self.expect(&[Keyword::Groups])?;
                "SHOW SHARD GROUPS"
            }
            Keyword::Diagnostics | Keyword::Stats => {
                if self.take(Keyword::For) {
                    self.text()?;
                }
                if keyword == Keyword::Stats { "SHOW STATS" } else { "SHOW DIAGNOSTICS" }
            }
            Keyword::Queries => "SHOW QUERIES",
            Keyword::Shards => "SHOW SHARDS",
            Keyword::Subscriptions => "SHOW SUBSCRIPTIONS",
            Keyword::Users => "SHOW USERS",
            _ => return Err(ParseError::expected(found, &SHOWN)),
        };
        Ok(Statement::Other { what, text: what.to_owned(), changes: false })
    }

    fn show_measurements(&mut self) -> Parsed<Statement> {
        let mut show = Show { database: self.on()?, ..Show::default() };
        if self.take(Keyword::With) {
            self.expect(&[Keyword::Measurement])?;
            let op = self.scan_word();
            if !matches!(op.token, Token::Eq | Token::EqRegex) {
                return Err(ParseError::expected(&op, &["=", "=~"]));
            }
            show.sources.push(self.measurement()?);
        }
        self.clauses(&mut show, Clauses::All)?;
        Ok(Statement::ShowMeasurements(show))
    }

    fn show_tag(&mut self) -> Parsed<Statement> {
        let found = self.scan_word();
        match found.token {
            Token::Key(Keyword::Keys) => {
                let show = self.shown(Clauses::All)?;
                self.optional_count(Keyword::Slimit)?;
                self.optional_count(Keyword::Soffset)?;
                Ok(Statement::ShowTagKeys(show))
            }
            Token::Key(Keyword::Key) => {
                let exact = self.counting()?;
                self.cardinality(Counted::TagKeys, exact)
            }
            Token::Key(Keyword::Values) => {
                let exact = self.take(Keyword::Exact);
                if exact {
                    self.expect(&[Keyword::Cardinality])?;
                }
                let counted = exact || self.take(Keyword::Cardinality);
                let mut show = Show { database: self.on()?, sources: self.from()?, ..Show::default() };
                let keys = self.tag_keys()?;
                self.clauses(&mut show, if counted { Clauses::Counting } else { Clauses::All })?;
                Ok(match counted {
                    true => Statement::ShowCardinality { counted: Counted::TagValues(keys), exact, show },
                    false => Statement::ShowTagValues(show, keys),
                })
            }
            _ => Err(ParseError::expected(&found, &["KEY", "KEYS", "VALUES"])),
        }
    }

    /// `EXACT CARDINALITY` or `CARDINALITY`
    fn counting(&mut self) -> Parsed<bool> {
        let exact = self.take(Keyword::Exact);
        let found = self.scan_word();
        if found.token != Token::Key(Keyword::Cardinality) {
            let expected: &[&str] = if exact { &["CARDINALITY"] } else { &["EXACT", "CARDINALITY"] };
            return Err(ParseError::expected(&found, expected));
        }
        Ok(exact)
    }

    fn cardinality(&mut self, counted: Counted, exact: bool) -> Parsed<Statement> {
        Ok(Statement::ShowCardinality { counted, exact, show: self.shown(Clauses::Counting)? })
    }

    fn tag_keys(&mut self) -> Parsed<TagKeys> {
        self.expect(&[Keyword::With, Keyword::Key])?;
        let op = self.scan_word();
        match op.token {
            Token::Key(Keyword::In) => {
                self.expect_sign(Token::LeftParen)?;
                let mut keys = vec![self.identifier()?];
                while self.scan_word().token == Token::Comma {
                    keys.push(self.identifier()?);
                }
                self.back();
                self.expect_sign(Token::RightParen)?;
                Ok(TagKeys::In(keys))
            }
            Token::Eq => Ok(TagKeys::Is(self.identifier()?)),
            Token::Neq => Ok(TagKeys::IsNot(self.identifier()?)),
            Token::EqRegex | Token::NeqRegex => match self.regex()? {
                Some(regex) if op.token == Token::EqRegex => Ok(TagKeys::Matches(regex)),
                Some(regex) => Ok(TagKeys::MatchesNot(regex)),
                None => Err(ParseError::expected(&self.scan_word(), &["regex"])),
            },
            _ => Err(ParseError::expected(&op, &["IN", "=", "=~"])),
        }
    }

    fn shown(&mut self, clauses: Clauses) -> Parsed<Show> {
        let mut show = Show { database: self.on()?, sources: self.from()?, ..Show::default() };
        self.clauses(&mut show, clauses)?;
        Ok(show)
    }

    fn on(&mut self) -> Parsed<String> {
        if self.take(Keyword::On) { self.identifier() } else { Ok(String::new()) }
    }

    pub(super) fn from(&mut self) -> Parsed<Vec<crate::ast::Measurement>> {
        let mut sources = Vec::new();
        if !self.take(Keyword::From) {
            return Ok(sources);
        }
        loop {
            sources.push(self.measurement()?);
            if self.scan_word().token != Token::Comma {
                self.back();
                return Ok(sources);
            }
        }
    }

    fn clauses(&mut self, show: &mut Show, clauses: Clauses) -> Parsed<()> {
        if clauses != Clauses::Fields {
            show.condition = self.condition()?;
        }
        if clauses == Clauses::Counting {
            show.dimensions = self.dimensions()?;
        } else {
            show.descending = !self.order()?.unwrap_or(true);
        }
        show.limit = self.optional_count(Keyword::Limit)?;
        show.offset = self.optional_count(Keyword::Offset)?;
        Ok(())
    }
}
