//! A double of the platform: topics and series in memory, which fail as they are told.

use async_trait::async_trait;
use codec::{FrameWriter, RecordPart, WireFormat};
use delivery::contract::{Call, Fault, Script, TestServer};
use delivery::{Answer, CallError, ErrorClass, RecordError};
use log::{Ack, LogError, NewRecord};
use prost_reflect::{MessageDescriptor, MethodDescriptor};
use schema::{SchemaSet, SourceFile};
use sinks::{LookupError, MessageFormat, SeriesPoints, Services, TopicFormat};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const PROTO: &str = r#"
syntax = "proto3";
package shop;
import "google/protobuf/timestamp.proto";
message Order { string city = 1; int64 n = 2; google.protobuf.Timestamp at = 3; }
message OrderKey { int64 n = 1; }
message Receipt { bool accepted = 1; string reason = 2; }
service Orders {
  rpc Take(Order) returns (Receipt);
  rpc Follow(Order) returns (stream Receipt);
}
"#;

pub struct Shared {
    is_down: AtomicBool,
    script: Mutex<Script>,
    calls: AtomicU64,
    pub schemas: SchemaSet,
    pub records: Mutex<Vec<(String, NewRecord)>>,
    /// Lines by themselves: the same line twice is one point.
    pub points: Mutex<BTreeMap<Vec<u8>, u64>>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Platform")
    }
}

/// Which the tests of contracts start, stop and script.
pub struct PlatformServer(pub Arc<Shared>);

pub fn platform() -> Arc<Shared> {
    let file = SourceFile { path: "shop.proto".to_owned(), text: PROTO.to_owned() };
    Arc::new(Shared {
        is_down: AtomicBool::new(false),
        script: Mutex::new(Box::new(|_| Fault::None)),
        calls: AtomicU64::new(0),
        schemas: SchemaSet::from_sources(&[file]).unwrap(),
        records: Mutex::default(),
        points: Mutex::default(),
    })
}

enum Trouble {
    Gone,
    Denied,
}

impl Shared {
    async fn call<T>(&self, act: impl FnOnce() -> T) -> Result<T, Trouble> {
        if self.is_down.load(Ordering::Relaxed) {
            return Err(Trouble::Gone);
        }
        let fault = (self.script.lock().unwrap())(self.calls.fetch_add(1, Ordering::Relaxed));
        match fault {
            Fault::None => Ok(act()),
            Fault::Slow(time) => {
                tokio::time::sleep(time).await;
                Ok(act())
            }
            Fault::ResetMidway => Err(Trouble::Gone),
            Fault::ResetAfter => {
                act();
                Err(Trouble::Gone)
            }
            Fault::Answer { status: 401, .. } => Err(Trouble::Denied),
            Fault::Answer { .. } => Err(Trouble::Gone),
        }
    }

    fn format(&self, message: &str, part: RecordPart) -> MessageFormat {
        let message = self.schemas.message(message).unwrap();
        let frames = FrameWriter::new(&WireFormat::Protobuf, &message, part).unwrap();
        MessageFormat { message, frames }
    }
}

#[async_trait]
impl TestServer for PlatformServer {
    fn url(&self) -> String {
        "the platform".to_owned()
    }

    fn follow(&self, script: Script) {
        *self.0.script.lock().unwrap() = script;
    }

    /// It never answers 429.
    fn calls(&self) -> Vec<Call> {
        Vec::new()
    }

    async fn go_down(&mut self) {
        self.0.is_down.store(true, Ordering::Relaxed);
    }

    async fn come_up(&mut self) -> io::Result<()> {
        self.0.is_down.store(false, Ordering::Relaxed);
        Ok(())
    }
}

fn lookup_error(error: schema::SchemaError) -> LookupError {
    LookupError { detail: error.to_string(), hint: "look".to_owned() }
}

#[async_trait]
impl Services for Shared {
    fn topic_format(&self, topic: &str) -> Result<TopicFormat, LookupError> {
        let value = |key| TopicFormat { value: Some(self.format("shop.Order", RecordPart::Value)), key };
        match topic {
            "bookings" | "orders" => Ok(value(None)),
            "keyed" => Ok(value(Some(self.format("shop.OrderKey", RecordPart::Key)))),
            "bytes" => Ok(TopicFormat::default()),
            _ => Err(LookupError { detail: format!("there is no topic `{topic}`"), hint: "make it".to_owned() }),
        }
    }

    fn message(&self, full_name: &str) -> Result<MessageDescriptor, LookupError> {
        self.schemas.message(full_name).map_err(lookup_error)
    }

    fn method(&self, name: &str) -> Result<MethodDescriptor, LookupError> {
        self.schemas.method(name).map_err(lookup_error)
    }

    async fn produce(&self, topic: &str, records: Vec<NewRecord>) -> Result<Vec<Ack>, LogError> {
        let poison = records.iter().position(|record| {
            record.value.as_ref().is_some_and(|value| value.windows(6).any(|part| part == b"poison"))
        });
        let acks = vec![Ack { partition: 0, offset: 0, timestamp_ms: 0 }; records.len()];
        let cluster = |reason: &str, may_pass| LogError::Cluster {
            cluster: "kafka".to_owned(),
            reason: reason.to_owned(),
            may_pass,
        };
        let written = self.call(|| match poison {
            Some(index) => Err(LogError::BadRecord { index, reason: "it is poison".to_owned() }),
            None => {
                let mut written = self.records.lock().unwrap();
                written.extend(records.into_iter().map(|record| (topic.to_owned(), record)));
                Ok(acks)
            }
        });
        match written.await {
            Ok(written) => written,
            Err(Trouble::Gone) => Err(cluster("it does not answer", true)),
            Err(Trouble::Denied) => Err(cluster("not authorized", false)),
        }
    }

    fn check_measurement(&self, measurement: &str) -> Result<(), LookupError> {
        match measurement {
            "taken" => {
                Err(LookupError { detail: "it is somebody else's".to_owned(), hint: "choose another".to_owned() })
            }
            _ => Ok(()),
        }
    }

    async fn write_points(&self, points: SeriesPoints<'_>) -> Result<Answer, CallError> {
        let write = || {
            let mut errors = Vec::new();
            let mut stored = self.points.lock().unwrap();
            for index in 0..points.lines.len() {
                match points.lines.record(index) {
                    line if line.ends_with(b"poison\n") => {
                        errors.push(RecordError {
                            index,
                            class: ErrorClass::Refused,
                            reason: "it is poison".to_owned(),
                        });
                    }
                    line => *stored.entry(line.to_vec()).or_default() += 1,
                }
            }
            Answer { errors, retry_after: None }
        };
        self.call(write).await.map_err(|trouble| match trouble {
            Trouble::Gone => CallError::new(ErrorClass::Down, "the disk is full"),
            Trouble::Denied => CallError::new(ErrorClass::Auth, "not allowed"),
        })
    }
}
