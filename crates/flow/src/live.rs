//! A dagger on a live log: reads as records come, closes windows, feeds the sinks, takes checkpoints, tells how it is.

mod intake;
mod status;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use checkpoint::{CheckpointStore, Storage};
use log::TopicLog;
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
}

/// A sink could not take rows.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct SinkError {
    pub message: String,
    /// Whether trying again later may help.
    pub retry: bool,
}

/// Takes results. Writing the same results twice, after a restart, must be the same as once, or the sink says otherwise.
#[async_trait]
pub trait Sink: Send {
    /// Its name for messages.
    fn name(&self) -> &str;
    async fn write(&mut self, rows: &OutputBatch) -> Result<(), SinkError>;
    /// After it returns, all that was written survives a crash. Called before each checkpoint.
    async fn flush(&mut self) -> Result<(), SinkError>;
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
        let mut idle_ms = Vec::new();
        for source in 0..config.plan.sources.len() {
            let stream = &config.streams[config.plan.sources[source].stream];
            for topic in &stream.topics {
                let description = log.topic(topic).await?;
                for partition in &description.partitions {
                    let offset = match stream.start {
                        StartPosition::Earliest => partition.start_offset,
                        StartPosition::Latest => partition.end_offset,
                        StartPosition::Timestamp(ms) => log.offset_at(topic, partition.partition, ms).await?,
                    };
                    engine.add_lane(source, &stream.settings, topic, partition.partition, offset)?;
                    idle_ms.push(stream.idle_ms);
                }
            }
        }
        let folder = format!("daggers/{}", config.name);
        let (checkpoints, restored) = blocking(move || Ok(CheckpointStore::take_over(storage, &folder)?)).await?;
        let mut snapshots = Snapshots::default();
        if let Some(restored) = restored {
            snapshots.restore(&mut engine, restored)?;
        }
        let removed_unread = skip_what_is_gone(&mut engine, log.as_ref()).await?;
        let positions =
            engine.lanes().iter().map(|lane| (Arc::clone(&lane.topic), lane.partition, lane.next_offset)).collect();
        let intake = Intake::open(log.as_ref(), positions, idle_ms).await?;
        let mut runner = Runner {
            config,
            engine: Some(engine),
            intake,
            outside,
            checkpoints: Arc::new(std::sync::Mutex::new(checkpoints)),
            snapshots,
            last_checkpoint: Instant::now(),
            // The first checkpoint fixes where the dagger started, so that a crash does not move `latest`.
            changed: true,
            totals: status::Totals { removed_unread, ..Default::default() },
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

    async fn checkpoint(&mut self) -> Result<(), FlowError> {
        self.outside.flush().await?;
        loop {
            let Some(mut engine) = self.engine.take() else { return Err(FlowError::Worker) };
            let mut snapshots = std::mem::take(&mut self.snapshots);
            let store = Arc::clone(&self.checkpoints);
            let (engine, snapshots, written) = blocking(move || {
                let (header, parts) = snapshots.take(&mut engine)?;
                let ids = parts.iter().map(|part| part.id.clone()).collect();
                let written = store.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).write(header, parts);
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
                    break;
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
        self.last_checkpoint = Instant::now();
        self.changed = false;
        let offsets = self.engine.as_ref().map(|engine| engine.lanes().len()).unwrap_or_default();
        tracing::debug!(dagger = self.config.name, epoch = self.totals.checkpoint_epoch, lanes = offsets, "checkpoint");
        Ok(())
    }

    fn publish(&mut self, problem: Option<String>) {
        if let Some(engine) = &self.engine {
            // Some accumulators look at every group to know their size, so not at every round.
            if self.totals.state_measured.is_none_or(|last| last.elapsed() >= STATE_MEASURE_INTERVAL) {
                self.totals.states = engine.state_sizes();
                self.totals.state_measured = Some(Instant::now());
            }
            let watermark = self.intake.watermark(engine);
            self.outside.status.send_replace(Arc::new(status::describe(engine, watermark, &self.totals, problem)));
        }
    }
}

const STATE_MEASURE_INTERVAL: Duration = Duration::from_secs(1);
const RETRY_PAUSE: Duration = Duration::from_secs(1);

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

    async fn after_sink_error(&mut self, index: usize, error: SinkError) -> Result<(), FlowError> {
        let sink = self.sinks[index].name().to_string();
        if error.retry {
            let problem = format!("sink {sink}: {}; trying again", error.message);
            if self.pause(problem).await == AfterPause::TryAgain {
                return Ok(());
            }
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

/// Moves lanes whose next record has been removed by retention to the first that is there; says how many each missed.
async fn skip_what_is_gone(engine: &mut Engine, log: &dyn TopicLog) -> Result<Vec<i64>, FlowError> {
    let mut gone = Vec::with_capacity(engine.lanes.len());
    for lane in &mut engine.lanes {
        let topic = log.topic(&lane.topic).await?;
        let start = topic.partitions.iter().find(|partition| partition.partition == lane.partition);
        let missed = start.map_or(0, |partition| (partition.start_offset - lane.next_offset).max(0));
        if missed > 0 {
            tracing::warn!(
                topic = %lane.topic, partition = lane.partition, records = missed,
                "retention removed records before they were read"
            );
            lane.next_offset += missed;
        }
        gone.push(missed);
    }
    Ok(gone)
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
