//! Writes a dagger's results to a topic: at least once, or within transactions exactly once.
//!
//! A transaction holds what a dagger has written between two checkpoints, and the name of the checkpoint, as metadata of
//! an offset of the dagger's own group. Who takes over fences the one before it, which aborts what that one left open, and
//! reads the name: so it knows which of its last two checkpoints the topic agrees with.

use std::ffi::{CString, c_void};
use std::time::{Duration, Instant};

use log::NewRecord;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka_sys as sys;
use rdkafka_sys::rd_kafka_resp_err_t;

use crate::client_events::ClientEvents;
use crate::closed_aside::ClosedAside;
use crate::kafka_log::{KafkaLog, REQUEST_TIMEOUT};
use crate::problem::ProblemKind;

/// Longest wait for the cluster within one call; what is not done by then is told, and tried again or given up.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest wait to see that a coordinator is there.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time that a transaction may be open before the cluster aborts it, and what the cluster allows by default.
pub const TRANSACTION_TIMEOUT_MIN: Duration = Duration::from_secs(60);
pub const TRANSACTION_TIMEOUT_MAX: Duration = Duration::from_secs(900);
/// What waits in memory to be sent.
const QUEUE_KIBIBYTES: usize = 64 << 10;
const QUEUE_RECORDS: usize = 500_000;
/// Room for what a record has around key, value and headers in a batch.
const RECORD_OVERHEAD_BYTES: usize = 100;

const UNSTABLE: RDKafkaErrorCode = RDKafkaErrorCode::UnstableOffsetCommit;

/// What the topic holds after a crash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    AtLeastOnce,
    /// Within transactions under this name, which is the dagger's own.
    ExactlyOnce {
        name: String,
        timeout: Duration,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    #[default]
    Lz4,
    Zstd,
}

impl Compression {
    pub const ALL: [Compression; 5] =
        [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

    pub fn as_str(self) -> &'static str {
        match self {
            Compression::None => "none",
            Compression::Gzip => "gzip",
            Compression::Snappy => "snappy",
            Compression::Lz4 => "lz4",
            Compression::Zstd => "zstd",
        }
    }
}

#[derive(Debug, Clone)]
pub struct WriterOptions {
    /// On the cluster.
    pub topic: String,
    pub delivery: Delivery,
    pub compression: Compression,
}

/// Names a checkpoint within a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    /// Tells one life of a dagger from another of the same name.
    pub lineage: String,
    pub checkpoint: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The call can be made again.
    #[error("{0}")]
    TryAgain(String),
    /// What was written since the last commit is void: go back to the last checkpoint that the topic has.
    #[error("{0}")]
    StartAnew(String),
    /// Somebody else writes under our name now.
    #[error("another process has taken over writing as {name:?}; this one must stop")]
    Fenced { name: String },
    #[error("{0}")]
    Refused(String),
}

/// Writes to one topic. What was not committed or flushed when it is dropped is not sent any more. Calls that wait for the cluster are to be made where blocking is allowed.
pub struct Writer {
    log: KafkaLog,
    events: ClientEvents,
    options: WriterOptions,
    topic: NativeTopic,
    // Declared after what belongs to it.
    producer: ClosedAside<BaseProducer<ClientEvents>>,
    record_bytes_max: usize,
    group: String,
}

/// The client's handle of a topic; belongs to a producer that lives longer.
struct NativeTopic(*mut sys::rd_kafka_topic_t);

unsafe impl Send for NativeTopic {}
unsafe impl Sync for NativeTopic {}

impl Drop for NativeTopic {
    fn drop(&mut self) {
        unsafe { sys::rd_kafka_topic_destroy(self.0) }
    }
}

