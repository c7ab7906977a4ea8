//! Expressions.

use std::sync::Arc;

use super::params::Parameter;
use super::{DEPTH_MAX, OPERATORS_MAX, ParseError, Parsed, Parser, REGEXES_MAX};
use crate::ast::{Binary, Call, DataType, Expr, Regex, VarRef, WildcardKind};
use crate::time::parse_duration;
use crate::token::{Keyword, Token};

/// Bytes that a compiled regular expression may take.
const REGEX_BYTES_MAX: usize = 1 << 20;

impl Parser<'_> {
    pub(super) fn expr(&mut self) -> Parsed<Expr> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(ParseError::new(format!("expressions may be nested {DEPTH_MAX} deep at most")));
        }
        let result = self.binary_expr();
        self.depth -= 1;
        result
    }

    fn binary_expr(&mut self) -> Parsed<Expr> {
        let mut root = self.unary_expr()?;
        loop {
            let op = self.scan_word().token;
            if op.precedence() == 0 {
                self.back();
                return Ok(root);
            }
            self.operators += 1;
            if self.operators > OPERATORS_MAX {
                return Err(ParseError::new(format!(
                    "a statement may have {OPERATORS_MAX} operators at most; a regular expression stands for many values"
                )));
            }
            let right = if op.is_regex_operator() {
                match self.regex()? {
                    Some(regex) => Expr::Regex(regex),
                    None => return Err(ParseError::expected(&self.scan_word(), &["regex"])),
                }
            } else {
                self.unary_expr()?
            };
            attach(&mut root, op, right);
        }
    }

    fn unary_expr(&mut self) -> Parsed<Expr> {
        let found = self.scan_word();
        match found.token {
            Token::LeftParen => {
                let inner = self.expr()?;
                let closing = self.scan_word();
                if closing.token != Token::RightParen {
                    return Err(ParseError::expected(&closing, &[")"]));
                }
                Ok(Expr::Paren(Box::new(inner)))
            }
            Token::Identifier => {
                if self.scan().token == Token::LeftParen {
                    return Ok(Expr::Call(self.call(&found.literal)?));
                }
                self.back();
                self.back();
                Ok(Expr::Ref(self.reference()?))
            }
            Token::Key(Keyword::Distinct) => self.distinct(),
            Token::Text => Ok(Expr::Text(found.literal)),
            Token::Number => match found.literal.parse() {
                Ok(value) => Ok(Expr::Number(value)),
                Err(_) => Err(ParseError::at("unable to parse number", found.position)),
            },
            Token::Integer => {
                if let Ok(value) = found.literal.parse::<i64>() {
                    Ok(Expr::Integer(value))
                } else if let Ok(value) = found.literal.parse::<u64>() {
                    Ok(Expr::Unsigned(value))
                } else {
                    Err(ParseError::at("unable to parse integer", found.position))
                }
            }
            Token::True => Ok(Expr::Boolean(true)),
            Token::False => Ok(Expr::Boolean(false)),
            Token::Duration => parse_duration(&found.literal).map(Expr::Duration).map_err(ParseError::new),
            Token::Mul => self.wildcard(),
            Token::Regex => {
                self.compile(&found.literal).map(Expr::Regex).map_err(|error| ParseError::at(error, found.position))
            }
            Token::BoundParameter => Err(self.unbound(&found.literal[1..])),
            Token::Add | Token::Sub => self.signed(found.token),
            _ => Err(ParseError::expected(&found, &["identifier", "string", "number", "bool"])),
        }
    }

    fn distinct(&mut self) -> Parsed<Expr> {
        let next = self.scan();
        match next.token {
            Token::LeftParen => Ok(Expr::Call(self.call("distinct")?)),
            Token::Whitespace => {
                let name = self.scan_word();
                match name.token {
                    Token::Identifier => Ok(Expr::Distinct(name.literal)),
                    _ => Err(ParseError::expected(&name, &["identifier"])),
                }
            }
            _ => Err(ParseError::expected(&next, &["(", "identifier"])),
        }
    }

    fn wildcard(&mut self) -> Parsed<Expr> {
        if self.scan().token != Token::DoubleColon {
            self.back();
            return Ok(Expr::Wildcard(WildcardKind::All));
        }
        let kind = self.scan();
        match kind.token {
            Token::Key(Keyword::Field) => Ok(Expr::Wildcard(WildcardKind::Fields)),
            Token::Key(Keyword::Tag) => Ok(Expr::Wildcard(WildcardKind::Tags)),
            _ => Err(ParseError::expected(&kind, &["field", "tag"])),
        }
    }

    fn unbound(&self, name: &str) -> ParseError {
        match self.params.get(name) {
            _ if name.is_empty() => ParseError::new("empty bound parameter"),
            Some(Parameter::Invalid(reason)) => ParseError::new(reason),
            _ => ParseError::new(format!("missing parameter: {name}")),
        }
    }

    fn signed(&mut self, sign: Token) -> Parsed<Expr> {
        let negative = sign == Token::Sub;
        let next = self.scan_word();
        let allowed = [Token::Number, Token::Integer, Token::Duration, Token::LeftParen, Token::Identifier];
        if !allowed.contains(&next.token) {
            return Err(ParseError::expected(&next, &["identifier", "number", "duration", "("]));
        }
        self.back();
        match self.unary_expr()? {
            Expr::Number(value) => Ok(Expr::Number(if negative { -value } else { value })),
            Expr::Integer(value) => Ok(Expr::Integer(if negative { value.wrapping_neg() } else { value })),
            Expr::Duration(value) => Ok(Expr::Duration(if negative { value.wrapping_neg() } else { value })),
            Expr::Unsigned(value) if negative && value == 1 << 63 => Ok(Expr::Integer(i64::MIN)),
            Expr::Unsigned(value) if negative => Err(ParseError::new(format!("constant -{value} underflows int64"))),
            Expr::Unsigned(value) => Ok(Expr::Unsigned(value)),
            other => Ok(Expr::binary(Token::Mul, Expr::Integer(if negative { -1 } else { 1 }), other)),
        }
    }

    fn reference(&mut self) -> Parsed<VarRef> {
        let name = self.segments()?.join(".");
        if self.scan().token != Token::DoubleColon {
            self.back();
            return Ok(VarRef::new(name, DataType::Unknown));
        }
        let cast = self.scan();
        let data_type = match cast.token {
            Token::Key(Keyword::Field) => DataType::AnyField,
            Token::Key(Keyword::Tag) => DataType::Tag,
            Token::Identifier => match cast.literal.to_ascii_lowercase().as_str() {
                "float" => DataType::Float,
                "integer" => DataType::Integer,
                "unsigned" => DataType::Unsigned,
                "string" => DataType::Text,
                "boolean" => DataType::Boolean,
                _ => {
                    let expected = ["float", "integer", "unsigned", "string", "boolean", "field", "tag"];
                    return Err(ParseError::expected(&cast, &expected));
                }
            },
            _ => return Err(ParseError::expected(&cast, &["float", "integer", "string", "boolean", "field", "tag"])),
        };
        Ok(VarRef::new(name, data_type))
    }

    /// A regular expression, if one comes next.
    pub(super) fn regex(&mut self) -> Parsed<Option<Regex>> {
        if matches!(self.lexer.peek(), ' ' | '\t' | '\n') {
            self.skip_space();
        }
        match self.lexer.peek() {
            '$' => {
                let bound = self.scan().token;
                self.back();
                if bound != Token::Regex {
                    return Ok(None);
                }
            }
            '/' => {}
            _ => return Ok(None),
        }
        let found = self.scan_regex();
        match found.token {
            Token::Regex => match self.compile(&found.literal) {
                Ok(regex) => Ok(Some(regex)),
                Err(error) => Err(ParseError::at(error, found.position)),
            },
            Token::BadRegex => Err(ParseError::at(format_args!("bad regex: {}", found.literal), found.position)),
            _ => Err(ParseError::expected(&found, &["regex"])),
        }
    }

    fn compile(&mut self, source: &str) -> Result<Regex, String> {
        self.regexes += 1;
        if self.regexes > REGEXES_MAX {
            return Err(format!("a request may have {REGEXES_MAX} regular expressions at most"));
        }
        compile(source)
    }

    /// A function call; its name and the opening parenthesis have been read.
    fn call(&mut self, name: &str) -> Parsed<Call> {
        let name = name.to_ascii_lowercase();
        let mut args = Vec::new();
        if let Some(regex) = self.regex()? {
            args.push(Expr::Regex(regex));
        } else {
            if self.scan().token == Token::RightParen {
                return Ok(Call { name, args });
            }
            self.back();
            args.push(self.expr()?);
        }
        loop {
            if self.scan_word().token != Token::Comma {
                self.back();
                break;
            }
            match self.regex()? {
                Some(regex) => args.push(Expr::Regex(regex)),
                None => args.push(self.expr()?),
            }
        }
        let closing = self.scan();
        if closing.token != Token::RightParen {
            return Err(ParseError::expected(&closing, &[")"]));
        }
        Ok(Call { name, args })
    }
}

/// Puts `op right` where it belongs by precedence: below the last operator that binds less.
fn attach(root: &mut Expr, op: Token, right: Expr) {
    if let Expr::Binary(binary) = root
        && binary.op.precedence() < op.precedence()
    {
        return attach(&mut binary.right, op, right);
    }
    let left = std::mem::replace(root, Expr::Nil);
    *root = Expr::Binary(Box::new(Binary { op, left, right }));
}

fn compile(source: &str) -> Result<Regex, String> {
    let compiled = regex::RegexBuilder::new(source).size_limit(REGEX_BYTES_MAX).build();
    let reason = |error: regex::Error| match error {
        regex::Error::CompiledTooBig(_) => format!("expression too large: `{source}`"),
        _ => format!("error parsing regexp: `{source}`"),
    };
    compiled.map(|compiled| Regex { source: Arc::from(source), compiled }).map_err(reason)
}
