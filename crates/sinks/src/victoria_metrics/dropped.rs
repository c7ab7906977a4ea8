//! Which lines the server would drop without a word, so that it is not given them and they are told of.

use delivery::{EncodedBatch, ErrorClass, RecordError};

use super::ServerSettings;
use crate::Precision;

/// Lines that a server with these settings drops, when its clock shows this.
pub(super) fn dropped(
    batch: &EncodedBatch,
    settings: &ServerSettings,
    precision: Precision,
    now_ms: i64,
) -> Vec<RecordError> {
    let reason = |index: usize| {
        let line = batch.record(index);
        time_reason(line, settings, precision, now_ms).or_else(|| label_reason(line, settings))
    };
    let error = |index: usize| Some(RecordError { index, class: ErrorClass::Refused, reason: reason(index)? });
    (0..batch.len()).filter_map(error).collect()
}

fn time_reason(line: &[u8], settings: &ServerSettings, precision: Precision, now_ms: i64) -> Option<String> {
    let line = line.trim_ascii_end();
    let time = &line[line.iter().rposition(|byte| *byte == b' ')? + 1..];
    let time: i64 = std::str::from_utf8(time).ok()?.parse().ok()?;
    let time_ms = match precision {
        Precision::Milliseconds => time,
        Precision::Microseconds => time / 1_000,
        Precision::Nanoseconds => time / 1_000_000,
    };
    if time_ms < 0 {
        return Some("its time is before 1970, where the server keeps nothing".to_owned());
    }
    let (age_ms, days) = (now_ms.saturating_sub(time_ms), |limit: std::time::Duration| limit.as_secs() / 86_400);
    match (settings.retention, settings.future) {
        (Some(retention), _) if i128::from(age_ms) > retention.as_millis() as i128 => Some(format!(
            "its time is further back than the {} days for which the server keeps points (-retentionPeriod)",
            days(retention)
        )),
        (_, Some(future)) if i128::from(-age_ms) > future.as_millis() as i128 => {
            Some(format!("its time is further ahead than the {} days that the server takes", days(future)))
        }
        _ => None,
    }
}

fn label_reason(line: &[u8], settings: &ServerSettings) -> Option<String> {
    let bytes_max = [settings.label_name_bytes_max, settings.label_value_bytes_max];
    // Neither a name nor a value is longer than its line.
    let may_be_long = bytes_max.iter().flatten().any(|limit| line.len() > *limit);
    let may_be_many =
        settings.labels_max.is_some_and(|limit| line.iter().filter(|byte| **byte == b',').count() > limit);
    if !may_be_long && !may_be_many {
        return None;
    }
    let tags = tag_sizes(line);
    if let Some(limit) = settings.labels_max.filter(|limit| tags.len() > *limit) {
        return Some(format!("it has {} tags, and the server takes {limit} (-maxLabelsPerTimeseries)", tags.len()));
    }
    for (name, value) in tags {
        if let Some(limit) = settings.label_name_bytes_max.filter(|limit| name > *limit) {
            return Some(format!("a tag's name has {name} bytes, and the server takes {limit} (-maxLabelNameLen)"));
        }
        if let Some(limit) = settings.label_value_bytes_max.filter(|limit| value > *limit) {
            return Some(format!("a tag's value has {value} bytes, and the server takes {limit} (-maxLabelValueLen)"));
        }
    }
    None
}

/// Bytes of each tag's name and value, without what escapes.
fn tag_sizes(line: &[u8]) -> Vec<(usize, usize)> {
    let mut tags: Vec<(usize, usize)> = Vec::new();
    let (mut is_escaped, mut in_value) = (false, false);
    for byte in line {
        match byte {
            b'\\' if !is_escaped => {
                is_escaped = true;
                continue;
            }
            b' ' if !is_escaped => break,
            b',' if !is_escaped => {
                tags.push((0, 0));
                in_value = false;
            }
            b'=' if !is_escaped && !in_value => in_value = true,
            _ => {
                if let Some((name, value)) = tags.last_mut() {
                    *if in_value { value } else { name } += 1;
                }
            }
        }
        is_escaped = false;
    }
    tags
}

#[cfg(test)]
mod tests {
    use super::*;
    use delivery::EncodedBatchBuilder;
    use std::time::Duration;

    const DAY_MS: i64 = 86_400_000;
    const NOW_MS: i64 = 1_800_000_000_000;

    fn reasons(settings: &ServerSettings, lines: &[String]) -> Vec<(usize, String)> {
        let mut batch = EncodedBatchBuilder::default();
        lines.iter().for_each(|line| batch.push(line.as_bytes()));
        let dropped = dropped(&batch.finish(), settings, Precision::Milliseconds, NOW_MS);
        dropped.into_iter().map(|error| (error.index, error.reason)).collect()
    }

    #[test]
    fn times_that_the_server_does_not_keep() {
        let days = |days: u64| Some(Duration::from_secs(days * 86_400));
        let settings = ServerSettings { retention: days(31), future: days(2), ..ServerSettings::default() };
        let line = |time: i64| format!("m,a=b\\ c v=1i {time}\n");
        let lines = [NOW_MS, -1, NOW_MS - 30 * DAY_MS, NOW_MS - 32 * DAY_MS, NOW_MS + DAY_MS, NOW_MS + 3 * DAY_MS];
        let lines = lines.map(line);
        let found = reasons(&settings, &lines);
        assert_eq!(found.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1, 3, 5]);
        assert!(found[1].1.contains("31 days") && found[2].1.contains("2 days"), "{found:?}");
        // Of a server that says nothing only what holds for every one is known.
        let unknown = reasons(&ServerSettings::default(), &lines);
        assert_eq!(unknown.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn labels_that_the_server_does_not_take() {
        let settings = ServerSettings {
            labels_max: Some(2),
            label_name_bytes_max: Some(3),
            label_value_bytes_max: Some(5),
            ..ServerSettings::default()
        };
        let line = |head: &str| format!("{head} v=1,w=2,x=3,y=4 {NOW_MS}\n");
        let lines =
            ["m,a=12345,b=x", "m,a=1\\ 3\\=5,b=\\\\", "m,a=123456", "m,abcd=1", "m\\,a,a=1,b=2,c=3", "measurement"];
        let found = reasons(&settings, &lines.map(line));
        assert_eq!(found.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [2, 3, 4]);
        for ((_, reason), word) in found.iter().zip(["-maxLabelValueLen", "-maxLabelNameLen", "3 tags"]) {
            assert!(reason.contains(word), "{reason}");
        }
    }
}
