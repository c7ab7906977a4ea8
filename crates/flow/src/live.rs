//! A dagger on a live log: reads as records come, closes windows, feeds the sinks, takes checkpoints, tells how it is.

mod intake;
mod positions;
mod status;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use checkpoint::{CheckpointStore, Commit, Storage};
use log::{TopicLog, TopicShape};
use sql::DaggerPlan;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::FlowError;
use crate::checkpoints::Snapshots;
use crate::engine::{Engine, OutputBatch, StreamSettings};
use crate::refused::{RefusedRecord, RefusedRecords};
use crate::step_counts::StepCounts;
use intake::Intake;
pub use status::{DaggerStatus, LaneStatus};

/// Where a stream starts when there is no checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartPosition {
    Earliest,
    Latest,
    /// The first record whose timestamp is at or after this, in milliseconds.
    Timestamp(i64),
}

/// One stream of a dagger.
#[derive(Debug, Clone)]
pub struct StreamConfig {
    pub settings: Arc<StreamSettings>,
    pub topics: Vec<String>,
    pub start: StartPosition,
    /// After this long at the end of a partition, it no longer holds back the watermark.
    pub idle_ms: i64,
    /// Under this name others see how far it has read.
    pub group: String,
}

/// What was decided about records that are gone unread: reading goes on without them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AcceptedLoss {
    /// From the oldest record that is there.
    Earliest,
    /// From what comes next.
    Latest,
}

/// What to run.
#[derive(Clone)]
pub struct DaggerConfig {
    pub name: String,
    pub plan: Arc<DaggerPlan>,
    /// In the order of the streams that the plan was made with.
    pub streams: Vec<StreamConfig>,
    pub parallelism: usize,
    pub checkpoint_interval: Duration,
    pub batch_rows_max: usize,
    /// Longest time that a record waits for others to share a round with.
    pub latency_max: Duration,
    /// Without it a dagger whose next record is gone does not start.
    pub accepted_loss: Option<AcceptedLoss>,
}

/// A sink could not take rows.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    pub message: String,
    pub then: AfterError,
}

/// What helps after an error of a sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterError {
    /// The same call may work later.
    TryAgain,
    /// What was written since the last checkpoint is void: the dagger has to go on from there.
    StartAnew,
    /// Somebody has to change something.
    Stop,
}

impl SinkError {
    /// `may_pass`: the same call may work later.
    pub fn new(message: impl Into<String>, may_pass: bool) -> Self {
        let then = if may_pass { AfterError::TryAgain } else { AfterError::Stop };
        Self { message: message.into(), then }
    }
}

/// Takes results. Writing the same results twice, after a restart, must be the same as once, or the sink says otherwise.
#[async_trait]
pub trait Sink: Send {
    /// Its name for messages.
    fn name(&self) -> &str;
    async fn write(&mut self, rows: &OutputBatch) -> Result<(), SinkError>;
    /// After it returns, all that was written survives a crash. Called before each checkpoint.
    async fn flush(&mut self) -> Result<(), SinkError>;
    /// For one whose results are seen only once they are committed: its other half.
    fn transactional(&mut self) -> Option<&mut dyn TransactionalSink> {
        None
    }
}

/// A sink in whose transactions the results between two checkpoints are. At most one of a dagger.
///
/// A checkpoint counts only if its transaction was committed; so the transaction holds the checkpoint's name, and who
/// takes over asks for it before it decides where to go on.
#[async_trait]
pub trait TransactionalSink: Send {
    /// Takes over from whoever wrote before: nothing that it left open can be committed any more. Returns the number of
    /// the last checkpoint of this lineage that was committed.
    async fn take_over(&mut self, lineage: &str) -> Result<Option<u64>, SinkError>;
    /// Ends the open transaction's content: all that was written, and the checkpoint's name.
    async fn prepare(&mut self, lineage: &str, checkpoint: u64) -> Result<(), SinkError>;
    /// Makes what was prepared visible; what is written from now on is in the next transaction.
    async fn commit(&mut self) -> Result<(), SinkError>;
}

