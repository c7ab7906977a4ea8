//! Opening a partition after whatever happened to the process or the machine.
//!
//! Sealed segments were durable before the next one began, so only the last one can have a torn tail. It is read
//! from its beginning; at the first batch that is not whole, the rest is cut off. That rest was never acknowledged
//! (an acknowledgement waits for an fsync of all before it), unless the disk itself has lost what it had taken.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::batch::check_batch;
use super::disk::{read_at, sync_dir};
use super::segment::{INDEX_EXTENSION, LOG_EXTENSION, Segment, Step, Walk};
use super::segment_index::SegmentIndex;
use crate::error::LogError;

/// Read at a time when a whole segment is checked.
const CHECK_WINDOW_BYTES: usize = 4 << 20;
const WALK_WINDOW_BYTES: usize = 64 << 10;

#[derive(Default)]
pub(crate) struct RecoveredPartition {
    /// Oldest first.
    pub segments: Vec<Arc<Segment>>,
    pub next_offset: i64,
    /// Bytes that were cut off at the end.
    pub bytes_cut: u64,
}

/// Reads the state of a partition from its directory, and cuts a torn tail.
pub(crate) fn recover_partition(dir: &Path) -> Result<RecoveredPartition, LogError> {
    let bases = segment_bases(dir)?;
    let Some((&last, sealed)) = bases.split_last() else { return Ok(RecoveredPartition::default()) };
    let mut segments = Vec::with_capacity(bases.len());
    for &base_offset in sealed {
        let path = Segment::path_in(dir, base_offset);
        let index = sealed_index(&path, base_offset)?;
        segments.push(Arc::new(Segment::new(path, base_offset, index, true)));
    }
    let path = Segment::path_in(dir, last);
    let (index, bytes_cut) = cut_torn_tail(&path, last)?;
    let next_offset = index.next_offset;
    segments.push(Arc::new(Segment::new(path, last, index, false)));
    Ok(RecoveredPartition { segments, next_offset, bytes_cut })
}

/// The first offsets of the segments, in order. Removes index files without a segment and unfinished files.
fn segment_bases(dir: &Path) -> Result<Vec<i64>, LogError> {
    let list = || fs::read_dir(dir)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<PathBuf>, _>>();
    let paths = list().map_err(|error| LogError::io("cannot list", dir, error))?;
    let base_of = |path: &Path| {
        let stem = path.file_stem()?.to_str()?;
        let digits = stem.len() == 20 && stem.bytes().all(|byte| byte.is_ascii_digit());
        if digits { stem.parse::<i64>().ok() } else { None }
    };
    let has_extension = |path: &Path, extension: &str| path.extension().is_some_and(|found| found == extension);
    let mut bases: Vec<i64> =
        paths.iter().filter(|path| has_extension(path, LOG_EXTENSION)).filter_map(|path| base_of(path)).collect();
    bases.sort_unstable();
    for path in &paths {
        let stray_index = has_extension(path, INDEX_EXTENSION)
            && base_of(path).is_some_and(|base| bases.binary_search(&base).is_err());
        let unfinished = has_extension(path, "tmp") && base_of(path).is_some();
        if stray_index || unfinished {
            fs::remove_file(path).map_err(|error| LogError::io("cannot remove", path, error))?;
        }
    }
    Ok(bases)
}

/// The index of a segment that is complete: from its file, or made anew from the headers. What is corrupt in the
/// segment is left to its readers; other offsets stay readable.
fn sealed_index(path: &Path, base_offset: i64) -> Result<SegmentIndex, LogError> {
    let io_error = |error| LogError::io("cannot read", path, error);
    let file = File::open(path).map_err(io_error)?;
    let file_bytes = file.metadata().map_err(io_error)?.len();
    let index_path = path.with_extension(INDEX_EXTENSION);
    if let Some(index) = fs::read(&index_path).ok().and_then(|bytes| SegmentIndex::decode(&bytes))
        && index.bytes == file_bytes
    {
        return Ok(index);
    }
    tracing::info!(segment = %path.display(), "the index of the segment is missing or does not fit; it is made anew");
    let mut index = SegmentIndex::new(base_offset);
    let mut walk = Walk::new(&file, (0, base_offset), file_bytes, WALK_WINDOW_BYTES);
    while let Step::Batch(header) = walk.step().map_err(io_error)? {
        index.add(&header);
        walk.pass(&header);
    }
    // What lies behind a bad header stays in the segment, so that a reader meets the error and not the end.
    index.bytes = file_bytes;
    if walk.position == file_bytes {
        let written = super::disk::write_atomically(&index_path, &index.encode());
        if let Err(error) = written {
            tracing::warn!(%error, "the index of a segment was not written");
        }
    }
    Ok(index)
}

/// Checks every batch of the last segment, cuts at the first bad one and makes the rest durable.
fn cut_torn_tail(path: &Path, base_offset: i64) -> Result<(SegmentIndex, u64), LogError> {
    let io_error = |error| LogError::io("cannot recover", path, error);
    let file = File::options().read(true).write(true).open(path).map_err(io_error)?;
    let file_bytes = file.metadata().map_err(io_error)?.len();
    let mut index = SegmentIndex::new(base_offset);
    let mut walk = Walk::new(&file, (0, base_offset), file_bytes, CHECK_WINDOW_BYTES);
    while let Step::Batch(header) = walk.step().map_err(io_error)? {
        if check_batch(walk.batch(&header).map_err(io_error)?).is_err() {
            break;
        }
        index.add(&header);
        walk.pass(&header);
    }
    let bytes_cut = file_bytes - walk.position;
    if bytes_cut > 0 {
        refuse_newer_version(&file, path, walk.position)?;
        file.set_len(walk.position).map_err(io_error)?;
    }
    // Batches may be whole in memory and not on the disk (the process was killed): from here on they are shown.
    if file_bytes > 0 {
        file.sync_all().map_err(io_error)?;
        path.parent().map_or(Ok(()), sync_dir)?;
    }
    Ok((index, bytes_cut))
}

/// Bytes of a newer version of the format are no torn tail.
fn refuse_newer_version(file: &File, path: &Path, position: u64) -> Result<(), LogError> {
    let mut start = [0u8; 8];
    let read = read_at(file, &mut start, position).map_err(|error| LogError::io("cannot read", path, error))?;
    let version = start[7];
    if read == start.len() && start[4..7] == *b"MRB" && version.is_ascii_digit() && version > b'1' {
        let detail = format!("it was written by a newer version (format {})", char::from(version));
        return Err(LogError::BadMetadata { path: path.to_owned(), detail });
    }
    Ok(())
}
