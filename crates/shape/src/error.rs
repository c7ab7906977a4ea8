//! What is wrong with a filter, a template or a column.

/// Something that somebody wrote does not fit: where, what is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {detail}")]
pub struct ShapeError {
    /// `filter`, `jsonSchema`, `timeWindow.field`, `columns[2].expression`; for a template it is `template`, and whoever
    /// compiles it knows better.
    pub place: String,
    pub detail: String,
    pub hint: String,
}

impl ShapeError {
    pub(crate) fn at(place: impl Into<String>, detail: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { place: place.into(), detail: detail.into(), hint: hint.into() }
    }

    /// The same, said of another place.
    pub fn placed(self, place: impl Into<String>) -> Self {
        Self { place: place.into(), ..self }
    }
}
