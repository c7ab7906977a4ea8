//! What one SELECT, of the statement or of a query within it, is executed with.

use chrono_tz::Tz;

use crate::QueryError;
use crate::ast::{Expr, Fill, Select};
use crate::compile::{Compiled, Interval};
use crate::condition::{TimeBounds, split};
use crate::reduce::Known;
use crate::time::{MAX_TIME, MIN_TIME, zone_offset};

/// Times are nanoseconds, both ends included.
#[derive(Clone, Debug)]
pub struct Level {
    pub start: i64,
    pub end: i64,
    pub interval: Interval,
    pub zone: Option<Tz>,
    /// Tags that the outermost query groups by, in their order.
    pub dimensions: Vec<String>,
    /// Tags that this query groups by, its own and those of the queries around it, in their order.
    pub group_by: Vec<String>,
    pub condition: Option<Expr>,
    pub fill: Fill,
    pub ascending: bool,
    pub limit: usize,
    pub offset: usize,
    pub slimit: usize,
    pub soffset: usize,
    pub now: i64,
}

fn tags_of(select: &Select) -> Vec<String> {
    let mut tags: Vec<String> = Vec::new();
    for dimension in &select.dimensions {
        if let Expr::Ref(reference) = dimension {
            tags.push(reference.name.clone());
        }
    }
    tags.sort();
    tags.dedup();
    tags
}

/// `GROUP BY time()` of a statement that has been compiled.
fn interval_of(select: &Select) -> Interval {
    for dimension in &select.dimensions {
        if let Expr::Call(call) = dimension
            && let Some(Expr::Duration(duration)) = call.args.first()
            && *duration > 0
        {
            let offset = match call.args.get(1) {
                Some(Expr::Duration(offset)) => offset % duration,
                _ => 0,
            };
            return Interval { duration: *duration, offset };
        }
    }
    Interval::default()
}

impl Level {
    /// The outermost level. `select` is the compiled statement with its wildcards expanded.
    pub fn outermost(compiled: &Compiled, select: &Select, now: i64) -> Self {
        let dimensions = tags_of(select);
        Self {
            start: compiled.start,
            end: compiled.end,
            interval: compiled.interval,
            zone: select.zone,
            group_by: dimensions.clone(),
            dimensions,
            condition: select.condition.clone(),
            fill: select.fill,
            ascending: select.ascending(),
            limit: select.limit,
            offset: select.offset,
            slimit: select.slimit,
            soffset: select.soffset,
            now,
        }
    }

    /// The level of a query within this one.
    pub fn inner(&self, select: &Select) -> Result<Self, QueryError> {
        let known = Known { now: None, zone: select.zone, math: false };
        let (condition, TimeBounds { min, max }) = split(select.condition.as_ref(), known)?;
        let own_interval = interval_of(select);
        let mut end = max.unwrap_or(MAX_TIME).min(self.end);
        if !own_interval.is_none() && end == MAX_TIME {
            end = self.now;
        }
        let mut group_by = tags_of(select);
        group_by.extend(self.group_by.iter().cloned());
        group_by.sort();
        group_by.dedup();
        Ok(Self {
            start: min.unwrap_or(MIN_TIME).max(self.start),
            end,
            interval: if own_interval.is_none() { self.interval } else { own_interval },
            zone: select.zone,
            dimensions: self.dimensions.clone(),
            group_by,
            condition,
            fill: if !select.raw && select.fill == Fill::Null { Fill::None } else { select.fill },
            ascending: self.ascending,
            limit: select.limit,
            offset: select.offset,
            slimit: select.slimit + self.slimit,
            soffset: select.soffset + self.soffset,
            now: self.now,
        })
    }

    fn zone_at(&self, nanos: i64) -> i64 {
        self.zone.map_or(0, |zone| zone_offset(zone, nanos))
    }

    /// The window that a time is in: its start, and its end, which is not in it.
    pub fn window(&self, time: i64) -> (i64, i64) {
        let Interval { duration, offset } = self.interval;
        if duration == 0 {
            return (self.start, self.end.saturating_add(1));
        }
        let time = time.saturating_sub(offset);
        let zone = self.zone_at(time);
        let into = time.saturating_add(zone).rem_euclid(duration);
        let mut start = if MIN_TIME.saturating_add(into) >= time { MIN_TIME } else { time - into };
        if self.zone.is_some() {
            let shift = zone - self.zone_at(start);
            if shift != 0 && shift.abs() < duration {
                start = start.saturating_add(shift);
            }
        }
        let left = duration - into;
        let mut end = if MAX_TIME - left <= time { MAX_TIME } else { time + left };
        if self.zone.is_some() {
            let end_zone = self.zone_at(end);
            let shift = zone - end_zone;
            if shift != 0
                && shift.abs() < duration
                && (shift > 0 || self.zone_at(end.saturating_add(shift)) == end_zone)
            {
                end = end.saturating_add(shift);
            }
        }
        (start.saturating_add(offset), end.saturating_add(offset))
    }

    /// The time that an aggregate of a window is shown at.
    pub fn shown_time(&self, time: i64) -> i64 {
        match self.window(time).0 {
            MIN_TIME => 0,
            start => start,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(duration: i64, offset: i64, zone: Option<Tz>) -> Level {
        Level {
            start: 3,
            end: 9,
            interval: Interval { duration, offset },
            zone,
            dimensions: Vec::new(),
            group_by: Vec::new(),
            condition: None,
            fill: Fill::Null,
            ascending: true,
            limit: 0,
            offset: 0,
            slimit: 0,
            soffset: 0,
            now: 0,
        }
    }

    #[test]
    fn windows() {
        assert_eq!(level(0, 0, None).window(5), (3, 10));
        assert_eq!(level(10, 0, None).window(25), (20, 30));
        assert_eq!(level(10, 0, None).window(-5), (-10, 0));
        assert_eq!(level(10, 3, None).window(22), (13, 23));
        assert_eq!(level(10, 0, None).window(MIN_TIME + 1).0, MIN_TIME);
    }

    #[test]
    fn days_of_a_zone_have_23_to_25_hours() {
        let hour = 3_600_000_000_000;
        let level = level(24 * hour, 0, Some(Tz::Europe__Berlin));
        let at = |text: &str| crate::time::parse_time(text, Some(Tz::Europe__Berlin)).map_or(0, |time| time as i64);
        let (start, end) = level.window(at("2026-03-29 12:00:00"));
        assert_eq!((start, end - start), (at("2026-03-29"), 23 * hour));
        let (start, end) = level.window(at("2026-10-25 12:00:00"));
        assert_eq!((start, end - start), (at("2026-10-25"), 25 * hour));
    }
}
