//! Nothing but a list of features, in `Cargo.toml`.
//!
//! Cargo compiles a dependency once for every set of features that some selection of packages asks for. Without this
//! crate `-p series`, `-p sql` and the binary each want their own DataFusion, because something far below it (tokio,
//! tracing, hashbrown, ...) has one feature more in one of them; that is ten minutes of compiling each. A crate that
//! depends on this one gets the set that the whole workspace has, so all of them share one.
//!
//! When a new dependency brings a new difference, `cargo tree --workspace -e normal -f "{p} [{f}]"` compared with
//! `cargo tree -p NAME ...` shows it; it is then added to the list.
