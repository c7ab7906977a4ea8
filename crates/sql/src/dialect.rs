//! The text: Flink's spelling read by DataFusion's parser.

use std::collections::HashMap;

use datafusion::sql::sqlparser::ast::{Query, Statement};
use datafusion::sql::sqlparser::dialect::Dialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Whitespace};

use crate::error::{Places, SqlError};
use crate::limits::{SQL_BYTES_MAX, TOKENS_MAX};

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

    fn supports_table_versioning(&self) -> bool {
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
    crate::depth::check(&tokens)?;
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
    let statement = parser.parse_statement().map_err(|error| places.of_parser(error))?;
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

/// The call in which the keys of `TABLE t PARTITION BY k` travel through the parser.
pub(crate) const PARTITION_KEYS: &str = "millrace_partition_keys";

/// Flink writes `TABLE(TUMBLE(TABLE t, ...))` and `TABLE t PARTITION BY k`; the parser knows neither inside a call. The word
/// TABLE before a name in brackets is left out, and `PARTITION BY k1, k2` becomes an argument that calls
/// [`PARTITION_KEYS`]. All other tokens keep their places.
fn without_table_words(tokens: &[TokenWithSpan]) -> Vec<TokenWithSpan> {
    let significant: Vec<usize> =
        (0..tokens.len()).filter(|index| !matches!(tokens[*index].token, Token::Whitespace(_))).collect();
    let token = |at: usize| significant.get(at).map(|index| &tokens[*index].token);
    let keyword = |at: usize| match token(at) {
        Some(Token::Word(word)) => Some(word.keyword),
        _ => None,
    };
    let mut replaced: HashMap<usize, Vec<Token>> = HashMap::new();
    for at in 1..significant.len() {
        let follows = matches!(token(at - 1), Some(Token::LParen | Token::Comma | Token::RArrow));
        if !follows || keyword(at) != Some(Keyword::TABLE) || !matches!(token(at + 1), Some(Token::Word(_))) {
            continue;
        }
        replaced.insert(significant[at], vec![Token::Whitespace(Whitespace::Space)]);
        let mut after = at + 2;
        while token(after) == Some(&Token::Period) {
            after += 2;
        }
        if keyword(after) != Some(Keyword::PARTITION) || keyword(after + 1) != Some(Keyword::BY) {
            continue;
        }
        let Some(end) = end_of_keys(&token, after + 2) else { continue };
        let Some(last) = token(end) else { continue };
        let call = vec![Token::Comma, Token::make_word(PARTITION_KEYS, None), Token::LParen];
        replaced.insert(significant[after], call);
        replaced.insert(significant[after + 1], vec![Token::Whitespace(Whitespace::Space)]);
        replaced.insert(significant[end], vec![Token::RParen, last.clone()]);
    }
    let mut kept = Vec::with_capacity(tokens.len());
    for (index, token) in tokens.iter().enumerate() {
        match replaced.remove(&index) {
            Some(others) => {
                kept.extend(others.into_iter().map(|other| TokenWithSpan { token: other, span: token.span }));
            }
            None => kept.push(token.clone()),
        }
    }
    kept
}

/// Where the keys of PARTITION BY end: before `, DESCRIPTOR(...)`, `, NAME => ...` or the closing bracket.
fn end_of_keys<'t>(token: &impl Fn(usize) -> Option<&'t Token>, first: usize) -> Option<usize> {
    let mut depth = 0;
    let mut at = first;
    loop {
        match token(at)? {
            Token::LParen => depth += 1,
            Token::RParen if depth == 0 => return Some(at),
            Token::RParen => depth -= 1,
            Token::Comma if depth == 0 => {
                let is_named = token(at + 2) == Some(&Token::RArrow);
                if is_named || token(at + 1).is_some_and(is_descriptor) {
                    return Some(at);
                }
            }
            Token::EOF => return None,
            _ => {}
        }
        at += 1;
    }
}

fn is_descriptor(token: &Token) -> bool {
    matches!(token, Token::Word(word) if word.value.eq_ignore_ascii_case("descriptor"))
}
