//! How deep the tree of a statement becomes, told by its tokens: parser, planner and optimizer walk it recursively, and
//! `a OR b OR c` is as deep as it is long.

use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer};

use crate::error::SqlError;
use crate::limits::{CHAIN_MAX, NESTING_MAX, OPERATORS_MAX};

/// What one pair of brackets, or one CASE, holds so far.
#[derive(Default)]
struct Level {
    /// Tokens since the last comma or clause that can make the tree deeper.
    operators: usize,
    /// Between FROM and what follows the tables, where a comma is a join.
    tables: bool,
    is_case: bool,
}

/// Refuses text that is nested deeper than a thread's stack bears, naming the place. Text that has no tokens is the
/// parser's to refuse.
pub fn check_depth(sql: &str) -> Result<(), SqlError> {
    match Tokenizer::new(&GenericDialect {}, sql).tokenize_with_location() {
        Ok(tokens) => check(&tokens),
        Err(_) => Ok(()),
    }
}

pub(crate) fn check(tokens: &[TokenWithSpan]) -> Result<(), SqlError> {
    let mut levels = vec![Level::default()];
    // Of all levels that are open.
    let mut operators = 0;
    let mut chained = 0;
    let mut before = Keyword::NoKeyword;
    // Whether the next word can begin a clause; behind an operator it is a column's name.
    let mut clause_may_follow = true;
    for TokenWithSpan { token, span } in tokens {
        let word = match token {
            Token::Word(word) => word.keyword,
            _ => Keyword::NoKeyword,
        };
        let open = levels.len();
        let Some(level) = levels.last_mut() else { return Ok(()) };
        match (token, word) {
            (Token::LParen | Token::LBracket, _) => levels.push(Level::default()),
            (_, Keyword::CASE) => levels.push(Level { is_case: true, ..Level::default() }),
            (Token::RParen | Token::RBracket, _) if open > 1 => {
                operators -= levels.pop().map_or(0, |level| level.operators);
            }
            (_, Keyword::END) if level.is_case => operators -= levels.pop().map_or(0, |level| level.operators),
            (Token::Comma, _) => {
                chained += usize::from(level.tables);
                operators -= std::mem::take(&mut level.operators);
            }
            (_, Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::JOIN) => chained += 1,
            (_, Keyword::SELECT | Keyword::WHERE | Keyword::HAVING | Keyword::BY | Keyword::ON)
                if clause_may_follow =>
            {
                level.tables &= word == Keyword::ON;
                operators -= std::mem::take(&mut level.operators);
            }
            (_, Keyword::WHEN | Keyword::THEN | Keyword::ELSE) if level.is_case => {
                operators -= std::mem::take(&mut level.operators);
            }
            // Not of `IS DISTINCT FROM`.
            (_, Keyword::FROM) if before != Keyword::DISTINCT => level.tables = true,
            (Token::Word(_), Keyword::NoKeyword)
            | (
                Token::Number(..)
                | Token::SingleQuotedString(_)
                | Token::SemiColon
                | Token::RParen
                | Token::RBracket
                | Token::EOF,
                _,
            ) => {}
            (Token::Whitespace(_), _) => continue,
            // Which words are operators depends on where they are: all count.
            _ => {
                level.operators += 1;
                operators += 1;
            }
        }
        before = word;
        clause_may_follow = match token {
            Token::Word(_) => matches!(
                word,
                Keyword::NoKeyword
                    | Keyword::ORDER
                    | Keyword::GROUP
                    | Keyword::PARTITION
                    | Keyword::UNION
                    | Keyword::EXCEPT
                    | Keyword::INTERSECT
                    | Keyword::ALL
                    | Keyword::DISTINCT
                    | Keyword::AS
                    | Keyword::END
            ),
            Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::LParen
            | Token::RParen
            | Token::RBracket
            | Token::SemiColon => true,
            _ => false,
        };
        let message = if levels.len() > NESTING_MAX + 1 {
            format!("more than {NESTING_MAX} brackets and CASEs inside each other")
        } else if operators > OPERATORS_MAX {
            format!("more than {OPERATORS_MAX} operators in one expression")
        } else if chained > CHAIN_MAX {
            format!("more than {CHAIN_MAX} joins and UNIONs in one statement")
        } else {
            continue;
        };
        let hint = match operators > OPERATORS_MAX {
            true => "many comparisons of one column are shorter as `column IN (1, 2, ...)`",
            false => "cut it into several statements",
        };
        return Err(SqlError::at(span.start.line as usize, span.start.column as usize, message).with_hint(hint));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repeated(first: &str, more: &str, times: usize) -> String {
        format!("SELECT * FROM t WHERE {first}{}", more.repeat(times))
    }

    #[test]
    fn long_chains_are_refused_with_their_place() {
        for (more, within, beyond) in [
            (" OR v = 1", OPERATORS_MAX / 2 - 1, 100_000),
            (" + v", OPERATORS_MAX, 100_000),
            ("::int", OPERATORS_MAX / 2, 5_000),
        ] {
            assert_eq!(check_depth(&repeated("v", more, within)), Ok(()), "{more}");
            let refused = check_depth(&repeated("v", more, beyond)).expect_err(more);
            assert!(refused.message.contains("operators in one expression"), "{refused}");
            assert!((refused.line, refused.column) > (1, 1_000), "{refused}");
        }
        let unions = " UNION ALL SELECT 1".repeat(CHAIN_MAX + 1);
        assert!(check_depth(&format!("SELECT 1{unions}")).is_err());
        let tables = ", t".repeat(CHAIN_MAX + 1);
        assert!(check_depth(&format!("SELECT 1 FROM t{tables} WHERE true")).is_err());
        assert!(check_depth(&format!("SELECT {}1{}", "(".repeat(100), ")".repeat(100))).is_err());
        assert!(check_depth(&repeated("", "NOT ", OPERATORS_MAX + 1)).is_err());
        assert!(check_depth(&repeated("v", " RLIKE 1", OPERATORS_MAX + 1)).is_err());
        let ordered = " + percentile_cont(0.5) WITHIN GROUP (ORDER BY v)".repeat(OPERATORS_MAX);
        assert!(check_depth(&format!("SELECT 1{ordered} FROM t")).is_err());
        for name in ["by", "on", "where", "having", "select"] {
            let sum = format!(" + {name}").repeat(OPERATORS_MAX);
            assert!(check_depth(&format!("SELECT {name}{sum} FROM t")).is_err(), "{name}");
            let conditions = format!(" OR NOT {name}").repeat(OPERATORS_MAX);
            assert!(check_depth(&format!("SELECT {name}{conditions} FROM t")).is_err(), "{name}");
        }
        let cases = "CASE WHEN a THEN ".repeat(100);
        assert!(check_depth(&format!("SELECT {cases}1{} FROM t", " END".repeat(100))).is_err());
    }

    #[test]
    fn what_is_wide_is_not_deep() {
        let numbers = "1, ".repeat(10_000);
        assert_eq!(check_depth(&repeated("v IN (", &numbers, 1)), Ok(()));
        let columns = "a + b AS c, ".repeat(10_000);
        assert_eq!(check_depth(&format!("SELECT {columns}1 FROM t")), Ok(()));
        let branches = "WHEN v = 1 AND w = 2 THEN 3 ".repeat(10_000);
        assert_eq!(check_depth(&format!("SELECT CASE {branches}END FROM t")), Ok(()));
        let distinct = "a IS DISTINCT FROM b, ".repeat(1_000);
        assert_eq!(check_depth(&format!("SELECT {distinct}1 FROM t")), Ok(()));
        let brackets = "(a OR b), ".repeat(1_000);
        assert_eq!(check_depth(&format!("SELECT {brackets}1 FROM t")), Ok(()));
    }
}
