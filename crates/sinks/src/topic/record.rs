//! A record between its encoder and the topic: key, value, headers and time in one piece of bytes.

use bytes::Bytes;
use log::NewRecord;

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WaitingRecord {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub key: Option<Bytes>,
    /// None: a tombstone.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub value: Option<Bytes>,
    #[prost(message, repeated, tag = "3")]
    pub headers: Vec<WaitingHeader>,
    #[prost(int64, optional, tag = "4")]
    pub timestamp_ms: Option<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct WaitingHeader {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
}

impl From<WaitingRecord> for NewRecord {
    fn from(record: WaitingRecord) -> Self {
        let headers = record.headers.into_iter().map(|header| (header.name, header.value)).collect();
        Self { partition: None, key: record.key, value: record.value, headers, timestamp_ms: record.timestamp_ms }
    }
}
