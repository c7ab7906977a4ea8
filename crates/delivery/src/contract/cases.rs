//! What is done to a sink, and what has to be so afterwards.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{CALL_TIME, Fault, Kept, KeptInMemory, Outcome, Subject, TestServer};
use crate::{BackoffOptions, Courier, CourierOptions, DeliveryCounts, Destination, EncodedBatchBuilder, Parcel};

pub(super) const PARCEL_RECORDS: u64 = 50;
pub(super) const OUTAGE: Duration = Duration::from_millis(1_500);
/// This only ends a case that hangs.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    Well,
    /// Nobody listens, from before the first call, and again in the middle.
    Down,
    /// The first answers come after the sink has given up.
    Slow,
    /// Every third connection is reset, before or after the request is done.
    Reset,
    /// One call of a hundred fails with 500.
    OneOfHundredFails,
    /// 429 with `Retry-After`.
    Throttled,
    /// 401 for a while.
    AuthRevoked,
    /// 507 for a while: it has no room.
    DiskFull,
    /// One record in a batch of 5,000 is refused.
    Poison,
    /// The process ends between the writes and their acknowledgement.
    Restart,
}

impl Case {
    pub const ALL: [Self; 10] = [
        Self::Well,
        Self::Down,
        Self::Slow,
        Self::Reset,
        Self::OneOfHundredFails,
        Self::Throttled,
        Self::AuthRevoked,
        Self::DiskFull,
        Self::Poison,
        Self::Restart,
    ];
}

/// Tries a sink in every case, each with a subject of its own. Panics if it breaks the contract.
pub async fn check<S: Subject>(subject: impl AsyncFn() -> S) -> Vec<Outcome> {
    check_in(&Case::ALL, subject).await
}

/// The same in some cases, for a sink whose server knows no others.
pub async fn check_in<S: Subject>(cases: &[Case], subject: impl AsyncFn() -> S) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for case in cases.iter().copied() {
        let trial = Trial::start(case, subject().await).await;
        outcomes.push(match tokio::time::timeout(PATIENCE, trial.run()).await {
            Ok(outcome) => outcome,
            Err(_) => panic!("{case:?}: not through after {PATIENCE:?}"),
        });
    }
    outcomes
}

/// The case [`Case::Down`] with an outage as long as one likes, and a third of it once more.
pub async fn check_outage<S: Subject>(subject: S, outage: Duration) -> Outcome {
    let mut trial = Trial::start(Case::Down, subject).await;
    match tokio::time::timeout(PATIENCE + 2 * outage, trial.down(outage)).await {
        Ok(outcome) => outcome,
        Err(_) => panic!("{outage:?}: not through {PATIENCE:?} after it"),
    }
}

struct Trial<S> {
    case: Case,
    subject: S,
    server: Box<dyn TestServer>,
    destination: Arc<dyn Destination>,
    kept: Arc<KeptInMemory>,
    began: Instant,
}

impl<S: Subject> Trial<S> {
    async fn start(case: Case, subject: S) -> Self {
        let server = match subject.server().await {
            Ok(server) => server,
            Err(error) => panic!("{case:?}: the server does not start: {error}"),
        };
        let destination = subject.destination(&server.url());
        Self { case, subject, server, destination, kept: Arc::default(), began: Instant::now() }
    }

    fn courier(&self, options: CourierOptions) -> Courier<u64> {
        Courier::start(Arc::clone(&self.destination), Arc::clone(&self.kept) as _, self.subject.options(options))
    }

    async fn run(mut self) -> Outcome {
        match self.case {
            Case::Well => self.plain(1_000, |_| Fault::None).await,
            Case::Down => self.down(OUTAGE).await,
            Case::Slow => {
                let outcome =
                    self.plain(500, |call| if call < 3 { Fault::Slow(CALL_TIME * 2) } else { Fault::None }).await;
                assert!(outcome.counts.retried > 0, "{:?}: nothing was retried", self.case);
                outcome
            }
            Case::Reset => {
                let outcome = self
                    .plain(2_000, |call| match call % 6 {
                        1 => Fault::ResetMidway,
                        4 => Fault::ResetAfter,
                        _ => Fault::None,
                    })
                    .await;
                assert!(outcome.counts.retried > 0, "{:?}: nothing was retried", self.case);
                outcome
            }
            Case::OneOfHundredFails => {
                let fails = |call| call % 100 == 7;
                let answer = Fault::Answer { status: 500, retry_after_seconds: None };
                self.plain(5_000, move |call| if fails(call) { answer.clone() } else { Fault::None }).await
            }
            Case::Throttled => self.throttled().await,
            Case::AuthRevoked => self.refused_for_a_while(401).await,
            Case::DiskFull => self.refused_for_a_while(507).await,
            Case::Poison => self.poison().await,
            Case::Restart => self.restart().await,
        }
    }

    fn parcel(&self, number: u64) -> Parcel<u64> {
        let mut records = EncodedBatchBuilder::default();
        for record in number * PARCEL_RECORDS..(number + 1) * PARCEL_RECORDS {
            records.push(&self.subject.record(record));
        }
        Parcel { records: records.finish(), keys: None, origin: Arc::new(number) }
    }

    async fn plain(&mut self, records: u64, script: impl Fn(u64) -> Fault + Send + Sync + 'static) -> Outcome {
        self.server.follow(Box::new(script));
        let courier = self.courier(options(20));
        for number in 0..records / PARCEL_RECORDS {
            self.push(&courier, self.parcel(number)).await;
        }
        self.flush(&courier).await;
        self.judge(&courier, records, &BTreeSet::new()).await
    }

