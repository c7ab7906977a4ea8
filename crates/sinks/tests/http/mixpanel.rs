//! Mixpanel against a double of its import API as its documentation describes it: limits, partial success within the status 400,
//! and events that are known again by their `$insert_id`. It is not Mixpanel.

use arrow::array::{ArrayRef, StringArray, TimestampMillisecondArray, UInt64Array};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use delivery::contract::{Case, FaultyServer, Request, Response, Subject, Upstream, check};
use delivery::{CourierOptions, Destination, ErrorClass};
use serde_json::{Value, json};
use sinks::{Guarantee, PlannedSink};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::planned::{body, encode, plan, print, texts};

const CALL_RECORDS_MAX: usize = 2_000;
const CALL_BYTES_MAX: usize = 10_000_000;
/// Midnight of 2026.
const BEGIN: i64 = 1_767_225_600_000;

/// What the project has, by what an event is known by.
#[derive(Default)]
pub struct MixpanelDouble {
    events: Mutex<BTreeMap<(String, String, i64, String), Value>>,
}

impl MixpanelDouble {
    fn take(&self, event: &Value) -> Result<(), (&'static str, &'static str)> {
        let name =
            event["event"].as_str().filter(|name| !name.is_empty()).ok_or(("event", "'event' must be a string"))?;
        let properties = event["properties"].as_object().ok_or(("properties", "'properties' must be an object"))?;
        if properties.len() > 255 {
            return Err(("properties", "'properties' must have fewer than 255 keys"));
        }
        let time = properties.get("time").and_then(Value::as_i64);
        let time =
            time.ok_or(("properties.time", "'properties.time' is invalid: must be specified as seconds since epoch"))?;
        if !(31_536_000_000..=BEGIN + 365 * 86_400_000).contains(&time) {
            return Err(("properties.time", "'properties.time' is invalid: must be after 1971 and not in the future"));
        }
        let id = properties.get("distinct_id").and_then(Value::as_str);
        let id = id.ok_or(("properties.distinct_id", "'properties.distinct_id' is invalid: must be a string"))?;
        if ["anon", "anonymous", "nil", "none", "null", "n/a", "undefined", "unknown", "0", "-1", "[]", "{}"]
            .contains(&id)
        {
            return Err(("properties.distinct_id", "'properties.distinct_id' is invalid: not allowed"));
        }
        let insert_id = properties.get("$insert_id").and_then(Value::as_str).filter(|id| {
            (1..=36).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        });
        let insert_id = insert_id.ok_or(("properties.$insert_id", "'properties.$insert_id' is invalid"))?;
        let known_by = (name.to_owned(), id.to_owned(), time, insert_id.to_owned());
        self.events.lock().unwrap().insert(known_by, event.clone());
        Ok(())
    }
}

#[async_trait]
impl Upstream for MixpanelDouble {
    async fn answer(&self, request: Request) -> Response {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/import?strict=1&project_id=42"));
        let fail = |code: u16, error: &str| {
            Response::new(code, json!({ "code": code, "error": error, "status": "Bad" }).to_string())
        };
        // importer:open sesame
        if request.header("authorization") != Some("Basic aW1wb3J0ZXI6b3BlbiBzZXNhbWU=") {
            return fail(401, "Invalid credentials");
        }
        let body = body(&request);
        if body.len() > CALL_BYTES_MAX {
            return fail(413, "request exceeds max limit of 10485760 bytes");
        }
        let Ok(events) = serde_json::from_slice::<Vec<Value>>(&body) else { return fail(400, "invalid JSON") };
        if events.len() > CALL_RECORDS_MAX {
            return fail(413, "request exceeds max limit of 2000 events");
        }
        let failed = events.iter().enumerate().filter_map(|(index, event)| {
            let (field, message) = self.take(event).err()?;
            let insert_id = &event["properties"]["$insert_id"];
            Some(json!({ "index": index, "insert_id": insert_id, "field": field, "message": message }))
        });
        let failed: Vec<Value> = failed.collect();
        let imported = events.len() - failed.len();
        match failed.is_empty() {
            true => {
                Response::new(200, json!({ "code": 200, "num_records_imported": imported, "status": "OK" }).to_string())
            }
            false => {
                let error = "some data points in the request failed validation";
                let said = json!({ "code": 400, "num_records_imported": imported, "status": "Bad Request", "error": error, "failed_records": failed });
                Response::new(400, said.to_string())
            }
        }
    }
}

fn rows(records: &[(u64, Option<i64>)]) -> RecordBatch {
    let n: ArrayRef = Arc::new(UInt64Array::from_iter_values(records.iter().map(|(n, _)| *n)));
    let user = records.iter().map(|(n, _)| format!("user {}", n % 7));
    let time = records.iter().map(|(_, time)| *time);
    RecordBatch::try_from_iter([
        ("n", n),
        ("user", Arc::new(StringArray::from_iter_values(user)) as ArrayRef),
        ("time", Arc::new(TimestampMillisecondArray::from_iter(time)) as ArrayRef),
    ])
    .unwrap()
}

