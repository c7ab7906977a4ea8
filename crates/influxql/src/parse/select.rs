//! `SELECT` and its clauses.

use super::{DEPTH_MAX, ParseError, Parsed, Parser};
use crate::ast::{Expr, Field, Fill, Measurement, Select, Source, Statement};
use crate::token::{Keyword, Token};

/// Whether `INTO` may or must be there.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Target {
    Required,
    Optional,
}

impl Parser<'_> {
    pub(super) fn explain(&mut self) -> Parsed<Statement> {
        let analyze = self.take(Keyword::Analyze);
        self.expect(&[Keyword::Select])?;
        Ok(Statement::Explain { select: Box::new(self.select(Target::Optional)?), analyze })
    }

    /// The word `SELECT` has been read.
    pub(super) fn select(&mut self, target: Target) -> Parsed<Select> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(ParseError::new(format!("queries may be nested {DEPTH_MAX} deep at most")));
        }
        let fields = self.fields()?;
        let target = self.target(target)?;
        let from = self.scan_word();
        if from.token != Token::Key(Keyword::From) {
            return Err(ParseError::expected(&from, &["FROM"]));
        }
        let sources = self.sources()?;
        let condition = self.condition()?;
        let dimensions = self.dimensions()?;
        let fill = self.fill()?;
        let order = self.order()?;
        let limit = self.optional_count(Keyword::Limit)?;
        let offset = self.optional_count(Keyword::Offset)?;
        let slimit = self.optional_count(Keyword::Slimit)?;
        let soffset = self.optional_count(Keyword::Soffset)?;
        let zone = self.zone()?;
        let mut raw = true;
        for field in &fields {
            field.expr.walk(&mut |expr| raw &= !matches!(expr, Expr::Call(_)));
        }
        self.depth -= 1;
        Ok(Select {
            fields,
            target,
            sources,
            condition,
            dimensions,
            fill,
            order,
            limit,
            offset,
            slimit,
            soffset,
            zone,
            raw,
            omit_time: false,
            time_alias: String::new(),
        })
    }

    fn fields(&mut self) -> Parsed<Vec<Field>> {
        let mut fields = Vec::new();
        loop {
            fields.push(self.field()?);
            if self.scan().token != Token::Comma {
                self.back();
                return Ok(fields);
            }
        }
    }

    fn field(&mut self) -> Parsed<Field> {
        let expr = match self.regex()? {
            Some(regex) => Expr::Regex(regex),
            None => {
                let position = self.scan_word().position;
                self.back();
                let expr = self.expr()?;
                if let Some(op) = comparison_in(&expr) {
                    let text = format!(
                        "invalid operator {} in SELECT clause at line {}, char {}; \
                         operator is intended for WHERE clause",
                        op.text(),
                        position.line + 1,
                        position.character + 1
                    );
                    return Err(ParseError::new(text));
                }
                expr
            }
        };
        let alias = if self.take(Keyword::As) { self.identifier()? } else { String::new() };
        self.skip_space();
        Ok(Field { expr, alias })
    }

    fn target(&mut self, target: Target) -> Parsed<Option<Measurement>> {
        let found = self.scan_word();
        if found.token != Token::Key(Keyword::Into) {
            if target == Target::Required {
                return Err(ParseError::expected(&found, &["INTO"]));
            }
            self.back();
            return Ok(None);
        }
        let mut segments = self.segments()?;
        if segments.len() < 3 && self.lexer.peek() == ':' {
            self.expect_sign(Token::Colon)?;
            self.expect(&[Keyword::Measurement])?;
            segments.push(String::new());
        }
        Ok(Some(measurement_of(segments)))
    }

    fn sources(&mut self) -> Parsed<Vec<Source>> {
        let mut sources = Vec::new();
        loop {
            sources.push(self.source()?);
            if self.scan_word().token != Token::Comma {
                self.back();
                return Ok(sources);
            }
        }
    }

    fn source(&mut self) -> Parsed<Source> {
        if let Some(regex) = self.regex()? {
            return Ok(Source::Measurement(Measurement { regex: Some(regex), ..Measurement::default() }));
        }
        if self.scan_word().token == Token::LeftParen {
            self.expect(&[Keyword::Select])?;
            let select = self.select(Target::Optional)?;
            self.expect_sign(Token::RightParen)?;
            return Ok(Source::Subquery(Box::new(select)));
        }
        self.back();
        self.named_measurement().map(Source::Measurement)
    }

    /// A measurement by name or regular expression.
    pub(super) fn measurement(&mut self) -> Parsed<Measurement> {
        match self.regex()? {
            Some(regex) => Ok(Measurement { regex: Some(regex), ..Measurement::default() }),
            None => self.named_measurement(),
        }
    }

    fn named_measurement(&mut self) -> Parsed<Measurement> {
        let mut segments = self.segments()?;
        if segments.len() < 3
            && let Some(regex) = self.regex()?
        {
            segments.push(String::new());
            return Ok(Measurement { regex: Some(regex), ..measurement_of(segments) });
        }
        Ok(measurement_of(segments))
    }

    pub(super) fn condition(&mut self) -> Parsed<Option<Expr>> {
        if self.take(Keyword::Where) { self.expr().map(Some) } else { Ok(None) }
    }

    pub(super) fn dimensions(&mut self) -> Parsed<Vec<Expr>> {
        if !self.take(Keyword::Group) {
            return Ok(Vec::new());
        }
        self.expect(&[Keyword::By])?;
        let mut dimensions = Vec::new();
        loop {
            match self.regex()? {
                Some(regex) => dimensions.push(Expr::Regex(regex)),
                None => {
                    dimensions.push(self.expr()?);
                    self.skip_space();
                }
            }
            if self.scan().token != Token::Comma {
                self.back();
                return Ok(dimensions);
            }
        }
    }

    /// Whether a call of that name comes next.
    fn call_follows(&mut self, name: &str) -> bool {
        let next = self.scan_word();
        self.back();
        next.token == Token::Identifier && next.literal.eq_ignore_ascii_case(name)
    }

    fn fill(&mut self) -> Parsed<Fill> {
        if !self.call_follows("fill") {
            return Ok(Fill::Null);
        }
        let Expr::Call(call) = self.expr()? else { return Err(ParseError::new("fill must be a function call")) };
        let [arg] = call.args.as_slice() else {
            return Err(ParseError::new("fill requires an argument, e.g.: 0, null, none, previous, linear"));
        };
        match (arg.to_string().as_str(), arg) {
            ("null", _) => Ok(Fill::Null),
            ("none", _) => Ok(Fill::None),
            ("previous", _) => Ok(Fill::Previous),
            ("linear", _) => Ok(Fill::Linear),
            (_, Expr::Integer(value)) => Ok(Fill::Integer(*value)),
            (_, Expr::Number(value)) => Ok(Fill::Float(*value)),
            _ => Err(ParseError::new("expected number argument in fill()")),
        }
    }

    fn zone(&mut self) -> Parsed<Option<chrono_tz::Tz>> {
        if !self.call_follows("tz") {
            return Ok(None);
        }
        let Expr::Call(call) = self.expr()? else { return Err(ParseError::new("tz must be a function call")) };
        let [arg] = call.args.as_slice() else {
            return Err(ParseError::new("tz requires exactly one argument"));
        };
        let Expr::Text(name) = arg else { return Err(ParseError::new("expected string argument in tz()")) };
        let zone = if name.is_empty() { Ok(chrono_tz::Tz::UTC) } else { name.parse() };
        zone.map(Some).map_err(|_| ParseError::new(format!("unable to find time zone {name}")))
    }

    /// `ORDER BY time ASC`: whether ascending.
    pub(super) fn order(&mut self) -> Parsed<Option<bool>> {
        if !self.take(Keyword::Order) {
            return Ok(None);
        }
        self.expect(&[Keyword::By])?;
        let only_time = || ParseError::new("only ORDER BY time supported at this time");
        let found = self.scan_word();
        let ascending = match found.token {
            Token::Key(Keyword::Asc) => true,
            Token::Key(Keyword::Desc) => false,
            Token::Identifier => {
                let ascending = self.direction();
                if found.literal != "time" {
                    return Err(only_time());
                }
                ascending
            }
            _ => return Err(ParseError::expected(&found, &["identifier", "ASC", "DESC"])),
        };
        if self.scan_word().token == Token::Comma {
            self.identifier()?;
            return Err(only_time());
        }
        self.back();
        Ok(Some(ascending))
    }

    fn direction(&mut self) -> bool {
        match self.scan_word().token {
            Token::Key(Keyword::Asc) => true,
            Token::Key(Keyword::Desc) => false,
            _ => {
                self.back();
                true
            }
        }
    }
}

fn comparison_in(expr: &Expr) -> Option<Token> {
    let mut found = None;
    expr.walk(&mut |expr| {
        if let Expr::Binary(binary) = expr
            && binary.op.is_comparison()
        {
            found.get_or_insert(binary.op);
        }
    });
    found
}

/// `name`, `policy.name` or `database.policy.name`
fn measurement_of(segments: Vec<String>) -> Measurement {
    let mut measurement = Measurement::default();
    let mut segments = segments.into_iter().rev();
    measurement.name = segments.next().unwrap_or_default();
    measurement.retention_policy = segments.next().unwrap_or_default();
    measurement.database = segments.next().unwrap_or_default();
    measurement
}
