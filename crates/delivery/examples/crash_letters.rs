//! Puts numbered dead letters until it is killed, and tells on stdout which ones are safe. For the tests.
//!
//! Usage: `crash_letters DIR FIRST_OFFSET`

use std::error::Error;
use std::io::Write;
use std::path::PathBuf;

use delivery::{DeadLetter, DeadLetterKey, DeadLetterKind, DeadLetterLimits, DeadLetterState, DeadLetterStore};

/// Letters of one call; all of them are there or none.
const LETTERS: i64 = 10;
const CALLS_PER_SYNC: i64 = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let dir: PathBuf = arguments.next().ok_or("a directory is missing")?.into();
    let first: i64 = arguments.next().ok_or("the first offset is missing")?.parse()?;
    let store = DeadLetterStore::open(&dir, DeadLetterLimits::default())?;
    let (mut stdout, mut point) = (std::io::stdout(), store.sync_point());
    for call in 0.. {
        let start = first + call * LETTERS;
        let letters: Vec<DeadLetter> = (start..start + LETTERS).map(letter).collect();
        store.put_many(&letters)?;
        if call % CALLS_PER_SYNC == 0 {
            store.sync(point)?;
            point = store.sync_point();
            writeln!(stdout, "{}", start + LETTERS)?;
            stdout.flush()?;
        }
    }
    Ok(())
}

fn letter(offset: i64) -> DeadLetter {
    let key = DeadLetterKey { owner: "d".into(), stream: "s".into(), topic: "t".into(), partition: 0, offset };
    DeadLetter {
        key,
        kind: DeadLetterKind::ValueError,
        error: format!("error {offset}"),
        error_byte_offset: None,
        timestamp_ms: offset,
        event_time_ms: None,
        record_key: None,
        value: Some(offset.to_le_bytes().repeat((offset % 100) as usize)),
        headers: Vec::new(),
        first_seen_ms: offset,
        replays: 0,
        state: DeadLetterState::Kept,
    }
}
