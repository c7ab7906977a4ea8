//! The data directory of one server: what lies where, and the lock that keeps a second process out.

use crate::error::{ControlError, ErrorKind};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Held as long as the server runs; the operating system gives the lock back however the process ends.
pub struct DataDirectory {
    root: PathBuf,
    lock: File,
}

impl DataDirectory {
    /// Makes the directory if it is missing and locks it for this process.
    pub fn open(root: &Path) -> Result<Self, ControlError> {
        std::fs::create_dir_all(root).map_err(|error| unusable(root, &error))?;
        let root = root.canonicalize().map_err(|error| unusable(root, &error))?;
        let path = root.join("lock");
        let mut lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(|error| unusable(&root, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(in_use(&root, &mut lock)),
            Err(TryLockError::Error(error)) => return Err(unusable(&root, &error)),
        }
        let written = lock
            .set_len(0)
            .and_then(|()| lock.rewind())
            .and_then(|()| lock.write_all(std::process::id().to_string().as_bytes()));
        written.map_err(|error| unusable(&root, &error))?;
        Ok(Self { root, lock })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn resources(&self) -> PathBuf {
        self.root.join("resources.db")
    }

    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// What its disk has room for; `None` if the system does not say.
    pub fn disk_free_bytes(&self) -> Option<u64> {
        rustix::fs::statvfs(&self.root).ok().map(|found| found.f_bavail.saturating_mul(found.f_frsize))
    }

    pub fn series(&self) -> PathBuf {
        self.root.join("series")
    }

    pub fn dead_letters(&self) -> PathBuf {
        self.root.join("dead-letters")
    }

    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// What is to be finished at the next start if it is broken off; see `platform::measurements`.
    pub fn unfinished_move(&self) -> PathBuf {
        self.root.join("unfinished-move.json")
    }

    /// Writes the token with which the command line of this machine comes in; only the owner can read it.
    pub fn write_token(&self, token: &str) -> Result<(), ControlError> {
        let path = Self::token_file(&self.root);
        let beside = path.with_extension("new");
        // One that is left over may have other rights.
        let _ = std::fs::remove_file(&beside);
        let written = OpenOptions::new()
            .create_new(true)
            .write(true)
            .mode(0o600)
            .open(&beside)
            .and_then(|mut file| file.write_all(token.as_bytes()))
            .and_then(|()| std::fs::rename(&beside, &path));
        written.map_err(|error| unusable(&self.root, &error))
    }

    pub fn token_file(root: &Path) -> PathBuf {
        root.join("token")
    }

    /// The key that seals secrets; made at the first start.
    pub fn secret_key_file(&self) -> PathBuf {
        self.root.join("secret.key")
    }

    /// Where clients on this machine find the server.
    pub fn server_file(root: &Path) -> PathBuf {
        root.join("server.json")
    }
}

/// A process that another thread is just starting has a copy of the file until its program runs: closing ours would leave
/// the directory locked for so long.
impl Drop for DataDirectory {
    fn drop(&mut self) {
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the data directory's lock is given up by closing its file");
        }
    }
}

fn in_use(root: &Path, lock: &mut File) -> ControlError {
    let mut pid = String::new();
    let owner = match lock.read_to_string(&mut pid) {
        Ok(_) if !pid.trim().is_empty() => format!("process {}", pid.trim()),
        _ => "another process".to_owned(),
    };
    ControlError::new(
        ErrorKind::Conflict,
        "data_directory_in_use",
        format!("the data directory {} is in use by {owner}", root.display()),
    )
    .with_hint("stop that server, or choose another directory with --data-dir")
}

fn unusable(root: &Path, error: &std::io::Error) -> ControlError {
    ControlError::new(
        ErrorKind::Unavailable,
        "data_directory_unusable",
        format!("the data directory {} cannot be used: {error}", root.display()),
    )
    .with_hint("choose a directory that this user may write to with --data-dir")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_owner_is_refused_and_told_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("made/on/demand");
        let first = DataDirectory::open(&root).unwrap();
        let error = DataDirectory::open(&root).err().unwrap();
        assert_eq!(error.code, "data_directory_in_use");
        assert!(error.detail.contains(&std::process::id().to_string()), "{error}");
        let copy = first.lock.try_clone().unwrap();
        drop(first);
        assert!(DataDirectory::open(&root).is_ok());
        drop(copy);
    }
}
