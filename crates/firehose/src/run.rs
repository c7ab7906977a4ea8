//! The run of a firehose: reads while there is room, gives to the courier, takes in what is settled, commits.
//!
//! Nothing waits for anything but the log, the sink and the store of positions, and for each of them without standing in
//! another's way: calls to the sink are the courier's, a commit is a task, and commands are heard at any time.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use delivery::{Courier, CourierOptions};
use log::{LogError, Slab, TopicDescription};
use sinks::Order;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::clock::now_ms;
use crate::handle::Command;
use crate::intake::Intake;
use crate::letter_box::{LetterBox, UndeliveredRecords};
use crate::measures::Latencies;
use crate::orders::{Closing, Orders, Request};
use crate::partition::{Given, Partition, Stretch};
use crate::prepare::{Preparation, Prepared, SlabOrigin, before};
use crate::report::Report;
use crate::{
    Ended, FirehoseConfig, FirehoseError, FirehoseParts, FirehoseState, FirehoseStatus, PipelineWorker, PositionError,
    Positions, SeekTo, Seeked, StopAt, report, start,
};

const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How long one that cannot go on where it is waits to be told where else, before it fails.
const SEEK_WAIT: Duration = Duration::from_secs(1);
const REPORT_INTERVAL: Duration = Duration::from_millis(500);
/// How often it is looked whether the topic has more partitions, or is another one.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(5);
/// A slab with less is followed by a pause, so that the next one has more.
const SLAB_BYTES_ENOUGH: usize = 128 << 10;
const READ_PAUSE_MAX: Duration = Duration::from_millis(20);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

const HELD_BYTES_MIN: usize = 1 << 20;
const LANES_MAX: usize = 256;

/// A slab that is being prepared.
type Work = Pin<Box<dyn Future<Output = Result<(PipelineWorker, Prepared), FirehoseError>> + Send>>;
type Committing = JoinHandle<(Positions, Result<(), PositionError>)>;

pub(crate) struct Run {
    config: FirehoseConfig,
    parts: FirehoseParts,
    orders: Orders,
    report: Report,
    epoch: u64,
    topic_id: Option<String>,
    generation: u64,
    partitions: Vec<Partition>,
    letters: Arc<LetterBox>,
    courier: Courier<SlabOrigin>,
    progress: watch::Receiver<()>,
    /// `None` while a slab is being prepared.
    worker: Option<PipelineWorker>,
    work: Option<Work>,
    /// The partition that it is of.
    working_on: usize,
    turn: usize,
    read_after: Instant,
    read_problem: Option<String>,
    commit: Option<Committing>,
    commit_after: Instant,
    commit_problem: Option<String>,
    /// What the store has may differ from what was committed last: a call ended without an answer.
    commit_all: bool,
    discover_after: Instant,
    latencies: Latencies,
    has_limits: bool,
    limits_after: Instant,
}

// There is one at a time, on its way from one line to the next.
#[allow(clippy::large_enum_variant)]
enum Event {
    Command(Option<Command>),
    Slab(Result<(usize, Slab), LogError>),
    Prepared(Result<(PipelineWorker, Prepared), FirehoseError>),
    Committed(Option<(Positions, Result<(), PositionError>)>),
    /// Something was settled, or it is time for something.
    Look,
}

/// Runs it to its end.
pub(crate) async fn run(
    config: FirehoseConfig,
    parts: FirehoseParts,
    inbox: mpsc::UnboundedReceiver<Command>,
    status: watch::Sender<Arc<FirehoseStatus>>,
) -> Result<Ended, FirehoseError> {
    let name = config.name.clone();
    let orders = Orders::new(inbox, config.is_paused);
    let report = Report::new(status.clone());
    let ended = match Run::start(config, parts, orders, report).await {
        Ok(Some(mut run)) => run.go_on().await,
        Ok(None) => Ok(Ended::Asked),
        Err(error) => Err(error),
    };
    status.send_modify(|status| {
        let status = Arc::make_mut(status);
        (status.state, status.message) = match &ended {
            Ok(_) => (FirehoseState::Stopped, None),
            Err(error) => (FirehoseState::Failed, Some(error.to_string())),
        };
        status.since = std::time::SystemTime::now();
        (status.read_per_second, status.settled_per_second) = (0.0, 0.0);
    });
    if let Err(error) = &ended {
        tracing::warn!(firehose = name, %error, "a firehose has ended");
    }
    ended
}

