//! Windows in words, for people.

use crate::duration::format_duration;
use operators::WindowKind;
use std::time::Duration;

/// All of a query's windows: `windows of 1m`.
pub(crate) fn windows_of(kind: WindowKind) -> String {
    let text = |ms: i64| format_duration(Duration::from_millis(ms.unsigned_abs()));
    match kind {
        WindowKind::Tumble { size_ms } => format!("windows of {}", text(size_ms)),
        WindowKind::Hop { slide_ms, size_ms } => format!("windows of {} every {}", text(size_ms), text(slide_ms)),
        WindowKind::Cumulate { step_ms, size_ms } => {
            format!("windows that grow by {} up to {}", text(step_ms), text(size_ms))
        }
        WindowKind::Session { gap_ms } => format!("sessions that end after {} of silence", text(gap_ms)),
    }
}

/// The aggregation as one thing in the query: `window of 1 minute`.
pub(crate) fn window_of(kind: WindowKind) -> String {
    match kind {
        WindowKind::Tumble { size_ms } => format!("window of {}", length(size_ms)),
        WindowKind::Hop { slide_ms, size_ms } => format!("window of {} every {}", length(size_ms), length(slide_ms)),
        WindowKind::Cumulate { step_ms, size_ms } => {
            format!("window that grows by {} up to {}", length(step_ms), length(size_ms))
        }
        WindowKind::Session { gap_ms } => format!("session with a gap of {}", length(gap_ms)),
    }
}

const UNITS: [(i64, &str); 5] =
    [(86_400_000, "day"), (3_600_000, "hour"), (60_000, "minute"), (1_000, "second"), (1, "millisecond")];

fn length(ms: i64) -> String {
    let (unit_ms, unit) = UNITS.into_iter().find(|(unit_ms, _)| ms % unit_ms == 0).unwrap_or((1, "millisecond"));
    let count = ms / unit_ms;
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_in_words() {
        let hop = WindowKind::Hop { size_ms: 3_600_000, slide_ms: 90_000 };
        assert_eq!(windows_of(hop), "windows of 1h every 90s");
        assert_eq!(window_of(hop), "window of 1 hour every 90 seconds");
        assert_eq!(window_of(WindowKind::Tumble { size_ms: 172_800_000 }), "window of 2 days");
        assert_eq!(window_of(WindowKind::Session { gap_ms: 1_500 }), "session with a gap of 1500 milliseconds");
    }
}
