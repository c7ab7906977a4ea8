//! Which fields of a message are read.

use std::collections::BTreeMap;

/// A set of field paths. A path to a message stands for all of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Projection {
    pub(crate) root: Selection,
}

/// What of one message is selected: all of it, fields by name, or both (all of it and the exact seconds of a timestamp in it).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Selection {
    pub(crate) whole: bool,
    pub(crate) fields: BTreeMap<String, Selection>,
}

impl Selection {
    pub(crate) fn all() -> Self {
        Self { whole: true, fields: BTreeMap::new() }
    }
}

impl Projection {
    /// Every field.
    pub fn all() -> Self {
        Self { root: Selection::all() }
    }

    /// Dotted paths of field names, for example `order_id`, `pickup.lat`; `event_timestamp.seconds` and `.nanos` are the
    /// exact parts of a timestamp. No paths: framing is checked and there are no columns.
    pub fn paths<I, P>(paths: I) -> Self
    where
        I: IntoIterator<Item = P>,
        P: AsRef<str>,
    {
        let mut root = Selection::default();
        for path in paths {
            let mut level = &mut root;
            for part in path.as_ref().split('.') {
                level = level.fields.entry(part.to_owned()).or_default();
            }
            level.whole = true;
        }
        Self { root }
    }

    /// Every field that one of the two selects.
    pub fn union(&self, other: &Projection) -> Projection {
        let mut root = self.root.clone();
        merge(&mut root, &other.root);
        Self { root }
    }
}

fn merge(into: &mut Selection, from: &Selection) {
    into.whole |= from.whole;
    for (name, selection) in &from.fields {
        merge(into.fields.entry(name.clone()).or_default(), selection);
    }
}