impl Run {
    /// Takes over and finds where to go on, as often as it takes; `None` if it is stopped before.
    async fn start(
        mut config: FirehoseConfig,
        parts: FirehoseParts,
        mut orders: Orders,
        mut report: Report,
    ) -> Result<Option<Self>, FirehoseError> {
        config.courier.lanes = lanes(&config, config.courier.lanes);
        let (epoch, positions, topic) = loop {
            match take_over(&config, &parts).await {
                Ok(taken) => break taken,
                Err(error) if may_pass(&error) => {
                    report.tell_state(FirehoseState::Retrying, Some(format!("it cannot start: {error}")));
                    if orders.pause(RETRY_PAUSE).await {
                        return Ok(None);
                    }
                }
                // Perhaps somebody is about to say where to go on.
                Err(error) if start::is_gone(&error) => {
                    let Some((to, reply)) = orders.wait_for_seek(SEEK_WAIT).await else { return Err(error) };
                    let _ = reply.send(move_before_start(&config, &parts, &to).await);
                }
                Err(error) => return Err(error),
            }
        };
        let ends = |number: u32| topic.partitions.iter().find(|standing| standing.partition == number);
        let end = |number: u32| ends(number).map_or(0, |standing| standing.end_offset);
        let mut partitions: Vec<Partition> = positions
            .partitions
            .iter()
            .map(|position| Partition::at(position.clone(), end(position.partition)))
            .collect();
        let has_limits = config.stop_at == Some(StopAt::End);
        if has_limits {
            partitions.iter_mut().for_each(|partition| partition.limit = Some(partition.end));
        }
        let letters = Arc::new(LetterBox::new(&config, Arc::clone(&parts.dead_letters)));
        let courier = courier(&config, &parts, &letters, positions.generation)?;
        let now = Instant::now();
        let mut run = Self {
            worker: Some(parts.pipeline.worker()),
            config,
            parts,
            orders,
            report,
            epoch,
            topic_id: positions.topic_id,
            generation: positions.generation,
            partitions,
            letters,
            progress: courier.progress(),
            courier,
            work: None,
            working_on: 0,
            turn: 0,
            read_after: now,
            read_problem: None,
            commit: None,
            commit_after: now,
            commit_problem: None,
            commit_all: false,
            discover_after: now + DISCOVERY_INTERVAL,
            latencies: Latencies::new(now),
            has_limits,
            limits_after: now,
        };
        run.publish();
        Ok(Some(run))
    }

