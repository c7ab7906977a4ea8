//! Cutting the torn tail of a journal.
//!
//! The engine truncates a tail whose end is missing, as `kill -9` leaves it. After a power loss the pages of the last,
//! never synced batches may have reached the disk in any order, so that a batch has its end but a hole before it; the
//! engine refuses such a journal ("checksum mismatch"). Whoever waited for a sync waited for everything before the
//! hole, so the journal is cut at its last whole batch. Only the newest journal can have such a tail: the engine syncs
//! a journal before it starts the next one.
//!
//! Format: fjall 3, `src/journal/entry.rs` (little-endian; start, items, end with the XXH3 of the items' bytes).

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

const TAG_START: u8 = 1;
const TAG_ITEM: u8 = 2;
const TAG_END: u8 = 3;
const TAG_CLEAR: u8 = 4;

/// Truncates the newest journal in `dir` after its last whole batch.
pub(crate) fn cut_torn_tail(dir: &Path) -> io::Result<()> {
    let Some(path) = newest_journal(dir)? else { return Ok(()) };
    let valid_bytes = whole_batches_bytes(&mut BufReader::with_capacity(1 << 20, File::open(&path)?))?;
    let file = OpenOptions::new().write(true).open(&path)?;
    file.set_len(valid_bytes)?;
    file.sync_all()
}

fn newest_journal(dir: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest = None;
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let is_journal = path.extension().is_some_and(|extension| extension == "jnl");
        let id = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        if let (true, Some(id)) = (is_journal, id)
            && newest.as_ref().is_none_or(|(newest_id, _)| id > *newest_id)
        {
            newest = Some((id, path));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// Length of the leading part of a journal that consists of whole batches.
fn whole_batches_bytes(reader: &mut impl Read) -> io::Result<u64> {
    let mut valid_bytes = 0;
    loop {
        match batch_bytes(reader) {
            Ok(Some(bytes)) => valid_bytes += bytes,
            Ok(None) => return Ok(valid_bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(valid_bytes),
            Err(error) => return Err(error),
        }
    }
}

/// Length of the batch that starts here; `None` if it is not whole.
fn batch_bytes(reader: &mut impl Read) -> io::Result<Option<u64>> {
    let mut start = [0; 13];
    reader.read_exact(&mut start)?;
    if start[0] != TAG_START {
        return Ok(None);
    }
    let items = u32::from_le_bytes([start[1], start[2], start[3], start[4]]);
    let mut bytes = start.len() as u64;
    let mut hasher = Xxh3::new();
    let mut buffer = Vec::new();
    for _ in 0..items {
        if !read_item(reader, &mut buffer)? {
            return Ok(None);
        }
        hasher.update(&buffer);
        bytes += buffer.len() as u64;
    }
    let mut end = [0; 13];
    reader.read_exact(&mut end)?;
    let checksum = u64::from_le_bytes([end[1], end[2], end[3], end[4], end[5], end[6], end[7], end[8]]);
    let whole = end[0] == TAG_END && checksum == hasher.digest() && end[9..] == *b"FJL\x03";
    Ok(whole.then_some(bytes + end.len() as u64))
}

/// Reads one item of a batch into `buffer`; `false` if there is none here.
fn read_item(reader: &mut impl Read, buffer: &mut Vec<u8>) -> io::Result<bool> {
    /// Tag, value type, compression, keyspace, length of the key, of the value, of the stored value.
    const HEAD_BYTES: usize = 1 + 1 + 1 + 8 + 2 + 4 + 4;
    const CLEAR_BYTES: usize = 1 + 8;
    buffer.clear();
    buffer.resize(1, 0);
    reader.read_exact(buffer)?;
    match buffer[0] {
        TAG_CLEAR => {
            buffer.resize(CLEAR_BYTES, 0);
            reader.read_exact(&mut buffer[1..])?;
            Ok(true)
        }
        TAG_ITEM => {
            buffer.resize(HEAD_BYTES, 0);
            reader.read_exact(&mut buffer[1..])?;
            let key_bytes = u16::from_le_bytes([buffer[11], buffer[12]]);
            let stored_bytes = u32::from_le_bytes([buffer[17], buffer[18], buffer[19], buffer[20]]);
            let rest = u64::from(key_bytes) + u64::from(stored_bytes);
            // Grows with what is really there, whatever the lengths claim.
            let read = reader.take(rest).read_to_end(buffer)? as u64;
            if read < rest { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(true) }
        }
        _ => Ok(false),
    }
}
