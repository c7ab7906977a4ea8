//! Stop, checkpoint, restore at any point: the results of both lives together are those of one.

use std::sync::Arc;

use checkpoint::{CheckpointStore, Commit, LocalStorage};
use flow::{DelimitedFile, Engine, RecordFile};

use crate::events::{delimited, encode, events, plan, settings};

const QUERIES: [&str; 3] = [
    "SELECT `key` AS k, kind, sum(weight) AS w, DistinctCount(amount) AS d, TUMBLE_END(rowtime, INTERVAL '20' SECOND) AS e FROM t GROUP BY TUMBLE(rowtime, INTERVAL '20' SECOND), `key`, kind",
    "SELECT kind, sum(weight) AS w, HOP_END(rowtime, INTERVAL '3' SECOND, INTERVAL '60' SECOND) AS e FROM t GROUP BY HOP(rowtime, INTERVAL '3' SECOND, INTERVAL '60' SECOND), kind",
    "SELECT `key` AS k, sum(weight) AS w, SESSION_END(rowtime, INTERVAL '2' SECOND) AS e FROM t GROUP BY SESSION(rowtime, INTERVAL '2' SECOND), `key`",
];

/// Runs over partitions in rounds of `batch_rows`; at the rounds in `restarts` the engine is thrown away and restored.
fn run(query: &str, restarts: &[usize]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let storage = Arc::new(LocalStorage::new(folder.path()));
    let plan = plan(query, &["t"]);
    let settings = settings("t", 4_000);
    let new_engine = || {
        let mut engine = Engine::new(Arc::clone(&plan)).unwrap();
        for partition in 0..2 {
            engine.add_lane(0, &settings, "t", partition, 0).unwrap();
        }
        engine
    };
    let mut files: Vec<DelimitedFile> = (0..2)
        .map(|part| {
            let data = delimited(events(300 + part, 2_000, 6_000).iter().map(encode));
            DelimitedFile::new("f".into(), Box::new(std::io::Cursor::new(data)), "t", part as u32)
        })
        .collect();
    let mut store = CheckpointStore::take_over(storage.clone(), "d").unwrap();
    let mut engine = new_engine();
    let mut snapshots = flow::Snapshots::default();
    let mut lines = Vec::new();
    let mut collect = |batches: Vec<flow::OutputBatch>| {
        for batch in batches {
            let mut text = Vec::new();
            rows::write_rows(&batch.batch, &mut text).unwrap();
            lines.extend(String::from_utf8(text).unwrap().lines().map(str::to_string));
        }
    };
    for round in 0.. {
        let slabs: Vec<_> =
            files.iter_mut().enumerate().map(|(lane, file)| (lane, file.next_slab(113).unwrap())).collect();
        if slabs.iter().all(|(_, slab)| slab.is_empty()) {
            break;
        }
        engine.take(slabs, 1).unwrap();
        let watermark = engine.lanes().iter().map(|lane| lane.watermark_ms()).min().unwrap();
        collect(engine.advance(watermark).unwrap());
        if restarts.contains(&round) {
            let (header, parts) = snapshots.take(&mut engine).unwrap();
            let ids = parts.iter().map(|part| part.id.clone()).collect();
            store.write(header, parts, Commit::AtOnce).unwrap();
            snapshots.settle(ids, true);
            if round % 2 == 0 {
                store = CheckpointStore::take_over(storage.clone(), "d").unwrap();
                let restored = store.restore(None).unwrap();
                engine = new_engine();
                snapshots = flow::Snapshots::default();
                snapshots.restore(&mut engine, restored.unwrap()).unwrap();
            }
        }
    }
    collect(engine.advance(i64::MAX).unwrap());
    for lane in engine.lanes() {
        let ledger = lane.ledger();
        assert!(ledger.balances() && ledger.held == 0 && ledger.consumed == 2_000, "{ledger:?}");
    }
    lines.sort();
    lines
}

#[test]
fn restored_runs_give_the_same_bytes() {
    for query in QUERIES {
        let expected = run(query, &[]);
        assert!(expected.len() > 20, "{query}");
        assert!(
            run(query, &[1, 4, 7, 10, 13, 16]) == expected,
            "checkpoints and restores changed the results: {query}"
        );
        assert!(
            run(query, &(0..18).collect::<Vec<_>>()) == expected,
            "checkpoints at each round changed the results: {query}"
        );
    }
}
