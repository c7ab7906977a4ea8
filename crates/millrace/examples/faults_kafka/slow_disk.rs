//! A server whose disk is slow to sync.

use crate::Result;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program that becomes the server on such a disk: it has the server's process id.
pub fn server_on_slow_disk(server: &Path, sync_us: u64, folder: &Path) -> Result<PathBuf> {
    let (source, library, program) =
        (folder.join("slow_sync.c"), folder.join("slow_sync.so"), folder.join("millrace-on-slow-disk"));
    std::fs::write(&source, include_str!("slow_sync.c"))?;
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).output()?;
    if !compiled.status.success() {
        return Err(format!("cc: {}", String::from_utf8_lossy(&compiled.stderr)).into());
    }
    let (library, server) = (library.display(), server.display());
    let script = format!("#!/bin/sh\nexport LD_PRELOAD='{library}' SLOW_SYNC_US={sync_us}\nexec '{server}' \"$@\"\n");
    std::fs::write(&program, script)?;
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    Ok(program)
}
