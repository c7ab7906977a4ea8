//! Sinks that fail at every call, in both of the ways in which a call over a network can: done and told so by nobody, or
//! not done. Whatever the order, the world has each result exactly once, or at least once, as the sink promises.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use checkpoint::LocalStorage;
use flow::{
    AfterError, DaggerConfig, FlowError, OutputBatch, RefusedRecord, RefusedRecords, RefusedStoreError, Sink,
    SinkError, StartPosition, StreamConfig, TransactionalSink,
};
use log::{EmbeddedLog, NewRecord, TopicConfig, TopicLog};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::events::{encode, events, plan, run, settings};

const QUERY: &str = "SELECT `key` AS k, amount, weight FROM t";
const RECORDS: usize = 3_000;

/// What is outside of the dagger and outlives it.
struct World {
    visible: Vec<String>,
    /// Written by the present sink and not visible yet.
    open: Vec<String>,
    prepared: Option<(String, u64)>,
    committed: Option<(String, u64)>,
    random: ChaCha8Rng,
    faults: u32,
}

impl World {
    /// One call of so many fails.
    fn fails(&mut self, one_of: u32) -> bool {
        let fails = self.random.random_range(0..one_of) == 0;
        self.faults += u32::from(fails);
        fails
    }

    fn void(&mut self) -> SinkError {
        self.open.clear();
        self.prepared = None;
        SinkError { message: "the client is gone, and what it had".into(), then: AfterError::StartAnew }
    }
}

struct FaultySink {
    world: Arc<Mutex<World>>,
    is_transactional: bool,
}

impl FaultySink {
    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }
}

#[async_trait]
impl Sink for FaultySink {
    fn name(&self) -> &str {
        "faulty"
    }

    async fn write(&mut self, rows: &OutputBatch) -> Result<(), SinkError> {
        let mut text = Vec::new();
        rows::write_rows(&rows.batch, &mut text).unwrap();
        let mut world = self.world();
        world.open.extend(String::from_utf8(text).unwrap().lines().map(str::to_owned));
        match world.fails(20) {
            true => Err(world.void()),
            false => Ok(()),
        }
    }

    async fn flush(&mut self) -> Result<(), SinkError> {
        let mut world = self.world();
        if self.is_transactional {
            return Ok(());
        }
        if world.fails(4) {
            // Some of it has come through.
            let half = world.open.len() / 2;
            let through: Vec<String> = world.open.drain(..half).collect();
            world.visible.extend(through);
            return Err(world.void());
        }
        let open = std::mem::take(&mut world.open);
        world.visible.extend(open);
        Ok(())
    }

    fn transactional(&mut self) -> Option<&mut dyn TransactionalSink> {
        if self.is_transactional { Some(self) } else { None }
    }
}

#[async_trait]
impl TransactionalSink for FaultySink {
    async fn take_over(&mut self, lineage: &str) -> Result<Option<u64>, SinkError> {
        let mut world = self.world();
        drop(world.void());
        Ok(world.committed.clone().filter(|(of, _)| of == lineage).map(|(_, number)| number))
    }

    async fn prepare(&mut self, lineage: &str, checkpoint: u64) -> Result<(), SinkError> {
        let mut world = self.world();
        if world.fails(8) {
            return Err(world.void());
        }
        world.prepared = Some((lineage.to_owned(), checkpoint));
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), SinkError> {
        let mut world = self.world();
        let fails = world.fails(3);
        if fails && world.random.random_bool(0.5) {
            // Not done, and dropped.
            drop(world.void());
            return Err(SinkError::new("timed out", true));
        }
        let open = std::mem::take(&mut world.open);
        world.visible.extend(open);
        world.committed = world.prepared.take();
        match fails {
            true => Err(SinkError::new("timed out", true)),
            false => Ok(()),
        }
    }
}

struct NoneRefused;

impl RefusedRecords for NoneRefused {
    fn keep(&self, _: &str, records: &[RefusedRecord]) -> Result<(), RefusedStoreError> {
        panic!("refused: {records:?}")
    }
}

/// Runs until all records are in a checkpoint that counts; gives what is visible then and the number of faults.
async fn run_with_faults(seed: u64, is_transactional: bool) -> (Vec<String>, u32) {
    let folder = tempfile::tempdir().unwrap();
    let log: Arc<dyn TopicLog> = Arc::new(EmbeddedLog::open(&folder.path().join("log"), Default::default()).unwrap());
    log.create_topic("t", TopicConfig::with_partitions(1)).await.unwrap();
    let storage = Arc::new(LocalStorage::new(folder.path().join("checkpoints")));
    let config = DaggerConfig {
        name: "d".into(),
        plan: plan(QUERY, &["t"]),
        streams: vec![StreamConfig {
            settings: settings("t", 4_000),
            topics: vec!["t".into()],
            start: StartPosition::Earliest,
            idle_ms: 1_000,
            group: "d".into(),
        }],
        parallelism: 1,
        checkpoint_interval: Duration::from_millis(10),
        batch_rows_max: 97,
        latency_max: Duration::from_millis(1),
        accepted_loss: None,
    };
    let world = Arc::new(Mutex::new(World {
        visible: Vec::new(),
        open: Vec::new(),
        prepared: None,
        committed: None,
        random: ChaCha8Rng::seed_from_u64(seed),
        faults: 0,
    }));
    let records = events(seed, RECORDS, 0).into_iter().map(|event| NewRecord {
        partition: Some(0),
        key: None,
        value: Some(encode(&event).into()),
        headers: Vec::new(),
        timestamp_ms: Some(0),
    });
    let (records, to): (Vec<NewRecord>, _) = (records.collect(), Arc::clone(&log));
    let publishing = tokio::spawn(async move {
        for records in records.chunks(50) {
            to.produce("t", records.to_vec()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
    });
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        assert!(Instant::now() < deadline, "seed {seed}: still not through");
        let sink = Box::new(FaultySink { world: Arc::clone(&world), is_transactional });
        let storage = Arc::clone(&storage) as Arc<dyn checkpoint::Storage>;
        let dagger = flow::spawn(config.clone(), Arc::clone(&log), vec![sink], Arc::new(NoneRefused), storage);
        while !dagger.is_finished() && dagger.status().lanes.iter().all(|lane| lane.next_offset < RECORDS as i64) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        match dagger.stop().await {
            Ok(()) => break,
            Err(FlowError::SinkStartsAnew { .. }) => {}
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    publishing.await.unwrap();
    let mut world = world.lock().unwrap();
    (std::mem::take(&mut world.visible), world.faults)
}

fn expected(seed: u64) -> Vec<String> {
    let (text, _) = run(QUERY, &[events(seed, RECORDS, 0)], 4_000, 500, 1);
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transactional_sink_that_fails_has_each_result_exactly_once() {
    let mut all_faults = 0;
    for seed in 0..10 {
        let (mut visible, faults) = run_with_faults(seed, true).await;
        visible.sort();
        assert!(visible == expected(seed), "seed {seed}: {} visible after {faults} faults", visible.len());
        all_faults += faults;
    }
    assert!(all_faults > 10, "only {all_faults} faults");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_that_loses_what_it_has_taken_has_each_result_at_least_once() {
    let mut all_faults = 0;
    for seed in 0..10 {
        let (mut visible, faults) = run_with_faults(seed, false).await;
        visible.sort();
        visible.dedup();
        let mut expected = expected(seed);
        expected.dedup();
        assert!(visible == expected, "seed {seed}: {} visible after {faults} faults", visible.len());
        all_faults += faults;
    }
    assert!(all_faults > 10, "only {all_faults} faults");
}
