//! InfluxDB 1 and VictoriaMetrics as processes of a test's own, which it stops and starts, and plain HTTP to ask them.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(60);

/// A variable that a script of `scripts` sets.
pub fn variable(name: &str, script: &str) -> String {
    std::env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run the tests within `scripts/{script} -- cargo test ...`"))
}

/// The body of an answer to a request without one.
pub fn ask(method: &str, address: &str, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The values of the first series that InfluxDB answers with.
pub fn influxql(address: &str, database: &str, statement: &str) -> Vec<Value> {
    let body = ask("POST", address, &format!("/query?db={database}&q={}", escaped(statement))).unwrap();
    let body: Value = serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}"));
    body["results"][0]["series"][0]["values"].as_array().cloned().unwrap_or_default()
}

/// The samples of VictoriaMetrics that match, one JSON object for each series.
pub fn exported(address: &str, matching: &str) -> Vec<Value> {
    ask("GET", address, "/internal/force_flush").unwrap();
    let body = ask("GET", address, &format!("/api/v1/export?match[]={}", escaped(matching))).unwrap();
    body.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

pub struct ExternalServer {
    program: String,
    arguments: Vec<String>,
    /// `HOST:PORT`
    pub address: String,
    /// Answers when the server is ready.
    ready_path: &'static str,
    child: Option<Child>,
    _directory: TempDir,
}

fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

impl ExternalServer {
    pub fn influxdb() -> Self {
        let program = variable("MILLRACE_INFLUXD", "influxdb.sh");
        let (directory, address) = (TempDir::new().unwrap(), free_address());
        let (root, config) = (directory.path().display(), directory.path().join("influxdb.conf"));
        let text = format!(
            "reporting-disabled = true\nbind-address = \"{}\"\n[meta]\ndir = \"{root}/meta\"\n[data]\n\
             dir = \"{root}/data\"\nwal-dir = \"{root}/wal\"\n[http]\nbind-address = \"{address}\"\nlog-enabled = false\n\
             [monitor]\nstore-enabled = false\n",
            free_address()
        );
        std::fs::write(&config, text).unwrap();
        let arguments = vec!["-config".to_owned(), config.display().to_string()];
        Self::new(program, arguments, address, "/ping", directory)
    }

    /// That keeps old points, and the same point once.
    pub fn victoria_metrics() -> Self {
        Self::victoria_metrics_with(&["-retentionPeriod=100y", "-dedup.minScrapeInterval=1ms"])
    }

    pub fn victoria_metrics_with(settings: &[&str]) -> Self {
        let program = variable("MILLRACE_VICTORIA_METRICS_PROGRAM", "victoria_metrics.sh");
        let (directory, address) = (TempDir::new().unwrap(), free_address());
        let mut arguments = vec![
            format!("-storageDataPath={}", directory.path().display()),
            format!("-httpListenAddr={address}"),
            "-memory.allowedBytes=256MB".to_owned(),
        ];
        arguments.extend(settings.iter().map(|setting| (*setting).to_owned()));
        Self::new(program, arguments, address, "/health", directory)
    }

    fn new(
        program: String,
        arguments: Vec<String>,
        address: String,
        ready_path: &'static str,
        directory: TempDir,
    ) -> Self {
        let mut server = Self { program, arguments, address, ready_path, child: None, _directory: directory };
        server.start();
        server
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it was before.
    pub fn start(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.child = Some(command.spawn().unwrap());
        let deadline = Instant::now() + PATIENCE;
        while ask("GET", &self.address, self.ready_path).is_err() {
            assert!(Instant::now() < deadline, "{} does not start", self.program);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// As an operator does it.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
        child.wait().unwrap();
    }
}

impl Drop for ExternalServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
