//! What a server does with points without a word: it drops those outside of its retention or beyond its limits of labels, and
//! keeps the same point written twice twice unless it is told otherwise. Its `/flags` say all of it.

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

/// Of a server that has no flag for it.
const FUTURE: Duration = Duration::from_secs(2 * 86_400);

impl VictoriaMetricsConfig {
    /// What the server says of itself; nothing if it cannot be asked.
    pub async fn server_settings(&self, http: &HttpOptions) -> ServerSettings {
        let Ok(http) = Http::new(http, self.credential.clone()) else { return ServerSettings::default() };
        ask(&http, self).await.ok().flatten().unwrap_or_default()
    }
}

/// `None` if the server does not say: it keeps its flags for others, or is a `vminsert`, whose storage has them. An error when
/// it could not be given anything either.
pub(super) async fn ask(http: &Http, config: &VictoriaMetricsConfig) -> Result<Option<ServerSettings>, CallError> {
    let reply = http.get(request::flags_url(config)).await?;
    match reply.status.as_u16() {
        200..=299 => Ok(Some(read(&reply.text()))),
        429 | 500..=599 => Err(reply.error()),
        _ => Ok(None),
    }
}

/// Lines such as `-retentionPeriod="1"`.
fn read(flags: &str) -> ServerSettings {
    let flag = |name: &str| {
        let mut lines = flags.lines().filter_map(|line| line.trim().trim_start_matches('-').split_once('='));
        lines.find(|(known, _)| *known == name).map(|(_, value)| value.trim_matches('"').to_owned())
    };
    // 0 is no limit.
    let limit = |name: &str| flag(name)?.parse().ok().filter(|limit| *limit > 0);
    let retention = flag("retentionPeriod").as_deref().and_then(duration);
    ServerSettings {
        retention,
        future: flag("futureRetention").as_deref().and_then(duration).or(retention.map(|_| FUTURE)),
        labels_max: limit("maxLabelsPerTimeseries"),
        label_name_bytes_max: limit("maxLabelNameLen"),
        label_value_bytes_max: limit("maxLabelValueLen"),
        deduplicates: flag("dedup.minScrapeInterval").map(|interval| !matches!(interval.as_str(), "0" | "0s" | "")),
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
        let settings = read(
            "-a=\"b\"\n-dedup.minScrapeInterval=\"0s\"\n-retentionPeriod=\"1\"\n-maxLabelsPerTimeseries=\"40\"\n\
             -maxLabelNameLen=\"256\"\n-maxLabelValueLen=\"0\"\n",
        );
        let expected = ServerSettings {
            retention: days(31),
            future: days(2),
            labels_max: Some(40),
            label_name_bytes_max: Some(256),
            label_value_bytes_max: None,
            deduplicates: Some(false),
        };
        assert_eq!(settings, expected);
        let settings = read("-dedup.minScrapeInterval=\"1ms\"\n-retentionPeriod=\"100y\"\n-futureRetention=\"3d\"");
        assert_eq!((settings.deduplicates, settings.retention), (Some(true), days(36_500)));
        assert_eq!(settings.future, days(3));
        assert_eq!(read("<html>"), ServerSettings::default());
    }
}
