//! A server of `shop.Orders/Take` by tonic, which fails as it is told.

use async_trait::async_trait;
use bytes::{Buf, BufMut, Bytes};
use delivery::contract::{Call, Fault, Script, TestServer};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost_reflect::{DynamicMessage, MessageDescriptor};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

pub const CA: &str = include_str!("tls/ca.pem");

/// An order that the server has taken.
#[derive(Clone, Debug)]
pub struct Order {
    pub n: u64,
    pub metadata: MetadataMap,
}

pub struct Shop {
    order: MessageDescriptor,
    script: Mutex<Script>,
    calls: Mutex<Vec<Call>>,
    orders: Mutex<Vec<Order>>,
    /// How long it thinks about an order.
    pub think: Mutex<Duration>,
    /// A fault hits so many calls: those that would be one if a batch were.
    calls_of_batch: u64,
    at_once: AtomicUsize,
    pub at_once_max: AtomicUsize,
}

pub struct GrpcServer {
    address: SocketAddr,
    pub shop: Arc<Shop>,
    tls: Option<TlsAcceptor>,
    accepting: Option<JoinHandle<()>>,
}

impl Shop {
    pub fn new(order: MessageDescriptor, calls_of_batch: u64) -> Arc<Self> {
        Arc::new(Self {
            order,
            script: Mutex::new(Box::new(|_| Fault::None)),
            calls: Mutex::default(),
            orders: Mutex::default(),
            think: Mutex::default(),
            calls_of_batch,
            at_once: AtomicUsize::new(0),
            at_once_max: AtomicUsize::new(0),
        })
    }

    pub fn orders(&self) -> Vec<Order> {
        self.orders.lock().unwrap().clone()
    }

    async fn take(&self, request: tonic::Request<Bytes>) -> Result<tonic::Response<Bytes>, Status> {
        let at_once = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.at_once_max.fetch_max(at_once, Ordering::SeqCst);
        let think = *self.think.lock().unwrap();
        if !think.is_zero() {
            tokio::time::sleep(think).await;
        }
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        let (metadata, _, message) = request.into_parts();
        let order = DynamicMessage::decode(self.order.clone(), message)
            .map_err(|error| Status::internal(format!("no order: {error}")))?;
        let n = order.get_field_by_name("n").unwrap().as_i64().unwrap() as u64;
        // `Receipt { accepted, reason }`
        match order.get_field_by_name("city").unwrap().as_str().unwrap() {
            "poison" => Err(Status::invalid_argument("nobody lives there")),
            "closed" => Ok(tonic::Response::new(Bytes::from_static(b"\x12\x06closed"))),
            _ => {
                self.orders.lock().unwrap().push(Order { n, metadata });
                Ok(tonic::Response::new(Bytes::from_static(b"\x08\x01")))
            }
        }
    }

    /// One call. `reset` ends its connection.
    async fn serve(self: &Arc<Self>, request: Request<Incoming>, reset: &Notify) -> Response<Body> {
        let number = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(Call { began: Instant::now(), ended: None, status: None });
            calls.len() - 1
        };
        let fault = (self.script.lock().unwrap())(number as u64 / self.calls_of_batch);
        if let Fault::Slow(time) = fault {
            tokio::time::sleep(time).await;
        }
        let status = match fault {
            Fault::ResetMidway => {
                reset.notify_one();
                return std::future::pending().await;
            }
            Fault::Answer { status, retry_after_seconds } => Some((status, retry_after_seconds)),
            _ => None,
        };
        let response = match status {
            Some((status, retry_after_seconds)) => refusal(status, retry_after_seconds).into_http(),
            None if request.uri().path() != "/shop.Orders/Take" => Status::unimplemented("no such method").into_http(),
            None => {
                let shop = Arc::clone(self);
                let take = tower::service_fn(move |request: tonic::Request<Bytes>| {
                    let shop = Arc::clone(&shop);
                    async move { shop.take(request).await }
                });
                tonic::server::Grpc::new(Raw).unary(take, request).await
            }
        };
        if fault == Fault::ResetAfter {
            reset.notify_one();
            return std::future::pending().await;
        }
        let mut calls = self.calls.lock().unwrap();
        let call = &mut calls[number];
        (call.ended, call.status) = (Some(Instant::now()), status.map(|(status, _)| status));
        response
    }
}

fn refusal(status: u16, retry_after_seconds: Option<u64>) -> Status {
    let code = match status {
        401 => Code::Unauthenticated,
        429 => Code::ResourceExhausted,
        _ => Code::Internal,
    };
    let mut metadata = MetadataMap::new();
    if let Some(seconds) = retry_after_seconds {
        metadata.insert("grpc-retry-pushback-ms", (seconds * 1_000).into());
    }
    Status::with_metadata(code, "told to fail", metadata)
}

impl GrpcServer {
    /// On a free port of loopback.
    pub async fn start(shop: Arc<Shop>, tls: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tls = tls.then(acceptor);
        let accepting = Some(tokio::spawn(accept(listener, Arc::clone(&shop), tls.clone())));
        Self { address, shop, tls, accepting }
    }
}

impl Drop for GrpcServer {
    fn drop(&mut self) {
        if let Some(accepting) = &self.accepting {
            accepting.abort();
        }
    }
}

#[async_trait]
impl TestServer for GrpcServer {
    fn url(&self) -> String {
        format!("{}://{}", if self.tls.is_some() { "https" } else { "http" }, self.address)
    }

    fn follow(&self, script: Script) {
        *self.shop.script.lock().unwrap() = script;
    }

    fn calls(&self) -> Vec<Call> {
        self.shop.calls.lock().unwrap().clone()
    }

    async fn go_down(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            let _ = accepting.await;
        }
    }

    async fn come_up(&mut self) -> io::Result<()> {
        self.go_down().await;
        let listener = TcpListener::bind(self.address).await?;
        self.accepting = Some(tokio::spawn(accept(listener, Arc::clone(&self.shop), self.tls.clone())));
        Ok(())
    }
}

fn acceptor() -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn accept(listener: TcpListener, shop: Arc<Shop>, tls: Option<TlsAcceptor>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        // What ends is reset.
        let _ = stream.set_zero_linger();
        let (shop, tls) = (Arc::clone(&shop), tls.clone());
        connections.spawn(async move {
            match tls {
                None => connection(stream, shop).await,
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        connection(stream, shop).await;
                    }
                }
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, shop: Arc<Shop>) {
    let reset = Arc::new(Notify::new());
    let service = {
        let reset = Arc::clone(&reset);
        hyper::service::service_fn(move |request| {
            let (shop, reset) = (Arc::clone(&shop), Arc::clone(&reset));
            async move { Ok::<_, Infallible>(shop.serve(request, &reset).await) }
        })
    };
    let serving =
        hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = serving => {}
        () = reset.notified() => {}
    }
}

/// Messages as they are.
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
