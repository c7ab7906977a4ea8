//! Windows as arithmetic on slices.
//!
//! A slice is the widest span that no window boundary cuts: `gcd(size, slide)`. Rows are aggregated per slice, windows are
//! unions of slices (Traub et al., "Efficient Window Aggregation with General Stream Slicing", EDBT 2019).
//! All times are milliseconds since the epoch; windows align to the epoch plus `offset_ms`, as Flink's do.

/// The kind of a window with its lengths in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WindowKind {
    /// Back to back windows of `size_ms`.
    Tumble { size_ms: i64 },
    /// Windows of `size_ms`, one starting every `slide_ms`.
    Hop { size_ms: i64, slide_ms: i64 },
    /// Windows that grow by `step_ms` until `size_ms` is reached, then start anew.
    Cumulate { size_ms: i64, step_ms: i64 },
    /// Per key: rows closer than `gap_ms` to each other.
    Session { gap_ms: i64 },
}

/// Why a window cannot be built.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WindowSpecError {
    #[error("a window's {what} must be longer than zero")]
    NotPositive { what: &'static str },
    #[error("the window size must be a multiple of the cumulate step")]
    StepDoesNotDivide,
    #[error(
        "a window of {slices} slices is too fine: at most {limit} slices per window; make size and slide multiples of a longer unit"
    )]
    TooManySlices { slices: i64, limit: i64 },
}

/// At most this many slices make a window; more would make every emission walk too many partials.
pub const SLICES_PER_WINDOW_MAX: i64 = 100_000;

/// A validated window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct WindowSpec {
    kind: WindowKind,
    offset_ms: i64,
}

impl WindowSpec {
    /// Checks lengths and makes the window; `offset_ms` shifts its boundaries.
    pub fn new(kind: WindowKind, offset_ms: i64) -> Result<Self, WindowSpecError> {
        let positive = |value: i64, what| {
            if value > 0 { Ok(()) } else { Err(WindowSpecError::NotPositive { what }) }
        };
        match kind {
            WindowKind::Tumble { size_ms } => positive(size_ms, "size")?,
            WindowKind::Hop { size_ms, slide_ms } => {
                positive(size_ms, "size")?;
                positive(slide_ms, "slide")?;
            }
            WindowKind::Cumulate { size_ms, step_ms } => {
                positive(size_ms, "size")?;
                positive(step_ms, "step")?;
                if size_ms % step_ms != 0 {
                    return Err(WindowSpecError::StepDoesNotDivide);
                }
            }
            WindowKind::Session { gap_ms } => positive(gap_ms, "gap")?,
        }
        let spec = WindowSpec { kind, offset_ms };
        let slices = spec.slices_per_window();
        if slices > SLICES_PER_WINDOW_MAX {
            return Err(WindowSpecError::TooManySlices { slices, limit: SLICES_PER_WINDOW_MAX });
        }
        Ok(spec)
    }

    /// The kind and lengths.
    pub fn kind(&self) -> WindowKind {
        self.kind
    }

    /// How far its boundaries are shifted from the epoch.
    pub fn offset_ms(&self) -> i64 {
        self.offset_ms
    }

    /// Whether windows are per key rather than aligned to the clock.
    pub fn is_session(&self) -> bool {
        matches!(self.kind, WindowKind::Session { .. })
    }

    /// The session gap, for sessions.
    pub fn gap_ms(&self) -> i64 {
        match self.kind {
            WindowKind::Session { gap_ms } => gap_ms,
            _ => 0,
        }
    }

    /// Width of a slice.
    pub fn slice_ms(&self) -> i64 {
        match self.kind {
            WindowKind::Tumble { size_ms } => size_ms,
            WindowKind::Hop { size_ms, slide_ms } => gcd(size_ms, slide_ms),
            WindowKind::Cumulate { step_ms, .. } => step_ms,
            WindowKind::Session { gap_ms } => gap_ms,
        }
    }

    /// How many slices the longest window has.
    pub fn slices_per_window(&self) -> i64 {
        match self.kind {
            WindowKind::Tumble { .. } | WindowKind::Session { .. } => 1,
            WindowKind::Hop { size_ms, .. } | WindowKind::Cumulate { size_ms, .. } => size_ms / self.slice_ms(),
        }
    }

    /// Start of the slice that holds `time_ms`.
    pub fn slice_start(&self, time_ms: i64) -> i64 {
        let slice = self.slice_ms();
        time_ms - (time_ms - self.offset_ms).rem_euclid(slice)
    }

    /// Running number of the slice that starts at `slice_start`.
    pub fn slice_index(&self, slice_start: i64) -> i64 {
        (slice_start - self.offset_ms).div_euclid(self.slice_ms())
    }

    /// Start of the slice with that running number.
    pub fn slice_start_of_index(&self, index: i64) -> i64 {
        index * self.slice_ms() + self.offset_ms
    }

    /// End of the earliest window that contains the slice; `None` when it lies between windows.
    pub fn first_end(&self, slice_start: i64) -> Option<i64> {
        match self.kind {
            WindowKind::Tumble { size_ms } => Some(slice_start + size_ms),
            WindowKind::Cumulate { step_ms, .. } => Some(slice_start + step_ms),
            WindowKind::Session { gap_ms } => Some(slice_start + gap_ms),
            WindowKind::Hop { size_ms, slide_ms } => {
                let relative = slice_start - self.offset_ms;
                let first = div_ceil(relative + self.slice_ms() - size_ms, slide_ms);
                (first * slide_ms <= relative).then_some(first * slide_ms + size_ms + self.offset_ms)
            }
        }
    }

