//! Statements from text, with InfluxDB's error messages.

mod expr;
mod manage;
mod params;
mod select;
mod show;

use std::collections::HashMap;

use crate::ast::Statement;
use crate::lexer::{Lexer, Position, Scanned};
use crate::text::quote_identifiers;
use crate::token::{Keyword, Token};
use params::Parameter;

/// Expressions within expressions, and queries within queries, go this deep.
const DEPTH_MAX: usize = 100;
/// Operators of one statement: each makes its expression one deeper.
const OPERATORS_MAX: usize = 1_000;
/// Statements of one request, and regular expressions of all of them.
const STATEMENTS_MAX: usize = 1_000;
const REGEXES_MAX: usize = 100;

/// What was found where something else was expected, in InfluxDB's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing query: {0}")]
pub struct ParseError(pub String);

impl ParseError {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    fn at(text: impl std::fmt::Display, position: Position) -> Self {
        Self(format!("{text} at line {}, char {}", position.line + 1, position.character + 1))
    }

    fn expected(found: &Scanned, expected: &[&str]) -> Self {
        Self::at(format_args!("found {}, expected {}", found.found(), expected.join(", ")), found.position)
    }
}

pub(crate) use manage::statement_text;

type Parsed<T> = Result<T, ParseError>;

/// Reads statements separated by semicolons. `params` are the values of `$name` in the text.
pub fn parse(text: &str, params: &HashMap<String, serde_json::Value>) -> Result<Vec<Statement>, ParseError> {
    let mut parser = Parser::new(text, params);
    let mut statements = Vec::new();
    let mut separated = true;
    loop {
        let next = parser.scan_word();
        match next.token {
            Token::Eof => return Ok(statements),
            Token::Semicolon => separated = true,
            _ if !separated => return Err(ParseError::expected(&next, &[";"])),
            _ => {
                parser.back();
                parser.operators = 0;
                if statements.len() >= STATEMENTS_MAX {
                    return Err(ParseError::new(format!("a request may have {STATEMENTS_MAX} statements at most")));
                }
                statements.push(parser.statement()?);
                separated = false;
            }
        }
    }
}