impl Writer {
    /// Connects; with transactions it takes over from whoever wrote under this name and aborts what that left open.
    /// `record_bytes_max` is the topic's `max.message.bytes`.
    pub fn open(log: &KafkaLog, options: WriterOptions, record_bytes_max: usize) -> Result<Self, WriteError> {
        let config = log.config();
        let events = log.events().for_another_client();
        let mut client = config.client();
        client
            .set("enable.idempotence", "true")
            .set("partitioner", "murmur2_random")
            .set("compression.type", options.compression.as_str())
            .set("delivery.report.only.error", "true")
            .set("message.max.bytes", record_bytes_max.clamp(1_000, 1_000_000_000).to_string())
            .set("queue.buffering.max.kbytes", QUEUE_KIBIBYTES.to_string())
            .set("queue.buffering.max.messages", QUEUE_RECORDS.to_string());
        for (name, value) in
            [("linger.ms", "20".to_owned()), ("batch.size", (record_bytes_max.min(1 << 20)).to_string())]
        {
            if !config.properties.contains_key(name) {
                client.set(name, value);
            }
        }
        let group = match &options.delivery {
            Delivery::AtLeastOnce => {
                // Tries for ever: what has been taken is either delivered or refused for good.
                client.set("message.timeout.ms", "0");
                String::new()
            }
            Delivery::ExactlyOnce { name, timeout } => {
                let timeout = (*timeout).clamp(TRANSACTION_TIMEOUT_MIN, TRANSACTION_TIMEOUT_MAX);
                let name = format!("{}{name}", config.prefix);
                client
                    .set("transactional.id", &name)
                    .set("transaction.timeout.ms", timeout.as_millis().to_string())
                    .set("message.timeout.ms", timeout.as_millis().to_string());
                name
            }
        };
        let refused = |reason: String| WriteError::Refused(format!("Kafka cluster {:?}: {reason}", config.name));
        let producer: BaseProducer<ClientEvents> =
            client.create_with_context(events.clone()).map_err(|error| refused(error.to_string()))?;
        let name = CString::new(options.topic.as_str()).map_err(|error| refused(error.to_string()))?;
        let topic =
            unsafe { sys::rd_kafka_topic_new(producer.client().native_ptr(), name.as_ptr(), std::ptr::null_mut()) };
        if topic.is_null() {
            return Err(refused(format!("{:?} is no topic that can be written to", options.topic)));
        }
        let topic = NativeTopic(topic);
        let producer = ClosedAside::new(producer);
        let writer = Self { log: log.clone(), events, options, producer, topic, record_bytes_max, group };
        writer.give_token(writer.producer.client().native_ptr())?;
        if writer.is_transactional() {
            writer.waiting(|| Ok(writer.producer.init_transactions(CALL_TIMEOUT)?))?;
            writer.begin()?;
        }
        Ok(writer)
    }

    pub fn is_transactional(&self) -> bool {
        matches!(self.options.delivery, Delivery::ExactlyOnce { .. })
    }

    /// Takes records to be sent; none of them is safe before [`Self::flush`] or [`Self::commit`]. Returns how many were
    /// taken: fewer than there are when the memory for what waits is full. Records over the topic's limit are left out
    /// and given to `refuse` with the reason.
    pub fn write(&self, records: &[NewRecord], mut refuse: impl FnMut(usize, String)) -> Result<usize, WriteError> {
        self.fail_if_undelivered()?;
        for (index, record) in records.iter().enumerate() {
            let bytes = record.value.as_ref().map_or(0, |value| value.len())
                + record.key.as_ref().map_or(0, |key| key.len())
                + record.headers.iter().map(|(name, value)| name.len() + value.len() + 10).sum::<usize>();
            if bytes + RECORD_OVERHEAD_BYTES > self.record_bytes_max {
                refuse(
                    index,
                    format!("a record of {bytes} bytes is over the topic's limit of {}", self.record_bytes_max),
                );
                continue;
            }
            match self.enqueue(record) {
                rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => {}
                rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__QUEUE_FULL => {
                    self.producer.poll(Duration::from_millis(50));
                    return Ok(index);
                }
                code => return Err(self.failed(&KafkaError::MessageProduction(code.into()).into())),
            }
        }
        self.producer.poll(Duration::ZERO);
        Ok(records.len())
    }

    fn enqueue(&self, record: &NewRecord) -> rd_kafka_resp_err_t {
        let bytes = |bytes: Option<&bytes::Bytes>| match bytes {
            None => (std::ptr::null_mut(), 0),
            Some(bytes) => (bytes.as_ptr() as *mut c_void, bytes.len()),
        };
        let (value, value_length) = bytes(record.value.as_ref());
        let (key, key_length) = bytes(record.key.as_ref());
        let partition = record.partition.map_or(-1, |partition| partition as i32);
        let client = self.producer.client().native_ptr();
        // Sound: the client copies key, value and headers before it returns.
        unsafe {
            let headers = native_headers(&record.headers);
            let error = sys::rd_kafka_producev(
                client,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_RKT,
                self.topic.0,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_PARTITION,
                partition,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_MSGFLAGS,
                sys::RD_KAFKA_MSG_F_COPY,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_VALUE,
                value,
                value_length,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_KEY,
                key,
                key_length,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_TIMESTAMP,
                record.timestamp_ms.unwrap_or(0),
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_HEADERS,
                headers,
                sys::rd_kafka_vtype_t::RD_KAFKA_VTYPE_END,
            );
            // On success the client has the headers.
            if error != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && !headers.is_null() {
                sys::rd_kafka_headers_destroy(headers);
            }
            error
        }
    }

