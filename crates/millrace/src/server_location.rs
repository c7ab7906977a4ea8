//! Where the server is: `--server` or `MILLRACE_URL`, else the `server.json` of the data directory, else port 8080.

use crate::arguments::ServerArguments;
use crate::failure::Failure;
use control::DataDirectory;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const URL_DEFAULT: &str = "http://127.0.0.1:8080";

/// What a running server leaves in its data directory.
#[derive(Debug, Serialize, Deserialize)]
pub struct ServerFile {
    pub url: String,
    pub pid: u32,
}

impl ServerFile {
    /// Whole or not at all: it is written beside and renamed.
    pub fn write(&self, root: &Path) -> Result<WrittenServerFile, Failure> {
        let path = DataDirectory::server_file(root);
        let beside = path.with_extension("json.new");
        let text = serde_json::to_string(self).unwrap_or_default() + "\n";
        std::fs::write(&beside, text)
            .and_then(|()| std::fs::rename(&beside, &path))
            .map_err(|error| Failure::error(format!("cannot write {}: {error}", path.display())))?;
        Ok(WrittenServerFile { path })
    }
}

/// Takes the file away when the server ends.
pub struct WrittenServerFile {
    path: PathBuf,
}

impl Drop for WrittenServerFile {
    fn drop(&mut self) {
        // One that stays behind only leads to a server that does not answer, which is said then.
        let _ = std::fs::remove_file(&self.path);
    }
}

pub fn find(arguments: &ServerArguments) -> String {
    if let Some(url) = &arguments.server {
        let url = url.trim_end_matches('/');
        return if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    }
    let path = DataDirectory::server_file(&arguments.data_dir);
    let file = std::fs::read_to_string(path).ok().and_then(|text| serde_json::from_str::<ServerFile>(&text).ok());
    file.map_or_else(|| URL_DEFAULT.to_owned(), |file| file.url)
}