/// Tokens with up to three of them taken back.
struct Parser<'a> {
    lexer: Lexer<'a>,
    buffer: [Scanned; 3],
    index: usize,
    unread: usize,
    params: HashMap<String, Parameter>,
    depth: usize,
    operators: usize,
    regexes: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, params: &HashMap<String, serde_json::Value>) -> Self {
        let nothing = Scanned { token: Token::Illegal, position: Position::default(), literal: String::new() };
        Self {
            lexer: Lexer::new(text),
            buffer: [nothing.clone(), nothing.clone(), nothing],
            index: 0,
            unread: 0,
            params: params.iter().map(|(name, value)| (name.clone(), Parameter::bind(value))).collect(),
            depth: 0,
            operators: 0,
            regexes: 0,
        }
    }

    fn scan(&mut self) -> Scanned {
        self.scan_with(|lexer| lexer.scan())
    }

    fn scan_regex(&mut self) -> Scanned {
        self.scan_with(|lexer| lexer.scan_regex())
    }

    fn scan_with(&mut self, scan: impl FnOnce(&mut Lexer<'a>) -> Scanned) -> Scanned {
        let size = self.buffer.len();
        if self.unread > 0 {
            self.unread -= 1;
        } else {
            self.index = (self.index + 1) % size;
            self.buffer[self.index] = scan(&mut self.lexer);
        }
        let found = self.buffer[(self.index + size - self.unread % size) % size].clone();
        if found.token == Token::BoundParameter
            && let Some(Parameter::Value(token, literal)) = self.params.get(&found.literal[1..])
        {
            return Scanned { token: *token, literal: literal.clone(), ..found };
        }
        found
    }

    /// The next token that is not a space or a comment.
    fn scan_word(&mut self) -> Scanned {
        loop {
            let found = self.scan();
            if !matches!(found.token, Token::Whitespace | Token::Comment) {
                return found;
            }
        }
    }

    fn back(&mut self) {
        self.unread += 1;
    }

    fn skip_space(&mut self) {
        if self.scan().token != Token::Whitespace {
            self.back();
        }
    }

    /// Takes the keyword if it comes next.
    fn take(&mut self, keyword: Keyword) -> bool {
        let found = self.scan_word().token == Token::Key(keyword);
        if !found {
            self.back();
        }
        found
    }

    fn expect(&mut self, keywords: &[Keyword]) -> Parsed<()> {
        for keyword in keywords {
            let found = self.scan_word();
            if found.token != Token::Key(*keyword) {
                return Err(ParseError::expected(&found, &[keyword.text()]));
            }
        }
        Ok(())
    }

    fn expect_sign(&mut self, sign: Token) -> Parsed<()> {
        let found = self.scan_word();
        if found.token == sign { Ok(()) } else { Err(ParseError::expected(&found, &[sign.text()])) }
    }

    fn identifier(&mut self) -> Parsed<String> {
        let found = self.scan_word();
        match found.token {
            Token::Identifier => Ok(found.literal),
            _ => Err(ParseError::expected(&found, &["identifier"])),
        }
    }

    fn text(&mut self) -> Parsed<String> {
        let found = self.scan_word();
        match found.token {
            Token::Text => Ok(found.literal),
            _ => Err(ParseError::expected(&found, &["string"])),
        }
    }

    /// `"db"."rp".measurement`, `db..measurement`
    fn segments(&mut self) -> Parsed<Vec<String>> {
        let mut segments = vec![self.identifier()?];
        loop {
            if self.scan().token != Token::Dot {
                self.back();
                break;
            }
            match self.lexer.peek() {
                '/' | ':' => break,
                '.' => segments.push(String::new()),
                _ => segments.push(self.identifier()?),
            }
        }
        if segments.len() > 3 {
            let quoted = quote_identifiers(&segments.iter().map(String::as_str).collect::<Vec<_>>());
            return Err(ParseError::at(format_args!("too many segments in {quoted}"), Position::default()));
        }
        Ok(segments)
    }

    /// `KEYWORD n`; 0 if the keyword does not come next.
    fn optional_count(&mut self, keyword: Keyword) -> Parsed<usize> {
        if !self.take(keyword) {
            return Ok(0);
        }
        let found = self.scan_word();
        match found.token {
            Token::Integer => Ok(found.literal.parse().unwrap_or(usize::MAX >> 1)),
            _ => Err(ParseError::expected(&found, &["integer"])),
        }
    }

    fn statement(&mut self) -> Parsed<Statement> {
        let found = self.scan_word();
        let Token::Key(keyword) = found.token else { return Err(ParseError::expected(&found, &STATEMENTS)) };
        match keyword {
            Keyword::Select => Ok(Statement::Select(Box::new(self.select(select::Target::Optional)?))),
            Keyword::Explain => self.explain(),
            Keyword::Show => self.show(),
            Keyword::Delete => self.delete(),
            Keyword::Create => self.create(),
            Keyword::Drop => self.drop_statement(),
            Keyword::Grant => self.grant(),
            Keyword::Revoke => self.revoke(),
            Keyword::Alter => self.alter(),
            Keyword::Set => self.set_password(),
            Keyword::Kill => self.kill(),
            _ => Err(ParseError::expected(&found, &STATEMENTS)),
        }
    }
}

const STATEMENTS: [&str; 11] =
    ["SELECT", "DELETE", "SHOW", "CREATE", "DROP", "EXPLAIN", "GRANT", "REVOKE", "ALTER", "SET", "KILL"];

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        match parse(text, &HashMap::new()) {
            Ok(statements) => panic!("{text}: {statements:?}"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn errors_name_what_was_found_and_where() {
        assert_eq!(
            refused("SELECT"),
            "error parsing query: found EOF, expected identifier, string, number, bool at line 1, char 8"
        );
        assert_eq!(refused("SELECT a\nFORM b"), "error parsing query: found FORM, expected FROM at line 2, char 1");
        assert_eq!(
            refused("SELECT a FROM b LIMIT x"),
            "error parsing query: found x, expected integer at line 1, char 23"
        );
        assert_eq!(refused("SELECT a FROM b b"), "error parsing query: found b, expected ; at line 1, char 17");
        assert_eq!(
            refused("SELECT a FROM b ORDER BY a"),
            "error parsing query: only ORDER BY time supported at this time"
        );
    }

    #[test]
    fn operators_bind_as_they_should() {
        let text = |condition: &str| {
            let statement = parse(&format!("SELECT a FROM b WHERE {condition}"), &HashMap::new()).unwrap().remove(0);
            let Statement::Select(select) = statement else { panic!("{condition}") };
            let mut places = Vec::new();
            select.condition.unwrap().walk(&mut |expr| {
                if let crate::ast::Expr::Binary(binary) = expr {
                    places.push(binary.op.text());
                }
            });
            places.join(" ")
        };
        assert_eq!(text("a = 1 OR b = 2 AND c = 3"), "OR = AND = =");
        assert_eq!(text("a + b * c - d = 1"), "= - + *");
        assert_eq!(text("(a OR b) AND c"), "AND OR");
    }
}
