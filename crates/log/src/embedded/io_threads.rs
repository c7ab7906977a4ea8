//! The threads that write and fsync. They sleep while there is nothing to do.
//!
//! A partition is with one thread at a time. What is appended to it meanwhile waits for the next round, which one
//! fsync then covers: that is the group.

use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::partition::Partition;
use crate::batch_builder::BatchBuilder;
use crate::error::LogError;

/// Waiting for the disk takes no processor, so more of these than processors do no harm: fsyncs of different
/// partitions share the file system's own commit.
pub(crate) const IO_THREADS: usize = 4;
/// A thread keeps its buffer between rounds up to this size.
const KEPT_BUFFER_BYTES_MAX: usize = 2 << 20;

#[derive(Clone, Default)]
pub(crate) struct IoThreads {
    jobs: Arc<Jobs>,
}

#[derive(Default)]
struct Jobs {
    state: Mutex<State>,
    ready: Condvar,
    /// Told when the first partition waits for its interval to pass.
    sync_due: Condvar,
}

#[derive(Default)]
struct State {
    partitions: VecDeque<Arc<Partition>>,
    sync_later: Vec<Arc<Partition>>,
    stopping: bool,
}

impl IoThreads {
    pub fn start(&self) -> Result<Vec<JoinHandle<()>>, LogError> {
        (0..IO_THREADS)
            .map(|n| {
                let threads = self.clone();
                std::thread::Builder::new()
                    .name(format!("log-io-{n}"))
                    .spawn(move || threads.run())
                    .map_err(|error| LogError::io("cannot start a thread for", "the log", error))
            })
            .collect()
    }

    /// Sees to it that a thread takes the partition up.
    pub fn schedule(&self, partition: &Arc<Partition>) {
        if partition.scheduled.swap(true, Ordering::SeqCst) {
            return;
        }
        self.lock().partitions.push_back(partition.clone());
        self.jobs.ready.notify_one();
    }

    /// Lets the keeper fsync the partition when the interval has passed.
    pub fn sync_soon(&self, partition: &Arc<Partition>) {
        if partition.sync_listed.swap(true, Ordering::SeqCst) {
            return;
        }
        self.lock().sync_later.push(partition.clone());
        self.jobs.sync_due.notify_all();
    }

    /// The threads end when no work is left.
    pub fn stop(&self) {
        self.lock().stopping = true;
        self.jobs.ready.notify_all();
        self.jobs.sync_due.notify_all();
    }

    pub fn is_stopping(&self) -> bool {
        self.lock().stopping
    }

    /// Waits until partitions want an fsync, or the time is over, or the end has come.
    pub fn wait_for_sync_due(&self, timeout: std::time::Duration) -> bool {
        let state = self.lock();
        let idle = |state: &mut State| state.sync_later.is_empty() && !state.stopping;
        let (state, _) =
            self.jobs.sync_due.wait_timeout_while(state, timeout, idle).unwrap_or_else(PoisonError::into_inner);
        !state.sync_later.is_empty()
    }

    /// Sleeps, unless the end comes.
    pub fn sleep(&self, time: std::time::Duration) {
        let state = self.lock();
        let _ = self.jobs.sync_due.wait_timeout_while(state, time, |state| !state.stopping);
    }

    /// Schedules what waited for its interval.
    pub fn sync_now(&self) {
        let due = std::mem::take(&mut self.lock().sync_later);
        for partition in &due {
            partition.sync_listed.store(false, Ordering::SeqCst);
            partition.sync_wanted.store(true, Ordering::SeqCst);
            self.schedule(partition);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.jobs.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut merged = BatchBuilder::new();
        while let Some(partition) = self.next() {
            partition.write_queued(&mut merged);
            if merged.bytes() > KEPT_BUFFER_BYTES_MAX {
                merged = BatchBuilder::new();
            }
            partition.scheduled.store(false, Ordering::SeqCst);
            if partition.has_work() {
                self.schedule(&partition); // behind the others
            }
        }
    }

    fn next(&self) -> Option<Arc<Partition>> {
        let mut state = self.lock();
        loop {
            if let Some(partition) = state.partitions.pop_front() {
                return Some(partition);
            }
            if state.stopping {
                return None;
            }
            state = self.jobs.ready.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