    /// Waits until the cluster has all that was written.
    pub fn flush(&self) -> Result<(), WriteError> {
        let flushed = self.producer.flush(CALL_TIMEOUT);
        self.fail_if_undelivered()?;
        match flushed {
            Ok(()) => Ok(()),
            Err(error) => {
                let count = self.producer.in_flight_count();
                Err(self.not_yet(&format!("{count} records wait to be written ({error})")))
            }
        }
    }

    /// Ends the transaction's content with the name of the checkpoint that belongs to it. What is in it then is all that
    /// was written up to that checkpoint.
    pub fn prepare(&self, marker: &Marker) -> Result<(), WriteError> {
        self.flush()?;
        self.coordinator_answers()?;
        let metadata = format!("{}:{}", marker.lineage, marker.checkpoint);
        let mut offsets = rdkafka::TopicPartitionList::with_capacity(1);
        let offset = rdkafka::Offset::Offset(i64::try_from(marker.checkpoint).unwrap_or(i64::MAX));
        offsets
            .add_partition_offset(&self.options.topic, 0, offset)
            .map_err(|error| WriteError::Refused(error.to_string()))?;
        for element in &mut offsets.elements() {
            element.set_metadata(&metadata);
        }
        let group = CString::new(self.group.as_str()).map_err(|error| WriteError::Refused(error.to_string()))?;
        self.waiting(|| {
            // Sound: the group's metadata lives until the call has ended.
            unsafe {
                let group = sys::rd_kafka_consumer_group_metadata_new(group.as_ptr());
                let timeout = i32::try_from(CALL_TIMEOUT.as_millis()).unwrap_or(i32::MAX);
                let client = self.producer.client().native_ptr();
                let error = sys::rd_kafka_send_offsets_to_transaction(client, offsets.ptr(), group, timeout);
                sys::rd_kafka_consumer_group_metadata_destroy(group);
                native_result(error)
            }
        })
    }

    /// While the group's coordinator is down, `rd_kafka_send_offsets_to_transaction` waits for it without any limit
    /// (librdkafka 2.12 keeps none in `rd_kafka_coord_req`, 2.16 neither) and connects to it thousands of times a second.
    fn coordinator_answers(&self) -> Result<(), WriteError> {
        let answer =
            self.log.member(&self.group).and_then(|member| member.metadata(&self.options.topic, 0, PROBE_TIMEOUT));
        match answer {
            Err(error) if error.rdkafka_error_code() != Some(UNSTABLE) => {
                Err(self.not_yet(&format!("the coordinator of group {} does not answer ({error})", self.group)))
            }
            _ => Ok(()),
        }
    }

    /// Makes what was prepared visible, and begins the next transaction.
    ///
    /// When the coordinator was out of reach in the meantime, the request may still be on its way to it and could end the
    /// next transaction, too (librdkafka does not have KIP-890): then this producer is not used any more.
    pub fn commit(&self) -> Result<(), WriteError> {
        self.producer.poll(Duration::ZERO);
        let before = self.events.coordinator_failures();
        let committed = self.producer.commit_transaction(CALL_TIMEOUT);
        self.producer.poll(Duration::ZERO);
        if let Err(error) = committed {
            let error = CallError::from(error);
            if is_fencing(error.code) {
                return Err(self.fenced());
            }
            let reason = format!("it is not known whether the topic has the last results: {}", error.reason);
            return Err(WriteError::StartAnew(self.explained(&reason)));
        }
        if self.events.coordinator_failures() != before {
            return Err(WriteError::StartAnew("the cluster was out of reach while results were committed".to_owned()));
        }
        self.begin()
    }

    /// The checkpoint whose results the topic has, all of them and nothing more.
    pub fn committed(&self) -> Result<Option<Marker>, WriteError> {
        let member = self.log.member(&self.group).map_err(|error| self.not_yet(&error.to_string()))?;
        let deadline = Instant::now() + CALL_TIMEOUT;
        let found = loop {
            match member.metadata(&self.options.topic, 0, REQUEST_TIMEOUT) {
                Ok(found) => break found,
                // The end of the predecessor's transaction is on its way to the group's partition.
                Err(error) if error.rdkafka_error_code() == Some(UNSTABLE) && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(error) => return Err(self.not_yet(&error.to_string())),
            }
        };
        Ok(found.and_then(|metadata| {
            let (lineage, checkpoint) = metadata.rsplit_once(':')?;
            Some(Marker { lineage: lineage.to_owned(), checkpoint: checkpoint.parse().ok()? })
        }))
    }

    fn give_token(&self, client: *mut sys::rd_kafka_t) -> Result<(), WriteError> {
        self.events.give_token(client).map_err(|reason| {
            WriteError::TryAgain(self.in_cluster(&format!("{} ({reason})", ProblemKind::Token.words())))
        })
    }

