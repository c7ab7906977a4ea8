//! What a server does with points without a word: it drops those outside of its retention or beyond its limits of labels, and
//! keeps the same point written twice twice unless it is told otherwise. Its `/metrics` say all of it.

use std::collections::BTreeMap;
use std::time::Duration;

use delivery::CallError;

use super::{VictoriaMetricsConfig, request};
use crate::{Http, HttpOptions};

/// The settings of a server that change what becomes of points; `None` is what the server does not say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ServerSettings {
    pub retention: Option<Duration>,
    /// How far ahead of its clock a point may be.
    pub future: Option<Duration>,
    pub labels_max: Option<usize>,
    pub label_name_bytes_max: Option<usize>,
    pub label_value_bytes_max: Option<usize>,
    /// Whether the same point written twice is there once.
    pub deduplicates: Option<bool>,
}

/// Of the metrics, at whose end the flags are.
const METRICS_BYTES_MAX: usize = 8 << 20;
/// Of a server that has no flag for it.
const FUTURE: Duration = Duration::from_secs(2 * 86_400);

impl VictoriaMetricsConfig {
    /// What the server says of itself; nothing if it cannot be asked.
    pub async fn server_settings(&self, http: &HttpOptions) -> ServerSettings {
        let Ok(http) = Http::new(http, self.credential.clone()) else { return ServerSettings::default() };
        ask(&http, self).await.ok().flatten().unwrap_or_default()
    }
}

/// `None` if the server does not say: it keeps its metrics for others, or is a `vminsert`, whose storage has them. An error when
/// it could not be given anything either.
pub(super) async fn ask(http: &Http, config: &VictoriaMetricsConfig) -> Result<Option<ServerSettings>, CallError> {
    let reply = http.get_up_to(request::metrics_url(config), METRICS_BYTES_MAX).await?;
    match reply.status.as_u16() {
        200..=299 => Ok(Some(read(&reply.text()))),
        429 | 500..=599 => Err(reply.error()),
        _ => Ok(None),
    }
}

/// Lines such as `flag{name="retentionPeriod", value="1", is_set="false"} 1`.
fn read(metrics: &str) -> ServerSettings {
    let flags: BTreeMap<&str, &str> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("flag{name=\"")?.split_once("\", value=\""))
        .filter_map(|(name, rest)| Some((name, rest.split_once('"')?.0)))
        .collect();
    let flag = |name: &str| flags.get(name).copied();
    // 0 is no limit.
    let limit = |name: &str| flag(name)?.parse().ok().filter(|limit| *limit > 0);
    let retention = flag("retentionPeriod").and_then(duration);
    ServerSettings {
        retention,
        future: flag("futureRetention").and_then(duration).or(retention.map(|_| FUTURE)),
        labels_max: limit("maxLabelsPerTimeseries"),
        label_name_bytes_max: limit("maxLabelNameLen"),
        label_value_bytes_max: limit("maxLabelValueLen"),
        deduplicates: flag("dedup.minScrapeInterval").map(|interval| !matches!(interval, "0" | "0s" | "")),
    }
}

/// A number of months, or with a unit `h`, `d`, `w`, `M` or `y`.
fn duration(text: &str) -> Option<Duration> {
    const DAY: f64 = 86_400.0;
    let (number, seconds) = match text.char_indices().last()? {
        (at, 'h') => (&text[..at], 3_600.0),
        (at, 'd') => (&text[..at], DAY),
        (at, 'w') => (&text[..at], 7.0 * DAY),
        (at, 'M') => (&text[..at], 31.0 * DAY),
        (at, 'y') => (&text[..at], 365.0 * DAY),
        _ => (text, 31.0 * DAY),
    };
    let number: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_read() {
        let days = |days: u64| Some(Duration::from_secs(days * 86_400));
        let page = |flags: &[(&str, &str)]| {
            let line = |(name, value): &(&str, &str)| {
                format!("flag{{name=\"{name}\", value=\"{value}\", is_set=\"false\"}} 1\n")
            };
            let lines: String = flags.iter().map(line).collect();
            format!("vm_rows{{type=\"storage/big\"}} 0\n{lines}")
        };
        let settings = read(&page(&[
            ("dedup.minScrapeInterval", "0s"),
            ("retentionPeriod", "1"),
            ("maxLabelsPerTimeseries", "40"),
            ("maxLabelNameLen", "256"),
            ("maxLabelValueLen", "0"),
        ]));
        let expected = ServerSettings {
            retention: days(31),
            future: days(2),
            labels_max: Some(40),
            label_name_bytes_max: Some(256),
            label_value_bytes_max: None,
            deduplicates: Some(false),
        };
        assert_eq!(settings, expected);
        let settings =
            read(&page(&[("dedup.minScrapeInterval", "1ms"), ("retentionPeriod", "100y"), ("futureRetention", "3d")]));
        assert_eq!((settings.deduplicates, settings.retention), (Some(true), days(36_500)));
        assert_eq!(settings.future, days(3));
        assert_eq!(read("<html>"), ServerSettings::default());
    }
}
