//! Where a dagger's results go. Every sink has the same two files: `config` (checks the query's columns before anything is
//! deployed) and `sink` (writes).

pub mod log;
pub mod series;
pub mod topic;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// What a sink has taken and refused since the dagger was started. No row is lost without being counted here.
#[derive(Debug, Default)]
pub struct SinkCounters {
    written: AtomicU64,
    refused: AtomicU64,
    last_refusal: Mutex<Option<String>>,
    notice: Mutex<Option<String>>,
}

impl SinkCounters {
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    pub fn last_refusal(&self) -> Option<String> {
        self.last_refusal.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    /// What somebody who looks for the results should know.
    pub fn notice(&self) -> Option<String> {
        self.notice.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).clone()
    }

    fn set_notice(&self, notice: String) {
        *self.notice.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(notice);
    }

    fn add_written(&self, rows: u64) {
        self.written.fetch_add(rows, Ordering::Relaxed);
    }

    fn add_refused(&self, rows: u64, why: String) {
        self.refused.fetch_add(rows, Ordering::Relaxed);
        *self.last_refusal.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(why);
    }
}
