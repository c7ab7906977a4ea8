//! CleverTap against a double of its upload API as its documentation describes it: limits, dates, and failures within the status
//! 200, with the records given back. It is not CleverTap.

use arrow::array::{ArrayRef, Float64Array, StringArray, TimestampMillisecondArray, UInt64Array};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use delivery::contract::{Case, Request, Response, Subject, Upstream, check};
use delivery::{CourierOptions, Destination, EncodedBatchBuilder, ErrorClass};
use serde_json::{Value, json};
use sinks::{Guarantee, PlannedSink};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::planned::{encode, plan, print, texts};

const CALL_RECORDS_MAX: usize = 1_000;

/// What the account has.
#[derive(Default)]
pub struct CleverTapDouble {
    events: Mutex<Vec<Value>>,
    /// By identity.
    profiles: Mutex<BTreeMap<String, Value>>,
}

impl CleverTapDouble {
    /// The code and the words for a record that is not taken.
    fn take(&self, record: &Value) -> Result<(), (u16, &'static str)> {
        let identity = ["identity", "objectId", "FBID", "GPID"].iter().find_map(|key| record[*key].as_str());
        let identity = identity.filter(|identity| !identity.is_empty()).ok_or((523, "Missing identity"))?;
        if record.get("ts").is_some_and(|ts| ts.as_u64().is_none_or(|ts| ts > 9_999_999_999)) {
            return Err((525, "Timestamp not in UNIX epoch format"));
        }
        let fits = |properties: &Value| {
            let properties = properties.as_object().ok_or((512, "Invalid event structure"))?;
            match properties.values().any(|value| value.is_object() || value.is_array() || value.is_null()) {
                true => Err((512, "Invalid event structure")),
                false if properties.len() > 256 => Err((522, "Event properties limit exceeded")),
                false => Ok(()),
            }
        };
        match record["type"].as_str() {
            Some("event") => {
                let name =
                    record["evtName"].as_str().filter(|name| !name.is_empty()).ok_or((509, "Event name mandatory"))?;
                if ["App Launched", "Notification Sent", "UTM Visited", "Session Concluded"].contains(&name) {
                    return Err((513, "Raised a restricted system event"));
                }
                fits(&record["evtData"])?;
                self.events.lock().unwrap().push(record.clone());
            }
            Some("profile") => {
                fits(&record["profileData"])?;
                self.profiles.lock().unwrap().insert(identity.to_owned(), record.clone());
            }
            _ => return Err((524, "Data neither event nor profile")),
        }
        Ok(())
    }
}

#[async_trait]
impl Upstream for CleverTapDouble {
    async fn answer(&self, request: Request) -> Response {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/1/upload"));
        assert_eq!(request.header("content-type"), Some("application/json; charset=utf-8"));
        let fail = |status, error: &str| {
            Response::new(status, json!({ "status": "fail", "error": error, "code": status }).to_string())
        };
        if request.header("x-clevertap-account-id") != Some("W-1")
            || request.header("x-clevertap-passcode") != Some("pass-code")
        {
            return fail(401, "Invalid credentials");
        }
        let Ok(body) = serde_json::from_slice::<Value>(&request.body) else { return fail(400, "Invalid JSON") };
        let Some(records) = body["d"].as_array() else { return fail(400, "Invalid JSON") };
        if records.len() > CALL_RECORDS_MAX {
            return fail(400, "Payload has more than 1000 records");
        }
        let unprocessed = records.iter().filter_map(|record| {
            let (code, error) = self.take(record).err()?;
            Some(json!({ "status": "fail", "code": code, "error": error, "record": record }))
        });
        let unprocessed: Vec<Value> = unprocessed.collect();
        let processed = records.len() - unprocessed.len();
        let status = match (processed, unprocessed.len()) {
            (_, 0) => "success",
            (0, _) => "fail",
            _ => "partial",
        };
        Response::new(200, json!({ "status": status, "processed": processed, "unprocessed": unprocessed }).to_string())
    }
}

fn rows(records: &[(u64, &str)]) -> RecordBatch {
    let n: ArrayRef = Arc::new(UInt64Array::from_iter_values(records.iter().map(|(n, _)| *n)));
    let name: ArrayRef = Arc::new(StringArray::from_iter_values(records.iter().map(|(_, name)| *name)));
    let time = records.iter().map(|(n, _)| 1_767_225_600_000 + *n as i64);
    RecordBatch::try_from_iter([
        ("n", n),
        ("name", name),
        ("time", Arc::new(TimestampMillisecondArray::from_iter_values(time)) as ArrayRef),
    ])
    .unwrap()
}

struct CleverTap {
    double: Arc<CleverTapDouble>,
    sink: Box<dyn PlannedSink>,
}

fn sink(url: &str) -> Box<dyn PlannedSink> {
    let document = json!({
        "url": url, "accountId": "W-1", "secret": "passcode", "event": "Trip {{ name }}", "identity": "{{ n }}", "timeout": "800ms",
    });
    plan("cleverTap", document, &rows(&[]).schema()).unwrap()
}

#[async_trait]
impl Subject for CleverTap {
    fn upstream(&self) -> Arc<dyn Upstream> {
        Arc::clone(&self.double) as _
    }

    fn destination(&self, url: &str) -> Arc<dyn Destination> {
        sink(url).destination().unwrap()
    }

    fn record(&self, number: u64) -> Vec<u8> {
        encode(self.sink.as_ref(), &rows(&[(number, "cancelled")]), number as i64).records.record(0).to_vec()
    }

