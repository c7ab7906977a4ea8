//! A query is exchanged for another one at any point: what the new one's windows hold goes on, bit for bit, as if it had
//! run from the beginning.

use std::sync::Arc;

use checkpoint::{CheckpointStore, Commit, LocalStorage};
use flow::{DelimitedFile, Engine, FlowError, OutputBatch, RecordFile, Snapshots};
use sql::DaggerPlan;

use crate::events::{delimited, encode, events, plan, settings};

const EDITS: [(&str, &str); 9] = [
    // Fewer aggregates in another order, other keys' order, HAVING, a computed column.
    (
        "SELECT `key` AS k, kind, sum(weight) AS w, DistinctCount(amount) AS d, avg(weight) AS a, TUMBLE_END(rowtime, INTERVAL '20' SECOND) AS e FROM t GROUP BY TUMBLE(rowtime, INTERVAL '20' SECOND), `key`, kind",
        "SELECT DistinctCount(amount) * 2 AS twice, sum(weight) AS x, kind AS y, `key` AS z, TUMBLE_END(rowtime, INTERVAL '20' SECOND) AS e FROM t GROUP BY kind, `key`, TUMBLE(rowtime, INTERVAL '20' SECOND) HAVING sum(weight) > 100000",
    ),
    (
        "SELECT kind, count(*) AS n, sum(weight) AS w, HOP_END(rowtime, INTERVAL '3' SECOND, INTERVAL '60' SECOND) AS e FROM t GROUP BY HOP(rowtime, INTERVAL '3' SECOND, INTERVAL '60' SECOND), kind",
        "SELECT sum(weight) AS w, kind AS `of`, HOP_END(rowtime, INTERVAL '3' SECOND, INTERVAL '60' SECOND) AS e FROM t GROUP BY HOP(rowtime, INTERVAL '3' SECOND, INTERVAL '60' SECOND), kind",
    ),
    (
        "SELECT `key` AS k, kind, max(amount) AS m, sum(weight) AS w, SESSION_END(rowtime, INTERVAL '2' SECOND) AS e FROM t GROUP BY SESSION(rowtime, INTERVAL '2' SECOND), `key`, kind",
        "SELECT sum(weight) AS w, kind, `key` AS k, max(amount) AS m, SESSION_END(rowtime, INTERVAL '2' SECOND) AS e FROM t GROUP BY kind, `key`, SESSION(rowtime, INTERVAL '2' SECOND)",
    ),
    // The same query: parts are named again and not written again.
    (
        "SELECT kind, sum(weight) AS w, CUMULATE_END(rowtime, INTERVAL '5' SECOND, INTERVAL '20' SECOND) AS e FROM t GROUP BY CUMULATE(rowtime, INTERVAL '5' SECOND, INTERVAL '20' SECOND), kind",
        "SELECT kind, sum(weight) AS w, CUMULATE_END(rowtime, INTERVAL '5' SECOND, INTERVAL '20' SECOND) AS e FROM t GROUP BY CUMULATE(rowtime, INTERVAL '5' SECOND, INTERVAL '20' SECOND), kind",
    ),
    // Windows over windows.
    (
        "SELECT max(w) AS m, sum(n) AS n, TUMBLE_END(u, INTERVAL '60' SECOND) AS e FROM (SELECT kind, count(*) AS n, sum(weight) AS w, TUMBLE_ROWTIME(rowtime, INTERVAL '5' SECOND) AS u FROM t GROUP BY TUMBLE(rowtime, INTERVAL '5' SECOND), kind) GROUP BY TUMBLE(u, INTERVAL '60' SECOND)",
        "SELECT sum(count_of) AS n, max(x) + 1 AS m, TUMBLE_END(u, INTERVAL '60' SECOND) AS e FROM (SELECT sum(weight) AS x, count(*) AS count_of, TUMBLE_ROWTIME(rowtime, INTERVAL '5' SECOND) AS u FROM t GROUP BY kind, TUMBLE(rowtime, INTERVAL '5' SECOND)) GROUP BY TUMBLE(u, INTERVAL '60' SECOND)",
    ),
    // The sides of a join change places, and one becomes narrower.
    (
        "SELECT a.k, a.n, b.w, a.e FROM (SELECT `key` AS k, count(*) AS n, TUMBLE_END(rowtime, INTERVAL '20' SECOND) AS e FROM t GROUP BY TUMBLE(rowtime, INTERVAL '20' SECOND), `key`) AS a JOIN (SELECT `key` AS k, sum(weight) AS w, max(amount) AS m, TUMBLE_END(rowtime, INTERVAL '20' SECOND) AS e FROM t WHERE kind = 'APPLE' GROUP BY TUMBLE(rowtime, INTERVAL '20' SECOND), `key`) AS b ON a.e = b.e AND a.k = b.k",
        "SELECT a.k, b.n, a.w, a.e FROM (SELECT `key` AS k, sum(weight) AS w, TUMBLE_END(rowtime, INTERVAL '20' SECOND) AS e FROM t WHERE kind = 'APPLE' GROUP BY TUMBLE(rowtime, INTERVAL '20' SECOND), `key`) AS a JOIN (SELECT `key` AS k, count(*) AS n, TUMBLE_END(rowtime, INTERVAL '20' SECOND) AS e FROM t GROUP BY TUMBLE(rowtime, INTERVAL '20' SECOND), `key`) AS b ON a.e = b.e AND a.k = b.k",
    ),
    // One window goes on as two.
    (
        "SELECT `key` AS k, count(*) AS n, sum(weight) AS w, TUMBLE_END(rowtime, INTERVAL '20' SECOND) AS e FROM t GROUP BY TUMBLE(rowtime, INTERVAL '20' SECOND), `key`",
        "SELECT a.k, a.n, b.w, a.e FROM (SELECT `key` AS k, count(*) AS n, sum(weight) AS w, TUMBLE_END(rowtime, INTERVAL '20' SECOND) AS e FROM t GROUP BY TUMBLE(rowtime, INTERVAL '20' SECOND), `key`) AS a JOIN (SELECT `key` AS k, sum(weight) AS w, TUMBLE_END(rowtime, INTERVAL '20' SECOND) AS e FROM t GROUP BY TUMBLE(rowtime, INTERVAL '20' SECOND), `key`) AS b ON a.e = b.e AND a.k = b.k",
    ),
    (
        "SELECT `key` AS k, sum(weight) AS w, SESSION_END(rowtime, INTERVAL '2' SECOND) AS e FROM t GROUP BY SESSION(rowtime, INTERVAL '2' SECOND), `key`",
        "SELECT `key` AS k, sum(weight) AS w, SESSION_END(rowtime, INTERVAL '2' SECOND) AS e FROM t GROUP BY SESSION(rowtime, INTERVAL '2' SECOND), `key` UNION ALL SELECT `key` AS k, sum(weight) AS w, SESSION_END(rowtime, INTERVAL '2' SECOND) AS e FROM t GROUP BY SESSION(rowtime, INTERVAL '2' SECOND), `key`",
    ),
    // Two windows of which one goes.
    (
        "SELECT a.k, a.n, b.w, a.e FROM (SELECT `key` AS k, count(*) AS n, sum(weight) AS w, TUMBLE_END(rowtime, INTERVAL '20' SECOND) AS e FROM t GROUP BY TUMBLE(rowtime, INTERVAL '20' SECOND), `key`) AS a JOIN (SELECT `key` AS k, sum(weight) AS w, HOP_END(rowtime, INTERVAL '10' SECOND, INTERVAL '20' SECOND) AS e FROM t GROUP BY HOP(rowtime, INTERVAL '10' SECOND, INTERVAL '20' SECOND), `key`) AS b ON a.e = b.e AND a.k = b.k",
        "SELECT `key` AS k, sum(weight) AS w, TUMBLE_END(rowtime, INTERVAL '20' SECOND) AS e FROM t GROUP BY TUMBLE(rowtime, INTERVAL '20' SECOND), `key`",
    ),
];