/// A running dagger.
pub struct DaggerHandle {
    status: watch::Receiver<Arc<DaggerStatus>>,
    stop: Arc<StopSignal>,
    task: JoinHandle<Result<(), FlowError>>,
}

#[derive(Default)]
pub(crate) struct StopSignal {
    asked: AtomicBool,
    wake: Notify,
}

impl StopSignal {
    fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }
}

impl DaggerHandle {
    /// How it is, as of the last round.
    pub fn status(&self) -> Arc<DaggerStatus> {
        self.status.borrow().clone()
    }

    /// How it is, for those who look later and often.
    pub fn watch_status(&self) -> watch::Receiver<Arc<DaggerStatus>> {
        self.status.clone()
    }

    /// Asks it to take a checkpoint and end.
    pub fn ask_to_stop(&self) {
        self.stop.asked.store(true, Ordering::Release);
        self.stop.wake.notify_one();
    }

    /// Whether it has ended, asked or not.
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for its end and tells why it ended.
    pub async fn ended(self) -> Result<(), FlowError> {
        match self.task.await {
            Ok(result) => result,
            Err(_) => Err(FlowError::Worker),
        }
    }

    /// Stops it with a checkpoint.
    pub async fn stop(self) -> Result<(), FlowError> {
        self.ask_to_stop();
        self.ended().await
    }
}

/// Starts a dagger. Its checkpoints lie in `daggers/NAME` of the storage.
pub fn spawn(
    config: DaggerConfig,
    log: Arc<dyn TopicLog>,
    sinks: Vec<Box<dyn Sink>>,
    refused: Arc<dyn RefusedRecords>,
    checkpoints: Arc<dyn Storage>,
) -> DaggerHandle {
    let (sender, status) = watch::channel(Arc::new(DaggerStatus::default()));
    let stop = Arc::new(StopSignal::default());
    let outside = Outside { sinks, refused, status: sender, stop: Arc::clone(&stop) };
    let task = tokio::spawn(async move { Runner::start(config, log, checkpoints, outside).await?.run().await });
    DaggerHandle { status, stop, task }
}

/// What a dagger gives to and is told by others.
struct Outside {
    sinks: Vec<Box<dyn Sink>>,
    refused: Arc<dyn RefusedRecords>,
    status: watch::Sender<Arc<DaggerStatus>>,
    stop: Arc<StopSignal>,
}

struct Runner {
    config: DaggerConfig,
    /// Absent only while a round has it.
    engine: Option<Engine>,
    log: Arc<dyn TopicLog>,
    /// The topics as they were when their lanes were made.
    shapes: Vec<(String, TopicShape)>,
    last_discovery: Instant,
    intake: Intake,
    outside: Outside,
    checkpoints: Arc<std::sync::Mutex<CheckpointStore>>,
    snapshots: Snapshots,
    last_checkpoint: Instant,
    /// Something happened since the last checkpoint.
    changed: bool,
    totals: status::Totals,
}

/// Longest sleep while nothing happens; a bound for noticing new partitions.
const QUIET_MAX: Duration = Duration::from_secs(5);

