//! Makes the calls of a batch: several at a time, those of a key one after the other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use delivery::{Answer, CallError, Destination, EncodedBatch, ErrorClass, RecordError};
use futures::{StreamExt, stream};
use prost::Message;
use tokio::sync::OnceCell;
use tonic::client::Grpc;
use tonic::metadata::{Ascii, MetadataKey, MetadataValue};
use tonic::transport::Channel;
use tonic::{Request, Status};

use super::GrpcConfig;
use super::answer::judge;
use super::condition::Condition;
use super::connect::channel;
use super::request::{BytesCodec, WaitingCall};
use crate::HttpOptions;

/// After this no more calls of a batch are begun.
const BATCH_TIME_MAX: Duration = Duration::from_secs(25);
/// Of one response.
const RESPONSE_BYTES_MAX: usize = 64 << 10;

pub(super) struct GrpcDestination {
    name: String,
    config: GrpcConfig,
    condition: Option<Arc<Condition>>,
    http: HttpOptions,
    /// Made on the runtime that calls.
    channel: OnceCell<Channel>,
}

/// What is known of the calls of a batch so far.
#[derive(Default)]
struct Progress {
    errors: Vec<RecordError>,
    /// The responses of those that worked.
    responses: Vec<(usize, Bytes)>,
    /// After an outage no more calls are begun.
    outage: Option<CallError>,
}

impl GrpcDestination {
    pub fn new(config: &GrpcConfig, condition: Option<Arc<Condition>>, http: &HttpOptions) -> Result<Self, String> {
        let (name, config, http) = (config.to_string(), config.clone(), http.clone());
        Ok(Self { name, config, condition, http, channel: OnceCell::new() })
    }

    async fn client(&self) -> Result<Grpc<Channel>, CallError> {
        let made = self.channel.get_or_try_init(|| async { channel(&self.config, &self.http) }).await;
        let channel = made.map_err(|reason| CallError::new(ErrorClass::Ours, reason))?;
        Ok(Grpc::new(channel.clone()).max_decoding_message_size(RESPONSE_BYTES_MAX))
    }

    /// One call; the response as it came.
    async fn call(&self, mut client: Grpc<Channel>, record: Bytes) -> Result<Bytes, CallError> {
        let call = WaitingCall::decode(record).map_err(|error| {
            CallError::new(ErrorClass::BadRecord, format!("it is not a call as this sink encodes it: {error}"))
        })?;
        let mut request = Request::new(call.message);
        request.set_timeout(self.config.deadline);
        for entry in call.metadata {
            let key: Result<MetadataKey<Ascii>, _> = entry.name.parse();
            let (Ok(key), Ok(value)) = (key, MetadataValue::try_from(entry.value)) else {
                return Err(CallError::new(ErrorClass::BadRecord, format!("no metadata `{}` can be sent", entry.name)));
            };
            request.metadata_mut().append(key, value);
        }
        for (key, value) in &self.config.metadata {
            request.metadata_mut().insert(key.clone(), value.clone());
        }
        let path = self.config.path.clone();
        let answer = tokio::time::timeout(self.config.deadline, async {
            client.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
            client.unary(request, path, BytesCodec).await
        });
        match answer.await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(judge(&status)),
            Err(_) => {
                let reason = format!("no answer within {} ms", self.config.deadline.as_millis());
                Err(CallError::new(ErrorClass::Down, reason))
            }
        }
    }

    /// The calls of one key.
    async fn chain(
        &self,
        client: &Grpc<Channel>,
        calls: Vec<(usize, Bytes)>,
        until: Instant,
        progress: &Mutex<Progress>,
    ) {
        for (index, record) in calls {
            {
                let mut progress = lock(progress);
                if progress.outage.is_none() && Instant::now() >= until {
                    let reason = format!("its calls take too long: {} s are over", BATCH_TIME_MAX.as_secs());
                    progress.outage = Some(CallError::new(ErrorClass::Down, reason));
                }
                if let Some(outage) = &progress.outage {
                    let error = RecordError { index, class: outage.class, reason: outage.reason.clone() };
                    progress.errors.push(error);
                    continue;
                }
            }
            let answer = self.call(client.clone(), record).await;
            let mut progress = lock(progress);
            match answer {
                Ok(response) => progress.responses.push((index, response)),
                Err(error) => {
                    progress.errors.push(RecordError { index, class: error.class, reason: error.reason.clone() });
                    if !error.class.is_of_a_record() && progress.outage.is_none() {
                        progress.outage = Some(error);
                    }
                }
            }
        }
    }
}

#[async_trait]
impl Destination for GrpcDestination {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, batch: &EncodedBatch) -> Result<Answer, CallError> {
        let client = self.client().await?;
        let (progress, until) = (Mutex::new(Progress::default()), Instant::now() + BATCH_TIME_MAX);
        stream::iter(chains(batch))
            .for_each_concurrent(self.config.in_flight, |calls| self.chain(&client, calls, until, &progress))
            .await;
        let Progress { mut errors, mut responses, outage } =
            progress.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(condition) = &self.condition {
            responses.sort_by_key(|(index, _)| *index);
            let (indexes, responses): (Vec<usize>, Vec<Bytes>) = responses.into_iter().unzip();
            errors.extend(condition.refused(&responses).into_iter().filter_map(|(response, reason)| {
                let index = *indexes.get(response)?;
                Some(RecordError { index, class: ErrorClass::Refused, reason })
            }));
        }
        match outage {
            Some(outage) if errors.len() == batch.len() && errors.iter().all(|error| error.class == outage.class) => {
                Err(outage)
            }
            outage => {
                errors.sort_by_key(|error| error.index);
                Ok(Answer { errors, retry_after: outage.and_then(|outage| outage.retry_after) })
            }
        }
    }
}

/// A record's index, and the message.
type Call = (usize, Bytes);

/// The records of each key in their order; those without a key by themselves.
fn chains(batch: &EncodedBatch) -> Vec<Vec<Call>> {
    let mut bytes = batch.bytes();
    let mut chains: Vec<Vec<Call>> = Vec::new();
    let mut of_key: HashMap<u64, usize> = HashMap::new();
    for index in 0..batch.len() {
        let call = (index, bytes.split_to(batch.record(index).len()));
        match batch.key(index) {
            None => chains.push(vec![call]),
            Some(key) => match of_key.get(&key).and_then(|chain| chains.get_mut(*chain)) {
                Some(chain) => chain.push(call),
                None => {
                    of_key.insert(key, chains.len());
                    chains.push(vec![call]);
                }
            },
        }
    }
    chains
}

fn lock(progress: &Mutex<Progress>) -> std::sync::MutexGuard<'_, Progress> {
    progress.lock().unwrap_or_else(PoisonError::into_inner)
}