    async fn down(&mut self, outage: Duration) -> Outcome {
        self.server.go_down().await;
        let courier = self.courier(options(20));
        self.push(&courier, self.parcel(0)).await;
        self.until_problem(&courier).await;
        tokio::time::sleep(outage).await;
        self.come_up().await;
        for number in 1..20 {
            if number == 10 {
                self.server.go_down().await;
                tokio::time::sleep(outage / 3).await;
                self.come_up().await;
            }
            self.push(&courier, self.parcel(number)).await;
        }
        self.flush(&courier).await;
        assert_eq!(courier.problem(), None, "{:?}: the problem is over", self.case);
        self.judge(&courier, 20 * PARCEL_RECORDS, &BTreeSet::new()).await
    }

    async fn throttled(&mut self) -> Outcome {
        let asked = Duration::from_secs(1);
        let answer = Fault::Answer { status: 429, retry_after_seconds: Some(asked.as_secs()) };
        let outcome = self.plain(500, move |call| if call < 2 { answer.clone() } else { Fault::None }).await;
        let calls = self.server.calls();
        let answered: Vec<Instant> =
            calls.iter().filter(|call| call.status == Some(429)).filter_map(|call| call.ended).collect();
        assert!(!answered.is_empty(), "{:?}: nothing was throttled", self.case);
        // A call that was on its way when the answer came is nobody's fault.
        let margin = Duration::from_millis(100);
        for answered in answered {
            let early =
                calls.iter().find(|call| call.began > answered + margin && call.began + margin < answered + asked);
            assert!(early.is_none(), "{:?}: called again before it was asked to", self.case);
        }
        outcome
    }

    async fn refused_for_a_while(&mut self, status: u16) -> Outcome {
        let is_revoked = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let revoked = Arc::clone(&is_revoked);
        self.server.follow(Box::new(move |_| match revoked.load(std::sync::atomic::Ordering::Relaxed) {
            true => Fault::Answer { status, retry_after_seconds: None },
            false => Fault::None,
        }));
        let courier = self.courier(options(20));
        for number in 0..10 {
            self.push(&courier, self.parcel(number)).await;
        }
        self.until_problem(&courier).await;
        tokio::time::sleep(OUTAGE).await;
        assert_eq!(courier.counts().delivered, 0, "{:?}: nothing can be there", self.case);
        is_revoked.store(false, std::sync::atomic::Ordering::Relaxed);
        self.flush(&courier).await;
        self.judge(&courier, 10 * PARCEL_RECORDS, &BTreeSet::new()).await
    }

    async fn poison(&mut self) -> Outcome {
        const RECORDS: u64 = 5_000;
        const POISON: u64 = 3_141;
        let courier = self.courier(options(RECORDS as usize));
        let mut records = EncodedBatchBuilder::default();
        for number in 0..RECORDS {
            let is_poison = number == POISON;
            records.push(&if is_poison { self.subject.poison(number) } else { self.subject.record(number) });
        }
        self.push(&courier, Parcel { records: records.finish(), keys: None, origin: Arc::new(0) }).await;
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
        self.server.follow(Box::new(|call| if call % 2 == 0 { Fault::ResetAfter } else { Fault::None }));
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
        if let Err(error) = self.server.come_up().await {
            panic!("{:?}: the server does not come back: {error}", self.case);
        }
    }

    async fn until_problem(&self, courier: &Courier<u64>) {
        while courier.problem().is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Compares what the server has with what it was given.
    async fn judge(&self, courier: &Courier<u64>, records: u64, poison: &BTreeSet<u64>) -> Outcome {
        let case = self.case;
        let counts = courier.counts();
        let stored = self.subject.stored().await;
        let distinct = compare(case, &counts, &stored, records, poison, &self.kept);
        let duplicates = stored.len() - distinct;
        assert!(duplicates == 0 || !self.subject.is_idempotent(), "{case:?}: {duplicates} records are there twice");
        Outcome { case, counts, duplicates, took: self.began.elapsed() }
    }
}

/// Compares what a server has with what it was given; returns how many records it has, each counted once.
pub(super) fn compare(
    case: Case,
    counts: &DeliveryCounts,
    stored: &[u64],
    records: u64,
    poison: &BTreeSet<u64>,
    kept: &KeptInMemory,
) -> usize {
    assert!(counts.balances() && counts.in_flight == 0, "{case:?}: {counts:?}");
    assert_eq!(counts.dead_lettered, poison.len() as u64, "{case:?}: {:?}", kept.kept());
    let distinct: BTreeSet<u64> = stored.iter().copied().collect();
    let expected: BTreeSet<u64> = (0..records).filter(|number| !poison.contains(number)).collect();
    let lost: Vec<&u64> = expected.difference(&distinct).take(5).collect();
    let strange: Vec<&u64> = distinct.difference(&expected).take(5).collect();
    assert!(lost.is_empty() && strange.is_empty(), "{case:?}: lost {lost:?}, strange {strange:?}");
    distinct.len()
}

pub(super) fn options(batch_records_max: usize) -> CourierOptions {
    CourierOptions {
        batch_records_max,
        linger: Duration::from_millis(20),
        backoff: BackoffOptions {
            first: Duration::from_millis(20),
            longest: Duration::from_millis(200),
            ..BackoffOptions::default()
        },
        ..CourierOptions::default()
    }
}
