//! Where the server is, and with which token to come. The token of a context or of a data directory is only ever sent to the
//! server that it belongs to.

use crate::arguments::ServerArguments;
use crate::contexts::Contexts;
use crate::failure::Failure;
use crate::local_servers::data_directory;
use control::DataDirectory;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const URL_DEFAULT: &str = "http://127.0.0.1:8080";
/// The token that `millrace up` was given for scripts.
const ADMIN_TOKEN: &str = "MILLRACE_ADMIN_TOKEN";

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

/// Why it is this server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// `--server` or `MILLRACE_URL`.
    Named,
    Context,
    DataDirectory,
    Default,
}

pub struct Location {
    pub url: String,
    pub reason: Reason,
    /// The context that was taken, if one was.
    pub context: Option<String>,
    pub token: Option<String>,
}

pub fn find(arguments: &ServerArguments) -> Result<Location, Failure> {
    let contexts = Contexts::read()?;
    let here = server_of(arguments.data_dir());
    // What is written on the command line goes before the environment.
    let is_server_first = arguments.server.is_some() && (arguments.written.server || !arguments.written.context);
    let named = match &arguments.context {
        Some(name) => Some(contexts.get(name)?),
        None if arguments.data_dir.is_some() => None,
        None => contexts.current()?,
    };
    let (url, reason) = match (&arguments.server, &named, &here) {
        (Some(url), _, _) if is_server_first => (with_scheme(url), Reason::Named),
        (_, Some((_, context)), _) => (context.server.clone(), Reason::Context),
        (_, _, Some(here)) => (here.url.clone(), Reason::DataDirectory),
        _ => (URL_DEFAULT.to_owned(), Reason::Default),
    };
    let of_context = || named.as_ref().filter(|(_, context)| context.server == url)?.1.token.clone();
    let of_directory = || token_in(arguments.data_dir(), &url).or_else(|| token_in(&data_directory(&url)?, &url));
    let of_admin = || std::env::var(ADMIN_TOKEN).ok().filter(|token| !token.is_empty());
    let token = arguments.token.clone().or_else(of_admin).or_else(of_context).or_else(of_directory);
    let context = named.filter(|_| reason == Reason::Context).map(|(name, _)| name.to_owned());
    Ok(Location { token, context, url, reason })
}

/// The token of a data directory, for the server that runs in it.
fn token_in(data_dir: &Path, url: &str) -> Option<String> {
    server_of(data_dir).filter(|server| server.url == url)?;
    std::fs::read_to_string(DataDirectory::token_file(data_dir)).ok()
}

fn server_of(data_dir: &Path) -> Option<ServerFile> {
    let text = std::fs::read_to_string(DataDirectory::server_file(data_dir)).ok()?;
    serde_json::from_str(&text).ok()
}

/// An address as people write it: without a scheme it is http, and a slash at its end says nothing.
pub fn with_scheme(url: &str) -> String {
    let url = url.trim_end_matches('/');
    if url.contains("://") { url.to_owned() } else { format!("http://{url}") }
}
