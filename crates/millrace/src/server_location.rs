//! Where the server is, and with which token to come: `--server` or `MILLRACE_URL`, else the `server.json` of the data
//! directory, else port 8080. The token of the data directory is only ever sent to the server that wrote it.

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

pub struct Location {
    pub url: String,
    pub token: Option<String>,
}

pub fn find(arguments: &ServerArguments) -> Location {
    let here = DataDirectory::server_file(&arguments.data_dir);
    let here = std::fs::read_to_string(here).ok().and_then(|text| serde_json::from_str::<ServerFile>(&text).ok());
    let url = match (&arguments.server, &here) {
        (Some(url), _) if url.contains("://") => url.trim_end_matches('/').to_owned(),
        (Some(url), _) => format!("http://{}", url.trim_end_matches('/')),
        (None, Some(here)) => here.url.clone(),
        (None, None) => URL_DEFAULT.to_owned(),
    };
    let of_directory = || {
        let is_its_server = here.as_ref().is_some_and(|here| here.url == url);
        let path = DataDirectory::token_file(&arguments.data_dir);
        std::fs::read_to_string(path).ok().filter(|_| is_its_server)
    };
    // Scripts that have started the server themselves have set this for it.
    let of_environment = || std::env::var("MILLRACE_ADMIN_TOKEN").ok().filter(|token| !token.is_empty());
    Location { token: arguments.token.clone().or_else(of_environment).or_else(of_directory), url }
}