struct Run {
    storage: Arc<LocalStorage>,
    store: CheckpointStore,
    snapshots: Snapshots,
    engine: Engine,
    files: Vec<DelimitedFile>,
    /// What each round gave, sorted.
    rounds: Vec<Vec<String>>,
    _folder: tempfile::TempDir,
}

fn engine(plan: &Arc<DaggerPlan>, topics: &[&str]) -> Engine {
    let mut engine = Engine::new(Arc::clone(plan)).unwrap();
    for topic in topics {
        for partition in 0..2 {
            engine.add_lane(0, &settings("t", 4_000), topic, partition, 0).unwrap();
        }
    }
    engine
}

impl Run {
    fn new(plan: &Arc<DaggerPlan>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let storage = Arc::new(LocalStorage::new(folder.path()));
        let files = (0..2).map(|part| {
            let data = delimited(events(300 + part, 2_000, 6_000).iter().map(encode));
            DelimitedFile::new("f".into(), Box::new(std::io::Cursor::new(data)), "t", part as u32)
        });
        Run {
            store: CheckpointStore::take_over(storage.clone(), "d").unwrap(),
            storage,
            snapshots: Snapshots::default(),
            engine: engine(plan, &["t"]),
            files: files.collect(),
            rounds: Vec::new(),
            _folder: folder,
        }
    }

    /// Runs on for so many rounds, or to the end. `first_lane` is the number of the first lane with records.
    fn rounds(&mut self, count: usize, first_lane: usize) {
        for _ in 0..count {
            let slabs: Vec<_> = self
                .files
                .iter_mut()
                .enumerate()
                .map(|(lane, file)| (first_lane + lane, file.next_slab(113).unwrap()))
                .collect();
            if slabs.iter().all(|(_, slab)| slab.is_empty()) {
                break;
            }
            self.engine.take(slabs, 1).unwrap();
            let lanes = &self.engine.lanes()[first_lane..first_lane + 2];
            let watermark = lanes.iter().map(|lane| lane.watermark_ms()).min().unwrap();
            let closed = self.engine.advance(watermark).unwrap();
            self.note(closed);
        }
    }

