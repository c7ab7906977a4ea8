//! Each group has its own measurements: `m` of the group `g` is `g/m` in the series store. Names of groups have no `/`.

/// The name in the series store.
pub(crate) fn stored(group: &str, measurement: &str) -> String {
    format!("{group}/{measurement}")
}

/// Group and measurement of a name in the series store; `None` for one from before groups had their own.
pub(crate) fn split(stored: &str) -> Option<(&str, &str)> {
    stored.split_once('/')
}
