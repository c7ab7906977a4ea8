//! What we are allowed to do, as the cluster tells it (KIP-430).

use std::ffi::{CStr, CString};
use std::time::Duration;

use rdkafka_sys as sys;
use rdkafka_sys::{rd_kafka_AclOperation_t as Operation, rd_kafka_resp_err_t, rd_kafka_t};

use crate::admin::{AdminError, ask};

/// Most topics that are asked about in one request.
pub(crate) const TOPICS_MAX: usize = 500;

/// Operations that are allowed on something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Allowed(Vec<u32>);

impl Allowed {
    pub(crate) fn has(&self, operation: Operation) -> bool {
        let all = [operation as u32, Operation::RD_KAFKA_ACL_OPERATION_ALL as u32];
        self.0.iter().any(|allowed| all.contains(allowed))
    }

    /// # Safety
    /// `operations` is null or has `count` of them.
    unsafe fn read(operations: *const Operation, count: usize) -> Option<Self> {
        // As numbers: a newer broker may know operations that the enumeration does not have.
        (!operations.is_null())
            .then(|| Self(unsafe { std::slice::from_raw_parts(operations as *const u32, count) }.to_vec()))
    }
}

unsafe fn with_operations(options: *const sys::rd_kafka_AdminOptions_t) {
    unsafe {
        let error = sys::rd_kafka_AdminOptions_set_include_authorized_operations(options as *mut _, 1);
        if !error.is_null() {
            sys::rd_kafka_error_destroy(error);
        }
    }
}

/// On the cluster as a whole; `None` when the brokers are too old to tell.
pub(crate) fn on_cluster(client: *mut rd_kafka_t, timeout: Duration) -> Result<Option<Allowed>, AdminError> {
    let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECLUSTER;
    unsafe {
        let answer = ask(client, operation, timeout, |options, queue| {
            with_operations(options);
            sys::rd_kafka_DescribeCluster(client, options, queue);
        })?;
        let result = sys::rd_kafka_event_DescribeCluster_result(answer.0);
        if result.is_null() {
            return Ok(None);
        }
        let mut count = 0;
        let operations = sys::rd_kafka_DescribeCluster_result_authorized_operations(result, &mut count);
        Ok(Allowed::read(operations, count))
    }
}

/// On topics, by their names; those that cannot be described are left out.
pub(crate) fn on_topics(
    client: *mut rd_kafka_t,
    topics: &[&str],
    timeout: Duration,
) -> Result<Vec<(String, Option<Allowed>)>, AdminError> {
    let names: Vec<CString> = topics.iter().take(TOPICS_MAX).filter_map(|topic| CString::new(*topic).ok()).collect();
    let mut pointers: Vec<_> = names.iter().map(|name| name.as_ptr()).collect();
    let operation = sys::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBETOPICS;
    unsafe {
        let asked = sys::rd_kafka_TopicCollection_of_topic_names(pointers.as_mut_ptr(), pointers.len());
        let answer = ask(client, operation, timeout, |options, queue| {
            with_operations(options);
            sys::rd_kafka_DescribeTopics(client, asked, options, queue);
        });
        sys::rd_kafka_TopicCollection_destroy(asked);
        let answer = answer?;
        let result = sys::rd_kafka_event_DescribeTopics_result(answer.0);
        if result.is_null() {
            return Ok(Vec::new());
        }
        let mut count = 0;
        let found = sys::rd_kafka_DescribeTopics_result_topics(result, &mut count);
        let mut allowed = Vec::with_capacity(count);
        for index in 0..count {
            let topic = *found.add(index);
            let error = sys::rd_kafka_TopicDescription_error(topic);
            if sys::rd_kafka_error_code(error) != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
                continue;
            }
            let name = CStr::from_ptr(sys::rd_kafka_TopicDescription_name(topic)).to_string_lossy().into_owned();
            let mut operations = 0;
            let list = sys::rd_kafka_TopicDescription_authorized_operations(topic, &mut operations);
            allowed.push((name, Allowed::read(list, operations)));
        }
        Ok(allowed)
    }
}
