//! What the lanes of a courier share: queues, acknowledgement, counts, what is wrong.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::Instant;

use super::acknowledgements::{Acknowledgements, Outcome, Receipt, RecordId};
use super::pace::{Breaker, Pace};
use super::{CourierFailure, CourierOptions, DeliveryCounts, DeliveryProblem, Parcel};
use crate::{EncodedBatch, EncodedBatchBuilder, ErrorClass};

pub(super) struct Desk<O> {
    pub destination: String,
    pub options: CourierOptions,
    state: Mutex<State<O>>,
    /// Something was settled, or the courier has failed.
    progress: watch::Sender<()>,
    /// Per lane: there is something to do.
    wake: Vec<Notify>,
    /// The right to call a sink that keeps failing.
    pub probe: Arc<Semaphore>,
}

struct State<O> {
    queues: Vec<VecDeque<Cut>>,
    parcels: Acknowledgements<O>,
    counts: DeliveryCounts,
    held_bytes: usize,
    /// Per lane.
    problems: Vec<Option<Problem>>,
    /// The sink has asked not to be called before.
    quiet_until: Option<Instant>,
    records_pace: Pace,
    calls_pace: Pace,
    breaker: Breaker,
    failure: Option<CourierFailure>,
    /// Nobody has the courier any more, so nothing is wrong with it.
    is_closed: bool,
}

struct Problem {
    class: ErrorClass,
    reason: String,
    since: Instant,
}

/// Records that are going to be given to the sink together.
struct Cut {
    records: EncodedBatchBuilder,
    ids: Vec<RecordId>,
    since: Instant,
    /// It does not wait for more.
    is_urgent: bool,
}

impl Cut {
    fn new() -> Self {
        let records = EncodedBatchBuilder::default();
        Self { records, ids: Vec::new(), since: Instant::now(), is_urgent: false }
    }
}

/// A batch, and which records are in it.
pub(super) struct Load {
    pub records: EncodedBatch,
    pub ids: Vec<RecordId>,
}

impl<O> Desk<O> {
    pub fn new(destination: String, options: CourierOptions) -> Self {
        // A batch of more would be all at once what is to be spread over seconds.
        let at_once_max = options.records_per_second.map_or(usize::MAX, |records| records.get() as usize);
        let batch_records_max = options.batch_records_max.clamp(1, at_once_max);
        let options = CourierOptions { lanes: options.lanes.max(1), batch_records_max, ..options };
        let lanes = options.lanes;
        let state = State {
            queues: (0..lanes).map(|_| VecDeque::new()).collect(),
            parcels: Acknowledgements::new(),
            counts: DeliveryCounts::default(),
            held_bytes: 0,
            problems: (0..lanes).map(|_| None).collect(),
            quiet_until: None,
            records_pace: Pace::new(options.records_per_second),
            calls_pace: Pace::new(options.calls_per_second),
            breaker: Breaker::new(options.break_after),
            failure: None,
            is_closed: false,
        };
        Self {
            destination,
            options,
            state: Mutex::new(state),
            progress: watch::Sender::new(()),
            wake: (0..lanes).map(|_| Notify::new()).collect(),
            probe: Arc::new(Semaphore::new(1)),
        }
    }

    pub fn lanes(&self) -> usize {
        self.wake.len()
    }

    fn lock(&self) -> MutexGuard<'_, State<O>> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Sees what happens from now on.
    pub fn progress(&self) -> watch::Receiver<()> {
        self.progress.subscribe()
    }

    /// `None` while there is no room.
    pub fn try_push(&self, parcel: &Parcel<O>, receipt: Option<&Arc<Receipt>>) -> Result<Option<u64>, CourierFailure> {
        let mut state = self.lock();
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        let size = parcel.records.size();
        if state.held_bytes > 0 && state.held_bytes + size > self.options.held_bytes_max {
            return Ok(None);
        }
        let records = parcel.records.len();
        state.held_bytes += size;
        state.counts.taken += records as u64;
        state.counts.in_flight += records as u64;
        let number = state.parcels.add(records, Arc::clone(&parcel.origin), receipt.cloned());
        let mut touched = vec![false; self.lanes()];
        for (lane, run) in self.runs(parcel, state.emptiest_queue()) {
            state.queue(lane, parcel, number, run, &self.options);
            touched[lane] = true;
        }
        drop(state);
        for (lane, _) in touched.into_iter().enumerate().filter(|(_, touched)| *touched) {
            self.wake[lane].notify_one();
        }
        Ok(Some(number))
    }

