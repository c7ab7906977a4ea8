//! A TCP proxy that fails as it is told, in front of a server whose protocol it does not know.
//!
//! What a client says until it is answered is an exchange: faults are done to exchanges, wherever in the protocol they are.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What happens to one exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamFault {
    None,
    /// It waits before it is passed on.
    Stall(Duration),
    /// The connection is reset when half of its first bytes were passed on.
    ResetMidway,
    /// It is passed on, and the connection is reset when the server answers.
    ResetAfter,
}

/// What happens to the exchange of this number, counted from 0.
pub type StreamScript = Box<dyn Fn(u64) -> StreamFault + Send + Sync>;

struct Shared {
    /// `HOST:PORT`
    upstream: String,
    script: Mutex<StreamScript>,
    exchanges: AtomicU64,
}

pub struct StreamProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl StreamProxy {
    /// On a free port of loopback, to a server at `HOST:PORT`.
    pub async fn start(upstream: String) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let script: Mutex<StreamScript> = Mutex::new(Box::new(|_| StreamFault::None));
        let shared = Arc::new(Shared { upstream, script, exchanges: AtomicU64::new(0) });
        let accepting = Some(tokio::spawn(accept(listener, Arc::clone(&shared))));
        Ok(Self { address, shared, accepting })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Numbers of exchanges count from 0 again.
    pub fn follow(&self, script: impl Fn(u64) -> StreamFault + Send + Sync + 'static) {
        let mut current = lock(&self.shared.script);
        *current = Box::new(script);
        self.shared.exchanges.store(0, Ordering::Relaxed);
    }

    pub fn exchanges(&self) -> u64 {
        self.shared.exchanges.load(Ordering::Relaxed)
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

impl Drop for StreamProxy {
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
            let _ = pass(stream, &shared).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn pass(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut server = TcpStream::connect(&shared.upstream).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut from_server) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    let mut fault = None;
    loop {
        tokio::select! {
            read = client.read(&mut from_client) => {
                let bytes = &from_client[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                let is_first = fault.is_none();
                let fault = *fault.get_or_insert_with(|| {
                    let script = lock(&shared.script);
                    script(shared.exchanges.fetch_add(1, Ordering::Relaxed))
                });
                match fault {
                    StreamFault::Stall(time) if is_first => tokio::time::sleep(time).await,
                    StreamFault::ResetMidway => {
                        server.write_all(&bytes[..bytes.len() / 2]).await?;
                        return client.set_zero_linger();
                    }
                    _ => {}
                }
                server.write_all(bytes).await?;
            }
            read = server.read(&mut from_server) => {
                let bytes = &from_server[..read?];
                if bytes.is_empty() {
                    return Ok(());
                }
                if fault == Some(StreamFault::ResetAfter) {
                    return client.set_zero_linger();
                }
                fault = None;
                client.write_all(bytes).await?;
            }
        }
    }
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
