//! What a server does with points without a word: older ones than its retention are dropped, and the same point written twice
//! is kept twice unless it is told otherwise. Its `/flags` say both.

use std::time::Duration;

use super::VictoriaMetricsConfig;
use crate::{Http, HttpOptions};

/// The settings of a server that change what becomes of points.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ServerSettings {
    /// `None` when the server does not say.
    pub retention: Option<Duration>,
    /// Whether the same point written twice is there once; `None` when the server does not say.
    pub deduplicates: Option<bool>,
}

impl VictoriaMetricsConfig {
    /// What the server says of itself; nothing if it cannot be asked.
    pub async fn server_settings(&self, http: &HttpOptions) -> ServerSettings {
        let Ok(http) = Http::new(http, self.credential.clone()) else { return ServerSettings::default() };
        match http.get(self.endpoint.with("flags", &[])).await {
            Ok(reply) if reply.status.is_success() => read(&reply.text()),
            _ => ServerSettings::default(),
        }
    }
}

/// Lines such as `-retentionPeriod="1"`.
fn read(flags: &str) -> ServerSettings {
    let flag = |name: &str| {
        let mut lines = flags.lines().filter_map(|line| line.trim().trim_start_matches('-').split_once('='));
        lines.find(|(known, _)| *known == name).map(|(_, value)| value.trim_matches('"').to_owned())
    };
    ServerSettings {
        retention: flag("retentionPeriod").as_deref().and_then(duration),
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
        let settings = read("-a=\"b\"\n-dedup.minScrapeInterval=\"0s\"\n-retentionPeriod=\"1\"\n");
        assert_eq!(
            settings,
            ServerSettings { retention: Some(Duration::from_secs(31 * 86_400)), deduplicates: Some(false) }
        );
        let settings = read("-dedup.minScrapeInterval=\"1ms\"\n-retentionPeriod=\"100y\"");
        assert_eq!(settings.deduplicates, Some(true));
        assert_eq!(settings.retention, Some(Duration::from_secs(100 * 365 * 86_400)));
        assert_eq!(read("<html>"), ServerSettings::default());
    }
}