    /// End of the last window that contains the slice.
    pub fn last_end(&self, slice_start: i64) -> i64 {
        match self.kind {
            WindowKind::Tumble { size_ms } => slice_start + size_ms,
            WindowKind::Session { gap_ms } => slice_start + gap_ms,
            WindowKind::Cumulate { size_ms, .. } => {
                let relative = slice_start - self.offset_ms;
                relative.div_euclid(size_ms) * size_ms + size_ms + self.offset_ms
            }
            WindowKind::Hop { size_ms, slide_ms } => {
                let relative = slice_start - self.offset_ms;
                relative.div_euclid(slide_ms) * slide_ms + size_ms + self.offset_ms
            }
        }
    }

    /// End of the earliest window that contains the slice and ends after `after_ms`, and how many windows of the slice end
    /// at or before it. `None` when no window is left.
    pub fn first_end_after(&self, slice_start: i64, after_ms: i64) -> Option<(i64, u64)> {
        let first = self.first_end(slice_start)?;
        if first > after_ms {
            return Some((first, 0));
        }
        let step = match self.kind {
            WindowKind::Tumble { .. } | WindowKind::Session { .. } => return None,
            WindowKind::Hop { slide_ms, .. } => slide_ms,
            WindowKind::Cumulate { step_ms, .. } => step_ms,
        };
        let missed = (after_ms - first) / step + 1;
        let end = first + missed * step;
        (end <= self.last_end(slice_start)).then_some((end, missed as u64))
    }

    /// Start of the window that ends at `end_ms`.
    pub fn start_of(&self, end_ms: i64) -> i64 {
        match self.kind {
            WindowKind::Tumble { size_ms } | WindowKind::Hop { size_ms, .. } => end_ms - size_ms,
            WindowKind::Cumulate { size_ms, .. } => {
                let relative = end_ms - 1 - self.offset_ms;
                relative.div_euclid(size_ms) * size_ms + self.offset_ms
            }
            WindowKind::Session { gap_ms } => end_ms - gap_ms,
        }
    }
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn div_ceil(a: i64, b: i64) -> i64 {
    -(-a).div_euclid(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every window that contains `time`, by the definition of the window, not by slices.
    fn windows_by_definition(kind: WindowKind, offset: i64, time: i64) -> Vec<(i64, i64)> {
        let mut windows = Vec::new();
        match kind {
            WindowKind::Tumble { size_ms } => {
                for start in (time - size_ms..=time).filter(|s| (s - offset).rem_euclid(size_ms) == 0) {
                    windows.push((start, start + size_ms));
                }
            }
            WindowKind::Hop { size_ms, slide_ms } => {
                for start in (time - size_ms..=time).filter(|s| (s - offset).rem_euclid(slide_ms) == 0) {
                    windows.push((start, start + size_ms));
                }
            }
            WindowKind::Cumulate { size_ms, step_ms } => {
                let start = time - (time - offset).rem_euclid(size_ms);
                for step in 1..=size_ms / step_ms {
                    windows.push((start, start + step * step_ms));
                }
            }
            WindowKind::Session { .. } => {}
        }
        windows.retain(|(start, end)| *start <= time && time < *end);
        windows
    }

    #[test]
    fn slices_give_exactly_the_windows_of_the_definition() {
        let kinds = [
            WindowKind::Tumble { size_ms: 6 },
            WindowKind::Hop { size_ms: 12, slide_ms: 4 },
            WindowKind::Hop { size_ms: 10, slide_ms: 4 },
            WindowKind::Hop { size_ms: 3, slide_ms: 5 },
            WindowKind::Hop { size_ms: 7, slide_ms: 1 },
            WindowKind::Cumulate { size_ms: 12, step_ms: 3 },
        ];
        for kind in kinds {
            for offset in [0, 1, -2, 7] {
                let spec = WindowSpec::new(kind, offset).unwrap();
                for time in -40..40 {
                    let mut found = Vec::new();
                    let slice = spec.slice_start(time);
                    assert!(slice <= time && time < slice + spec.slice_ms());
                    let mut after = i64::MIN / 4;
                    while let Some((end, _)) = spec.first_end_after(slice, after) {
                        found.push((spec.start_of(end), end));
                        after = end;
                    }
                    let expected = windows_by_definition(kind, offset, time);
                    assert_eq!(found, expected, "{kind:?} offset {offset} time {time}");
                    if let Some((_, end)) = expected.last() {
                        assert_eq!(spec.last_end(slice), *end);
                        let missed: Vec<u64> = expected
                            .iter()
                            .map(|(_, end)| spec.first_end_after(slice, end - 1).map_or(99, |(_, missed)| missed))
                            .collect();
                        assert_eq!(missed, (0..expected.len() as u64).collect::<Vec<_>>());
                    }
                }
            }
        }
    }

    #[test]
    fn lengths_are_checked() {
        assert!(WindowSpec::new(WindowKind::Tumble { size_ms: 0 }, 0).is_err());
        assert!(WindowSpec::new(WindowKind::Cumulate { size_ms: 10, step_ms: 3 }, 0).is_err());
        assert!(WindowSpec::new(WindowKind::Hop { size_ms: 86_400_000 * 30, slide_ms: 1 }, 0).is_err());
    }
}
