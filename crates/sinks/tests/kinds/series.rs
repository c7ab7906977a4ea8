//! The built-in series as a kind, before a double of the platform.

use crate::platform::{PlatformServer, Shared, platform};
use crate::rows::{encoded, plan, print, refusal, with};
use async_trait::async_trait;
use delivery::contract::{CALL_TIME, Case, Subject, TestServer, check_in};
use delivery::{CourierOptions, Destination};
use serde_json::{Value, json};
use sinks::{PlannedSink, Services};
use std::io;
use std::sync::Arc;

/// It has no word for that there are too many calls.
const CASES: [Case; 8] = [
    Case::Well,
    Case::Down,
    Case::Slow,
    Case::Reset,
    Case::OneOfHundredFails,
    Case::AuthRevoked,
    Case::Poison,
    Case::Restart,
];

fn settings() -> Value {
    json!({ "kind": "series", "measurement": "m", "timeColumn": "at", "tags": ["city"] })
}

struct Series {
    platform: Arc<Shared>,
    sink: Box<dyn PlannedSink>,
}

#[async_trait]
impl Subject for Series {
    async fn server(&self) -> io::Result<Box<dyn TestServer>> {
        Ok(Box::new(PlatformServer(Arc::clone(&self.platform))))
    }

    fn destination(&self, _: &str) -> Arc<dyn Destination> {
        self.sink.destination().unwrap()
    }

    fn record(&self, number: u64) -> Vec<u8> {
        encoded(self.sink.as_ref(), number)
    }

    fn poison(&self, number: u64) -> Vec<u8> {
        format!("m n={number}i poison\n").into_bytes()
    }

    async fn stored(&self) -> Vec<u64> {
        let points = self.platform.points.lock().unwrap();
        let number = |line: &[u8]| {
            let line = std::str::from_utf8(line).unwrap();
            line.split_once(" n=").unwrap().1.split_once('i').unwrap().0.parse().unwrap()
        };
        points.keys().map(|line| number(line)).collect()
    }

    fn options(&self, options: CourierOptions) -> CourierOptions {
        CourierOptions { call_time_max: CALL_TIME, ..options }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn series_double() {
    let outcomes = check_in(&CASES, async || {
        let platform = platform();
        let sink = plan(settings(), Some(Arc::clone(&platform) as Arc<dyn Services>)).unwrap();
        Series { platform, sink }
    });
    print("series (double)", &outcomes.await, &CASES);
}

#[test]
fn what_does_not_fit_is_named() {
    let services = || Some(platform() as Arc<dyn Services>);
    assert!(refusal(settings(), None).detail.contains("is not there"));
    for (more, key, detail) in [
        (json!({ "measurement": "taken" }), "measurement", "somebody else's"),
        (json!({ "retention": "long" }), "retention", "how long"),
        (json!({ "retention": "0s" }), "retention", "how long"),
    ] {
        let error = refusal(with(&settings(), &more), services());
        assert!(error.key.as_deref() == Some(key) && error.detail.contains(detail), "{error:?}");
    }
    assert!(plan(with(&settings(), &json!({ "retention": "forever" })), services()).is_ok());
}
