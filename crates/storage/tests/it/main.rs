//! The key-value engine on a real disk: what is there after it was closed, torn or killed.

use std::fs;
use std::path::{Path, PathBuf};

use storage::{Space, Storage, StorageError, StorageOptions};

const SPACES: &[Space] = &[
    Space { name: "first", memtable_bytes: 1024 * 1024, block_bytes: 4096 },
    Space { name: "second", memtable_bytes: 1024 * 1024, block_bytes: 4096 },
];

fn open(dir: &Path) -> Result<Storage, StorageError> {
    Storage::open(dir, StorageOptions { spaces: SPACES, cache_bytes: 1024 * 1024, worker_threads: 1 })
}

fn put(storage: &Storage, number: u32) {
    let mut batch = storage.begin().expect("begins");
    for space in 0..2 {
        batch.put(space, &number.to_be_bytes(), format!("value {number} {}", "x".repeat(5_000)).as_bytes());
    }
    batch.commit().expect("commits");
}

fn keys(storage: &Storage, space: usize) -> Vec<u32> {
    let scan = storage.scan::<&[u8]>(space, ..).expect("scans");
    scan.map(|guard| {
        let (key, value) = guard.into_inner().expect("reads");
        let number = u32::from_be_bytes(key.as_ref().try_into().expect("four bytes"));
        assert!(value.starts_with(format!("value {number} ").as_bytes()));
        number
    })
    .collect()
}

fn journal(dir: &Path) -> PathBuf {
    let journals: Vec<PathBuf> = fs::read_dir(dir)
        .expect("a directory")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jnl"))
        .collect();
    assert_eq!(journals.len(), 1);
    journals[0].clone()
}

/// Where batch `number` has its value of the first space in the journal. The value is stored compressed: its beginning
/// is there as it is.
fn place_of(bytes: &[u8], number: u32) -> usize {
    let value = format!("value {number} x");
    bytes.windows(value.len()).position(|window| window == value.as_bytes()).expect("is in the journal")
}

#[test]
fn batches_are_there_after_closing() {
    let dir = tempfile::tempdir().expect("a directory");
    let storage = open(dir.path()).expect("opens");
    for number in 0..50 {
        put(&storage, number);
    }
    let mut batch = storage.begin().expect("begins");
    batch.delete(0, &7u32.to_be_bytes());
    drop(batch);
    let mut batch = storage.begin().expect("begins");
    batch.delete(1, &7u32.to_be_bytes());
    batch.commit().expect("commits");
    storage.sync(storage.sync_point()).expect("syncs");
    assert!(matches!(open(dir.path()).err(), Some(StorageError::InUse)));
    drop(storage);
    let storage = open(dir.path()).expect("opens");
    assert_eq!(keys(&storage, 0), (0..50).collect::<Vec<u32>>());
    assert_eq!(keys(&storage, 1).len(), 49);
    assert_eq!(storage.get(1, &7u32.to_be_bytes()).expect("reads"), None);
}

#[test]
fn a_hole_in_what_was_not_synced_costs_only_what_came_after_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let storage = open(dir.path()).expect("opens");
    for number in 0..20 {
        put(&storage, number);
    }
    drop(storage);
    let path = journal(dir.path());
    let mut bytes = fs::read(&path).expect("reads");
    // As if a page of batch 15 had not reached the disk while later ones had.
    let place = place_of(&bytes, 15);
    bytes[place..place + 8].fill(0);
    fs::write(&path, &bytes).expect("writes");
    let storage = open(dir.path()).expect("opens");
    for space in 0..2 {
        assert_eq!(keys(&storage, space), (0..15).collect::<Vec<u32>>());
    }
    // What comes after is written behind the cut and found again.
    put(&storage, 99);
    drop(storage);
    let storage = open(dir.path()).expect("opens");
    assert_eq!(keys(&storage, 0).last(), Some(&99));
    assert_eq!(keys(&storage, 0).len(), 16);
}

#[test]
fn a_cut_journal_opens_at_its_last_whole_batch() {
    let dir = tempfile::tempdir().expect("a directory");
    let storage = open(dir.path()).expect("opens");
    for number in 0..20 {
        put(&storage, number);
    }
    drop(storage);
    let path = journal(dir.path());
    let whole = fs::read(&path).expect("reads");
    let end = place_of(&whole, 19);
    // Cut anywhere: before, within and after a value; with and without zeros behind it.
    for (cut, zeros) in [(end - 35, 0), (end - 20, 4096), (end + 3, 0), (end + 3, 4096), (end + 20, 1)] {
        let mut bytes = whole[..cut].to_vec();
        bytes.resize(cut + zeros, 0);
        fs::write(&path, &bytes).expect("writes");
        let storage = open(dir.path()).expect("opens");
        let found = keys(&storage, 0);
        assert_eq!(found, (0..19).collect::<Vec<u32>>(), "cut at {cut} with {zeros} zeros");
        assert_eq!(keys(&storage, 1), found);
    }
}
