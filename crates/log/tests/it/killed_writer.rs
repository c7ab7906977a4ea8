//! A writer is killed again and again: every record that it was told is written is there, once and in order.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::tempdir;

use crate::fixture::*;

/// `examples/log_writer.rs`, which `cargo test` builds beside this test.
fn writer() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let writer = test.parent().and_then(|deps| deps.parent()).unwrap().join("examples/log_writer");
    assert!(writer.exists(), "{} is not built: cargo build --release -p millrace-log --examples", writer.display());
    writer
}

#[tokio::test]
async fn acknowledged_records_outlive_their_writer() {
    const RUNS: usize = 12;
    let dir = tempdir().unwrap();
    let mut acknowledged = [const { Vec::<String>::new() }; 3];
    for run in 0..RUNS {
        let mut child =
            Command::new(writer()).arg(dir.path()).arg(format!("run{run}")).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Different moments: the first acknowledgement, the middle of a segment, some segments on.
        let enough = [1, 37, 400, 3_000][run % 4] + run;
        let mut seen: Vec<String> = lines.by_ref().take(enough).map(Result::unwrap).collect();
        assert_eq!(seen.len(), enough, "the writer ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
        seen.extend(lines.map_while(Result::ok)); // what it had said before it died
        let log = open(dir.path());
        for (partition, acknowledged) in acknowledged.iter_mut().enumerate() {
            let read = read_partition(&log, partition as u32, 0).await.unwrap();
            let values: Vec<String> = read.into_iter().map(|(_, value)| String::from_utf8(value).unwrap()).collect();
            for line in &seen {
                let [told, offset, value] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line:?}") };
                if told.parse() == Ok(partition) {
                    assert_eq!(values.get(offset.parse::<usize>().unwrap()).map(String::as_str), Some(value), "{line}");
                }
            }
            assert_eq!(values[..acknowledged.len()], acknowledged[..], "records of earlier runs have changed");
            for (offset, value) in values.iter().enumerate() {
                let (_, number) = value.split_once('-').unwrap();
                assert_eq!(number.parse(), Ok(offset), "a record is missing, doubled or out of order");
            }
            *acknowledged = values;
        }
    }
    assert!(acknowledged.iter().all(|values| values.len() > 1_000), "the writer hardly wrote");
    assert!(segment_files(dir.path()).len() > 3);
}
