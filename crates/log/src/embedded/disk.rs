//! The few things that the log does to files, and the place where tests make them fail.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Write};
use std::path::Path;
use std::sync::Arc;

use rustix::io::{Errno, ReadWriteFlags};

use crate::error::LogError;

/// Makes writes and fsyncs of segments fail, for tests of what follows.
pub trait DiskFaults: Send + Sync + 'static {
    fn on_write(&self, bytes: usize) -> WriteFault;
    fn on_sync(&self) -> Option<io::Error>;
}

/// How one write shall go.
#[derive(Debug)]
pub enum WriteFault {
    None,
    /// So many bytes reach the file, then the error comes.
    Fail {
        written: usize,
        error: io::Error,
    },
}

#[derive(Clone, Default)]
pub(crate) struct Disk {
    pub faults: Option<Arc<dyn DiskFaults>>,
}

impl Disk {
    /// Writes all `parts` one after the other at `position`. On an error some of them may be in the file.
    pub fn write_at(&self, file: &File, parts: &[&[u8]], position: u64) -> io::Result<()> {
        let total = parts.iter().map(|part| part.len()).sum();
        let (allowed, failure) = match self.faults.as_ref().map(|faults| faults.on_write(total)) {
            None | Some(WriteFault::None) => (total, None),
            Some(WriteFault::Fail { written, error }) => (written.min(total), Some(error)),
        };
        let mut left = allowed;
        let mut slices: Vec<IoSlice<'_>> = Vec::with_capacity(parts.len());
        for part in parts {
            let taken = part.len().min(left);
            left -= taken;
            slices.push(IoSlice::new(&part[..taken]));
        }
        write_slices_at(file, &mut slices, position)?;
        failure.map_or(Ok(()), Err)
    }

    /// Makes the file's bytes and length durable.
    pub fn sync(&self, file: &File) -> io::Result<()> {
        if let Some(error) = self.faults.as_ref().and_then(|faults| faults.on_sync()) {
            return Err(error);
        }
        file.sync_data()
    }
}

fn write_slices_at(file: &File, mut slices: &mut [IoSlice<'_>], mut position: u64) -> io::Result<()> {
    IoSlice::advance_slices(&mut slices, 0); // drops empty ones
    while !slices.is_empty() {
        match rustix::io::pwritev(file, slices, position) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                position += written as u64;
                IoSlice::advance_slices(&mut slices, written);
            }
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}

/// Reads what is in memory already, from `position`; how many bytes that was. Never waits for the disk.
pub(crate) fn read_cached_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        let mut slices = [IoSliceMut::new(&mut buffer[filled..])];
        match rustix::io::preadv2(file, &mut slices, position + filled as u64, ReadWriteFlags::NOWAIT) {
            Ok(0) | Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INVAL | Errno::NOSYS) => break,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(filled)
}

/// Reads from `position` until the buffer is full or the file ends; how many bytes that was.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match rustix::io::pread(file, &mut buffer[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(filled)
}

pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Makes created, renamed and removed names in `dir` durable.
pub(crate) fn sync_dir(dir: &Path) -> Result<(), LogError> {
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|error| LogError::io("cannot sync directory", dir, error))
}

/// Replaces the file at `path`: after a crash it has the old content or the new one.
pub(crate) fn write_atomically(path: &Path, content: &[u8]) -> Result<(), LogError> {
    let unfinished = path.with_extension("tmp");
    let written = File::create(&unfinished).and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()
    });
    written
        .and_then(|()| std::fs::rename(&unfinished, path))
        .map_err(|error| LogError::io("cannot write", path, error))?;
    path.parent().map_or(Ok(()), sync_dir)
}
