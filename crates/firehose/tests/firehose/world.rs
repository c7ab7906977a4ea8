//! What outlives a run: the topic, the sink, the positions, the dead letters; each fails as it is told, and each is checked
//! against the plain computation at every step.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use delivery::{
    Answer, BackoffOptions, CallError, CourierOptions, DeadLetter, Destination, EncodedBatch, ErrorClass, KeepError,
    Ledger, RecordError,
};
use firehose::{
    DeadLetters, Ended, FirehoseConfig, FirehoseHandle, FirehoseParts, MemoryPositions, OpenDestination, PositionError,
    PositionStore, Positions, PositionsTaken, StopAt, spawn,
};
use log::{EmbeddedLog, EmbeddedLogOptions, TopicConfig, TopicLog};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::records::{Fate, fate, is_poison, pipeline, record};

pub const TOPIC: &str = "events";

/// How things fail, in percent of calls.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub calls: u32,
    pub commits: u32,
    pub letters: u32,
}

pub struct World {
    pub log: Arc<EmbeddedLog>,
    pub state: Arc<State>,
    _folder: tempfile::TempDir,
}

pub struct State {
    pub faults: Faults,
    random: Mutex<ChaCha8Rng>,
    /// The records of each partition, by offset.
    pub topic: Mutex<Vec<Vec<u64>>>,
    pub positions: MemoryPositions,
    pub sink: Mutex<Sink>,
    pub letters: Mutex<BTreeMap<(u32, i64), DeadLetter>>,
    pub is_down: AtomicBool,
    /// Records of which lie at this partition are not taken.
    pub stuck_partition: Mutex<Option<u32>>,
    /// A call takes so long.
    pub call_time_ms: AtomicU64,
    pub commits: AtomicU64,
}

/// What the sink has.
#[derive(Default)]
pub struct Sink {
    /// It keeps the positions with its records, and takes nothing twice.
    pub keeps_positions: bool,
    pub generation: u64,
    positions: HashMap<u32, i64>,
    /// In the order in which they came, each as often as it came.
    pub stored: Vec<(u32, i64, u64)>,
    pub calls: u64,
}

impl World {
    pub async fn new(seed: u64, partitions: u32, faults: Faults) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Arc::new(EmbeddedLog::open(folder.path(), EmbeddedLogOptions::default()).unwrap());
        log.create_topic(TOPIC, TopicConfig::with_partitions(partitions)).await.unwrap();
        let state = State {
            faults,
            random: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
            topic: Mutex::new(vec![Vec::new(); partitions as usize]),
            positions: MemoryPositions::default(),
            sink: Mutex::default(),
            letters: Mutex::default(),
            is_down: AtomicBool::new(false),
            stuck_partition: Mutex::default(),
            call_time_ms: AtomicU64::new(0),
            commits: AtomicU64::new(0),
        };
        Self { log, state: Arc::new(state), _folder: folder }
    }

    /// Appends records to one partition.
    pub async fn append(&self, partition: u32, numbers: &[u64]) {
        let records = numbers.iter().map(|number| log::NewRecord { partition: Some(partition), ..record(*number) });
        // The check of a commit must know them when they can be read.
        self.state.topic.lock().unwrap()[partition as usize].extend_from_slice(numbers);
        self.log.produce(TOPIC, records.collect()).await.unwrap();
    }

    pub fn config(&self) -> FirehoseConfig {
        FirehoseConfig {
            courier: CourierOptions {
                batch_records_max: 40,
                batch_bytes_max: 400,
                linger: Duration::from_millis(3),
                backoff: BackoffOptions {
                    first: Duration::from_millis(1),
                    longest: Duration::from_millis(5),
                    ..BackoffOptions::default()
                },
                ..CourierOptions::default()
            },
            commit_interval: Duration::from_millis(2),
            drain_time_max: Duration::from_secs(5),
            ..FirehoseConfig::new("test", TOPIC)
        }
    }

    pub fn spawn(&self, config: FirehoseConfig) -> FirehoseHandle {
        let parts = FirehoseParts {
            log: Arc::clone(&self.log) as _,
            pipeline: pipeline(!self.state.sink.lock().unwrap().keeps_positions),
            destination: Arc::new(Handle(Arc::clone(&self.state))),
            positions: Arc::new(Handle(Arc::clone(&self.state))),
            dead_letters: Arc::new(Handle(Arc::clone(&self.state))),
        };
        spawn(config, parts)
    }

    /// Runs to the end of the topic, and compares everything.
    pub async fn finish(&self, config: FirehoseConfig) -> usize {
        let handle = self.spawn(FirehoseConfig { stop_at: Some(StopAt::End), ..config });
        let status = handle.watch_status();
        let ended = tokio::time::timeout(Duration::from_secs(60), handle.ended()).await;
        let Ok(ended) = ended else { panic!("it does not end: {:?}", status.borrow()) };
        assert_eq!(ended.unwrap(), Ended::StopReached);
        self.check_all()
    }

    /// Everything is where it belongs; returns how many records the sink has more than once.
    pub fn check_all(&self) -> usize {
        let topic = self.state.topic.lock().unwrap().clone();
        let committed = self.state.positions.committed();
        let (mut delivered, mut dead_lettered) = (Vec::new(), Vec::new());
        for (partition, numbers) in topic.iter().enumerate() {
            let at = |fate_wanted: Fate| {
                let all = numbers.iter().enumerate().filter(move |(_, number)| fate(**number) == fate_wanted);
                all.map(move |(offset, number)| (partition as u32, offset as i64, *number))
            };
            delivered.extend(at(Fate::Delivered));
            dead_lettered.extend(at(Fate::DeadLettered).map(|(partition, offset, _)| (partition, offset)));
            let position = committed.partitions.iter().find(|position| position.partition == partition as u32).unwrap();
            assert_eq!(position.next_offset, numbers.len() as i64);
            assert_eq!(position.ledger, ledger_of(numbers));
        }
        let (has_copies, mut stored) = {
            let sink = self.state.sink.lock().unwrap();
            (!sink.keeps_positions, sink.stored.clone())
        };
        let count = stored.len();
        stored.sort_unstable();
        let twice = delivered.iter().filter(|(_, _, number)| has_copies && number % 7 == 0).count();
        let duplicates = count - delivered.len() - twice;
        stored.dedup();
        assert_eq!(stored, delivered, "what the sink has");
        let letters: Vec<(u32, i64)> = self.state.letters.lock().unwrap().keys().copied().collect();
        assert_eq!(letters, dead_lettered, "what the dead letters have");
        duplicates
    }
}

