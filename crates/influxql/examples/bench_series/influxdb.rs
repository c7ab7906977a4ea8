//! A real InfluxDB 1 in a directory of its own, spoken to over HTTP.

use std::error::Error;
use std::fs::Metadata;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const READY_AFTER_MAX: Duration = Duration::from_secs(60);
/// Processor time in /proc is told in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;
/// The unit in which the system tells blocks, whatever those of the disk are.
const BLOCK_BYTES: u64 = 512;

pub struct InfluxDb {
    process: Child,
    port: u16,
    dir: PathBuf,
}

impl InfluxDb {
    /// Starts the program `MILLRACE_INFLUXD` names, or else `influxd`; `None` if there is none.
    pub fn start(dir: &Path) -> Result<Option<Self>, Box<dyn Error>> {
        let program = std::env::var("MILLRACE_INFLUXD").unwrap_or_else(|_| "influxd".into());
        let (http, rpc) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
        let (port, rpc_port) = (http.local_addr()?.port(), rpc.local_addr()?.port());
        drop((http, rpc));
        let config = dir.join("influxdb.conf");
        let path = |name: &str| dir.join(name).display().to_string();
        std::fs::write(
            &config,
            format!(
                "reporting-disabled = true\nbind-address = \"127.0.0.1:{rpc_port}\"\n[meta]\ndir = \"{}\"\n[data]\ndir = \"{}\"\n\
                 wal-dir = \"{}\"\nmax-series-per-database = 0\nmax-values-per-tag = 0\nquery-log-enabled = false\n\
                 cache-snapshot-write-cold-duration = \"5s\"\n\
                 [http]\nbind-address = \"127.0.0.1:{port}\"\nlog-enabled = false\nmax-body-size = 0\n\
                 [monitor]\nstore-enabled = false\n",
                path("meta"),
                path("data"),
                path("wal")
            ),
        )?;
        let started = Command::new(program)
            .arg("-config")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(dir.join("influxd.log"))?)
            .spawn();
        let process = match started {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            result => result?,
        };
        let server = Self { process, port, dir: dir.to_owned() };
        let start = Instant::now();
        while server.request("GET", "/ping", b"").is_err() {
            if start.elapsed() > READY_AFTER_MAX {
                return Err("InfluxDB does not answer".into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        server.query("CREATE DATABASE bench")?;
        Ok(Some(server))
    }

    pub fn write(&self, lines: &[u8]) -> Result<(), Box<dyn Error>> {
        self.request("POST", "/write?db=bench&precision=n", lines).map(|_| ())
    }

    pub fn query(&self, statement: &str) -> Result<serde_json::Value, Box<dyn Error>> {
        let encoded: String = statement
            .bytes()
            .map(
                |byte| if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") },
            )
            .collect();
        let body = self.request("GET", &format!("/query?db=bench&epoch=ns&q={encoded}"), b"")?;
        let answer: serde_json::Value = serde_json::from_slice(&body)?;
        match answer.pointer("/results/0/error").or(answer.get("error")) {
            Some(error) => Err(format!("{statement}: {error}").into()),
            None => Ok(answer),
        }
    }

    /// Seconds of processor time since it was started.
    pub fn processor_seconds(&self) -> Result<f64, Box<dyn Error>> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let numbers: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = numbers.get(11).zip(numbers.get(12)).ok_or("no processor times in /proc")?;
        Ok((ticks.0.parse::<f64>()? + ticks.1.parse::<f64>()?) / TICKS_PER_SECOND)
    }

    /// Waits until it has nothing left to do, so that its files are as small as it makes them by itself.
    pub fn settle(&self, seconds_max: u64) -> Result<(), Box<dyn Error>> {
        let mut before = self.processor_seconds()?;
        for _ in 0..seconds_max / 5 {
            std::thread::sleep(Duration::from_secs(5));
            let now = self.processor_seconds()?;
            if now - before < 0.1 {
                break;
            }
            before = now;
        }
        Ok(())
    }

    /// Bytes that the disk holds of its data files, and of its write-ahead log.
    pub fn disk_bytes(&self) -> (u64, u64) {
        (directory_bytes(&self.dir.join("data")), directory_bytes(&self.dir.join("wal")))
    }

    fn request(&self, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
        let length = body.len();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        )?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        let head_end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").ok_or("no HTTP answer")?;
        let head = String::from_utf8_lossy(&answer[..head_end]).to_lowercase();
        let body = answer.split_off(head_end + 4);
        if !head.starts_with("http/1.1 2") {
            return Err(format!("{head}: {}", String::from_utf8_lossy(&body)).into());
        }
        Ok(if head.contains("transfer-encoding: chunked") { without_chunks(&body)? } else { body })
    }
}

impl Drop for InfluxDb {
    fn drop(&mut self) {
        if self.process.kill().is_ok() {
            self.process.wait().ok();
        }
    }
}

fn without_chunks(mut body: &[u8]) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut whole = Vec::new();
    loop {
        let line = body.windows(2).position(|bytes| bytes == b"\r\n").ok_or("a chunk is cut")?;
        let length = usize::from_str_radix(std::str::from_utf8(&body[..line])?.trim(), 16)?;
        if length == 0 {
            return Ok(whole);
        }
        whole.extend_from_slice(body.get(line + 2..line + 2 + length).ok_or("a chunk is cut")?);
        body = &body[line + 2 + length + 2..];
    }
}

/// Bytes of the blocks that the disk holds of a file: one that is made larger than what is in it yet has holes.
pub fn disk_bytes(file: &Metadata) -> u64 {
    file.blocks() * BLOCK_BYTES
}

pub fn directory_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(found) if found.is_dir() => directory_bytes(&entry.path()),
            Ok(found) => disk_bytes(&found),
            Err(_) => 0,
        })
        .sum()
}
