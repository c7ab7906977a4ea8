//! Columns by the names that people write.

use arrow::datatypes::Schema;

/// What helps somebody who has named a column that is not there.
pub(crate) fn known_columns(written: &str, schema: &Schema) -> String {
    let names = || schema.fields().iter().map(|field| field.name().as_str());
    match nearest(written, names()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the columns are: {}", names().collect::<Vec<_>>().join(", ")),
    }
}

/// The candidate that is most like what was written, if one is alike.
pub(crate) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lowered = written.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(&lowered, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 2.max(candidate.len().max(written.len()) / 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The column that a template is, without anything around it: `{{ _key }}`.
pub(crate) fn only_field(text: &str, schema: &Schema) -> Option<usize> {
    let name = text.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim();
    schema.index_of(name).ok()
}