    async fn go_on(&mut self) -> Result<Ended, FirehoseError> {
        loop {
            let now_ms = now_ms();
            for partition in &mut self.partitions {
                partition.settle(|times| {
                    times.timestamps_ms.iter().for_each(|time| self.latencies.note(now_ms - time, times.weight));
                });
            }
            if let Some(failure) = self.courier.failure() {
                self.orders.close(Closing::Failed(failure.into()));
                return self.close().await;
            }
            if self.orders.is_closing() {
                self.courier.hurry();
                if self.is_drained() || self.orders.waits() >= self.config.drain_time_max {
                    return self.close().await;
                }
            } else if self.orders.first_request().is_some() {
                self.courier.hurry();
                self.attend_to_request().await?;
            } else {
                self.set_limits().await;
                let has_reached = |partition: &Partition| partition.has_reached_limit() && partition.is_drained();
                if self.has_limits && self.is_drained() && self.partitions.iter().all(has_reached) {
                    self.orders.close(Closing::StopReached);
                    continue;
                }
            }
            if self.is_full() {
                // Batches that wait to be filled would wait for what cannot be read.
                self.courier.hurry();
            }
            self.start_commit();
            if self.report.is_due(REPORT_INTERVAL) {
                self.publish();
            }
            if Instant::now() >= self.discover_after {
                self.discover().await;
            }
            match self.next_event().await {
                Event::Look => {}
                Event::Command(Some(command)) => {
                    self.orders.take(command);
                    self.publish();
                }
                // Nobody can say anything any more; it goes on.
                Event::Command(None) => {}
                Event::Slab(Ok((index, slab))) => self.begin_work(index, slab),
                Event::Slab(Err(error)) => self.after_read_error(error),
                Event::Prepared(Ok(prepared)) => self.give(prepared).await,
                Event::Prepared(Err(error)) => {
                    self.work = None;
                    self.orders.close(Closing::Failed(error));
                }
                Event::Committed(done) => self.note_committed(done)?,
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        let may_read = self.worker.is_some() && self.orders.may_read();
        let deadline = self.deadline();
        let Self { config, parts, orders, partitions, work, commit, read_after, turn, progress, .. } = self;
        let (topic, held_bytes_max) = (config.topic.as_str(), held_bytes_max(config));
        let intake = Intake { log: parts.log.as_ref(), topic, held_bytes_max, turn: *turn };
        let slab = async {
            tokio::time::sleep_until((*read_after).into()).await;
            intake.next(partitions).await
        };
        let hears = orders.can_hear();
        tokio::select! {
            biased;
            command = orders.next(), if hears => Event::Command(command),
            done = ended(commit) => Event::Committed(done.ok()),
            prepared = ended(work) => Event::Prepared(prepared),
            slab = slab, if may_read => Event::Slab(slab),
            _ = progress.changed() => Event::Look,
            () = tokio::time::sleep_until(deadline.into()) => Event::Look,
        }
    }

    fn deadline(&self) -> Instant {
        let mut deadline = self.report.next(REPORT_INTERVAL).min(self.discover_after);
        if self.commit.is_none() && self.has_to_commit() {
            deadline = deadline.min(self.commit_after);
        }
        if self.orders.is_closing() || self.orders.first_request().is_some() {
            deadline = deadline.min(Instant::now() + LOOK_INTERVAL);
        }
        deadline
    }

    /// Some partition is not read because of what is on its way.
    fn is_full(&self) -> bool {
        let held: usize = self.partitions.iter().map(Partition::held_bytes).sum();
        let free = held_bytes_max(&self.config).saturating_sub(held);
        self.partitions.iter().any(|partition| !partition.has_room(free))
    }

    fn is_drained(&self) -> bool {
        self.work.is_none() && self.partitions.iter().all(Partition::is_drained)
    }

    fn begin_work(&mut self, index: usize, slab: Slab) {
        self.read_problem = None;
        self.turn = index + 1;
        let Some(partition) = self.partitions.get_mut(index) else { return };
        partition.end = slab.end_offset;
        let slab = before(slab, partition.limit);
        if slab.data.len() < SLAB_BYTES_ENOUGH {
            self.read_after = Instant::now() + READ_PAUSE_MAX.min(self.config.courier.linger / 2);
        }
        let Some(worker) = self.worker.take() else { return };
        let preparation = Preparation {
            letters: Arc::clone(&self.letters),
            bad_record: self.config.courier.policy.bad_record,
            order: self.config.order,
            lanes: self.config.courier.lanes,
        };
        self.working_on = index;
        self.work = Some(Box::pin(preparation.prepare(worker, slab)));
    }

    async fn give(&mut self, (worker, prepared): (PipelineWorker, Prepared)) {
        self.worker = Some(worker);
        self.work = None;
        let Prepared { next_offset, bytes, ledger, parcel, bad } = prepared;
        let given = match parcel {
            None => None,
            Some(prepared) => match self.courier.push_with_receipt(prepared.parcel).await {
                Ok(receipt) => {
                    let (numbers, records, times) = (prepared.numbers, prepared.records, prepared.times);
                    Some(Given { receipt, numbers, records, times })
                }
                Err(failure) => return self.orders.close(Closing::Failed(failure.into())),
            },
        };
        if let Some(partition) = self.partitions.get_mut(self.working_on) {
            partition.read_position = next_offset;
            partition.push(Stretch { next_offset, bytes, ledger, given });
        }
        if let Some(bad) = bad {
            self.orders.close(Closing::Failed(bad));
        }
    }

    fn after_read_error(&mut self, error: LogError) {
        if !error.is_retryable() {
            return self.orders.close(Closing::Failed(error.into()));
        }
        self.read_problem = Some(format!("{error}; trying again"));
        self.read_after = Instant::now() + RETRY_PAUSE;
    }

    /// What the topic has up to the time to stop at is known when that has come.
    async fn set_limits(&mut self) {
        let Some(StopAt::Time(time_ms)) = self.config.stop_at else { return };
        if self.has_limits || now_ms() < time_ms || Instant::now() < self.limits_after {
            return;
        }
        self.limits_after = Instant::now() + RETRY_PAUSE;
        let mut failed = None;
        for partition in self.partitions.iter_mut().filter(|partition| partition.limit.is_none()) {
            match self.parts.log.offset_at(&self.config.topic, partition.number, time_ms).await {
                Ok(limit) => partition.limit = Some(limit),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) => self.after_read_error(error),
            None => self.has_limits = true,
        }
    }

    /// Looks whether the topic is still what it was.
    async fn discover(&mut self) {
        self.discover_after = Instant::now() + DISCOVERY_INTERVAL;
        let (log, topic) = (self.parts.log.as_ref(), self.config.topic.as_str());
        let (may_read, known) = (self.orders.may_read(), self.partitions.len());
        let asked = async {
            let shape = log.shape(topic).await?;
            // Of what is not read, the end is not known otherwise.
            let is_read = may_read && shape.partitions as usize == known;
            let topic = if is_read { None } else { Some(log.topic(topic).await?) };
            Ok::<_, LogError>((shape, topic))
        };
        let (shape, topic) = match tokio::time::timeout(RETRY_PAUSE, asked).await {
            Ok(Ok(found)) => found,
            Ok(Err(gone @ LogError::UnknownTopic { .. })) => return self.orders.close(Closing::Failed(gone.into())),
            // What cannot be asked now is asked again.
            Ok(Err(_)) | Err(_) => return,
        };
        if shape.id != self.topic_id {
            let recreated = LogError::TopicRecreated { topic: self.config.topic.clone() };
            return self.orders.close(Closing::Failed(recreated.into()));
        }
        for standing in topic.into_iter().flat_map(|topic| topic.partitions) {
            match self.partitions.iter_mut().find(|partition| partition.number == standing.partition) {
                Some(partition) => partition.end = partition.end.max(standing.end_offset),
                // With limits, it has come after what was to be read.
                None if self.has_limits => {}
                None => {
                    tracing::info!(firehose = self.config.name, partition = standing.partition, "a new partition");
                    let position = start::at(standing.partition, standing.start_offset);
                    self.partitions.push(Partition::at(position, standing.end_offset));
                }
            }
        }
    }

    async fn attend_to_request(&mut self) -> Result<(), FirehoseError> {
        let is_time = match self.orders.first_request() {
            Some(Request::Seek(..)) => self.orders.waits() >= self.config.drain_time_max,
            Some(Request::Scale(_)) | None => false,
        };
        if !is_time && !self.is_drained() {
            return Ok(());
        }
        match self.orders.pop_request() {
            Some(Request::Seek(to, reply)) => {
                let sought = self.seek(&to).await;
                let fatal = match &sought {
                    Err(FirehoseError::Positions(error @ (PositionError::Fenced | PositionError::Broken(_)))) => {
                        Some(error.clone())
                    }
                    _ => None,
                };
                let _ = reply.send(sought);
                fatal.map_or(Ok(()), |error| Err(error.into()))
            }
            Some(Request::Scale(wanted)) => {
                let lanes = lanes(&self.config, wanted);
                if lanes != self.config.courier.lanes {
                    self.config.courier.lanes = lanes;
                    self.restart_courier()?;
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn seek(&mut self, to: &SeekTo) -> Result<Seeked, FirehoseError> {
        let topic = self.parts.log.topic(&self.config.topic).await?;
        let sought = start::sought(to, self.parts.log.as_ref(), &topic).await?;
        self.finish_commit().await?;
        let given_up = self.partitions.iter().map(Partition::held).sum();
        let mut positions = self.positions();
        positions.generation += 1;
        for position in &mut positions.partitions {
            if let Some((_, offset)) = sought.iter().find(|(partition, _)| *partition == position.partition) {
                position.next_offset = *offset;
            }
        }
        if let Err(error) = self.parts.positions.commit(self.epoch, &positions).await {
            // It may have been done all the same: then this takes it back.
            self.commit_all = true;
            return Err(error.into());
        }
        self.generation = positions.generation;
        for (partition, position) in self.partitions.iter_mut().zip(&positions.partitions) {
            partition.committed = position.clone();
            partition.rewind();
        }
        self.restart_courier()?;
        Ok(Seeked { positions: offsets(&positions), given_up })
    }

    /// What the old one has is given up.
    fn restart_courier(&mut self) -> Result<(), FirehoseError> {
        (self.worker, self.work) = (Some(self.parts.pipeline.worker()), None);
        self.courier = courier(&self.config, &self.parts, &self.letters, self.generation)?;
        self.progress = self.courier.progress();
        Ok(())
    }

    /// As far as all is settled.
    fn positions(&self) -> Positions {
        let partitions = self.partitions.iter().map(|partition| partition.settled.clone()).collect();
        Positions { topic_id: self.topic_id.clone(), generation: self.generation, partitions }
    }

    fn has_to_commit(&self) -> bool {
        self.commit_all || self.partitions.iter().any(|partition| partition.settled != partition.committed)
    }

    fn start_commit(&mut self) {
        if self.commit.is_some() || Instant::now() < self.commit_after || !self.has_to_commit() {
            return;
        }
        let mut positions = self.positions();
        if !self.commit_all {
            let mut changed = self.partitions.iter().map(|partition| partition.settled != partition.committed);
            positions.partitions.retain(|_| changed.next().unwrap_or(true));
        }
        let (store, epoch) = (Arc::clone(&self.parts.positions), self.epoch);
        self.commit = Some(tokio::spawn(async move {
            let done = store.commit(epoch, &positions).await;
            (positions, done)
        }));
    }

    fn note_committed(&mut self, done: Option<(Positions, Result<(), PositionError>)>) -> Result<(), FirehoseError> {
        self.commit = None;
        let Some((positions, done)) = done else { return Err(FirehoseError::Task) };
        match done {
            Ok(()) => {
                for position in positions.partitions {
                    let number = position.partition;
                    if let Some(partition) = self.partitions.iter_mut().find(|partition| partition.number == number) {
                        partition.committed = position;
                    }
                }
                self.commit_after = Instant::now() + self.config.commit_interval;
                (self.commit_problem, self.commit_all) = (None, false);
                self.tell_positions();
                Ok(())
            }
            Err(PositionError::Unavailable(reason)) => {
                self.commit_problem = Some(format!("positions cannot be kept: {reason}; trying again"));
                self.commit_after = Instant::now() + RETRY_PAUSE;
                self.commit_all = true;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn finish_commit(&mut self) -> Result<(), FirehoseError> {
        match self.commit.take() {
            Some(task) => self.note_committed(task.await.ok()),
            None => Ok(()),
        }
    }

    /// For others to see; whether they do changes nothing here.
    fn tell_positions(&self) {
        let topic: Arc<str> = self.config.topic.as_str().into();
        let at = |partition: &Partition| (Arc::clone(&topic), partition.number, partition.committed.next_offset);
        let positions: Vec<_> = self.partitions.iter().map(at).collect();
        let (log, group) = (Arc::clone(&self.parts.log), self.config.group.clone());
        tokio::spawn(async move {
            if let Err(error) = log.publish_positions(&group, &positions).await {
                tracing::debug!(group, %error, "a group's offsets were not written");
            }
        });
    }

    /// Commits what is settled, within a limit, and tells why it ends.
    async fn close(&mut self) -> Result<Ended, FirehoseError> {
        let until = Instant::now() + self.config.drain_time_max;
        loop {
            self.finish_commit().await?;
            if !self.has_to_commit() || Instant::now() >= until {
                break;
            }
            tokio::time::sleep_until(self.commit_after.min(Instant::now() + RETRY_PAUSE).into()).await;
            self.commit_after = Instant::now();
            self.start_commit();
        }
        self.publish();
        self.orders.take_closing().unwrap_or(Closing::Asked).into_result()
    }

    fn publish(&mut self) {
        let problem = self.commit_problem.clone().or_else(|| self.read_problem.clone());
        let problem = problem.or_else(|| self.letters.problem());
        let problem = problem.or_else(|| self.courier.problem().map(|problem| problem.message));
        let message = problem.or_else(|| self.parts.log.problem(&self.config.topic));
        let state = match &message {
            _ if self.orders.is_paused() => FirehoseState::Paused,
            Some(_) => FirehoseState::Retrying,
            None => FirehoseState::Running,
        };
        self.report.tell(FirehoseStatus {
            state,
            message,
            partitions: self.partitions.iter().map(report::partition_status).collect(),
            latency: self.latencies.status(Instant::now()),
            delivery: self.courier.counts(),
            parallelism: self.config.courier.lanes,
            is_broken_open: self.courier.is_broken_open(),
            held_bytes: self.partitions.iter().map(Partition::held_bytes).sum(),
            generation: self.generation,
            ..FirehoseStatus::default()
        });
    }
}

/// Never, when there is none.
async fn ended<F: Future + Unpin>(task: &mut Option<F>) -> F::Output {
    match task {
        Some(task) => task.await,
        None => std::future::pending().await,
    }
}

/// Fences whoever ran before, and finds where to go on. The first commit fixes where the firehose started, so that a crash
/// does not move `latest`.
async fn take_over(
    config: &FirehoseConfig,
    parts: &FirehoseParts,
) -> Result<(u64, Positions, TopicDescription), FirehoseError> {
    let taken = parts.positions.take_over().await?;
    let topic = parts.log.topic(&config.topic).await?;
    let positions = start::positions(config, parts.log.as_ref(), &topic, &taken.positions).await?;
    if positions != taken.positions {
        parts.positions.commit(taken.epoch, &positions).await?;
    }
    Ok((taken.epoch, positions, topic))
}

/// A seek of one that cannot go on where it is.
async fn move_before_start(
    config: &FirehoseConfig,
    parts: &FirehoseParts,
    to: &SeekTo,
) -> Result<Seeked, FirehoseError> {
    let taken = parts.positions.take_over().await?;
    let topic = parts.log.topic(&config.topic).await?;
    let sought = start::sought(to, parts.log.as_ref(), &topic).await?;
    let positions = start::moved(&topic, &taken.positions, &sought)?;
    parts.positions.commit(taken.epoch, &positions).await?;
    Ok(Seeked { positions: offsets(&positions), given_up: 0 })
}

fn offsets(positions: &Positions) -> Vec<(u32, i64)> {
    positions.partitions.iter().map(|position| (position.partition, position.next_offset)).collect()
}

fn may_pass(error: &FirehoseError) -> bool {
    match error {
        FirehoseError::Log(error) => error.is_retryable(),
        FirehoseError::Positions(error) => matches!(error, PositionError::Unavailable(_)),
        _ => false,
    }
}

fn courier(
    config: &FirehoseConfig,
    parts: &FirehoseParts,
    letters: &Arc<LetterBox>,
    generation: u64,
) -> Result<Courier<SlabOrigin>, FirehoseError> {
    let destination = parts.destination.open(generation).map_err(|reason| FirehoseError::Destination { reason })?;
    let (letters, name) = (Arc::clone(letters), destination.name().to_owned());
    let keeper = Arc::new(UndeliveredRecords { letters, destination: name });
    // How much is read is bounded here, by partition.
    let options = CourierOptions { held_bytes_max: usize::MAX, ..config.courier };
    Ok(Courier::start(destination, keeper, options))
}

fn lanes(config: &FirehoseConfig, wanted: usize) -> usize {
    match config.order {
        Order::All => 1,
        Order::Key | Order::Partition => wanted.clamp(1, LANES_MAX),
    }
}

/// Enough for a batch in each lane and one that is filled meanwhile.
fn held_bytes_max(config: &FirehoseConfig) -> usize {
    let CourierOptions { held_bytes_max, batch_bytes_max, lanes, .. } = config.courier;
    held_bytes_max.max(batch_bytes_max.saturating_mul(lanes.saturating_add(1))).max(HELD_BYTES_MIN)
}