    fn note(&mut self, batches: Vec<OutputBatch>) {
        let mut text = Vec::new();
        for batch in batches {
            rows::write_rows(&batch.batch, &mut text).unwrap();
        }
        let mut lines: Vec<String> = String::from_utf8(text).unwrap().lines().map(str::to_string).collect();
        lines.sort();
        self.rounds.push(lines);
    }

    fn end(mut self, first_lane: usize) -> Vec<Vec<String>> {
        self.rounds(usize::MAX, first_lane);
        let closed = self.engine.advance(i64::MAX).unwrap();
        self.note(closed);
        for lane in &self.engine.lanes()[first_lane..first_lane + 2] {
            let ledger = lane.ledger();
            assert!(ledger.balances() && ledger.held == 0 && ledger.consumed == 2_000, "{ledger:?}");
        }
        self.rounds
    }

    fn checkpoint(&mut self) {
        let (header, parts) = self.snapshots.take(&mut self.engine).unwrap();
        let ids = parts.iter().map(|part| part.id.clone()).collect();
        self.store.write(header, parts, Commit::AtOnce).unwrap();
        self.snapshots.settle(ids, true);
    }

    /// Throws the engine away and goes on from the last checkpoint with another one.
    fn exchange(&mut self, engine: Engine) -> Result<(), FlowError> {
        let mut store = CheckpointStore::take_over(self.storage.clone(), "d").unwrap();
        let restored = store.restore(None).unwrap();
        (self.store, self.engine, self.snapshots) = (store, engine, Snapshots::default());
        self.snapshots.restore(&mut self.engine, restored.unwrap())
    }
}

#[test]
fn an_edited_query_goes_on_as_if_it_had_always_run() {
    // A UNION ALL of windows is run by DataFusion on a runtime.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let _inside = runtime.enter();
    for (before, after) in EDITS {
        let (before, after) = (plan(before, &["t"]), plan(after, &["t"]));
        let (whole_before, whole_after) = (Run::new(&before).end(0), Run::new(&after).end(0));
        assert!(whole_after.iter().flatten().count() > 10);
        for at in [1, 6, 11] {
            let mut run = Run::new(&before);
            run.rounds(at, 0);
            run.checkpoint();
            run.exchange(engine(&after, &["t"])).unwrap();
            // The checkpoint of the new query stands by itself.
            run.rounds(1, 0);
            run.checkpoint();
            run.rounds(1, 0);
            run.checkpoint();
            run.exchange(engine(&after, &["t"])).unwrap();
            let rounds = run.end(0);
            assert_eq!(rounds[..at], whole_before[..at], "{}", before.explain);
            assert_eq!(rounds[at..], whole_after[at..], "{}", after.explain);
        }
    }
}

#[test]
fn a_query_that_needs_more_than_there_is_is_refused() {
    let base = EDITS[0].0;
    for after in [
        base.replace("avg(weight)", "max(weight)"),
        base.replace("'20' SECOND", "'10' SECOND"),
        base.replace("FROM t", "FROM t WHERE amount > 0"),
        base.replace("kind, sum", "sum").replace(", kind", ""),
        "SELECT `key` AS k, rowtime FROM t".to_string(),
        EDITS[2].0.to_string(),
    ] {
        let mut run = Run::new(&plan(base, &["t"]));
        run.rounds(5, 0);
        run.checkpoint();
        let refused = run.exchange(engine(&plan(&after, &["t"]), &["t"]));
        assert!(matches!(refused, Err(FlowError::StateMismatch(_))), "{after}");
    }
}

#[test]
fn sessions_that_wait_stay_with_their_lanes_when_a_topic_is_added() {
    let (query, after) = EDITS[2];
    let whole = Run::new(&plan(query, &["t"])).end(0);
    for at in 1..12 {
        let mut run = Run::new(&plan(query, &["t"]));
        run.rounds(at, 0);
        run.checkpoint();
        // The lanes of the added topic stand before the others.
        run.exchange(engine(&plan(query, &["t"]), &["added", "t"])).unwrap();
        assert_eq!(run.end(2), whole);
        let mut run = Run::new(&plan(query, &["t"]));
        run.rounds(at, 0);
        run.checkpoint();
        run.exchange(engine(&plan(after, &["t"]), &["added", "t"])).unwrap();
        run.end(2);
    }
}

#[test]
fn checkpoints_that_tell_only_the_plans_text_are_read() {
    let query = EDITS[0].0;
    let (same, other) = (plan(query, &["t"]), plan(EDITS[0].1, &["t"]));
    let whole = Run::new(&same).end(0);
    let former = |at: usize| {
        let mut run = Run::new(&same);
        run.rounds(at, 0);
        let (mut header, parts) = run.snapshots.take(&mut run.engine).unwrap();
        let fields = header.as_object_mut().unwrap();
        fields.remove("windows");
        fields.insert("query".into(), same.explain.clone().into());
        run.store.write(header, parts, Commit::AtOnce).unwrap();
        run
    };
    let mut run = former(6);
    run.exchange(engine(&same, &["t"])).unwrap();
    assert_eq!(run.end(0), whole);
    assert!(matches!(former(6).exchange(engine(&other, &["t"])), Err(FlowError::StateMismatch(_))));
}
