//! A running firehose, as others see it and tell it what to do.

use std::sync::Arc;

use delivery::Destination;
use log::TopicLog;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::{DeadLetters, Ended, FirehoseConfig, FirehoseError, FirehoseStatus, Pipeline, PositionStore, SeekTo};

/// Opens the sink, anew after a seek.
pub trait OpenDestination: Send + Sync + 'static {
    /// `generation` counts how often somebody has moved the positions: it belongs into what a sink that keeps positions
    /// knows them by, such as `SinkContext::incarnation`, or such a sink takes what was sought back to for known.
    fn open(&self, generation: u64) -> Result<Arc<dyn Destination>, String>;
}

/// What a firehose works with.
pub struct FirehoseParts {
    pub log: Arc<dyn TopicLog>,
    pub pipeline: Pipeline,
    pub destination: Arc<dyn OpenDestination>,
    pub positions: Arc<dyn PositionStore>,
    pub dead_letters: Arc<dyn DeadLetters>,
}

/// What a seek has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeked {
    /// (partition, offset) where it goes on, committed.
    pub positions: Vec<(u32, i64)>,
    /// Records that were on their way and were given up: a sink that is not idempotent may have some of them all the same.
    pub given_up: u64,
}

pub(crate) enum Command {
    Pause,
    Resume,
    Seek(SeekTo, oneshot::Sender<Result<Seeked, FirehoseError>>),
    Scale(usize),
    Stop,
}

/// Dropping it leaves the firehose running.
pub struct FirehoseHandle {
    pub(crate) status: watch::Receiver<Arc<FirehoseStatus>>,
    pub(crate) commands: mpsc::UnboundedSender<Command>,
    pub(crate) task: JoinHandle<Result<Ended, FirehoseError>>,
}

impl FirehoseHandle {
    pub fn status(&self) -> Arc<FirehoseStatus> {
        self.status.borrow().clone()
    }

    /// For those who look later and often, also after the end.
    pub fn watch_status(&self) -> watch::Receiver<Arc<FirehoseStatus>> {
        self.status.clone()
    }

    /// Reads no more. What was read goes on its way.
    pub fn pause(&self) {
        self.tell(Command::Pause);
    }

    pub fn resume(&self) {
        self.tell(Command::Resume);
    }

    /// Goes on elsewhere. Returns when the new positions are committed.
    pub async fn seek(&self, to: SeekTo) -> Result<Seeked, FirehoseError> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Seek(to, reply));
        answer.await.unwrap_or(Err(FirehoseError::Ended))
    }

    /// So many calls at a time, as soon as what is on its way has arrived: order is kept.
    pub fn scale(&self, parallelism: usize) {
        self.tell(Command::Scale(parallelism));
    }

    /// Reads no more, lets what is on its way arrive within [`FirehoseConfig::drain_time_max`], commits and ends.
    pub fn ask_to_stop(&self) {
        self.tell(Command::Stop);
    }

    pub async fn stop(self) -> Result<Ended, FirehoseError> {
        self.ask_to_stop();
        self.ended().await
    }

    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for its end and tells why it ended.
    pub async fn ended(self) -> Result<Ended, FirehoseError> {
        self.task.await.unwrap_or(Err(FirehoseError::Task))
    }

    /// Ends it where it is, as a crash would: nothing is committed any more.
    pub fn abort(&self) {
        self.task.abort();
    }

    /// To one that has ended nothing can be said.
    fn tell(&self, command: Command) {
        let _ = self.commands.send(command);
    }
}

/// Starts a firehose on the runtime that this is called in.
pub fn spawn(config: FirehoseConfig, parts: FirehoseParts) -> FirehoseHandle {
    let (sender, status) = watch::channel(Arc::new(FirehoseStatus::default()));
    let (commands, inbox) = mpsc::unbounded_channel();
    let task = tokio::spawn(crate::run::run(config, parts, inbox, sender));
    FirehoseHandle { status, commands, task }
}