    fn begin(&self) -> Result<(), WriteError> {
        self.producer.begin_transaction().map_err(|error| self.failed(&error.into()))
    }

    /// Calls again as long as the client says that this helps and time is left.
    fn waiting(&self, call: impl Fn() -> Result<(), CallError>) -> Result<(), WriteError> {
        let deadline = Instant::now() + CALL_TIMEOUT;
        loop {
            let result = call();
            self.producer.poll(Duration::ZERO);
            match result {
                Ok(()) => return Ok(()),
                Err(error) if error.is_retriable => {
                    if Instant::now() >= deadline {
                        return Err(self.not_yet(&error.reason));
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(error) => return Err(self.failed(&error)),
            }
        }
    }

    fn failed(&self, error: &CallError) -> WriteError {
        if is_fencing(error.code) {
            return self.fenced();
        }
        let reason = self.explained(&error.reason);
        match error.code {
            RDKafkaErrorCode::TransactionalIdAuthorizationFailed
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed => WriteError::Refused(reason),
            RDKafkaErrorCode::BrokerTransportFailure
            | RDKafkaErrorCode::OperationTimedOut
            | RDKafkaErrorCode::AllBrokersDown => self.not_yet(&error.reason),
            _ if self.is_transactional() => WriteError::StartAnew(reason),
            _ => WriteError::Refused(reason),
        }
    }

    fn fail_if_undelivered(&self) -> Result<(), WriteError> {
        let Some((count, code, reason)) = self.events.take_undelivered() else { return Ok(()) };
        if is_fencing(code) {
            return Err(self.fenced());
        }
        let hint = match code {
            RDKafkaErrorCode::InvalidTimestamp | RDKafkaErrorCode::InvalidRecord => {
                "; if a broker's clock is off, or the topic's `message.timestamp` settings forbid times as old or new as \
                 those of the results, mend that"
            }
            _ => "",
        };
        Err(WriteError::StartAnew(self.explained(&format!("{count} records were not taken: {reason}{hint}"))))
    }

    fn fenced(&self) -> WriteError {
        WriteError::Fenced { name: self.group.clone() }
    }

    fn not_yet(&self, what: &str) -> WriteError {
        WriteError::TryAgain(self.explained(what))
    }

    /// With what is wrong with the cluster, if that is known.
    fn explained(&self, what: &str) -> String {
        match self.events.problem() {
            Some(problem) => self.in_cluster(&format!("{what}; {problem}")),
            None => self.in_cluster(what),
        }
    }

    fn in_cluster(&self, what: &str) -> String {
        format!("Kafka cluster {:?}: {what}", self.log.config().name)
    }
}

/// # Safety
/// The headers belong to the caller.
unsafe fn native_headers(headers: &[(String, bytes::Bytes)]) -> *mut sys::rd_kafka_headers_t {
    if headers.is_empty() {
        return std::ptr::null_mut();
    }
    unsafe {
        let native = sys::rd_kafka_headers_new(headers.len());
        for (name, value) in headers {
            sys::rd_kafka_header_add(
                native,
                name.as_ptr() as *const _,
                name.len() as isize,
                value.as_ptr() as *const c_void,
                value.len() as isize,
            );
        }
        native
    }
}

/// Why a call failed, and whether the client says that the same call may work.
struct CallError {
    code: RDKafkaErrorCode,
    reason: String,
    is_retriable: bool,
}

impl From<KafkaError> for CallError {
    fn from(error: KafkaError) -> Self {
        let is_retriable = matches!(&error, KafkaError::Transaction(error) if error.is_retriable());
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        Self { code, reason: error.to_string(), is_retriable }
    }
}

/// # Safety
/// `error` is null or an error that the caller owns; it is destroyed.
unsafe fn native_result(error: *mut sys::rd_kafka_error_t) -> Result<(), CallError> {
    if error.is_null() {
        return Ok(());
    }
    unsafe {
        let text = sys::rd_kafka_error_string(error);
        let failed = CallError {
            code: sys::rd_kafka_error_code(error).into(),
            reason: std::ffi::CStr::from_ptr(text).to_string_lossy().into_owned(),
            is_retriable: sys::rd_kafka_error_is_retriable(error) != 0,
        };
        sys::rd_kafka_error_destroy(error);
        Err(failed)
    }
}

fn is_fencing(code: RDKafkaErrorCode) -> bool {
    matches!(code, RDKafkaErrorCode::Fenced | RDKafkaErrorCode::ProducerFenced | RDKafkaErrorCode::InvalidProducerEpoch)
}
