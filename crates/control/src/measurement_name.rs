//! Each group has its own measurements: `m` of the group `g` is `g/m` in the series store. Names of groups have no `/`.

use crate::error::ControlError;
use series::SeriesLimits;

/// The name in the series store.
pub(crate) fn stored(group: &str, measurement: &str) -> String {
    format!("{group}/{measurement}")
}

/// Whether the store takes the name.
pub(crate) fn check(group: &str, measurement: &str) -> Result<(), ControlError> {
    let (bytes, max) = (stored(group, measurement).len(), SeriesLimits::default().name_bytes_max);
    if bytes > max {
        let detail = format!("the measurement's name is {} bytes too long beside its group's", bytes - max);
        return Err(ControlError::invalid("name_too_long", detail)
            .with_hint(format!("both together may have {} bytes; name the sink's `measurement`", max - 1)));
    }
    Ok(())
}

/// Group and measurement of a name in the series store; `None` for one from before groups had their own.
pub(crate) fn split(stored: &str) -> Option<(&str, &str)> {
    stored.split_once('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_counts_with_its_groups() {
        assert!(check("rides", &"m".repeat(249)).is_ok());
        let error = check("rides", &"m".repeat(250)).unwrap_err();
        assert_eq!((error.code, error.hint.is_some()), ("name_too_long", true));
    }
}
