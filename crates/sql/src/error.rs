//! What is wrong with a query, and where.

use datafusion::common::{DataFusionError, SchemaError};
use datafusion::sql::sqlparser::parser::ParserError;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan};

/// A refused query. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlError {
    /// What is wrong.
    pub message: String,
    pub line: usize,
    pub column: usize,
    /// Where the wrong text ends, if known.
    pub end: Option<(usize, usize)>,
    /// What to write instead.
    pub hint: Option<String>,
}

impl std::fmt::Display for SqlError {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "line {}, column {}: {}", self.line, self.column, self.message)?;
        match &self.hint {
            Some(hint) => write!(out, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for SqlError {}

impl SqlError {
    /// An error at a place.
    pub fn at(line: usize, column: usize, message: impl Into<String>) -> Self {
        SqlError { message: message.into(), line, column, end: None, hint: None }
    }

    /// Adds what to write instead.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Finds places for messages that carry none, by looking for the names they mention among the query's tokens.
pub(crate) struct Places<'a> {
    tokens: &'a [TokenWithSpan],
    columns: Vec<String>,
    functions: Vec<String>,
}

impl<'a> Places<'a> {
    /// `columns` are the tables, columns and fields, `functions` the functions that a misspelt name may have meant.
    pub(crate) fn new(tokens: &'a [TokenWithSpan], columns: Vec<String>, functions: Vec<String>) -> Self {
        Places { tokens, columns, functions }
    }

    /// An error at the first place where one of `names` stands, else at the first token.
    pub(crate) fn error(&self, names: &[&str], message: impl Into<String>) -> SqlError {
        let token = names
            .iter()
            .find_map(|name| self.find(name))
            .or_else(|| self.tokens.iter().find(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF)));
        let (line, column, end) = token.map_or((1, 1, None), |token| {
            let span = token.span;
            (
                span.start.line as usize,
                span.start.column as usize,
                Some((span.end.line as usize, span.end.column as usize)),
            )
        });
        SqlError { message: message.into(), line: line.max(1), column: column.max(1), end, hint: None }
    }

    /// An error at the occurrence of a word with this number, or the last one that there is; if the word does not stand in
    /// the text, at the first of `others`.
    pub(crate) fn error_at_nth(&self, word: &str, number: usize, others: &[&str], message: String) -> SqlError {
        let found = self.tokens.iter().filter(|token| {
            matches!(&token.token, Token::Word(found) if found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word))
        });
        let found: Vec<&TokenWithSpan> = found.collect();
        let mut error = self.error(others, message);
        if let Some(token) = found.get(number).or(found.last()) {
            let (start, end) = (token.span.start, token.span.end);
            (error.line, error.column) = (start.line as usize, start.column as usize);
            error.end = Some((end.line as usize, end.column as usize));
        }
        error
    }

    fn find(&self, name: &str) -> Option<&'a TokenWithSpan> {
        self.tokens.iter().find(|token| match &token.token {
            Token::Word(word) => word.value.eq_ignore_ascii_case(name),
            Token::SingleQuotedString(text) => text == name,
            Token::Number(text, _) => text == name,
            _ => false,
        })
    }

    /// An error of DataFusion's with a place.
    pub(crate) fn of_datafusion(&self, error: DataFusionError) -> SqlError {
        let diagnostic = error.diagnostic().and_then(|diagnostic| diagnostic.span).map(|span| {
            (span.start.line as usize, span.start.column as usize, (span.end.line as usize, span.end.column as usize))
        });
        let root = error.find_root();
        if let DataFusionError::SchemaError(schema_error, _) = root
            && let SchemaError::FieldNotFound { field, valid_fields } = schema_error.as_ref()
        {
            let mut found = self.error(&[&field.name], format!("unknown column `{}`", field.name));
            if let Some((line, column, end)) = diagnostic {
                (found.line, found.column, found.end) = (line, column, Some(end));
            }
            let visible = nearest(&field.name, valid_fields.iter().map(|field| field.name.as_str()));
            let known = visible.or_else(|| nearest(&field.name, self.columns.iter().map(String::as_str)));
            found.hint = known.map(|name| format!("did you mean `{name}`?"));
            return found;
        }
        let message = clean(&root.strip_backtrace());
        let mentioned = quoted_names(&message);
        let mentioned: Vec<&str> = mentioned.iter().map(String::as_str).collect();
        let mut found = self.error(&mentioned, message.clone());
        if let Some((line, column, end)) = diagnostic {
            (found.line, found.column, found.end) = (line, column, Some(end));
        } else if let Some(token) = self.operator_in(&message) {
            let (start, end) = (token.span.start, token.span.end);
            (found.line, found.column) = (start.line as usize, start.column as usize);
            found.end = Some((end.line as usize, end.column as usize));
        }
        if message.contains("nvalid function") || message.contains("not found") {
            let known = if message.contains("function") { &self.functions } else { &self.columns };
            found.hint = mentioned
                .iter()
                .filter(|name| self.find(name).is_some())
                .find_map(|name| {
                    nearest(name, known.iter().map(String::as_str)).filter(|near| !near.eq_ignore_ascii_case(name))
                })
                .map(|name| format!("did you mean `{name}`?"));
        }
        found
    }

    /// The operator that a message about operand types names, if it stands once in the text.
    fn operator_in(&self, message: &str) -> Option<&'a TokenWithSpan> {
        let about = ["comparison operation ", "arithmetic expression ", "logical operation "];
        let types = about.iter().find_map(|about| message.split_once(about))?.1;
        let is_operator = |text: &str| !text.is_empty() && text.chars().all(|c| "<>=!+-*/%|&^~".contains(c));
        let operator = types.split(' ').find(|text| is_operator(text))?;
        let mut found = self.tokens.iter().filter(|token| token.token.to_string() == operator);
        let first = found.next()?;
        found.next().is_none().then_some(first)
    }

    /// A parser's error, whose place is in its text.
    pub(crate) fn of_parser(&self, error: ParserError) -> SqlError {
        let message = match error {
            ParserError::TokenizerError(message) | ParserError::ParserError(message) => message,
            ParserError::RecursionLimitExceeded => "the query is nested too deeply".into(),
        };
        let Some((text, place)) = message.rsplit_once(" at Line: ") else {
            let last = self.tokens.iter().rfind(|token| !matches!(token.token, Token::Whitespace(_) | Token::EOF));
            let (line, column) =
                last.map_or((1, 1), |token| (token.span.end.line as usize, token.span.end.column as usize));
            return SqlError::at(line.max(1), column.max(1), message);
        };
        let mut numbers = place.split(", Column: ").map(|number| number.trim().parse().unwrap_or(1));
        SqlError::at(numbers.next().unwrap_or(1), numbers.next().unwrap_or(1), text)
    }
}

/// The name that is nearest to `name`, if one is near enough to be meant.
pub(crate) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    names
        .map(|known| (strsim::damerau_levenshtein(&name, &known.to_ascii_lowercase()), known))
        .filter(|(distance, known)| *distance <= 1 + name.len().max(known.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

fn clean(message: &str) -> String {
    let mut message = message;
    for prefix in [
        "Error during planning: ",
        "Schema error: ",
        "This feature is not implemented: ",
        "Execution error: ",
        "Arrow error: ",
        "Invalid argument error: ",
        "SQL error: ",
    ] {
        message = message.strip_prefix(prefix).unwrap_or(message);
    }
    let message = message.replace("datafusion.public.", "").replace("'datafusion.public.", "'");
    message.lines().next().unwrap_or_default().trim().to_string()
}

/// Names in quotes or before a bracket in a message.
fn quoted_names(message: &str) -> Vec<String> {
    let mut names = Vec::new();
    for quote in ['\'', '`', '"'] {
        names.extend(
            message.split(quote).skip(1).step_by(2).map(|name| name.rsplit('.').next().unwrap_or(name).to_string()),
        );
    }
    names.extend(
        message.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| word.len() > 2).map(str::to_string),
    );
    names
}