impl Runner {
    async fn start(
        config: DaggerConfig,
        log: Arc<dyn TopicLog>,
        storage: Arc<dyn Storage>,
        outside: Outside,
    ) -> Result<Self, FlowError> {
        let mut engine = Engine::new(Arc::clone(&config.plan))?;
        let (mut idle_ms, mut shapes, mut notices) = (Vec::new(), Vec::new(), Vec::new());
        for source in 0..config.plan.sources.len() {
            let stream = &config.streams[config.plan.sources[source].stream];
            for topic in &stream.topics {
                let description = log.topic(topic).await?;
                shapes.push((topic.clone(), TopicShape::of(&description)));
                if stream.start == StartPosition::Earliest {
                    notices.extend(retention_notice(&description));
                }
                for partition in &description.partitions {
                    let offset = match stream.start {
                        StartPosition::Earliest => partition.start_offset,
                        StartPosition::Latest => partition.end_offset,
                        StartPosition::Timestamp(ms) => log.offset_at(topic, partition.partition, ms).await?,
                    };
                    engine.add_lane(source, &stream.settings, topic, partition.partition, offset)?;
                    engine.name_topic(description.id.clone());
                    idle_ms.push(stream.idle_ms);
                }
            }
        }
        let folder = format!("daggers/{}", config.name);
        let checkpoints = blocking(move || Ok(CheckpointStore::take_over(storage, &folder)?)).await?;
        let mut outside = outside;
        let committed = outside.take_over(checkpoints.next_checkpoint().0).await?;
        let (checkpoints, restored) = blocking(move || {
            let mut checkpoints = checkpoints;
            let restored = checkpoints.restore(committed)?;
            Ok((checkpoints, restored))
        })
        .await?;
        let mut snapshots = Snapshots::default();
        if let Some(restored) = restored {
            snapshots.restore(&mut engine, restored)?;
            notices.clear();
        }
        let lost_unread = positions::fit(&mut engine, log.as_ref(), config.accepted_loss).await?;
        let positions =
            engine.lanes().iter().map(|lane| (Arc::clone(&lane.topic), lane.partition, lane.next_offset)).collect();
        let intake = Intake::open(log.as_ref(), positions, idle_ms).await?;
        let mut runner = Runner {
            config,
            engine: Some(engine),
            log,
            shapes,
            last_discovery: Instant::now(),
            intake,
            outside,
            checkpoints: Arc::new(std::sync::Mutex::new(checkpoints)),
            snapshots,
            last_checkpoint: Instant::now(),
            // The first checkpoint fixes where the dagger started, so that a crash does not move `latest`.
            changed: true,
            totals: status::Totals { lost_unread, notices, ..Default::default() },
        };
        runner.totals.sinks = vec![StepCounts::default(); runner.outside.sinks.len()];
        runner.checkpoint().await?;
        runner.publish(None);
        Ok(runner)
    }

    async fn run(&mut self) -> Result<(), FlowError> {
        let stop = Arc::clone(&self.outside.stop);
        while !stop.is_asked() {
            let wait = self.quiet_time();
            let slabs = tokio::select! {
                slabs = self.intake.next(self.config.latency_max, wait) => slabs?,
                () = stop.wake.notified() => continue,
            };
            self.round(slabs).await?;
            self.publish(None);
            if self.changed && self.last_checkpoint.elapsed() >= self.config.checkpoint_interval {
                self.checkpoint().await?;
                self.publish(None);
            }
            if self.last_discovery.elapsed() >= DISCOVERY_INTERVAL {
                self.discover().await?;
            }
        }
        self.checkpoint().await?;
        self.publish(None);
        Ok(())
    }

    /// How long nothing has to be done if no record comes.
    fn quiet_time(&self) -> Duration {
        let mut quiet = QUIET_MAX;
        if self.changed {
            quiet = quiet.min(self.config.checkpoint_interval.saturating_sub(self.last_checkpoint.elapsed()));
        }
        if let Some(engine) = &self.engine
            && engine.next_close() != i64::MAX
        {
            // Open windows: idleness or the clock may close them.
            quiet = quiet.min(self.intake.next_idle().unwrap_or(quiet)).min(Duration::from_millis(500));
        }
        quiet.max(Duration::from_millis(1))
    }

    async fn round(&mut self, slabs: Vec<(usize, log::Slab)>) -> Result<(), FlowError> {
        let Some(mut engine) = self.engine.take() else { return Err(FlowError::Worker) };
        self.changed |= !slabs.is_empty();
        let threads = self.config.parallelism;
        let took_any = !slabs.is_empty();
        let (engine, rows, refused) = blocking(move || {
            let (rows, refused) = if took_any { engine.take(slabs, threads)? } else { Default::default() };
            Ok((engine, rows, refused))
        })
        .await?;
        if !refused.is_empty() {
            self.outside.keep(&self.config.name, refused).await?;
        }
        self.deliver(rows).await?;
        let watermark = self.intake.watermark(&engine);
        let mut engine = engine;
        let (engine, closed) = if engine.next_close() <= watermark {
            blocking(move || {
                let closed = engine.advance(watermark)?;
                Ok((engine, closed))
            })
            .await?
        } else {
            (engine, Vec::new())
        };
        self.engine = Some(engine);
        self.changed |= !closed.is_empty();
        self.deliver(closed).await
    }

