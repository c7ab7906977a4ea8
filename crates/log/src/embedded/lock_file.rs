//! One process per directory.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::error::LogError;

/// Held as long as this lives; the operating system gives it up when the process dies, however it dies.
#[derive(Debug)]
pub(crate) struct LockFile {
    file: File,
}

impl LockFile {
    pub fn take(dir: &Path) -> Result<Self, LogError> {
        let path = dir.join("LOCK");
        let io_error = |error| LogError::io("cannot lock", &path, error);
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = options.map_err(io_error)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                let mut pid = String::new();
                let known = file.read_to_string(&mut pid).is_ok() && !pid.trim().is_empty();
                let pid = if known { pid.trim().to_owned() } else { "unknown".to_owned() };
                return Err(LogError::Locked { dir: dir.to_owned(), pid });
            }
            Err(errno) => return Err(io_error(errno.into())),
        }
        let written =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(io_error)?;
        Ok(Self { file })
    }
}

/// A process that another thread is just starting has a copy of the file until its program runs: closing ours would leave
/// the directory locked for so long.
impl Drop for LockFile {
    fn drop(&mut self) {
        if let Err(error) = flock(&self.file, FlockOperation::Unlock) {
            tracing::warn!(%error, "the log's lock is given up by closing its file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_given_up_although_somebody_has_a_copy_of_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let lock = LockFile::take(dir.path()).unwrap();
        let copy = lock.file.try_clone().unwrap();
        assert!(matches!(LockFile::take(dir.path()), Err(LogError::Locked { .. })));
        drop(lock);
        assert!(LockFile::take(dir.path()).is_ok());
        drop(copy);
    }
}
