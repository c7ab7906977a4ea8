//! Rates and latencies of the last while, in a fixed amount of memory.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::LatencyStatus;

const RATE_SPAN: Duration = Duration::from_secs(10);
const RATE_STEP: Duration = Duration::from_millis(900);

/// How fast counters have grown lately.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    samples: VecDeque<(Instant, [u64; 2])>,
}

impl Rates {
    /// Takes both counters as of now; returns how fast they grow a second.
    pub fn note(&mut self, now: Instant, counters: [u64; 2]) -> [f64; 2] {
        if self.samples.back().is_none_or(|(last, _)| now - *last >= RATE_STEP) {
            self.samples.push_back((now, counters));
        }
        while self.samples.len() > 2 && self.samples.front().is_some_and(|(first, _)| now - *first > RATE_SPAN) {
            self.samples.pop_front();
        }
        let Some((first, before)) = self.samples.front() else { return [0.0; 2] };
        let seconds = (now - *first).as_secs_f64().max(RATE_STEP.as_secs_f64());
        // Counters go back with a rewind.
        [0, 1].map(|index| counters[index].saturating_sub(before[index]) as f64 / seconds)
    }
}

/// Four buckets for each doubling, from a millisecond on.
const BUCKETS: usize = 4 * 40;
const LATENCY_PERIODS: usize = 6;
const LATENCY_PERIOD: Duration = Duration::from_secs(10);

/// Latencies of about the last minute.
#[derive(Debug)]
pub(crate) struct Latencies {
    periods: VecDeque<Box<[u64; BUCKETS]>>,
    began: Instant,
}

impl Latencies {
    pub fn new(now: Instant) -> Self {
        Self { periods: VecDeque::from([Box::new([0; BUCKETS])]), began: now }
    }

    pub fn note(&mut self, latency_ms: i64, weight: u64) {
        if let Some(period) = self.periods.back_mut() {
            period[bucket(latency_ms)] += weight;
        }
    }

    pub fn status(&mut self, now: Instant) -> Option<LatencyStatus> {
        let ended = (now - self.began).as_millis() / LATENCY_PERIOD.as_millis();
        if ended > 0 {
            self.began = now;
            for _ in 0..ended.min(LATENCY_PERIODS as u128) {
                self.periods.push_back(Box::new([0; BUCKETS]));
            }
            while self.periods.len() > LATENCY_PERIODS {
                self.periods.pop_front();
            }
        }
        let mut sum = [0u64; BUCKETS];
        for period in &self.periods {
            sum.iter_mut().zip(period.iter()).for_each(|(sum, count)| *sum += count);
        }
        let total: u64 = sum.iter().sum();
        let quantile = |share: f64| {
            let rank = ((total as f64 * share).ceil() as u64).max(1);
            let mut seen = 0;
            let found = sum.iter().position(|count| {
                seen += count;
                seen >= rank
            });
            Duration::from_millis(longest_of(found.unwrap_or(BUCKETS - 1)))
        };
        (total > 0).then(|| LatencyStatus { p50: quantile(0.5), p99: quantile(0.99) })
    }
}

fn bucket(latency_ms: i64) -> usize {
    let ms = latency_ms.max(1) as u64;
    let doublings = ms.ilog2();
    let quarter = if doublings >= 2 { (ms >> (doublings - 2)) & 3 } else { (ms << (2 - doublings)) & 3 };
    (4 * doublings as usize + quarter as usize).min(BUCKETS - 1)
}

/// Of a bucket, in milliseconds.
fn longest_of(bucket: usize) -> u64 {
    let (doublings, quarter) = (bucket / 4, bucket as u64 % 4);
    ((5 + quarter) << doublings).div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_quarter() {
        let now = Instant::now();
        for ms in [1, 2, 3, 7, 100, 999, 12_345, 3_600_000, 86_400_000 * 30] {
            let mut latencies = Latencies::new(now);
            assert_eq!(latencies.status(now), None);
            (0..98).for_each(|_| latencies.note(ms, 1));
            latencies.note(ms * 10, 2);
            let status = latencies.status(now).unwrap();
            let near = |found: Duration, wanted: i64| {
                let found = found.as_millis() as f64;
                assert!(found >= wanted as f64 && found <= wanted as f64 * 1.25 + 1.0, "{wanted}: {found}");
            };
            near(status.p50, ms);
            near(status.p99, ms * 10);
            assert!(latencies.status(now + Duration::from_secs(59)).is_some());
            assert_eq!(latencies.status(now + Duration::from_secs(180)), None);
        }
        let mut latencies = Latencies::new(now);
        latencies.note(-5, 1);
        assert_eq!(latencies.status(now).unwrap().p50, Duration::from_millis(2));
    }

    #[test]
    fn rates_are_of_the_last_seconds() {
        let (began, mut rates) = (Instant::now(), Rates::default());
        let mut rate = [0.0; 2];
        for second in 0..60u64 {
            let read = if second < 30 { second * 1_000 } else { 30_000 };
            rate = rates.note(began + Duration::from_secs(second), [read, second * 10]);
            if second == 20 {
                assert!((rate[0] - 1_000.0).abs() < 1.0 && (rate[1] - 10.0).abs() < 0.1, "{rate:?}");
            }
        }
        assert!(rate[0] == 0.0 && (rate[1] - 10.0).abs() < 0.1, "{rate:?}");
    }
}
