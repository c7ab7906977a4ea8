//! How long to wait before a call is tried again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffOptions {
    pub first: Duration,
    /// Doubled from try to try up to here.
    pub longest: Duration,
    /// A sink that asks for a longer pause is called after this all the same.
    pub retry_after_max: Duration,
}

impl Default for BackoffOptions {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(200),
            longest: Duration::from_secs(30),
            retry_after_max: Duration::from_secs(600),
        }
    }
}

/// Exponential, with a jitter of half: callers that failed together do not come back together.
#[derive(Debug)]
pub(crate) struct Backoff {
    options: BackoffOptions,
    failures: u32,
    random: u64,
}

impl Backoff {
    pub(crate) fn new(options: BackoffOptions) -> Self {
        Self::with_seed(options, RandomState::new().hash_one(0))
    }

    pub(crate) fn with_seed(options: BackoffOptions, seed: u64) -> Self {
        Self { options, failures: 0, random: seed }
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next wait. Never shorter than what the sink has asked for, within the limit.
    pub(crate) fn next(&mut self, retry_after: Option<Duration>) -> Duration {
        let whole = self.options.first.saturating_mul(2u32.saturating_pow(self.failures)).min(self.options.longest);
        self.failures = self.failures.saturating_add(1);
        let wait = whole.mul_f64(0.5 + 0.5 * self.fraction());
        let asked = retry_after.unwrap_or_default().min(self.options.retry_after_max);
        wait.max(asked)
    }

    /// 0 to 1, by SplitMix64 (Steele, Lea and Flood, 2014).
    fn fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPTIONS: BackoffOptions = BackoffOptions {
        first: Duration::from_millis(100),
        longest: Duration::from_secs(5),
        retry_after_max: Duration::from_secs(60),
    };

    #[test]
    fn waits_double_up_to_a_limit_and_begin_anew() {
        for seed in 0..50 {
            let mut backoff = Backoff::with_seed(OPTIONS, seed);
            for failure in 0..40 {
                let whole = Duration::from_millis(100 << failure.min(10)).min(OPTIONS.longest);
                let wait = backoff.next(None);
                assert!(wait >= whole / 2 && wait <= whole, "seed {seed}, failure {failure}: {wait:?}");
            }
            backoff.reset();
            assert!(backoff.next(None) <= OPTIONS.first);
        }
        let waits: std::collections::HashSet<_> =
            (0..50).map(|seed| Backoff::with_seed(OPTIONS, seed).next(None)).collect();
        assert!(waits.len() > 40, "{} different waits of 50", waits.len());
    }

    #[test]
    fn the_sink_is_not_called_before_it_wants_to_be_within_reason() {
        let mut backoff = Backoff::with_seed(OPTIONS, 1);
        assert_eq!(backoff.next(Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(backoff.next(Some(Duration::from_secs(86_400))), OPTIONS.retry_after_max);
    }
}
