//! A server that can be killed, and talking to it; several examples use parts of it.

use crate::Result;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

const TOKEN: &str = "token-of-the-faults-0123456789";

pub fn binary() -> Result<PathBuf> {
    if let Some(other) = std::env::var_os("MILLRACE_BINARY") {
        return Ok(other.into());
    }
    // target/release/examples/faults_control -> target/release/millrace
    let own = std::env::current_exe()?;
    let binary = own.ancestors().nth(2).ok_or("no target folder")?.join("millrace");
    if binary.exists() { Ok(binary) } else { Err(format!("{} is missing: run `make build`", binary.display()).into()) }
}

/// Killed when dropped.
pub struct Server {
    process: Mutex<Child>,
    http: reqwest::Client,
    url: String,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    body: Value,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn code(&self) -> String {
        self.body["code"].as_str().unwrap_or_default().to_owned()
    }

    pub fn success(self) -> Result<Value> {
        if self.is_success() { Ok(self.body) } else { Err(format!("{self:?}").into()) }
    }
}

/// What the servers in a data directory have said, one after the other.
pub fn log_file(data: &Path) -> PathBuf {
    data.with_extension("log")
}

fn spawn(binary: &Path, data: &Path) -> Result<Child> {
    let mut command = Command::new(binary);
    for variable in ["URL", "DATA_DIR", "DATABASE_URL", "OIDC"] {
        command.env_remove(format!("MILLRACE_{variable}"));
    }
    let command =
        command.args(["up", "--listen", "127.0.0.1:0", "--data-dir"]).arg(data).env("MILLRACE_ADMIN_TOKEN", TOKEN);
    let log = std::fs::OpenOptions::new().create(true).append(true).open(log_file(data))?;
    Ok(command.stdout(Stdio::piped()).stderr(log).spawn()?)
}

impl Server {
    pub fn start(binary: &Path, data: &Path) -> Result<Self> {
        let mut process = spawn(binary, data)?;
        let mut url = String::new();
        BufReader::new(process.stdout.take().ok_or("no stdout")?).read_line(&mut url)?;
        if !url.starts_with("http://") {
            let _ = process.kill();
            let _ = process.wait();
            return Err(format!("the server did not start: {url:?}").into());
        }
        // Two providers could be linked in; which one it is does not matter without TLS.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().no_proxy().build()?;
        Ok(Server { process: Mutex::new(process), http, url: url.trim_end().to_owned() })
    }

    pub fn start_and_kill(binary: &Path, data: &Path, after: Duration) -> Result<()> {
        let mut process = spawn(binary, data)?;
        std::thread::sleep(after);
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    pub fn kill(&self) -> Result<()> {
        let mut process = self.process.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    /// Stops it without its knowing, and lets it go on; `STOP` or `CONT`.
    pub fn signal(&self, signal: &str) -> Result<()> {
        let pid = self.process.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).id();
        let status = Command::new("kill").arg(format!("-{signal}")).arg(pid.to_string()).status()?;
        if status.success() { Ok(()) } else { Err(format!("the server got no {signal}").into()) }
    }

    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.ask(reqwest::Method::GET, path, None, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Result<Answer> {
        self.ask(reqwest::Method::POST, path, Some(&body), None).await
    }

    /// Documents as people write them.
    pub async fn post_text(&self, path: &str, text: String) -> Result<Answer> {
        let request = self.http.post(format!("{}/api/v1{path}", self.url)).bearer_auth(TOKEN);
        match request.body(text).send().await {
            Ok(response) => answer(response).await,
            Err(error) => Err(format!("{error}: {:?}", std::error::Error::source(&error)).into()),
        }
    }

    pub async fn put(&self, path: &str, body: Value) -> Result<Answer> {
        self.ask(reqwest::Method::PUT, path, Some(&body), None).await
    }

    /// How many bytes the whole answer has.
    pub async fn get_bytes(&self, path: &str) -> Result<usize> {
        let response = self.http.get(format!("{}/api/v1{path}", self.url)).bearer_auth(TOKEN).send().await?;
        let status = response.status();
        let body = response.bytes().await?;
        if status.is_success() {
            Ok(body.len())
        } else {
            Err(format!("{path}: {}", String::from_utf8_lossy(&body)).into())
        }
    }

    /// A change, with the key by which it is known again; without a body it is a deletion.
    pub async fn change(&self, path: &str, body: Option<&Value>, key: &str) -> Result<Answer> {
        let method = if body.is_some() { reqwest::Method::POST } else { reqwest::Method::DELETE };
        self.ask(method, path, body, Some(key)).await
    }

    async fn ask(
        &self,
        method: reqwest::Method,
        path: &str,
        body: Option<&Value>,
        key: Option<&str>,
    ) -> Result<Answer> {
        let mut request = self.http.request(method, format!("{}/api/v1{path}", self.url)).bearer_auth(TOKEN);
        if let Some(body) = body {
            request = request.json(body);
        }
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        match request.send().await {
            Ok(response) => answer(response).await,
            // Its own words leave out why.
            Err(error) => Err(format!("{error}: {:?}", std::error::Error::source(&error)).into()),
        }
    }
}

async fn answer(response: reqwest::Response) -> Result<Answer> {
    let (status, text) = (response.status().as_u16(), response.text().await?);
    let body = if text.is_empty() { Value::Null } else { serde_json::from_str(&text)? };
    Ok(Answer { status, body })
}

impl Drop for Server {
    fn drop(&mut self) {
        // Killed already in most cases.
        let _ = self.kill();
    }
}
