//! The same cases for sinks that speak something other than HTTP, through a proxy that knows nothing of their protocol.
//! Records have positions in three partitions.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::cases::{Case, OUTAGE, PARCEL_RECORDS, PATIENCE, compare, options};
use super::{CALL_TIME, Kept, KeptInMemory, Outcome, StreamFault, StreamProxy};
use crate::{Courier, CourierOptions, Destination, EncodedBatchBuilder, Parcel, Position};

const PARTITIONS: u64 = 3;

/// A sink under test, with a server that has nothing yet.
#[async_trait]
pub trait StreamSubject: Send + Sync {
    /// `HOST:PORT` of the server.
    fn upstream(&self) -> String;

    /// The sink, writing to this address. A call should end after [`CALL_TIME`].
    fn destination(&self, address: SocketAddr) -> Arc<dyn Destination>;

    /// A record that the server takes. Records of different numbers are different.
    fn record(&self, number: u64) -> Vec<u8>;

    /// A record that the server refuses.
    fn poison(&self, number: u64) -> Vec<u8>;

    /// The numbers of the records that the server has, each as often as it has it.
    async fn stored(&self) -> Vec<u64>;

    /// Takes the sink's right to write away, or gives it back.
    async fn allow(&self, is_allowed: bool);

    /// How the courier has to be set for this sink.
    fn options(&self, options: CourierOptions) -> CourierOptions {
        options
    }

    /// Whether the same record written twice is there once.
    fn is_idempotent(&self) -> bool {
        true
    }
}

/// The cases that do not need HTTP.
pub const STREAM_CASES: [Case; 8] = [
    Case::Well,
    Case::Down,
    Case::Slow,
    Case::Reset,
    Case::OneOfHundredFails,
    Case::AuthRevoked,
    Case::Poison,
    Case::Restart,
];

/// Tries a sink in every case of [`STREAM_CASES`], each with a subject of its own. Panics if it breaks the contract.
pub async fn check_stream<S: StreamSubject>(subject: impl AsyncFn() -> S) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for case in STREAM_CASES {
        let trial = Trial::start(case, subject().await).await;
        outcomes.push(match tokio::time::timeout(PATIENCE, trial.run()).await {
            Ok(outcome) => outcome,
            Err(_) => panic!("{case:?}: not through after {PATIENCE:?}"),
        });
    }
    outcomes
}

struct Trial<S> {
    case: Case,
    subject: S,
    proxy: StreamProxy,
    destination: Arc<dyn Destination>,
    kept: Arc<KeptInMemory>,
    began: Instant,
}

impl<S: StreamSubject> Trial<S> {
    async fn start(case: Case, subject: S) -> Self {
        let proxy = match StreamProxy::start(subject.upstream()).await {
            Ok(proxy) => proxy,
            Err(error) => panic!("{case:?}: the proxy does not start: {error}"),
        };
        let destination = subject.destination(proxy.address());
        Self { case, subject, proxy, destination, kept: Arc::default(), began: Instant::now() }
    }

    fn courier(&self, options: CourierOptions) -> Courier<u64> {
        Courier::start(Arc::clone(&self.destination), Arc::clone(&self.kept) as _, self.subject.options(options))
    }

    async fn run(mut self) -> Outcome {
        let case = self.case;
        let outcome = match case {
            Case::Down => self.down().await,
            Case::Slow => {
                self.plain(500, |exchange| match exchange {
                    3 | 6 | 11 => StreamFault::Stall(CALL_TIME * 2),
                    _ => StreamFault::None,
                })
                .await
            }
            // Primes, so that every step of a call has it sooner or later.
            Case::Reset => {
                self.plain(2_000, |exchange| match exchange {
                    _ if exchange % 23 == 7 => StreamFault::ResetMidway,
                    _ if exchange % 31 == 9 => StreamFault::ResetAfter,
                    _ => StreamFault::None,
                })
                .await
            }
            Case::OneOfHundredFails => {
                self.plain(5_000, |exchange| match exchange % 100 {
                    7 => StreamFault::ResetAfter,
                    _ => StreamFault::None,
                })
                .await
            }
            Case::AuthRevoked => self.auth_revoked().await,
            Case::Poison => self.poison().await,
            Case::Restart => self.restart().await,
            Case::Well | Case::Throttled | Case::DiskFull => self.plain(1_000, |_| StreamFault::None).await,
        };
        if matches!(case, Case::Slow | Case::Reset | Case::OneOfHundredFails) {
            assert!(outcome.counts.retried > 0, "{case:?}: nothing was retried");
        }
        outcome
    }

    fn parcel(&self, number: u64) -> Parcel<u64> {
        let partition = number % PARTITIONS;
        let mut records = EncodedBatchBuilder::default();
        let mut positions = Vec::new();
        for record in number * PARCEL_RECORDS..(number + 1) * PARCEL_RECORDS {
            records.push(&self.subject.record(record));
            // With gaps, as where records were filtered.
            positions.push(Position { partition: partition as u32, offset: 2 * record as i64 });
        }
        let keys = vec![partition; positions.len()];
        Parcel { records: records.finish().at(positions), keys: Some(keys.into()), origin: Arc::new(number) }
    }

