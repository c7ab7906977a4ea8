//! Where a dagger's results go. Every sink has the same two files: `config` (checks the query's columns before anything is
//! deployed) and `sink` (writes).

pub mod external;
pub mod log;
mod point_columns;
pub mod series;
pub mod topic;

pub use point_columns::{RecordMarks, RowsOfRecord};

use delivery::DeliveryCounts;
use external::RowsWatch;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// An answer that takes longer is told.
const WAIT_TOLD: Duration = Duration::from_secs(5);
/// So is a server that has been in trouble for longer.
const PROBLEM_TOLD: Duration = Duration::from_secs(1);

/// What a sink has taken and refused since the dagger was started. No row is lost without being counted here.
#[derive(Default)]
pub struct SinkCounters {
    written: AtomicU64,
    refused: AtomicU64,
    last_refusal: Mutex<Option<String>>,
    notice: Mutex<Option<String>>,
    /// Whose answer is awaited, and since when.
    awaited: Mutex<Option<(String, Instant)>>,
    /// Where a courier brings the rows.
    courier: Mutex<Option<RowsWatch>>,
}

/// As long as it is there, an answer is awaited.
pub struct Awaiting(Arc<SinkCounters>);

impl Drop for Awaiting {
    fn drop(&mut self) {
        *lock(&self.0.awaited) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl SinkCounters {
    pub fn written(&self) -> u64 {
        self.delivery().map_or_else(|| self.written.load(Ordering::Relaxed), |counts| counts.delivered)
    }

    /// For a sink with a courier.
    pub fn delivery(&self) -> Option<DeliveryCounts> {
        lock(&self.courier).as_ref().map(RowsWatch::counts)
    }

    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub fn last_refusal(&self) -> Option<String> {
        lock(&self.last_refusal).clone()
    }

    /// What somebody who looks for the results should know.
    pub fn notice(&self) -> Option<String> {
        lock(&self.notice).clone()
    }

    /// What keeps results from getting on while a call does not come back.
    pub fn delay(&self) -> Option<String> {
        let problem = lock(&self.courier).as_ref().and_then(RowsWatch::problem);
        if let Some(problem) = problem.filter(|problem| problem.lasts >= PROBLEM_TOLD) {
            return Some(problem.message);
        }
        let awaited = lock(&self.awaited);
        let (whom, since) = awaited.as_ref().filter(|(_, since)| since.elapsed() >= WAIT_TOLD)?;
        Some(format!("{whom} has not answered for {} s; waiting", since.elapsed().as_secs()))
    }

    fn awaiting(self: &Arc<Self>, whom: String) -> Awaiting {
        *lock(&self.awaited) = Some((whom, Instant::now()));
        Awaiting(Arc::clone(self))
    }

    fn watch(&self, courier: RowsWatch) {
        *lock(&self.courier) = Some(courier);
    }

    fn set_notice(&self, notice: String) {
        *lock(&self.notice) = Some(notice);
    }

    fn add_written(&self, rows: u64) {
        self.written.fetch_add(rows, Ordering::Relaxed);
    }

    fn add_refused(&self, rows: u64, why: String) {
        self.refused.fetch_add(rows, Ordering::Relaxed);
        *lock(&self.last_refusal) = Some(why);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_long_wait_is_told() {
        let counters = Arc::new(SinkCounters::default());
        let awaiting = counters.awaiting("Kafka cluster \"kafka\"".to_owned());
        assert_eq!(counters.delay(), None);
        if let Some((_, since)) = lock(&counters.awaited).as_mut() {
            *since -= Duration::from_secs(12);
        }
        assert_eq!(counters.delay().as_deref(), Some("Kafka cluster \"kafka\" has not answered for 12 s; waiting"));
        drop(awaiting);
        assert_eq!(counters.delay(), None);
    }
}