fn ledger_of(numbers: &[u64]) -> Ledger {
    let mut ledger = Ledger::default();
    for number in numbers {
        ledger.consumed += 1;
        match fate(*number) {
            Fate::Delivered => ledger.delivered += 1,
            Fate::Filtered => ledger.filtered += 1,
            Fate::DeadLettered => ledger.dead_lettered += 1,
        }
    }
    ledger
}

impl State {
    fn dice(&self, percent: u32) -> bool {
        self.random.lock().unwrap().random_range(0..100) < percent
    }

    fn committed(&self, partition: u32) -> i64 {
        let committed = self.positions.committed();
        let found = committed.partitions.iter().find(|position| position.partition == partition);
        found.map_or(0, |position| position.next_offset)
    }
}

struct Handle(Arc<State>);

impl OpenDestination for Handle {
    fn open(&self, generation: u64) -> Result<Arc<dyn Destination>, String> {
        let mut sink = self.0.sink.lock().unwrap();
        if sink.generation != generation {
            sink.generation = generation;
            sink.positions.clear();
        }
        Ok(Arc::new(Handle(Arc::clone(&self.0))))
    }
}

#[async_trait]
impl Destination for Handle {
    fn name(&self) -> &str {
        "the sink"
    }

    async fn deliver(&self, batch: &EncodedBatch) -> Result<Answer, CallError> {
        let state = &self.0;
        let time = state.call_time_ms.load(Ordering::SeqCst);
        if time > 0 {
            tokio::time::sleep(Duration::from_millis(time)).await;
        } else {
            tokio::task::yield_now().await;
        }
        state.sink.lock().unwrap().calls += 1;
        if state.is_down.load(Ordering::SeqCst) || state.dice(state.faults.calls / 2) {
            return Err(CallError::new(ErrorClass::Down, "it is down"));
        }
        let stuck = *state.stuck_partition.lock().unwrap();
        let mut errors = Vec::new();
        {
            let mut sink = state.sink.lock().unwrap();
            let before = sink.positions.clone();
            for index in 0..batch.len() {
                let position = batch.position(index).expect("records have positions");
                let (partition, offset) = (position.partition, position.offset);
                assert!(offset >= state.committed(partition), "{position:?} is committed, and given again");
                let number: u64 = std::str::from_utf8(batch.record(index)).unwrap().parse().unwrap();
                if is_poison(number) {
                    errors.push(RecordError { index, class: ErrorClass::Refused, reason: "poison".to_owned() });
                    continue;
                }
                if stuck == Some(partition) {
                    errors.push(RecordError { index, class: ErrorClass::Throttled, reason: "later".to_owned() });
                    continue;
                }
                if sink.keeps_positions && before.get(&partition).is_some_and(|last| offset <= *last) {
                    continue;
                }
                sink.stored.push((partition, offset, number));
                let last = sink.positions.entry(partition).or_insert(offset);
                *last = offset.max(*last);
            }
        }
        if state.dice(state.faults.calls / 2) {
            return Err(CallError::new(ErrorClass::Down, "the answer is lost"));
        }
        Ok(Answer { errors, retry_after: None })
    }
}

#[async_trait]
impl PositionStore for Handle {
    async fn take_over(&self) -> Result<PositionsTaken, PositionError> {
        if self.0.dice(self.0.faults.commits) {
            return Err(PositionError::Unavailable("not now".to_owned()));
        }
        self.0.positions.take_over().await
    }

    async fn commit(&self, epoch: u64, positions: &Positions) -> Result<(), PositionError> {
        if self.0.dice(self.0.faults.commits) {
            return Err(PositionError::Unavailable("not now".to_owned()));
        }
        // What is committed is just what became of the records before.
        let topic = self.0.topic.lock().unwrap().clone();
        for position in
            positions.partitions.iter().filter(|position| positions.generation == 0 && position.ledger.consumed > 0)
        {
            let numbers = &topic[position.partition as usize][..position.next_offset as usize];
            assert_eq!(position.ledger, ledger_of(numbers), "partition {}", position.partition);
            assert!(position.ledger.balances());
        }
        self.0.positions.commit(epoch, positions).await?;
        self.0.commits.fetch_add(1, Ordering::SeqCst);
        if self.0.dice(self.0.faults.commits) {
            return Err(PositionError::Unavailable("the answer is lost".to_owned()));
        }
        Ok(())
    }
}

#[async_trait]
impl DeadLetters for Handle {
    async fn keep(&self, letters: &[DeadLetter]) -> Result<(), KeepError> {
        if self.0.dice(self.0.faults.letters) {
            return Err(KeepError { message: "no room".to_owned(), may_pass: true });
        }
        let mut kept = self.0.letters.lock().unwrap();
        for letter in letters {
            kept.entry((letter.key.partition, letter.key.offset)).or_insert_with(|| letter.clone());
        }
        Ok(())
    }
}

/// Looks again and again, for a while.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..4_000 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what}: it does not come so");
}
