//! A receiver of HTTP requests with numbers in them, for the sinks whose server can be anybody's.

use arrow::array::{ArrayRef, StringArray, UInt64Array};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use delivery::contract::{Request, Response, Upstream};
use serde_json::Value;
use std::sync::{Arc, Mutex};

use crate::planned::body;

/// Takes JSON with `n` in it: an object, an array, or an object a line, all of it or nothing.
#[derive(Default)]
pub struct Receiver {
    pub requests: Mutex<Vec<Request>>,
    numbers: Mutex<Vec<u64>>,
}

impl Receiver {
    pub fn numbers(&self) -> Vec<u64> {
        self.numbers.lock().unwrap().clone()
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// What `data` says, or the whole.
fn record(event: &Value) -> &Value {
    event.get("data").unwrap_or(event)
}

#[async_trait]
impl Upstream for Receiver {
    async fn answer(&self, request: Request) -> Response {
        let body = body(&request);
        self.requests.lock().unwrap().push(request);
        let mut records = Vec::new();
        for value in serde_json::Deserializer::from_slice(&body).into_iter::<Value>() {
            match value {
                Ok(Value::Array(values)) => records.extend(values),
                Ok(value) => records.push(value),
                Err(error) => return Response::new(400, error.to_string()),
            }
        }
        if let Some(poison) = records.iter().map(record).find(|record| record["note"] == "poison") {
            return Response::new(
                422,
                serde_json::json!({ "error": format!("{} is poison", poison["n"]) }).to_string(),
            );
        }
        self.numbers.lock().unwrap().extend(records.iter().filter_map(|event| record(event)["n"].as_u64()));
        Response::new(202, "{\"status\":\"queued\"}")
    }
}

/// Rows with the columns `n` and `note`.
pub fn rows(records: &[(u64, &str)]) -> RecordBatch {
    let n: ArrayRef = Arc::new(UInt64Array::from_iter_values(records.iter().map(|(n, _)| *n)));
    let note: ArrayRef = Arc::new(StringArray::from_iter_values(records.iter().map(|(_, note)| *note)));
    RecordBatch::try_from_iter([("n", n), ("note", note)]).unwrap()
}
