//! How much somebody may ask for, and how much work one row may be.

/// Of one template.
pub const TEMPLATE_BYTES_MAX: usize = 16 << 10;
/// Of the text that a template makes of one row.
pub const OUTPUT_BYTES_MAX: usize = 4 << 20;
/// Of the work for one row, in minijinja's unit: an instruction, or 64 bytes that are made or looked at.
pub(crate) const TEMPLATE_FUEL: u64 = 400_000;
pub(crate) const TEMPLATE_RECURSION_MAX: usize = 50;
/// Lists and maps inside each other, when a template writes them.
pub(crate) const VALUE_DEPTH_MAX: usize = 100;
/// Of one CEL expression.
pub const EXPRESSION_BYTES_MAX: usize = 8 << 10;
/// Brackets and operators inside each other.
pub const EXPRESSION_DEPTH_MAX: usize = 64;
pub(crate) const EXPRESSION_FIELDS_MAX: usize = 256;
/// `+` of texts in an expression: what comes out is at most so many times as long as the record.
pub(crate) const EXPRESSION_JOINS_MAX: usize = 64;
/// `all`, `exists`, `map` and `filter` inside each other.
pub(crate) const LOOP_DEPTH_MAX: usize = 3;
/// How many times loops can make the texts and lists that they go over longer.
pub(crate) const LOOP_GROWTH_MAX: usize = 16;
/// Steps of loops inside each other, for one row.
pub(crate) const LOOP_STEPS_MAX: usize = 1_000_000;
/// Of the stack in which an expression is read: its parser is recursive.
pub(crate) const PARSER_STACK_BYTES: usize = 64 << 20;
/// Of the columns that come out.
pub const COLUMNS_MAX: usize = 1_000;
/// Of a column's name.
pub const NAME_BYTES_MAX: usize = 255;
/// Of a JSON Schema, written as JSON.
pub const JSON_SCHEMA_BYTES_MAX: usize = 256 << 10;

const _: () = assert!(OUTPUT_BYTES_MAX as u64 <= TEMPLATE_FUEL * 64, "the fuel is enough for the longest output");
