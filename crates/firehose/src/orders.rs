//! What the run was told, and what of it is to be done.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::handle::Command;
use crate::{Ended, FirehoseError, SeekTo, Seeked};

/// What needs that nothing is on its way.
pub(crate) enum Request {
    Seek(SeekTo, oneshot::Sender<Result<Seeked, FirehoseError>>),
    Scale(usize),
}

/// Why the run ends.
pub(crate) enum Closing {
    Asked,
    StopReached,
    Failed(FirehoseError),
}

impl Closing {
    pub fn into_result(self) -> Result<Ended, FirehoseError> {
        match self {
            Self::Asked => Ok(Ended::Asked),
            Self::StopReached => Ok(Ended::StopReached),
            Self::Failed(error) => Err(error),
        }
    }
}

pub(crate) struct Orders {
    inbox: mpsc::UnboundedReceiver<Command>,
    /// The handle is there.
    can_hear: bool,
    is_paused: bool,
    requests: VecDeque<Request>,
    closing: Option<Closing>,
    /// Since when the first request, or the end, waits for what is on its way.
    since: Instant,
}

/// One who sends more requests than this before the first is done is not served.
const REQUESTS_MAX: usize = 100;

impl Orders {
    pub fn new(inbox: mpsc::UnboundedReceiver<Command>, is_paused: bool) -> Self {
        Self { inbox, can_hear: true, is_paused, requests: VecDeque::new(), closing: None, since: Instant::now() }
    }

    pub fn can_hear(&self) -> bool {
        self.can_hear
    }

    pub async fn next(&mut self) -> Option<Command> {
        let command = self.inbox.recv().await;
        self.can_hear = command.is_some();
        command
    }

    pub fn take(&mut self, command: Command) {
        match command {
            Command::Pause => self.is_paused = true,
            Command::Resume => self.is_paused = false,
            Command::Stop => self.close(Closing::Asked),
            Command::Seek(to, reply) => self.request(Request::Seek(to, reply)),
            Command::Scale(lanes) => self.request(Request::Scale(lanes)),
        }
    }

    fn request(&mut self, request: Request) {
        if self.requests.is_empty() && self.closing.is_none() {
            self.since = Instant::now();
        }
        if self.requests.len() < REQUESTS_MAX {
            self.requests.push_back(request);
        }
    }

    /// Waits so long, hearing commands; whether it is to end.
    pub async fn pause(&mut self, time: Duration) -> bool {
        let until = tokio::time::Instant::now() + time;
        while !self.is_closing() {
            tokio::select! {
                command = self.next(), if self.can_hear => command.into_iter().for_each(|command| self.take(command)),
                () = tokio::time::sleep_until(until) => return false,
            }
        }
        true
    }

    /// The first seek that was asked for, or that is asked for soon. What was to be done before it is forgotten.
    pub async fn wait_for_seek(
        &mut self,
        time: Duration,
    ) -> Option<(SeekTo, oneshot::Sender<Result<Seeked, FirehoseError>>)> {
        let until = tokio::time::Instant::now() + time;
        loop {
            while let Some(request) = self.requests.pop_front() {
                if let Request::Seek(to, reply) = request {
                    return Some((to, reply));
                }
            }
            if self.is_closing() || !self.can_hear {
                return None;
            }
            let Ok(command) = tokio::time::timeout_at(until, self.next()).await else { return None };
            command.into_iter().for_each(|command| self.take(command));
        }
    }

    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    pub fn may_read(&self) -> bool {
        !self.is_paused && self.closing.is_none() && self.requests.is_empty()
    }

    pub fn first_request(&self) -> Option<&Request> {
        self.requests.front()
    }

    /// The next one begins to wait.
    pub fn pop_request(&mut self) -> Option<Request> {
        self.since = Instant::now();
        self.requests.pop_front()
    }

    /// The first reason stays.
    pub fn close(&mut self, closing: Closing) {
        if self.closing.is_none() {
            self.since = Instant::now();
            self.closing = Some(closing);
        }
    }

    pub fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    pub fn take_closing(&mut self) -> Option<Closing> {
        self.closing.take()
    }

    pub fn waits(&self) -> Duration {
        self.since.elapsed()
    }
}