fn document(url: &str) -> Value {
    json!({
        "url": url, "projectId": "42", "username": "importer", "secret": "password", "event": "Trip", "distinctId": "{{ user }}",
        "timeout": "800ms",
    })
}

fn sink(url: &str) -> Box<dyn PlannedSink> {
    plan("mixpanel", document(url), &rows(&[]).schema()).unwrap()
}

struct Mixpanel {
    double: Arc<MixpanelDouble>,
    sink: Box<dyn PlannedSink>,
}

#[async_trait]
impl Subject for Mixpanel {
    fn upstream(&self) -> Arc<dyn Upstream> {
        Arc::clone(&self.double) as _
    }

    fn destination(&self, url: &str) -> Arc<dyn Destination> {
        sink(url).destination().unwrap()
    }

    fn record(&self, number: u64) -> Vec<u8> {
        let rows = rows(&[(number, Some(BEGIN + number as i64))]);
        encode(self.sink.as_ref(), &rows, number as i64).records.record(0).to_vec()
    }

    /// Before 1971.
    fn poison(&self, number: u64) -> Vec<u8> {
        encode(self.sink.as_ref(), &rows(&[(number, Some(1_000))]), number as i64).records.record(0).to_vec()
    }

    async fn stored(&self) -> Vec<u64> {
        let events = self.double.events.lock().unwrap();
        events.values().map(|event| event["properties"]["n"].as_u64().unwrap()).collect()
    }

    fn options(&self, options: CourierOptions) -> CourierOptions {
        CourierOptions { batch_records_max: options.batch_records_max.min(self.sink.limits().records_max), ..options }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mixpanel_double() {
    let outcomes = check(async || Mixpanel { double: Arc::default(), sink: sink("http://127.0.0.1:1") }).await;
    print("Mixpanel (double)", &outcomes);
    let poison = outcomes.iter().find(|outcome| outcome.case == Case::Poison).unwrap();
    // It names the event, so nothing is halved.
    assert_eq!(poison.counts.calls, 3);
}

#[tokio::test]
async fn events_are_as_mixpanel_wants_them() {
    let planned = sink("http://127.0.0.1:1");
    assert_eq!(planned.guarantee(), Guarantee::Overwrites);
    let encoded = encode(planned.as_ref(), &rows(&[(8, Some(BEGIN)), (9, None)]), 17);
    assert_eq!(
        texts(&encoded.records),
        [
            r#"{"event":"Trip","properties":{"time":1767225600000,"distinct_id":"user 1","n":8,"user":"user 1","$insert_id":"orders-0-17"}}"#
        ]
    );
    assert_eq!(encoded.refused, [(1, "`time` is NULL, and an event needs a time".to_owned())]);
    // Rows of a query have no offset; the same row has the same id.
    let id = || {
        let encoded = planned.encoder().encode(&rows(&[(8, Some(BEGIN))]), None).unwrap();
        let event: Value = serde_json::from_slice(encoded.records.record(0)).unwrap();
        event["properties"]["$insert_id"].as_str().unwrap().to_owned()
    };
    assert_eq!((id(), id().len()), (id(), 36));
}

#[tokio::test]
async fn a_call_that_is_too_large_is_halved() {
    let server = FaultyServer::start(Arc::new(MixpanelDouble::default()) as _).await.unwrap();
    let planned = sink(&server.url());
    let many: Vec<_> = (0..2_001).map(|n| (n, Some(BEGIN))).collect();
    let records = encode(planned.as_ref(), &rows(&many), 0).records;
    let destination = planned.destination().unwrap();
    assert_eq!(destination.deliver(&records).await.unwrap_err().class, ErrorClass::Refused);
    assert_eq!(destination.deliver(&records.part(0..2_000)).await.unwrap().errors, []);
}

#[test]
fn what_does_not_fit_is_refused_when_planned() {
    let schema = rows(&[]).schema();
    for (key, value) in [
        ("distinctId", json!("{{ nobody }}")),
        ("event", json!("")),
        ("timeColumn", json!("n")),
        ("columns", json!(["nothing"])),
        ("columns", json!(["time"])),
        ("properties", json!({ "distinct_id": "x" })),
        ("projectId", json!(null)),
        ("secret", json!("nothing")),
        ("url", json!("http://10.0.0.1")),
    ] {
        let mut document = document("http://127.0.0.1:1");
        document[key] = value.clone();
        let error = plan("mixpanel", document, &schema).err().unwrap_or_else(|| panic!("{key}: {value}"));
        assert_eq!(error.key.as_deref(), Some(key), "{error:?}");
    }
    let timeless = rows(&[]).project(&[0, 1]).unwrap().schema();
    let error = plan("mixpanel", document("http://127.0.0.1:1"), &timeless).err().unwrap();
    assert_eq!(error.key.as_deref(), Some("timeColumn"));
}
