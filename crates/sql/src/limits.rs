//! Limits on what a query may be.

/// Longest query text, in bytes.
pub const SQL_BYTES_MAX: usize = 100_000;
/// Most columns in a result.
pub const OUTPUT_COLUMNS_MAX: usize = 1_000;
/// Deepest nesting of brackets in the text.
pub const NESTING_MAX: usize = 60;
/// Most tokens in the text.
pub const TOKENS_MAX: usize = 20_000;
/// Most operators in one expression, those of the brackets around it among them.
pub const OPERATORS_MAX: usize = 1_000;
/// Most joins and set operations in the text.
pub const CHAIN_MAX: usize = 200;
/// Most tables that a query reads, each table of a WITH counted as often as it is named.
pub const EXPANDED_TABLES_MAX: usize = 1_000;
