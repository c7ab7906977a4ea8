//! Bodies in, columns and words out.

mod bodies;
mod malformed;