    async fn plain(&mut self, records: u64, script: impl Fn(u64) -> StreamFault + Send + Sync + 'static) -> Outcome {
        self.proxy.follow(script);
        let courier = self.courier(options(20));
        for number in 0..records / PARCEL_RECORDS {
            self.push(&courier, self.parcel(number)).await;
        }
        self.flush(&courier).await;
        self.judge(&courier, records, &BTreeSet::new()).await
    }

    async fn down(&mut self) -> Outcome {
        self.proxy.go_down().await;
        let courier = self.courier(options(20));
        self.push(&courier, self.parcel(0)).await;
        self.until_problem(&courier).await;
        tokio::time::sleep(OUTAGE).await;
        self.come_up().await;
        for number in 1..20 {
            if number == 10 {
                self.proxy.go_down().await;
                tokio::time::sleep(OUTAGE / 3).await;
                self.come_up().await;
            }
            self.push(&courier, self.parcel(number)).await;
        }
        self.flush(&courier).await;
        assert_eq!(courier.problem(), None, "{:?}: the problem is over", self.case);
        self.judge(&courier, 20 * PARCEL_RECORDS, &BTreeSet::new()).await
    }

    async fn auth_revoked(&mut self) -> Outcome {
        self.subject.allow(false).await;
        let courier = self.courier(options(20));
        for number in 0..10 {
            self.push(&courier, self.parcel(number)).await;
        }
        self.until_problem(&courier).await;
        tokio::time::sleep(OUTAGE).await;
        assert_eq!(courier.counts().delivered, 0, "{:?}: nothing can be there", self.case);
        self.subject.allow(true).await;
        self.flush(&courier).await;
        self.judge(&courier, 10 * PARCEL_RECORDS, &BTreeSet::new()).await
    }

    async fn poison(&mut self) -> Outcome {
        const RECORDS: u64 = 5_000;
        const POISON: u64 = 3_141;
        let courier = self.courier(options(RECORDS as usize));
        let (mut records, mut positions) = (EncodedBatchBuilder::default(), Vec::new());
        for number in 0..RECORDS {
            let is_poison = number == POISON;
            records.push(&if is_poison { self.subject.poison(number) } else { self.subject.record(number) });
            positions.push(Position { partition: 0, offset: number as i64 });
        }
        let keys = vec![0; positions.len()];
        let records = records.finish().at(positions);
        self.push(&courier, Parcel { records, keys: Some(keys.into()), origin: Arc::new(0) }).await;
        self.flush(&courier).await;
        let outcome = self.judge(&courier, RECORDS, &BTreeSet::from([POISON])).await;
        let kept = self.kept.kept();
        let [Kept { index, record, reason, .. }] = kept.as_slice() else { panic!("one is kept: {kept:?}") };
        assert_eq!((*index, record), (POISON as usize, &self.subject.poison(POISON)));
        assert!(!reason.is_empty());
        // Two for each halving, and no call for each record.
        assert!(outcome.counts.calls <= 2 * 13 + 2, "{:?}: {} calls", self.case, outcome.counts.calls);
        outcome
    }

    async fn restart(&mut self) -> Outcome {
        const PARCELS: u64 = 40;
        self.proxy.follow(|exchange| match exchange % 29 {
            17 => StreamFault::ResetAfter,
            _ => StreamFault::None,
        });
        let acknowledged = {
            let courier = self.courier(options(20));
            for number in 0..PARCELS {
                self.push(&courier, self.parcel(number)).await;
            }
            while courier.acknowledged() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            courier.acknowledged()
        };
        // Another process: nothing is remembered but what the server has.
        self.destination = self.subject.destination(self.proxy.address());
        let courier = self.courier(options(20));
        for number in acknowledged..PARCELS {
            self.push(&courier, self.parcel(number)).await;
        }
        self.flush(&courier).await;
        self.judge(&courier, PARCELS * PARCEL_RECORDS, &BTreeSet::new()).await
    }

    async fn push(&self, courier: &Courier<u64>, parcel: Parcel<u64>) {
        if let Err(failure) = courier.push(parcel).await {
            panic!("{:?}: {failure}", self.case);
        }
    }

    async fn flush(&self, courier: &Courier<u64>) {
        if let Err(failure) = courier.flush().await {
            panic!("{:?}: {failure}", self.case);
        }
    }

    async fn come_up(&mut self) {
        if let Err(error) = self.proxy.come_up().await {
            panic!("{:?}: the proxy does not come back: {error}", self.case);
        }
    }

    async fn until_problem(&self, courier: &Courier<u64>) {
        while courier.problem().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn judge(&self, courier: &Courier<u64>, records: u64, poison: &BTreeSet<u64>) -> Outcome {
        let (case, counts) = (self.case, courier.counts());
        let stored = self.subject.stored().await;
        let duplicates = stored.len() - compare(case, &counts, &stored, records, poison, &self.kept);
        assert!(duplicates == 0 || !self.subject.is_idempotent(), "{case:?}: {duplicates} records are there twice");
        Outcome { case, counts, duplicates, took: self.began.elapsed() }
    }
}
