//! One file of a partition: batches one after the other, named after its first offset.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::batch::{BadBatch, BatchHeader, HEADER_BYTES};
use super::disk::read_at;
use super::segment_index::SegmentIndex;
use crate::error::LogError;

pub(crate) const LOG_EXTENSION: &str = "log";
pub(crate) const INDEX_EXTENSION: &str = "index";

pub(crate) struct Segment {
    pub base_offset: i64,
    path: PathBuf,
    /// Readers may read the bytes before this: whole batches, durable ones where the log waits for that.
    readable_bytes: AtomicU64,
    /// No more is written; all of it is durable and readable.
    sealed: AtomicBool,
    index: Mutex<SegmentIndex>,
    /// The file, while somebody has it open: all share one descriptor, idle segments need none.
    open_file: Mutex<Weak<File>>,
}

impl Segment {
    pub fn new(path: PathBuf, base_offset: i64, index: SegmentIndex, sealed: bool) -> Self {
        Self {
            base_offset,
            path,
            readable_bytes: AtomicU64::new(index.bytes),
            sealed: AtomicBool::new(sealed),
            index: Mutex::new(index),
            open_file: Mutex::new(Weak::new()),
        }
    }

    pub fn path_in(dir: &Path, base_offset: i64) -> PathBuf {
        dir.join(format!("{base_offset:020}.{LOG_EXTENSION}"))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn index_path(&self) -> PathBuf {
        self.path.with_extension(INDEX_EXTENSION)
    }

    pub fn file_name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The file, open for reading at the least.
    pub fn file(&self) -> Result<Arc<File>, LogError> {
        let mut open_file = self.open_file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open_file.upgrade() {
            return Ok(file);
        }
        let file = File::open(&self.path).map_err(|error| LogError::io("cannot open", &self.path, error))?;
        let file = Arc::new(file);
        *open_file = Arc::downgrade(&file);
        Ok(file)
    }

    /// The file, open for writing; made if it is not there.
    pub fn file_to_write(&self) -> std::io::Result<Arc<File>> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.path)?;
        let file = Arc::new(file);
        *self.open_file.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&file);
        Ok(file)
    }

    pub fn index(&self) -> MutexGuard<'_, SegmentIndex> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn readable_bytes(&self) -> u64 {
        self.readable_bytes.load(Ordering::Acquire)
    }

    pub fn set_readable_bytes(&self, bytes: u64) {
        self.readable_bytes.store(bytes, Ordering::Release);
    }

    pub fn is_sealed(&self) -> bool {
        self.sealed.load(Ordering::Acquire)
    }

    /// All of the segment is durable and nothing follows in it.
    pub fn seal(&self) {
        self.set_readable_bytes(self.index().bytes);
        self.sealed.store(true, Ordering::Release);
    }
}

/// What lies at a place of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Batch(BatchHeader),
    Bad(BadBatch),
    End,
}

/// Goes through the batches of a file before `limit`. Headers are checked for what they can be and for the offset
/// that is due; the checksum is the caller's choice ([`Walk::batch`]).
pub(crate) struct Walk<'f> {
    file: &'f File,
    limit: u64,
    pub position: u64,
    pub offset: i64,
    window: Vec<u8>,
    window_start: u64,
    window_bytes: usize,
}

impl<'f> Walk<'f> {
    /// `window_bytes` is how much is read at a time.
    pub fn new(file: &'f File, from: (u64, i64), limit: u64, window_bytes: usize) -> Self {
        let (position, offset) = from;
        Self { file, limit, position, offset, window: Vec::new(), window_start: 0, window_bytes }
    }

    pub fn step(&mut self) -> std::io::Result<Step> {
        if self.position >= self.limit {
            return Ok(Step::End);
        }
        let header = BatchHeader::decode(self.bytes(HEADER_BYTES)?);
        Ok(match header.and_then(|header| header.expect_offset(self.offset).map(|()| header)) {
            Ok(header) if header.total_bytes() > self.limit - self.position => Step::Bad(BadBatch::Truncated),
            Ok(header) => Step::Batch(header),
            Err(bad) => Step::Bad(bad),
        })
    }

    /// All bytes of the batch at the current place.
    pub fn batch(&mut self, header: &BatchHeader) -> std::io::Result<&[u8]> {
        self.bytes(header.total_bytes() as usize)
    }

    pub fn pass(&mut self, header: &BatchHeader) {
        self.position += header.total_bytes();
        self.offset = header.next_offset();
    }

    /// The `length` bytes at the current place, fewer at the limit or the end of the file.
    fn bytes(&mut self, length: usize) -> std::io::Result<&[u8]> {
        let left = usize::try_from(self.limit - self.position).unwrap_or(usize::MAX);
        let length = length.min(left);
        let begin = self.position.checked_sub(self.window_start).and_then(|begin| usize::try_from(begin).ok());
        let begin = match begin {
            Some(begin) if begin + length <= self.window.len() => begin,
            _ => {
                self.window.resize(length.max(self.window_bytes).min(left), 0);
                let read = read_at(self.file, &mut self.window, self.position)?;
                self.window.truncate(read);
                self.window_start = self.position;
                0
            }
        };
        Ok(&self.window[begin..(begin + length).min(self.window.len())])
    }
}
