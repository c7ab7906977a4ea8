//! The queue of one partition: what has been fetched and not taken. The only place that touches fetched records.

use std::ffi::{CStr, CString, c_void};
use std::ptr;
use std::sync::Arc;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka_sys as sys;
use rdkafka_sys::{rd_kafka_message_t, rd_kafka_queue_t, rd_kafka_resp_err_t, rd_kafka_t};
use tokio::sync::Notify;

use crate::client_events::ClientEvents;
use crate::closed_aside::ClosedAside;

/// Most records taken at once.
const BATCH_MAX: usize = 1_000;

pub(crate) struct PartitionQueue {
    queue: *mut rd_kafka_queue_t,
    /// What the callback of the queue holds.
    wake: Arc<Notify>,
    messages: Vec<*mut rd_kafka_message_t>,
    // Declared last: the queue must go before its consumer.
    consumer: Arc<ClosedAside<BaseConsumer<ClientEvents>>>,
}

// The queue and its messages may be used from any thread, by one at a time.
unsafe impl Send for PartitionQueue {}

/// What was taken in place of a record.
pub(crate) enum Taken<'a> {
    Record(Record<'a>),
    /// The reader is at the end, which is this offset.
    End(i64),
    Failed {
        code: rd_kafka_resp_err_t,
        reason: String,
    },
}

/// A record in the client's memory.
pub(crate) struct Record<'a> {
    message: &'a rd_kafka_message_t,
}

impl PartitionQueue {
    /// Has the partition's records put into a queue of their own. To be called before the partition is assigned.
    pub(crate) fn new(
        consumer: Arc<ClosedAside<BaseConsumer<ClientEvents>>>,
        topic: &str,
        partition: u32,
    ) -> Option<Self> {
        let topic = CString::new(topic).ok()?;
        let partition = i32::try_from(partition).ok()?;
        let wake = Arc::new(Notify::new());
        // Sound: the consumer outlives the queue, and the callback's `Notify` outlives the callback (see `drop`).
        let queue = unsafe {
            let queue = sys::rd_kafka_queue_get_partition(consumer.client().native_ptr(), topic.as_ptr(), partition);
            if queue.is_null() {
                return None;
            }
            sys::rd_kafka_queue_forward(queue, ptr::null_mut());
            sys::rd_kafka_queue_cb_event_enable(queue, Some(wake_reader), Arc::as_ptr(&wake) as *mut c_void);
            queue
        };
        Some(Self { queue, wake, messages: Vec::with_capacity(BATCH_MAX), consumer })
    }

    pub(crate) fn wake(&self) -> &Arc<Notify> {
        &self.wake
    }

    /// The end of the partition as of the last fetch; nothing is asked of the cluster.
    pub(crate) fn known_end(&self, topic: &str, partition: u32) -> Option<i64> {
        let topic = CString::new(topic).ok()?;
        let (mut start, mut end) = (-1, -1);
        let error = unsafe {
            let client = self.consumer.client().native_ptr();
            sys::rd_kafka_get_watermark_offsets(client, topic.as_ptr(), partition as i32, &mut start, &mut end)
        };
        (error == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR && end >= 0).then_some(end)
    }

    /// Gives up to `max` of what is there to `take`, without waiting. Returns how many.
    pub(crate) fn drain(&mut self, max: usize, mut take: impl FnMut(Taken<'_>)) -> usize {
        let max = max.clamp(1, BATCH_MAX);
        // Sound: the array has room for `max`, and each message is destroyed once, after its use.
        let count = unsafe { sys::rd_kafka_consume_batch_queue(self.queue, 0, self.messages.as_mut_ptr(), max) };
        let count = usize::try_from(count).unwrap_or(0);
        unsafe { self.messages.set_len(count) };
        for message in self.messages.drain(..) {
            let taken = unsafe { &*message };
            take(match taken.err {
                rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Taken::Record(Record { message: taken }),
                rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__PARTITION_EOF => Taken::End(taken.offset),
                code => Taken::Failed { code, reason: reason_of(taken) },
            });
            unsafe { sys::rd_kafka_message_destroy(message) };
        }
        count
    }
}

impl Drop for PartitionQueue {
    fn drop(&mut self) {
        // Without a callback nobody holds `wake` any more but us.
        unsafe {
            sys::rd_kafka_queue_cb_event_enable(self.queue, None, ptr::null_mut());
            sys::rd_kafka_queue_destroy(self.queue);
        }
    }
}

unsafe extern "C" fn wake_reader(_client: *mut rd_kafka_t, wake: *mut c_void) {
    // Sound: the queue's owner takes the callback away before it lets go of `wake`.
    unsafe { &*(wake as *const Notify) }.notify_one();
}

fn reason_of(message: &rd_kafka_message_t) -> String {
    let text = unsafe { sys::rd_kafka_message_errstr(message) };
    match text.is_null() {
        true => String::new(),
        false => unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned(),
    }
}

impl Record<'_> {
    pub(crate) fn offset(&self) -> i64 {
        self.message.offset
    }

    /// Milliseconds since 1970, and whether the broker set it when it took the record.
    pub(crate) fn timestamp(&self) -> (i64, bool) {
        let mut kind = sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        let timestamp = unsafe { sys::rd_kafka_message_timestamp(self.message, &mut kind) };
        (timestamp, kind == sys::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME)
    }

    pub(crate) fn key(&self) -> Option<&[u8]> {
        span(self.message.key, self.message.key_len)
    }

    /// `None` is a tombstone.
    pub(crate) fn value(&self) -> Option<&[u8]> {
        span(self.message.payload, self.message.len)
    }

    /// Empty for most.
    pub(crate) fn headers(&self) -> Vec<(String, bytes::Bytes)> {
        let mut headers = ptr::null_mut();
        let found = unsafe { sys::rd_kafka_message_headers(self.message, &mut headers) };
        if found != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Vec::new();
        }
        let mut all = Vec::new();
        loop {
            let (mut name, mut value, mut size) = (ptr::null(), ptr::null(), 0);
            let error = unsafe { sys::rd_kafka_header_get_all(headers, all.len(), &mut name, &mut value, &mut size) };
            if error != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                return all;
            }
            let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
            let value = span(value as *mut c_void, size).unwrap_or_default();
            all.push((name, bytes::Bytes::copy_from_slice(value)));
        }
    }
}

fn span<'a>(start: *mut c_void, length: usize) -> Option<&'a [u8]> {
    // Sound: the client says where and how long; the caller keeps the message for as long as it looks.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start as *const u8, length) })
}
