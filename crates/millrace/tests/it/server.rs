//! Starting the binary, asking it, ending it.

use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const BINARY: &str = env!("CARGO_BIN_EXE_millrace");

/// Nothing here takes long; this only ends a test that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The first admin's token in every test; an `authorization` header given to [`TestServer::http`] takes its place, and an
/// empty one is nobody.
pub const TOKEN: &str = "token-of-the-tests-0123456789";

pub struct TestServer {
    child: Child,
    pub url: String,
    pub directory: TempDir,
    /// Kept open: a closed pipe would be an error of the server's.
    _stdout: BufReader<ChildStdout>,
}

/// What a server answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Status line and headers.
    pub head: String,
    pub body: String,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or(Value::Null)
    }
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub fn json(self) -> Value {
        let ran = self.ok();
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stdout))
    }

    /// One JSON value a line.
    #[track_caller]
    pub fn lines(self) -> Vec<Value> {
        let ran = self.ok();
        ran.stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
            .collect()
    }

    #[track_caller]
    pub fn failed_with(self, code: i32, in_stderr: &str) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        assert!(self.stderr.contains(in_stderr), "{in_stderr:?} is not in: {}", self.stderr);
        self
    }
}

impl TestServer {
    pub fn start() -> Self {
        Self::start_in(TempDir::new().unwrap(), &[])
    }

    pub fn start_in(directory: TempDir, arguments: &[&str]) -> Self {
        let data_dir = directory.path().join("data");
        let database = crate::test_database::url(&data_dir);
        let mut child = Command::new(BINARY)
            .args(["up", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(&data_dir)
            .args(arguments)
            .args(database.iter().flat_map(|url| ["--database", url]))
            .env("MILLRACE_ADMIN_TOKEN", TOKEN)
            .env("XDG_STATE_HOME", directory.path().join("state"))
            .env_remove("MILLRACE_URL")
            .env_remove("MILLRACE_DATA_DIR")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let url = line.trim_end().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "the first line was {line:?}");
        Self { child, url, directory, _stdout: stdout }
    }

    /// The most memory that the server has had so far.
    pub fn memory_peak_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("its state");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("its peak");
        peak.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1_024
    }

    pub fn data_dir(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Writes a file beside the data directory.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Runs a command against this server.
    pub fn cli(&self, arguments: &[&str]) -> Ran {
        self.cli_with_input(arguments, b"")
    }

    pub fn cli_with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        run_with_input(&[&["--server", &self.url, "--token", TOKEN], arguments].concat(), Path::new("."), input)
    }

    /// One HTTP request, as a program without any client library would send it.
    pub fn http(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (u16, String) {
        let answer = self.http_with_headers(method, path, headers, body);
        (answer.status, answer.body)
    }

    pub fn http_with_headers(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let address = self.url.strip_prefix("http://").unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        if !headers.iter().any(|(name, _)| matches!(*name, "authorization" | "cookie")) {
            request.push_str(&format!("authorization: Bearer {TOKEN}\r\n"));
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        // A server that refuses may close before it has read all.
        let _ = stream.write_all(body);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let status =
            answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{answer:?}"));
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }

    pub fn http_json(&self, method: &str, path: &str, body: Value) -> (u16, Value) {
        let (status, text) =
            self.http(method, path, &[("content-type", "application/json")], body.to_string().as_bytes());
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// Reads an answer that has no end until so many rows have come.
    pub fn first_rows(&self, path: &str, rows: usize) -> (u16, String) {
        let address = self.url.strip_prefix("http://").unwrap();
        let mut stream = std::net::TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {TOKEN}\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        let mut buffer = [0; 4096];
        while answer.matches("}\n").count() < rows {
            let read = stream.read(&mut buffer).unwrap();
            assert!(read > 0, "the answer ended: {answer}");
            answer.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
        (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
    }

    fn signal(&self, name: &str) {
        let killed = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status().unwrap();
        assert!(killed.success());
    }

    fn wait(&mut self) -> i32 {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < deadline, "the server does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Ends it as an operator does; returns the exit code and the directory, to start again in it.
    pub fn stop(mut self, signal: &str) -> (i32, TempDir) {
        self.signal(signal);
        let code = self.wait();
        (code, std::mem::replace(&mut self.directory, TempDir::new().unwrap()))
    }

    /// `kill -9`.
    pub fn kill(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.wait();
        std::mem::replace(&mut self.directory, TempDir::new().unwrap())
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        // Already ended in most tests.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the binary somewhere, with no server given.
pub fn run(arguments: &[&str], directory: &Path) -> Ran {
    run_with_input(arguments, directory, b"")
}

fn run_with_input(arguments: &[&str], directory: &Path, input: &[u8]) -> Ran {
    run_with(arguments, directory, &[], input)
}

/// With these variables in its environment, and none of the ones that the one who runs the tests has.
pub fn run_with(arguments: &[&str], directory: &Path, variables: &[(&str, &str)], input: &[u8]) -> Ran {
    let mut command = Command::new(BINARY);
    for variable in ["URL", "DATA_DIR", "TOKEN", "ADMIN_TOKEN", "CONTEXT"] {
        command.env_remove(format!("MILLRACE_{variable}"));
    }
    let mut child = command
        .args(arguments)
        .current_dir(directory)
        .env("XDG_CONFIG_HOME", std::path::absolute(directory).unwrap().join("config"))
        .env("XDG_STATE_HOME", std::path::absolute(directory).unwrap().join("state"))
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that does not read its input closes it.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

pub const BOOKING_PROTO: &str = r#"syntax = "proto3";
package shop.v1;

import "google/protobuf/timestamp.proto";

// A booking of anything.
message Booking {
  string order_number = 1;  // Unique.
  int64 amount = 2;
  string city = 3;
  google.protobuf.Timestamp event_timestamp = 4;
}
"#;

impl TestServer {
    /// Registers [`BOOKING_PROTO`] and makes a topic of it.
    pub fn with_bookings(partitions: u32) -> Self {
        let server = Self::start();
        let proto = server.file("protos/shop/v1/booking.proto", BOOKING_PROTO);
        server.cli(&["schema", "push", &proto]).ok();
        let partitions = partitions.to_string();
        server.cli(&["topic", "create", "bookings", "--partitions", &partitions, "--schema", "shop.v1.Booking"]).ok();
        server
    }
}