    /// As somebody may have edited it.
    fn poison(&self, number: u64) -> Vec<u8> {
        let text = String::from_utf8(self.record(number)).unwrap();
        text.replace("\"type\":\"event\"", "\"type\":\"happening\"").into_bytes()
    }

    async fn stored(&self) -> Vec<u64> {
        let events = self.double.events.lock().unwrap();
        events.iter().map(|event| event["evtData"]["n"].as_u64().unwrap()).collect()
    }

    fn options(&self, options: CourierOptions) -> CourierOptions {
        CourierOptions { batch_records_max: options.batch_records_max.min(self.sink.limits().records_max), ..options }
    }

    /// An event that is uploaded twice is there twice.
    fn is_idempotent(&self) -> bool {
        false
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clever_tap_double() {
    let outcomes = check(async || CleverTap { double: Arc::default(), sink: sink("http://127.0.0.1:1") }).await;
    print("CleverTap (double)", &outcomes);
    let poison = outcomes.iter().find(|outcome| outcome.case == Case::Poison).unwrap();
    // It gives the record back, so nothing is halved.
    assert_eq!((poison.counts.calls, poison.duplicates), (5, 0));
}

#[tokio::test]
async fn only_what_is_given_back_is_not_delivered() {
    let double = Arc::new(CleverTapDouble::default());
    let server = delivery::contract::FaultyServer::start(Arc::clone(&double) as _).await.unwrap();
    let planned = sink(&server.url());
    let encoded = encode(planned.as_ref(), &rows(&[(1, "cancelled"), (2, "ended"), (3, "ended"), (4, "ended")]), 0);
    let mut records = EncodedBatchBuilder::default();
    for text in texts(&encoded.records) {
        let edited =
            text.replace("\"identity\":\"2\"", "\"identity\":\"\"").replace("\"Trip cancelled\"", "\"App Launched\"");
        records.push(edited.as_bytes());
    }
    let answer = planned.destination().unwrap().deliver(&records.finish()).await.unwrap();
    let errors: Vec<_> = answer.errors.iter().map(|error| (error.index, error.class, error.reason.as_str())).collect();
    assert_eq!(
        errors,
        [
            (0, ErrorClass::Refused, "513: Raised a restricted system event"),
            (1, ErrorClass::Refused, "523: Missing identity")
        ]
    );
    assert_eq!(double.events.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn rows_become_profiles_with_dates() {
    let batch = RecordBatch::try_from_iter([
        ("customer", Arc::new(StringArray::from(vec!["c1", "", "c3", "c4"])) as ArrayRef),
        (
            "since",
            Arc::new(TimestampMillisecondArray::from(vec![Some(1_700_000_000_999), None, None, None])) as ArrayRef,
        ),
        ("spent", Arc::new(Float64Array::from(vec![1.5, 2.0, f64::NAN, 3.0])) as ArrayRef),
        (
            "note",
            Arc::new(StringArray::from(vec!["a \"b\"".to_owned(), "x".into(), "x".into(), "é".repeat(300)]))
                as ArrayRef,
        ),
    ])
    .unwrap();
    let document = json!({
        "region": "in1", "accountId": "W-1", "secret": "passcode", "type": "profile", "identity": "{{ customer }}",
        "columns": ["since", "spent", "note"], "properties": { "Plan": "gold" },
    });
    let planned = plan("cleverTap", document, &batch.schema()).unwrap();
    assert_eq!(planned.guarantee(), Guarantee::Overwrites);
    let encoded = encode(planned.as_ref(), &batch, 0);
    assert_eq!(
        texts(&encoded.records),
        [
            r#"{"identity":"c1","type":"profile","profileData":{"since":"$D_1700000000","spent":1.5,"note":"a \"b\"","Plan":"gold"}}"#
        ]
    );
    let refused: Vec<_> = encoded.refused.iter().map(|(row, reason)| (*row, reason.as_str())).collect();
    assert_eq!(
        refused,
        [
            (1, "the user's identity is empty"),
            (2, "`spent` is not a finite number, which JSON cannot say"),
            (3, "`note` has 600 bytes, and 512 are taken"),
        ]
    );
    assert_eq!(planned.destination().unwrap().name(), "CleverTap at https://in1.api.clevertap.com");
}

#[test]
fn what_does_not_fit_is_refused_when_planned() {
    let schema = rows(&[]).schema();
    let document = |key: &str, value: Value| {
        let mut document = json!({ "accountId": "W-1", "secret": "passcode", "event": "Trip", "identity": "{{ n }}" });
        document[key] = value;
        document
    };
    for (key, value) in [
        ("identity", json!("{{ nobody }}")),
        ("identity", json!("")),
        ("event", json!("")),
        ("timeColumn", json!("n")),
        ("timeColumn", json!("nothing")),
        ("columns", json!(["nothing"])),
        ("columns", json!(["n", "n"])),
        ("properties", json!({ "n": "twice" })),
        ("url", json!("http://10.0.0.1")),
        ("secret", json!("nothing")),
        ("secret", json!("lines")),
        ("region", json!("moon")),
        ("timeout", json!("1h")),
    ] {
        let error =
            plan("cleverTap", document(key, value.clone()), &schema).err().unwrap_or_else(|| panic!("{key}: {value}"));
        assert_eq!(error.key.as_deref(), Some(key), "{error:?}");
    }
}
