//! The reference of all functions as data: for completion, hover help and the generated documentation.

/// What a function makes of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FunctionKind {
    /// One row in, one value out.
    Scalar,
    /// Many rows in, one value out.
    Aggregate,
    /// One row in, rows out (`LATERAL TABLE(...)`).
    Table,
}

/// One function of the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FunctionDoc {
    /// As people write it, for example `S2Id`. SQL matches it without regard to case.
    pub name: &'static str,
    pub kind: FunctionKind,
    /// For example `S2Id(lat DOUBLE, lon DOUBLE, level INT) -> STRING`.
    pub signature: &'static str,
    /// What it returns, its rule for NULL, its limits, and where it differs from Dagger or Flink.
    pub description: &'static str,
    /// A call that runs.
    pub example: &'static str,
}

/// All functions of this crate, by kind, then by name.
pub fn docs() -> Vec<FunctionDoc> {
    let mut scalars: Vec<FunctionDoc> = crate::scalar_definitions().map(|definition| definition.doc).collect();
    let mut aggregates = crate::aggregates::docs();
    let mut rows: Vec<FunctionDoc> = crate::rows::ROW_FUNCTIONS.iter().map(|(definition, _)| definition.doc).collect();
    for docs in [&mut scalars, &mut aggregates, &mut rows] {
        docs.sort_by_key(|doc| doc.name.to_ascii_lowercase());
    }
    [scalars, aggregates, rows].concat()
}
