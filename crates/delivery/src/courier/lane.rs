//! One lane: takes a batch, gives it to the sink, and does not go on before every record of it is settled.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::desk::{Desk, Load};
use crate::backoff::Backoff;
use crate::error_class::{AfterCall, Route, after_call};
use crate::{Answer, CallError, Destination, ErrorClass, KeepUndelivered, Position, RecordError, Undelivered};

pub(super) struct Lane<O> {
    number: usize,
    desk: Arc<Desk<O>>,
    destination: Arc<dyn Destination>,
    keeper: Arc<dyn KeepUndelivered<O>>,
    backoff: Backoff,
    /// Held from try to try while the sink keeps failing, so that one lane at a time calls it.
    probe: Option<OwnedSemaphorePermit>,
}

/// The courier stops.
struct Stop {
    class: ErrorClass,
    reason: String,
}

/// A lane that ends otherwise than by being dropped with its courier would leave others waiting for ever.
struct EndTold<O>(Arc<Desk<O>>);

impl<O> Drop for EndTold<O> {
    fn drop(&mut self) {
        self.0.fail(ErrorClass::Ours, "a task that delivers has ended unexpectedly".to_owned());
    }
}

impl<O: Send + Sync + 'static> Lane<O> {
    pub fn new(
        number: usize,
        desk: Arc<Desk<O>>,
        destination: Arc<dyn Destination>,
        keeper: Arc<dyn KeepUndelivered<O>>,
    ) -> Self {
        let backoff = Backoff::new(desk.options.backoff);
        Self { number, desk, destination, keeper, backoff, probe: None }
    }

    pub async fn run(mut self) {
        let _told = EndTold(Arc::clone(&self.desk));
        loop {
            let load = self.desk.next_load(self.number).await;
            if self.desk.failure().is_some() {
                return;
            }
            if let Err(stop) = self.deliver(&load).await {
                self.desk.fail(stop.class, stop.reason);
                return;
            }
        }
    }

    async fn deliver(&mut self, load: &Load) -> Result<(), Stop> {
        // What is left to give, the next one last.
        let mut left: Vec<_> = std::iter::once(0..load.ids.len()).collect();
        while let Some(range) = left.pop() {
            match self.call(load, range.clone()).await {
                Ok(answer) => {
                    self.is_answered();
                    let retry_after = answer.retry_after;
                    let again = self.settle(load, range, answer).await?;
                    if again.is_empty() {
                        self.is_well();
                    } else {
                        self.desk.note_retried(again.iter().map(Range::len).sum());
                        left.extend(again.into_iter().rev());
                        self.pause(retry_after).await;
                    }
                }
                Err(error) => match after_call(&self.desk.options.policy, error.class, range.len()) {
                    AfterCall::Halve => {
                        self.is_answered();
                        let middle = range.start + range.len() / 2;
                        left.push(middle..range.end);
                        left.push(range.start..middle);
                        self.is_well();
                    }
                    AfterCall::DeadLetter => {
                        self.is_answered();
                        let error = RecordError { index: 0, class: error.class, reason: error.reason };
                        self.put_aside(load, range.start, &[error]).await?;
                        self.is_well();
                    }
                    AfterCall::Retry => {
                        self.desk.note_retried(range.len());
                        if !error.class.is_of_a_record() {
                            self.desk.note_failed();
                        }
                        self.desk.set_problem(self.number, error.class, error.reason);
                        left.push(range);
                        self.pause(error.retry_after).await;
                    }
                    AfterCall::Fail if error.class.is_of_a_record() => {
                        let reason = placed(load, range, error.reason);
                        return Err(Stop { class: error.class, reason });
                    }
                    AfterCall::Fail => return Err(Stop { class: error.class, reason: error.reason }),
                },
            }
        }
        Ok(())
    }

    async fn call(&mut self, load: &Load, range: Range<usize>) -> Result<Answer, CallError> {
        self.until_probe().await;
        tokio::time::sleep_until(self.desk.reserve(range.len())).await;
        while let Some(until) = self.desk.quiet_until() {
            tokio::time::sleep_until(until).await;
        }
        let batch = load.records.part(range);
        self.desk.note_call();
        let limit = self.desk.options.call_time_max;
        match tokio::time::timeout(limit, self.destination.deliver(&batch)).await {
            Ok(answer) => answer,
            Err(_) => Err(CallError::new(ErrorClass::Down, format!("no answer within {} s", limit.as_secs_f64()))),
        }
    }

    /// While the sink keeps failing, waits until it answers, or until it is this lane's part to try.
    async fn until_probe(&mut self) {
        if self.probe.is_some() || !self.desk.is_broken_open() {
            return;
        }
        let permit = Arc::clone(&self.desk.probe).acquire_owned().await.ok();
        if self.desk.is_broken_open() {
            self.probe = permit;
        }
    }

    fn is_answered(&mut self) {
        self.desk.note_answered();
        self.probe = None;
    }

    /// Takes in what the sink has said; returns what has to be given again.
    async fn settle(&mut self, load: &Load, range: Range<usize>, answer: Answer) -> Result<Vec<Range<usize>>, Stop> {
        let indexes = answer.errors.iter().map(|error| error.index);
        if !indexes.clone().is_sorted_by(|one, next| one < next) || indexes.max() >= Some(range.len()) {
            let reason = "the answers to a batch do not fit its records".to_owned();
            return Err(Stop { class: ErrorClass::Ours, reason });
        }
        let (mut again, mut aside): (Vec<Range<usize>>, Vec<RecordError>) = (Vec::new(), Vec::new());
        let mut start = range.start;
        for error in answer.errors {
            let record = range.start + error.index;
            self.settle_delivered(load, start..record);
            start = record + 1;
            match self.desk.options.policy.route(error.class) {
                Route::DeadLetter => aside.push(error),
                Route::Fail => {
                    return Err(Stop { class: error.class, reason: placed(load, record..record + 1, error.reason) });
                }
                Route::Retry => {
                    self.desk.set_problem(self.number, error.class, error.reason);
                    match again.last_mut() {
                        Some(last) if last.end == record => last.end += 1,
                        _ => again.push(record..record + 1),
                    }
                }
            }
        }
        self.settle_delivered(load, start..range.end);
        self.put_aside(load, range.start, &aside).await?;
        Ok(again)
    }

    fn settle_delivered(&self, load: &Load, range: Range<usize>) {
        let bytes = load.records.part(range.clone()).size();
        self.desk.settle_delivered(&load.ids[range], bytes);
    }

    /// Has records kept, which is tried until it is done. Their indexes count from `start`.
    async fn put_aside(&mut self, load: &Load, start: usize, errors: &[RecordError]) -> Result<(), Stop> {
        if errors.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = errors.iter().map(|error| load.ids[start + error.index]).collect();
        let origins: Option<Vec<Arc<O>>> = ids.iter().map(|id| self.desk.origin(*id)).collect();
        let Some(origins) = origins else {
            let reason = "a record was settled before it was put aside".to_owned();
            return Err(Stop { class: ErrorClass::Ours, reason });
        };
        let undelivered: Vec<Undelivered<'_, O>> = errors
            .iter()
            .zip(&ids)
            .zip(&origins)
            .map(|((error, id), origin)| Undelivered {
                origin: origin.as_ref(),
                index: id.index,
                record: load.records.record(start + error.index),
                class: error.class,
                reason: &error.reason,
            })
            .collect();
        while let Err(error) = self.keeper.keep(&undelivered).await {
            if !error.may_pass {
                return Err(Stop { class: ErrorClass::Ours, reason: error.message });
            }
            self.desk.set_problem(self.number, ErrorClass::Ours, error.message);
            self.pause(None).await;
        }
        let bytes = undelivered.iter().map(|undelivered| undelivered.record.len()).sum();
        self.desk.settle_dead_lettered(&ids, bytes);
        Ok(())
    }

    fn is_well(&mut self) {
        self.backoff.reset();
        self.desk.clear_problem(self.number);
    }

    async fn pause(&mut self, retry_after: Option<Duration>) {
        if let Some(retry_after) = retry_after {
            self.desk.keep_quiet(retry_after);
        }
        tokio::time::sleep(self.backoff.next(retry_after)).await;
    }
}

/// With where in their topic the records lie that it is about.
fn placed(load: &Load, range: Range<usize>, reason: String) -> String {
    match load.records.position(range.start) {
        Some(Position { partition, offset }) if range.len() == 1 => {
            format!("{reason} (partition {partition}, offset {offset})")
        }
        Some(Position { partition, offset }) => {
            format!("{reason} ({} records from partition {partition}, offset {offset} on)", range.len())
        }
        None => reason,
    }
}
