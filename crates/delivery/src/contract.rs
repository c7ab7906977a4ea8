//! The test kit that every sink passes, for tests only: a sink with a courier before it, against a server that is down,
//! slow, resets connections, fails, throttles, revokes rights, has no room, refuses one record of many, and against a restart.
//!
//! In every case the oracle is the same: the server has each record, the poison is with the dead letters with its reason and
//! nothing else is, and the counts balance. Panics with what is wrong.

mod cases;
mod faulty_server;
mod stream_cases;
mod stream_proxy;

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;

use crate::{CourierOptions, DeliveryCounts, Destination, ErrorClass, KeepError, KeepUndelivered, Undelivered};
pub use cases::{Case, check, check_in, check_outage};
pub use faulty_server::{Call, Fault, FaultyServer, Proxy, Request, Response, Script, Upstream};
pub use stream_cases::{STREAM_CASES, StreamSubject, check_stream};
pub use stream_proxy::{StreamFault, StreamProxy, StreamScript};

/// A sink under test, with a server that has nothing yet.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The real server, or a double of it, if it speaks HTTP/1.1.
    fn upstream(&self) -> Arc<dyn Upstream> {
        panic!("the subject has neither an upstream nor a server of its own")
    }

    /// What the sink talks to, which fails as it is told.
    async fn server(&self) -> io::Result<Box<dyn TestServer>> {
        Ok(Box::new(FaultyServer::start(self.upstream()).await?))
    }

    /// The sink, writing to this address (`http://127.0.0.1:1234`). A call should end after [`CALL_TIME`].
    fn destination(&self, url: &str) -> Arc<dyn Destination>;

    /// A record that the server takes. Records of different numbers are different.
    fn record(&self, number: u64) -> Vec<u8>;

    /// A record that the server refuses.
    fn poison(&self, number: u64) -> Vec<u8>;

    /// The numbers of the records that the server has, each as often as it has it.
    async fn stored(&self) -> Vec<u64>;

    /// How the courier has to be set for this sink.
    fn options(&self, options: CourierOptions) -> CourierOptions {
        options
    }

    /// Whether the same record written twice is there once.
    fn is_idempotent(&self) -> bool {
        true
    }
}

/// A server that fails as it is told.
#[async_trait]
pub trait TestServer: Send + Sync {
    fn url(&self) -> String;

    fn follow(&self, script: Script);

    /// The calls so far. Only those that were answered 429 are looked at.
    fn calls(&self) -> Vec<Call>;

    /// Nobody listens any more, and open connections end.
    async fn go_down(&mut self);

    /// Listens at the same place again.
    async fn come_up(&mut self) -> io::Result<()>;
}

/// How long a call of a sink under test may take.
pub const CALL_TIME: Duration = Duration::from_millis(800);

/// What became of a case.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub case: Case,
    pub counts: DeliveryCounts,
    /// Records that the server has more than once.
    pub duplicates: usize,
    pub took: Duration,
}

/// Keeps what is undelivered in memory.
#[derive(Debug, Default)]
pub struct KeptInMemory {
    kept: Mutex<Vec<Kept>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub origin: u64,
    pub index: usize,
    pub record: Vec<u8>,
    pub class: ErrorClass,
    pub reason: String,
}

impl KeptInMemory {
    pub fn kept(&self) -> Vec<Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl KeepUndelivered<u64> for KeptInMemory {
    async fn keep(&self, records: &[Undelivered<'_, u64>]) -> Result<(), KeepError> {
        let kept = records.iter().map(|record| Kept {
            origin: *record.origin,
            index: record.index,
            record: record.record.to_vec(),
            class: record.class,
            reason: record.reason.to_owned(),
        });
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).extend(kept);
        Ok(())
    }
}
