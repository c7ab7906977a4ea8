//! The text: Flink's spelling read by DataFusion's parser.

use datafusion::sql::sqlparser::ast::{Query, Statement};
use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

use crate::error::{Places, SqlError};
use crate::limits::{NESTING_MAX, SQL_BYTES_MAX, TOKENS_MAX};

/// Flink's lexical rules, with the trailing comma that people leave before FROM.
#[derive(Debug)]
struct FlinkDialect;

impl Dialect for FlinkDialect {
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`' || ch == '"'
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_' || ch == '$'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_' || ch == '$'
    }

    fn supports_projection_trailing_commas(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_rarrow_operator(&self) -> bool {
        true
    }

    fn supports_subquery_as_function_arg(&self) -> bool {
        true
    }

    fn supports_window_clause_named_window_reference(&self) -> bool {
        true
    }
}

/// The tokens of a query with their places.
pub(crate) fn tokenize(sql: &str) -> Result<Vec<TokenWithSpan>, SqlError> {
    if sql.len() > SQL_BYTES_MAX {
        return Err(SqlError::at(1, 1, format!("the query is {} bytes long, the limit is {SQL_BYTES_MAX}", sql.len())));
    }
    let tokens = Tokenizer::new(&FlinkDialect, sql)
        .tokenize_with_location()
        .map_err(|error| SqlError::at(error.location.line as usize, error.location.column as usize, error.message))?;
    if tokens.len() > TOKENS_MAX {
        return Err(SqlError::at(1, 1, format!("the query has {} tokens, the limit is {TOKENS_MAX}", tokens.len())));
    }
    let mut depth = 0;
    for token in &tokens {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        if depth > NESTING_MAX as i64 {
            let start = token.span.start;
            let message = format!("more than {NESTING_MAX} brackets inside each other");
            return Err(SqlError::at(start.line as usize, start.column as usize, message));
        }
    }
    Ok(tokens)
}

/// The one SELECT that a query must be.
pub(crate) fn parse(tokens: &[TokenWithSpan], places: &Places) -> Result<Query, SqlError> {
    let tokens = without_table_words(tokens);
    let mut parser = Parser::new(&FlinkDialect).with_tokens_with_locations(tokens);
    while parser.consume_token(&Token::SemiColon) {}
    if parser.peek_token().token == Token::EOF {
        return Err(SqlError::at(1, 1, "the query is empty").with_hint("write a SELECT"));
    }
    let statement = parser.parse_statement().map_err(|error| places.from_parser(error))?;
    while parser.consume_token(&Token::SemiColon) {}
    let next = parser.peek_token();
    if next.token != Token::EOF {
        let start = next.span.start;
        let message = match &next.token {
            Token::Word(word) if word.keyword == Keyword::SELECT => "a dagger is one statement".to_string(),
            token => format!("unexpected `{token}`"),
        };
        return Err(SqlError::at(start.line as usize, start.column as usize, message));
    }
    match statement {
        Statement::Query(query) => Ok(*query),
        other => {
            let word = other.to_string();
            let word = word.split_whitespace().next().unwrap_or_default().to_string();
            Err(places
                .error(&[&word], format!("a dagger is a SELECT, not {word}"))
                .with_hint("write a SELECT; sinks are named beside the query"))
        }
    }
}

/// Flink writes `TABLE(TUMBLE(TABLE t, ...))` and `TABLE t PARTITION BY k`; the parser knows neither inside a call, so the
/// word TABLE before a name in brackets and its PARTITION BY are left out. All other tokens keep their places.
fn without_table_words(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let significant: Vec<usize> =
        (0..tokens.len()).filter(|index| !matches!(tokens[*index].token, Token::Whitespace(_))).collect();
    let keyword = |at: usize| match significant.get(at).map(|index| &tokens[*index].token) {
        Some(Token::Word(word)) => Some(word.keyword),
        _ => None,
    };
    let mut kept = tokens.to_vec();
    for at in 1..significant.len() {
        let before = &tokens[significant[at - 1]].token;
        if keyword(at) != Some(Keyword::TABLE) || !matches!(before, Token::LParen | Token::Comma | Token::RArrow) {
            continue;
        }
        if !matches!(significant.get(at + 1).map(|index| &tokens[*index].token), Some(Token::Word(_))) {
            continue;
        }
        kept[significant[at]].token = Token::Whitespace(Whitespace::Space);
        if keyword(at + 2) == Some(Keyword::PARTITION) && keyword(at + 3) == Some(Keyword::BY) {
            let mut end = at + 2;
            while end < significant.len() && !is_descriptor(&tokens[significant[end]].token) {
                end += 1;
            }
            for blank in &significant[at + 2..end.saturating_sub(1).max(at + 2)] {
                kept[*blank].token = Token::Whitespace(Whitespace::Space);
            }
        }
    }
    kept
}

fn is_descriptor(token: &Token) -> bool {
    matches!(token, Token::Word(word) if word.value.eq_ignore_ascii_case("descriptor"))
}