    /// Neighbours that go through the same lane. Records without keys go through `any` lane, together.
    fn runs<'a>(&self, parcel: &'a Parcel<O>, any: usize) -> impl Iterator<Item = (usize, Range<usize>)> + 'a {
        let (records, lanes) = (parcel.records.len(), self.lanes() as u64);
        let keys = parcel.keys.as_deref().filter(|_| lanes > 1);
        let lane_of = move |index: usize| match keys {
            Some(keys) => keys.get(index).map_or(0, |key| (key % lanes) as usize),
            None => any,
        };
        let mut start = 0;
        std::iter::from_fn(move || {
            let lane = (start < records).then(|| lane_of(start))?;
            let end = match keys {
                Some(_) => (start + 1..records).find(|next| lane_of(*next) != lane).unwrap_or(records),
                None => records,
            };
            let run = start..end;
            start = end;
            Some((lane, run))
        })
    }

    /// What waits does not wait for more; returns how many parcels were given so far.
    pub fn hurry(&self) -> u64 {
        let mut state = self.lock();
        for cut in state.queues.iter_mut().flatten() {
            cut.is_urgent = true;
        }
        let given = state.parcels.given();
        drop(state);
        self.wake.iter().for_each(Notify::notify_one);
        given
    }

    /// Waits until a batch is full or has waited long enough.
    pub async fn next_load(&self, lane: usize) -> Load {
        loop {
            let wait = match self.lock().take(lane, &self.options) {
                Ok(load) => return load,
                Err(wait) => wait,
            };
            match wait {
                Some(wait) => drop(tokio::time::timeout(wait, self.wake[lane].notified()).await),
                None => self.wake[lane].notified().await,
            }
        }
    }

    pub fn acknowledged(&self) -> u64 {
        self.lock().parcels.acknowledged()
    }

    pub fn origin(&self, id: RecordId) -> Option<Arc<O>> {
        self.lock().parcels.origin(id.parcel)
    }

    pub fn settle_delivered(&self, ids: &[RecordId], bytes: usize) {
        self.settle(ids, bytes, Outcome::Delivered);
    }

    pub fn settle_dead_lettered(&self, ids: &[RecordId], bytes: usize) {
        self.settle(ids, bytes, Outcome::DeadLettered);
    }

    fn settle(&self, ids: &[RecordId], bytes: usize, outcome: Outcome) {
        if ids.is_empty() {
            return;
        }
        let mut state = self.lock();
        let records = ids.len() as u64;
        match outcome {
            Outcome::Delivered => state.counts.delivered += records,
            Outcome::DeadLettered => state.counts.dead_lettered += records,
        }
        state.counts.in_flight = state.counts.in_flight.saturating_sub(records);
        state.held_bytes = state.held_bytes.saturating_sub(bytes);
        state.parcels.settle(ids, outcome);
        drop(state);
        self.progress.send_replace(());
    }

    /// When a call with so many records may be made, by the limits. The turn is taken.
    pub fn reserve(&self, records: usize) -> Instant {
        let (now, mut state) = (Instant::now(), self.lock());
        let call = state.calls_pace.reserve(1, now);
        state.records_pace.reserve(records, call)
    }

    pub fn is_broken_open(&self) -> bool {
        self.lock().breaker.is_open()
    }

    pub fn note_failed(&self) {
        self.lock().breaker.note_failed();
    }

    pub fn note_answered(&self) {
        self.lock().breaker.note_answered();
    }

    pub fn note_call(&self) {
        self.lock().counts.calls += 1;
    }

    pub fn note_retried(&self, records: usize) {
        self.lock().counts.retried += records as u64;
    }

    /// All lanes leave the sink alone for this long.
    pub fn keep_quiet(&self, retry_after: Duration) {
        let until = Instant::now() + retry_after.min(self.options.backoff.retry_after_max);
        let mut state = self.lock();
        state.quiet_until = Some(state.quiet_until.map_or(until, |before| before.max(until)));
    }

    pub fn quiet_until(&self) -> Option<Instant> {
        self.lock().quiet_until.filter(|until| *until > Instant::now())
    }

    pub fn set_problem(&self, lane: usize, class: ErrorClass, reason: String) {
        let mut state = self.lock();
        let since = state.problems[lane].as_ref().map_or_else(Instant::now, |before| before.since);
        state.problems[lane] = Some(Problem { class, reason, since });
    }

    pub fn clear_problem(&self, lane: usize) {
        self.lock().problems[lane] = None;
    }

    pub fn problem(&self) -> Option<DeliveryProblem> {
        let state = self.lock();
        if state.is_closed {
            return None;
        }
        if let Some(failure) = &state.failure {
            return Some(DeliveryProblem { message: failure.to_string(), lasts: Duration::MAX });
        }
        let problem = state.problems.iter().flatten().min_by_key(|problem| problem.since)?;
        let what = match problem.class {
            ErrorClass::Throttled => "asks for fewer calls",
            ErrorClass::Auth => "does not let us in",
            ErrorClass::Down => "cannot be written to",
            ErrorClass::BadRecord | ErrorClass::Refused => "refuses records",
            ErrorClass::Ours => "is not written to",
        };
        let (waiting, lasts) = (state.counts.in_flight, problem.since.elapsed());
        let mut message = format!("{} {what}: {}; {waiting} rows wait", self.destination, problem.reason);
        if state.breaker.is_open() {
            let failed = state.breaker.failed_in_a_row();
            message.push_str(&format!("; {failed} calls in a row have failed, and one at a time is tried"));
        }
        Some(DeliveryProblem { message, lasts })
    }

    pub fn fail(&self, class: ErrorClass, reason: String) {
        let mut state = self.lock();
        if state.is_closed {
            return;
        }
        let failure = CourierFailure { destination: self.destination.clone(), class, reason };
        state.failure.get_or_insert(failure);
        drop(state);
        self.progress.send_replace(());
    }

    pub fn close(&self) {
        self.lock().is_closed = true;
    }

    pub fn failure(&self) -> Option<CourierFailure> {
        self.lock().failure.clone()
    }

    pub fn gone(&self) -> CourierFailure {
        let reason = "the courier is gone".to_owned();
        CourierFailure { destination: self.destination.clone(), class: ErrorClass::Ours, reason }
    }

    pub fn counts(&self) -> DeliveryCounts {
        self.lock().counts
    }
}

