//! An HTTP server that fails as it is told, in front of a real server or a double of one.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use super::TestServer;

const HEAD_BYTES_MAX: usize = 64 << 10;
const BODY_BYTES_MAX: usize = 64 << 20;

/// A request as it came. Names of headers are in lower case.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    /// With the query.
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Clone, Debug)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }
}

/// What is behind the faults.
#[async_trait]
pub trait Upstream: Send + Sync + 'static {
    async fn answer(&self, request: Request) -> Response;
}

/// What happens to one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// It waits before it is looked at.
    Slow(Duration),
    /// The connection is reset when half of the request was read.
    ResetMidway,
    /// It is done, and the connection is reset before the answer.
    ResetAfter,
    /// It is answered like this, and not done.
    Answer {
        status: u16,
        retry_after_seconds: Option<u64>,
    },
}

/// What happens to the request of this number, counted from 0.
pub type Script = Box<dyn Fn(u64) -> Fault + Send + Sync>;

/// A request, when it came and when it was answered.
#[derive(Clone, Copy, Debug)]
pub struct Call {
    pub began: Instant,
    pub ended: Option<Instant>,
    pub status: Option<u16>,
}

struct Shared {
    upstream: Arc<dyn Upstream>,
    script: Mutex<Script>,
    calls: Mutex<Vec<Call>>,
}

pub struct FaultyServer {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl FaultyServer {
    /// On a free port of loopback.
    pub async fn start(upstream: Arc<dyn Upstream>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { upstream, script: Mutex::new(Box::new(|_| Fault::None)), calls: Mutex::default() });
        let accepting = Some(tokio::spawn(accept(listener, Arc::clone(&shared))));
        Ok(Self { address, shared, accepting })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn follow(&self, script: impl Fn(u64) -> Fault + Send + Sync + 'static) {
        *lock(&self.shared.script) = Box::new(script);
    }

    pub fn calls(&self) -> Vec<Call> {
        lock(&self.shared.calls).clone()
    }

    /// Nobody listens any more, and open connections end.
    pub async fn go_down(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            let _ = accepting.await;
        }
    }

    /// Listens on the same port again.
    pub async fn come_up(&mut self) -> io::Result<()> {
        self.go_down().await;
        let listener = TcpListener::bind(self.address).await?;
        self.accepting = Some(tokio::spawn(accept(listener, Arc::clone(&self.shared))));
        Ok(())
    }
}

#[async_trait]
impl TestServer for FaultyServer {
    fn url(&self) -> String {
        Self::url(self)
    }

    fn follow(&self, script: Script) {
        *lock(&self.shared.script) = script;
    }

    fn calls(&self) -> Vec<Call> {
        Self::calls(self)
    }

    async fn go_down(&mut self) {
        Self::go_down(self).await;
    }

    async fn come_up(&mut self) -> io::Result<()> {
        Self::come_up(self).await
    }
}

impl Drop for FaultyServer {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            // What goes wrong with a connection is what the client is to cope with.
            let _ = serve(stream, &shared).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some(head) = read_head(&mut stream, &mut buffer).await? else { return Ok(()) };
        let number = note_call(shared);
        let fault = lock(&shared.script)(number as u64);
        let length = head.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0usize);
        if length > BODY_BYTES_MAX {
            return Err(io::Error::other("the body is too long"));
        }
        if fault == Fault::ResetMidway {
            read_until(&mut stream, &mut buffer, length / 2).await?;
            return stream.set_zero_linger();
        }
        read_until(&mut stream, &mut buffer, length).await?;
        let body = buffer.drain(..length).collect();
        let request = Request { body, ..head };
        if let Fault::Slow(time) = fault {
            tokio::time::sleep(time).await;
        }
        let response = match fault {
            Fault::Answer { status, retry_after_seconds } => {
                let wait = retry_after_seconds.map(|seconds| ("Retry-After".to_owned(), seconds.to_string()));
                Response { headers: wait.into_iter().collect(), ..Response::new(status, "told to fail") }
            }
            _ => shared.upstream.answer(request).await,
        };
        if fault == Fault::ResetAfter {
            return stream.set_zero_linger();
        }
        if let Some(call) = lock(&shared.calls).get_mut(number) {
            (call.ended, call.status) = (Some(Instant::now()), Some(response.status));
        }
        stream.write_all(&encode(&response)).await?;
    }
}

fn note_call(shared: &Shared) -> usize {
    let mut calls = lock(&shared.calls);
    calls.push(Call { began: Instant::now(), ended: None, status: None });
    calls.len() - 1
}

/// `None` when the client has gone between two requests.
async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Request>> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if buffer.len() > HEAD_BYTES_MAX {
            return Err(io::Error::other("the head is too long"));
        }
        if stream.read_buf(buffer).await? == 0 {
            return Ok(None);
        }
    };
    let head: Vec<u8> = buffer.drain(..end + 4).collect();
    let head = String::from_utf8_lossy(&head[..end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (words.next().unwrap_or_default().to_owned(), words.next().unwrap_or_default().to_owned());
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    Ok(Some(Request { method, target, headers, body: Vec::new() }))
}

async fn read_until(stream: &mut TcpStream, buffer: &mut Vec<u8>, length: usize) -> io::Result<()> {
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

fn encode(response: &Response) -> Vec<u8> {
    let mut bytes = format!("HTTP/1.1 {} Told\r\n", response.status).into_bytes();
    for (name, value) in &response.headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    // A 204 has no body and no length.
    if response.status != 204 {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", response.body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    if response.status != 204 {
        bytes.extend_from_slice(&response.body);
    }
    bytes
}

/// A real server behind the faults: requests go there as they came, one connection each.
pub struct Proxy {
    /// `HOST:PORT`
    pub address: String,
}

#[async_trait]
impl Upstream for Proxy {
    async fn answer(&self, request: Request) -> Response {
        match self.forward(&request).await {
            Ok(response) => response,
            Err(error) => Response::new(502, format!("{}: {error}", self.address)),
        }
    }
}

impl Proxy {
    async fn forward(&self, request: &Request) -> io::Result<Response> {
        let mut stream = TcpStream::connect(&self.address).await?;
        let mut bytes = format!("{} {} HTTP/1.0\r\nHost: {}\r\n", request.method, request.target, self.address);
        let own = ["host", "connection", "content-length", "transfer-encoding"];
        for (name, value) in request.headers.iter().filter(|(name, _)| !own.contains(&name.as_str())) {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        bytes.push_str(&format!("Connection: close\r\nContent-Length: {}\r\n\r\n", request.body.len()));
        stream.write_all(bytes.as_bytes()).await?;
        stream.write_all(&request.body).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let end = answer.windows(4).position(|window| window == b"\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Response::new(status, &answer[end + 4..]))
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
