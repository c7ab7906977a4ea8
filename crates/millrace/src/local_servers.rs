//! The servers that this user runs on this machine: for each address its data directory. So a command that is told a server by
//! its address, or takes the default one, finds the token that only this user can read.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Takes the note away when the server ends.
pub struct NotedServer {
    path: PathBuf,
}

impl Drop for NotedServer {
    fn drop(&mut self) {
        // One that stays behind leads to a data directory that names no server at this address.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Notes where a server that has started keeps its data. Without a home there is nowhere to note it, which is no failure: the
/// command line is then told the data directory.
pub fn note(url: &str, data_dir: &Path) -> Option<NotedServer> {
    let folder = folder()?;
    DirBuilder::new().recursive(true).mode(0o700).create(&folder).ok()?;
    let path = folder.join(file_name(url));
    std::fs::write(&path, data_dir.as_os_str().as_encoded_bytes()).ok()?;
    Some(NotedServer { path })
}

/// The data directory of the server at an address, if this user runs it.
pub fn data_directory(url: &str) -> Option<PathBuf> {
    let noted = std::fs::read_to_string(folder()?.join(file_name(url))).ok()?;
    Some(PathBuf::from(noted))
}

fn folder() -> Option<PathBuf> {
    let of = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let state = of("XDG_STATE_HOME").or_else(|| Some(of("HOME")?.join(".local/state")))?;
    Some(state.join("millrace/servers"))
}

fn file_name(url: &str) -> String {
    url.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '_' }).collect()
}