impl<O> State<O> {
    fn emptiest_queue(&self) -> usize {
        let waiting = |queue: &VecDeque<Cut>| queue.iter().map(|cut| cut.records.size()).sum::<usize>();
        (0..self.queues.len()).min_by_key(|lane| waiting(&self.queues[*lane])).unwrap_or_default()
    }

    /// Adds records to the batches of a lane, as many to each as it takes.
    fn queue<P>(
        &mut self,
        lane: usize,
        Parcel { records, keys, .. }: &Parcel<P>,
        parcel: u64,
        run: Range<usize>,
        options: &CourierOptions,
    ) {
        let queue = &mut self.queues[lane];
        let mut start = run.start;
        while start < run.end {
            let room = |cut: &Cut| {
                let bytes = options.batch_bytes_max.saturating_sub(cut.records.size());
                let records_max = options.batch_records_max - cut.ids.len().min(options.batch_records_max);
                records.fitting(start, bytes).min(records_max)
            };
            let fitting = match queue.back().map(room) {
                Some(fitting) if fitting > 0 => fitting,
                _ => {
                    queue.push_back(Cut::new());
                    queue.back().map_or(1, room).max(1)
                }
            };
            let end = run.end.min(start + fitting);
            if let Some(cut) = queue.back_mut() {
                cut.records.push_from(records, start..end);
                let keys = keys.as_deref().and_then(|keys| keys.get(start..end));
                cut.records.note_keys(keys.unwrap_or_default());
                cut.ids.extend((start..end).map(|index| RecordId { parcel, index }));
            }
            start = end;
        }
    }

    /// The next batch of a lane, or how long to wait for it.
    fn take(&mut self, lane: usize, options: &CourierOptions) -> Result<Load, Option<Duration>> {
        let queue = &mut self.queues[lane];
        let Some(first) = queue.front() else { return Err(None) };
        let is_full = queue.len() > 1
            || first.ids.len() >= options.batch_records_max
            || first.records.size() >= options.batch_bytes_max;
        let waited = first.since.elapsed();
        if !is_full && !first.is_urgent && waited < options.linger {
            return Err(Some(options.linger - waited));
        }
        let Some(cut) = queue.pop_front() else { return Err(None) };
        Ok(Load { records: cut.records.finish(), ids: cut.ids })
    }
}
