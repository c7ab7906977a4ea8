//! What rdkafka has no call for: topics' ids, and what an administrative client logs.

use std::ffi::{CStr, CString, c_char};
use std::time::Duration;

use log::TopicShape;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka_sys as sys;
use rdkafka_sys::{rd_kafka_event_t, rd_kafka_resp_err_t, rd_kafka_t};

use crate::client_events::ClientEvents;

/// Why an administrative request failed.
#[derive(Debug)]
pub(crate) struct AdminError {
    pub code: rd_kafka_resp_err_t,
    pub reason: String,
}

/// As syslog has it; what is less is worse.
const WARNING: i32 = 4;

/// Hands on what an administrative client has logged since: nobody else polls its main queue, so that the reason for a
/// request without an answer would stay there.
pub(crate) fn serve_log(client: *mut rd_kafka_t, events: &ClientEvents) {
    unsafe {
        let queue = sys::rd_kafka_queue_get_main(client);
        loop {
            let event = sys::rd_kafka_queue_poll(queue, 0);
            if event.is_null() {
                break;
            }
            let event = Answer(event);
            let (mut facility, mut line, mut level) = (std::ptr::null(), std::ptr::null(), 0);
            if sys::rd_kafka_event_log(event.0, &mut facility, &mut line, &mut level) == 0 {
                let level = if level <= WARNING { RDKafkaLogLevel::Warning } else { RDKafkaLogLevel::Info };
                events.log(level, &text_of(facility), &text_of(line));
            }
        }
        sys::rd_kafka_queue_destroy(queue);
    }
}

/// The answer to one request.
pub(crate) struct Answer(pub(crate) *mut rd_kafka_event_t);

impl Drop for Answer {
    fn drop(&mut self) {
        unsafe { sys::rd_kafka_event_destroy(self.0) }
    }
}

/// Sends a request and waits for its answer.
///
/// # Safety
/// `send` gets a queue that is valid while it runs, and passes it to one administrative call.
pub(crate) unsafe fn ask(
    client: *mut rd_kafka_t,
    operation: sys::rd_kafka_admin_op_t,
    timeout: Duration,
    send: impl FnOnce(*const sys::rd_kafka_AdminOptions_t, *mut sys::rd_kafka_queue_t),
) -> Result<Answer, AdminError> {
    let milliseconds = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    unsafe {
        let queue = sys::rd_kafka_queue_new(client);
        let options = sys::rd_kafka_AdminOptions_new(client, operation);
        let mut text = [0 as c_char; 256];
        sys::rd_kafka_AdminOptions_set_request_timeout(options, milliseconds, text.as_mut_ptr(), text.len());
        send(options, queue);
        let event = sys::rd_kafka_queue_poll(queue, milliseconds.saturating_add(1_000));
        sys::rd_kafka_AdminOptions_destroy(options);
        sys::rd_kafka_queue_destroy(queue);
        if event.is_null() {
            let code = rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR__TIMED_OUT;
            return Err(AdminError { code, reason: "no answer in time".to_owned() });
        }
        let answer = Answer(event);
        match sys::rd_kafka_event_error(event) {
            rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR => Ok(answer),
            // What a broker answers has a text of its own; the event's says in which function of the client it was read.
            code if code as i32 > 0 => Err(AdminError { code, reason: text_of(sys::rd_kafka_err2str(code)) }),
            code => Err(AdminError { code, reason: text_of(sys::rd_kafka_event_error_string(event)) }),
        }
    }
}

/// Id and number of partitions of a topic; `None` when there is no such topic. Old brokers do not tell ids.
pub(crate) fn topic_shape(
    client: *mut rd_kafka_t,
    topic: &str,
    timeout: Duration,
) -> Result<Option<TopicShape>, AdminError> {
    let Ok(name) = CString::new(topic) else { return Ok(None) };
    let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    unsafe {
        let mut names = [name.as_ptr()];
        let topics = sys::rd_kafka_TopicCollection_of_topic_names(names.as_mut_ptr(), names.len());
        let answer = ask(client, operation, timeout, |options, queue| {
            sys::rd_kafka_DescribeTopics(client, topics, options, queue);
        });
        sys::rd_kafka_TopicCollection_destroy(topics);
        let answer = answer?;
        let result = sys::rd_kafka_event_DescribeTopics_result(answer.0);
        if result.is_null() {
            return Ok(None);
        }
        let mut count = 0;
        let found = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        if count == 0 {
            return Ok(None);
        }
        let description = *found;
        let error = sys::rd_kafka_TopicDescription_error(description);
        if sys::rd_kafka_error_code(error) != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Ok(None);
        }
        let id = sys::rd_kafka_TopicDescription_topic_id(description);
        let id = (!id.is_null()).then(|| text_of(sys::rd_kafka_Uuid_base64str(id))).filter(|id| !id.is_empty());
        sys::rd_kafka_TopicDescription_partitions(description, &mut count);
        Ok(Some(TopicShape { id, partitions: count as u32 }))
    }
}

fn text_of(text: *const c_char) -> String {
    match text.is_null() {
        true => String::new(),
        false => unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned(),
    }
}
