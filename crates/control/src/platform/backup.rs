//! A copy of the series, made while they are written.

use super::Platform;
use crate::access::{Caller, Permission};
use crate::error::ControlError;
use crate::resource::GROUP_DEFAULT;
use chrono::Utc;
use std::path::PathBuf;

/// Left free on the disk beside what a copy needs.
const DISK_FREE_BYTES_MIN: u64 = 256 * 1024 * 1024;

pub struct SeriesBackup {
    /// On the server's machine.
    pub directory: PathBuf,
    pub bytes: u64,
}

impl Platform {
    /// Copies all that has been written to measurements so far into a directory of its own below `backups` of the data
    /// directory; what is written meanwhile does not wait and is not in it. One at a time.
    pub async fn back_up_series(&self, by: &Caller) -> Result<SeriesBackup, ControlError> {
        by.require(Permission::WritePlatform, GROUP_DEFAULT)?;
        let one = self.backups.try_acquire().map_err(|_| {
            ControlError::conflict("backup_under_way", "another backup is under way")
                .with_hint("wait until it has ended")
        })?;
        let needed = self.series.disk_bytes()? + DISK_FREE_BYTES_MIN;
        if let Some(free) = self.directory.disk_free_bytes()
            && free < needed
        {
            let detail = format!("a backup needs {needed} bytes of the disk, {free} are free");
            return Err(ControlError::unavailable("disk_full", detail));
        }
        let name = format!("series-{}", Utc::now().format("%Y%m%dT%H%M%S%3fZ"));
        let directory = self.directory.root().join("backups").join(name);
        let (series, to) = (self.series.clone(), directory.clone());
        tokio::task::spawn_blocking(move || series.backup_to(&to)).await??;
        drop(one);
        let bytes = directory_bytes(&directory)?;
        tracing::info!(directory = %directory.display(), bytes, by = by.user, "backup of the series");
        Ok(SeriesBackup { directory, bytes })
    }
}

fn directory_bytes(directory: &std::path::Path) -> Result<u64, ControlError> {
    let failed = |error: std::io::Error| ControlError::internal(format!("{}: {error}", directory.display()));
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let metadata = entry.metadata().map_err(failed)?;
        bytes += if metadata.is_dir() { directory_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
