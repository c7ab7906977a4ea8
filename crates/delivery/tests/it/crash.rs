//! `kill -9` of a process that puts dead letters.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use delivery::{DeadLetterFilter, DeadLetterLimits, DeadLetterStore};

fn writer_program() -> PathBuf {
    let test = std::env::current_exe().expect("its own path");
    let target = test.parent().and_then(|deps| deps.parent()).expect("the target directory");
    target.join("examples").join("crash_letters")
}

/// Lets the writer begin at `first`, kills it after some syncs, and returns how many letters are known to be safe.
fn write_and_kill(dir: &Path, first: i64, syncs: usize) -> i64 {
    let mut writer = Command::new(writer_program())
        .arg(dir)
        .arg(first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the example is built by `cargo test`");
    let stdout = writer.stdout.take().expect("its output");
    let mut safe = None;
    for (count, line) in BufReader::new(stdout).lines().enumerate() {
        safe = Some(line.expect("a line").parse().expect("a number"));
        if count + 1 == syncs {
            // SIGKILL by its process id; the lines that it had written already are still read.
            writer.kill().expect("is killed");
        }
    }
    writer.wait().expect("has ended");
    safe.expect("at least one sync")
}

#[test]
fn what_was_synced_survives_and_the_counts_fit() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut letters = 0;
    for round in 0..8 {
        let safe = write_and_kill(dir.path(), letters, 1 + round * 4);
        let store = DeadLetterStore::open(dir.path(), DeadLetterLimits::default()).expect("opens again");
        let found = check_content(&store);
        assert!(found >= safe, "{safe} were safe, {found} are there");
        assert_eq!(store.usage().iter().map(|usage| usage.kept as i64).sum::<i64>(), found);
        letters = found;
    }
    assert!(letters > 80);
}

/// Every letter has to be as it was put, without a gap; returns how many there are.
fn check_content(store: &DeadLetterStore) -> i64 {
    let mut next = 0;
    let mut cursor: Option<String> = None;
    loop {
        let page = store.list(&DeadLetterFilter::default(), cursor.as_deref(), 500).expect("lists");
        for letter in page.letters {
            assert_eq!(letter.key.offset, next);
            assert_eq!(letter.error, format!("error {next}"));
            assert_eq!(letter.value, Some(next.to_le_bytes().repeat((next % 100) as usize)));
            next += 1;
        }
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!(next % 10, 0, "the last call is torn");
    next
}
