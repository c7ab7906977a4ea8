//! A batch as requests: several on their way at a time, those of one key one after the other.
//!
//! When the server is in trouble, what is left is not sent, so that thousands of requests are not tried in vain. Every record
//! that was not sent is named with the others that were not taken.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use delivery::{Answer, CallError, Destination, EncodedBatch, ErrorClass, RecordError};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::HttpSink;
use super::config::{Framing, Target};
use super::head::head_of;

/// After so many failed requests without one that was answered, the rest is left.
const FAILURES_MAX: u32 = 8;
/// No request of a call begins after this, so that a call ends before the courier gives it up.
const SENDING_TIME_MAX: Duration = Duration::from_secs(20);

/// A server that asks for a longer pause is called after this all the same.
const QUIET_MAX: Duration = Duration::from_secs(600);

/// Requests that go one after the other, each with the records in it.
type Chain = Vec<Vec<usize>>;

/// Whether the rest of a call is sent.
struct Brake {
    /// Since the last request that was answered.
    failures: AtomicU32,
    stopped: Mutex<Option<CallError>>,
    until: Instant,
}

/// Until when a server does not want to be called, and what it has said.
pub(super) struct Quiet {
    until: Instant,
    error: CallError,
}

#[async_trait]
impl Destination for HttpSink {
    fn name(&self) -> &str {
        &self.config.name
    }

    async fn deliver(&self, batch: &EncodedBatch) -> Result<Answer, CallError> {
        if let Some(error) = self.quiet() {
            return Err(error);
        }
        let (chains, mut errors) = self.chains(batch);
        if let ([chain], []) = (chains.as_slice(), errors.as_slice())
            && let [records] = chain.as_slice()
        {
            let errors = self.request(batch, records).await.inspect_err(|error| self.note(error))?;
            return Ok(Answer { errors, retry_after: None });
        }
        let until = Instant::now() + SENDING_TIME_MAX;
        let brake = Brake { failures: AtomicU32::new(0), stopped: Mutex::new(None), until };
        let (mut waiting, mut running) = (chains.into_iter(), FuturesUnordered::new());
        loop {
            while running.len() < self.config.in_flight {
                let Some(chain) = waiting.next() else { break };
                running.push(self.run(chain, batch, &brake));
            }
            match running.next().await {
                Some(failed) => errors.extend(failed),
                None => break,
            }
        }
        errors.sort_unstable_by_key(|error| error.index);
        let stopped = brake.stopped();
        if let Some(error) = &stopped
            && errors.len() == batch.len()
            && errors.iter().all(|error| !error.class.is_of_a_record())
        {
            return Err(error.clone());
        }
        Ok(Answer { errors, retry_after: stopped.and_then(|error| error.retry_after) })
    }
}

impl HttpSink {
    /// Records that cannot be sent are named.
    fn chains(&self, batch: &EncodedBatch) -> (Vec<Chain>, Vec<RecordError>) {
        let mut errors = Vec::new();
        if self.config.framing == Framing::Single {
            let mut chains: Vec<Chain> = Vec::with_capacity(batch.len());
            let mut of_keys: HashMap<u64, usize> = HashMap::new();
            for record in 0..batch.len() {
                let chain = match batch.key(record) {
                    Some(key) => *of_keys.entry(key).or_insert(chains.len()),
                    None => chains.len(),
                };
                match chains.get_mut(chain) {
                    Some(chain) => chain.push(vec![record]),
                    None => chains.push(vec![vec![record]]),
                }
            }
            return (chains, errors);
        }
        if let Target::Fixed(_) = self.config.target {
            return (vec![vec![(0..batch.len()).collect()]], errors);
        }
        let mut requests: Vec<Vec<usize>> = Vec::new();
        let mut of_heads: HashMap<&[u8], usize> = HashMap::new();
        for record in 0..batch.len() {
            match head_of(batch.record(record)) {
                Ok(head) => {
                    let request = *of_heads.entry(head).or_insert(requests.len());
                    match requests.get_mut(request) {
                        Some(request) => request.push(record),
                        None => requests.push(vec![record]),
                    }
                }
                Err(reason) => errors.push(RecordError { index: record, class: ErrorClass::BadRecord, reason }),
            }
        }
        (requests.into_iter().map(|request| vec![request]).collect(), errors)
    }

    async fn run(&self, chain: Chain, batch: &EncodedBatch, brake: &Brake) -> Vec<RecordError> {
        let mut errors = Vec::new();
        // The next one last.
        let mut left: Chain = chain.into_iter().rev().collect();
        while let Some(records) = left.pop() {
            let done = match self.quiet().or_else(|| brake.check()) {
                Some(stopped) => Err(brake.stop(stopped)),
                None => self.request(batch, &records).await.inspect_err(|error| self.note(error)),
            };
            let named = |error: &CallError| {
                let error = error.clone();
                move |index: usize| RecordError { index, class: error.class, reason: error.reason.clone() }
            };
            match done {
                Ok(failed) => {
                    brake.answered();
                    errors.extend(failed.into_iter().filter_map(|error| {
                        records.get(error.index).map(|index| RecordError { index: *index, ..error })
                    }));
                }
                Err(error) if error.class.is_of_a_record() => {
                    brake.answered();
                    if records.len() == 1 {
                        errors.extend(records.into_iter().map(named(&error)));
                        continue;
                    }
                    // Requests beside this one may have been taken, so the courier cannot halve the batch.
                    let (first, second) = records.split_at(records.len() / 2);
                    left.extend([second.to_vec(), first.to_vec()]);
                }
                Err(error) => {
                    brake.failed(&error);
                    // What is behind it does not go before it.
                    let behind = left.drain(..).rev().flatten();
                    errors.extend(records.into_iter().chain(behind).map(named(&error)));
                }
            }
        }
        errors
    }

    /// All calls of this sink keep to what the server has asked for.
    fn note(&self, error: &CallError) {
        if let Some(until) = error.retry_after.and_then(|wait| Instant::now().checked_add(wait.min(QUIET_MAX))) {
            *lock(&self.quiet) = Some(Quiet { until, error: error.clone() });
        }
    }

    fn quiet(&self) -> Option<CallError> {
        let mut quiet = lock(&self.quiet);
        let left = quiet.as_ref()?.until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            *quiet = None;
        }
        quiet.as_ref().map(|quiet| quiet.error.clone().after(Some(left)))
    }
}

impl Brake {
    fn check(&self) -> Option<CallError> {
        let late = || {
            let seconds = SENDING_TIME_MAX.as_secs();
            CallError::new(
                ErrorClass::Down,
                format!("it is so slow that {seconds} s were not enough for the requests of a batch"),
            )
        };
        self.stopped().or_else(|| (Instant::now() > self.until).then(late))
    }

    fn stopped(&self) -> Option<CallError> {
        lock(&self.stopped).clone()
    }

    /// What stopped it first is what is told.
    fn stop(&self, error: CallError) -> CallError {
        lock(&self.stopped).get_or_insert(error).clone()
    }

    fn answered(&self) {
        self.failures.store(0, Ordering::Relaxed);
    }

    fn failed(&self, error: &CallError) {
        let failures = self.failures.fetch_add(1, Ordering::Relaxed) + 1;
        if error.class != ErrorClass::Down || error.retry_after.is_some() || failures >= FAILURES_MAX {
            self.stop(error.clone());
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
