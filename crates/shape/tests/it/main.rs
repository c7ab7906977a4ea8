//! Filters, columns and templates as whoever writes them sees them.

mod booking;
mod columns;
mod filter;
mod garbage;
mod json_schema;
mod pages;
mod random;
mod template;