    async fn deliver(&mut self, batches: Vec<OutputBatch>) -> Result<(), FlowError> {
        for batch in batches {
            self.totals.rows += batch.batch.num_rows() as u64;
            self.outside.write(&batch, &mut self.totals.sinks).await?;
        }
        Ok(())
    }

    /// Looks whether the topics are still what they were.
    async fn discover(&mut self) -> Result<(), FlowError> {
        self.last_discovery = Instant::now();
        for (topic, before) in &self.shapes {
            let now = match self.log.shape(topic).await {
                Ok(now) => now,
                Err(gone @ log::LogError::UnknownTopic { .. }) => return Err(gone.into()),
                // What cannot be asked now is asked again.
                Err(_) => continue,
            };
            if now.id != before.id {
                return Err(log::LogError::TopicRecreated { topic: topic.clone() }.into());
            }
            if now.partitions > before.partitions {
                let (topic, now, before) = (topic.clone(), now.partitions, before.partitions);
                self.checkpoint().await?;
                return Err(FlowError::MorePartitions { topic, before, now });
            }
        }
        Ok(())
    }

    async fn checkpoint(&mut self) -> Result<(), FlowError> {
        let (lineage, number) = self.with_store(|store| {
            let (lineage, number) = store.next_checkpoint();
            (lineage.to_owned(), number)
        });
        let (status, watched) = (self.outside.status.clone(), (self.log.as_ref(), self.shapes.as_slice()));
        let prepared = async {
            self.outside.flush().await?;
            self.outside.prepare(&lineage, number).await
        };
        let commit = match telling(&status, watched, prepared).await? {
            true => Commit::Elsewhere,
            false => Commit::AtOnce,
        };
        self.write_checkpoint(commit).await?;
        if commit == Commit::Elsewhere {
            telling(&status, (self.log.as_ref(), &self.shapes), self.outside.commit()).await?;
            let store = Arc::clone(&self.checkpoints);
            let settle = move || store.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).settle();
            self.totals.checkpoint_epoch = blocking(move || Ok(settle()?)).await?;
        }
        self.last_checkpoint = Instant::now();
        self.changed = false;
        self.tell_positions();
        tracing::debug!(dagger = self.config.name, epoch = self.totals.checkpoint_epoch, number, "checkpoint");
        Ok(())
    }

    fn with_store<T>(&self, ask: impl FnOnce(&CheckpointStore) -> T) -> T {
        ask(&self.checkpoints.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    async fn write_checkpoint(&mut self, commit: Commit) -> Result<(), FlowError> {
        loop {
            let Some(mut engine) = self.engine.take() else { return Err(FlowError::Worker) };
            let mut snapshots = std::mem::take(&mut self.snapshots);
            let store = Arc::clone(&self.checkpoints);
            let (engine, snapshots, written) = blocking(move || {
                let (header, parts) = snapshots.take(&mut engine)?;
                let ids = parts.iter().map(|part| part.id.clone()).collect();
                let mut store = store.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
                let written = store.write(header, parts, commit);
                snapshots.settle(ids, written.is_ok());
                Ok((engine, snapshots, written))
            })
            .await?;
            self.engine = Some(engine);
            self.snapshots = snapshots;
            match written {
                Ok(epoch) => {
                    self.totals.checkpoint_epoch = epoch;
                    self.totals.checkpoint_at = Some(std::time::SystemTime::now());
                    return Ok(());
                }
                Err(error) if error.is_disk_full() => {
                    let problem = format!("{error}; the dagger pauses until there is room");
                    if self.outside.pause(problem).await == AfterPause::Stop {
                        return Err(error.into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// For others to see; whether they do changes nothing here.
    fn tell_positions(&self) {
        let Some(engine) = &self.engine else { return };
        for (source, stream) in
            self.config.plan.sources.iter().map(|source| &self.config.streams[source.stream]).enumerate()
        {
            let lanes = engine.lanes().iter().filter(|lane| lane.source == source);
            let positions: Vec<_> =
                lanes.map(|lane| (Arc::clone(&lane.topic), lane.partition, lane.next_offset)).collect();
            let (log, group) = (Arc::clone(&self.log), stream.group.clone());
            tokio::spawn(async move {
                if let Err(error) = log.publish_positions(&group, &positions).await {
                    tracing::debug!(group, %error, "a group's offsets were not written");
                }
            });
        }
    }

    fn publish(&mut self, problem: Option<String>) {
        if let Some(engine) = &self.engine {
            // Some accumulators look at every group to know their size, so not at every round.
            if self.totals.state_measured.is_none_or(|last| last.elapsed() >= STATE_MEASURE_INTERVAL) {
                self.totals.states = engine.state_sizes();
                self.totals.state_measured = Some(Instant::now());
            }
            let watermark = self.intake.watermark(engine);
            let problem = problem.or_else(|| self.shapes.iter().find_map(|(topic, _)| self.log.problem(topic)));
            self.outside.status.send_replace(Arc::new(status::describe(engine, watermark, &self.totals, problem)));
        }
    }
}

const STATE_MEASURE_INTERVAL: Duration = Duration::from_secs(1);
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// How often it is looked, while a sink is waited for, whether the log answers.
const TELL_INTERVAL: Duration = Duration::from_millis(500);
/// How often a dagger looks whether its topics have more partitions, or are other ones.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(5);

/// Somebody who reads a topic from its oldest record should know when that is on its way out.
fn retention_notice(topic: &log::TopicDescription) -> Option<String> {
    let removed = topic.partitions.iter().any(|partition| partition.start_offset > 0);
    let retention = Duration::from_millis(u64::try_from(topic.config.retention_ms?).ok()?);
    let waiting: i64 = topic.partitions.iter().map(|partition| partition.end_offset - partition.start_offset).sum();
    (removed && waiting > 0).then(|| {
        format!(
            "{} keeps records for {} hours and has removed older ones already: what it removes before this dagger has \
             read it is not in the results",
            topic.name,
            retention.as_secs() / 3_600
        )
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum AfterPause {
    TryAgain,
    /// The dagger is to end, so it does not wait for better times; it will go on from its last checkpoint.
    Stop,
}

impl Outside {
    /// Shows why the dagger does not go on, and waits a while.
    async fn pause(&mut self, problem: String) -> AfterPause {
        if self.status.borrow().problem.is_none() {
            tracing::warn!(problem, "a dagger pauses");
        }
        self.status.send_modify(|status| Arc::make_mut(status).problem = Some(problem));
        if !self.stop.is_asked() {
            tokio::select! {
                () = tokio::time::sleep(RETRY_PAUSE) => return AfterPause::TryAgain,
                () = self.stop.wake.notified() => {}
            }
        }
        AfterPause::Stop
    }

    fn go_on(&self) {
        self.status.send_if_modified(|status| {
            let paused = status.problem.is_some();
            if paused {
                Arc::make_mut(status).problem = None;
            }
            paused
        });
    }

    async fn write(&mut self, rows: &OutputBatch, counts: &mut [StepCounts]) -> Result<(), FlowError> {
        for (index, counts) in counts.iter_mut().enumerate() {
            let began = Instant::now();
            while let Err(error) = self.sinks[index].write(rows).await {
                self.after_sink_error(index, error).await?;
            }
            counts.note(rows.batch.num_rows(), rows.batch.num_rows(), began.elapsed());
        }
        self.go_on();
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), FlowError> {
        for index in 0..self.sinks.len() {
            while let Err(error) = self.sinks[index].flush().await {
                self.after_sink_error(index, error).await?;
            }
        }
        self.go_on();
        Ok(())
    }

    /// Has the transactional sink, if there is one, take over; gives the last checkpoint that it committed.
    async fn take_over(&mut self, lineage: &str) -> Result<Option<u64>, FlowError> {
        let Some(index) = self.transactional() else { return Ok(None) };
        loop {
            let Some(sink) = self.sinks[index].transactional() else { return Ok(None) };
            match sink.take_over(lineage).await {
                Ok(committed) => {
                    self.go_on();
                    return Ok(committed);
                }
                Err(error) => self.after_sink_error(index, error).await?,
            }
        }
    }

    /// Whether there is a transaction that the checkpoint depends on.
    async fn prepare(&mut self, lineage: &str, checkpoint: u64) -> Result<bool, FlowError> {
        let Some(index) = self.transactional() else { return Ok(false) };
        loop {
            let Some(sink) = self.sinks[index].transactional() else { return Ok(false) };
            match sink.prepare(lineage, checkpoint).await {
                Ok(()) => {
                    self.go_on();
                    return Ok(true);
                }
                Err(error) => self.after_sink_error(index, error).await?,
            }
        }
    }

    async fn commit(&mut self) -> Result<(), FlowError> {
        let Some(index) = self.transactional() else { return Ok(()) };
        let Some(sink) = self.sinks[index].transactional() else { return Ok(()) };
        let Err(error) = sink.commit().await else { return Ok(()) };
        // Whatever may help the sink: this checkpoint counts only if the commit is known to have been made.
        let then = if error.then == AfterError::TryAgain { AfterError::StartAnew } else { error.then };
        self.after_sink_error(index, SinkError { then, ..error }).await
    }

    fn transactional(&mut self) -> Option<usize> {
        self.sinks.iter_mut().position(|sink| sink.transactional().is_some())
    }

    async fn after_sink_error(&mut self, index: usize, error: SinkError) -> Result<(), FlowError> {
        let sink = self.sinks[index].name().to_string();
        match error.then {
            AfterError::TryAgain => {
                let problem = format!("sink {sink}: {}; trying again", error.message);
                if self.pause(problem).await == AfterPause::TryAgain {
                    return Ok(());
                }
            }
            AfterError::StartAnew => return Err(FlowError::SinkStartsAnew { sink, message: error.message }),
            AfterError::Stop => {}
        }
        Err(FlowError::Sink { sink, message: error.message })
    }

    async fn keep(&mut self, dagger: &str, records: Vec<RefusedRecord>) -> Result<(), FlowError> {
        let records = Arc::new(records);
        loop {
            let (store, dagger, records) = (Arc::clone(&self.refused), dagger.to_owned(), Arc::clone(&records));
            let Err(error) = blocking(move || Ok(store.keep(&dagger, &records))).await? else {
                self.go_on();
                return Ok(());
            };
            let problem = format!("{error}; trying again");
            if !error.retry || self.pause(problem).await == AfterPause::Stop {
                return Err(error.into());
            }
        }
    }
}

/// Waits for a sink, which may take a while to give up. Meanwhile people are shown why the log does not answer, if it does
/// not: the two are often in the same cluster.
async fn telling<T>(
    status: &watch::Sender<Arc<DaggerStatus>>,
    (log, shapes): (&dyn TopicLog, &[(String, TopicShape)]),
    work: impl Future<Output = T>,
) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            () = tokio::time::sleep(TELL_INTERVAL) => {
                let problem = shapes.iter().find_map(|(topic, _)| log.problem(topic));
                status.send_if_modified(|status| {
                    let is_news = status.problem.is_none() && problem.is_some();
                    if is_news {
                        Arc::make_mut(status).problem = problem;
                    }
                    is_news
                });
            }
        }
    }
}

/// Runs work that computes or waits for the disk off the async threads.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FlowError> + Send + 'static,
) -> Result<T, FlowError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(FlowError::Worker),
    }
}
