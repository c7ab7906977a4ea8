//! InfluxDB, VictoriaMetrics and Prometheus as kinds.

use crate::rows::{batch, origin, plan, refusal, with};
use serde_json::json;
use sinks::{Guarantee, Order};

#[test]
fn what_does_not_fit_is_named() {
    let influx =
        json!({ "kind": "influx", "url": "http://127.0.0.1:8086", "version": 1, "database": "d", "timeColumn": "at" });
    for (more, key, detail) in [
        (json!({ "version": 4 }), Some("version"), "one of 1, 2, 3"),
        (json!({ "version": 2, "database": null }), Some("org"), "InfluxDB 2 needs"),
        (json!({ "bucket": "b" }), Some("bucket"), "does not go with InfluxDB 1"),
        (json!({ "url": "influx" }), Some("url"), "no address"),
        (json!({ "url": "http://10.0.0.1" }), Some("url"), "a private address"),
        (json!({ "tags": ["citty"] }), Some("tags"), "no column"),
        (json!({ "fields": ["m"] }), Some("fields"), "no column"),
        (json!({ "timeColumn": null }), None, "no column `window_timestamp`"),
        (json!({ "timeColumn": "n" }), None, "has the type Int64"),
        (json!({ "secret": "token" }), Some("username"), "no `username`"),
        (json!({ "secret": "nothing" }), Some("secret"), "no secret `nothing`"),
        (json!({ "username": "u" }), Some("secret"), "no `secret`"),
        (json!({ "measurement": "m".repeat(2_000) }), Some("measurement"), "1 to 1024 bytes"),
    ] {
        let error = refusal(with(&influx, &more), None);
        assert_eq!(error.key.as_deref(), key, "{more}: {error:?}");
        assert!(error.detail.contains(detail), "{more}: {error:?}");
    }
}

#[test]
fn records_are_points_of_their_own_in_influxdb() {
    let sink = plan(
        json!({
            "kind": "influx", "url": "http://127.0.0.1:8086", "version": 3, "database": "d", "timeColumn": "at",
            "tags": ["city"], "secret": "token",
        }),
        None,
    );
    let sink = sink.unwrap();
    assert_eq!(sink.form(), "line protocol of influxdb 3, nanoseconds");
    assert_eq!((sink.guarantee(), sink.order()), (Guarantee::Overwrites, Order::Key));
    let encoded = sink.encoder().encode(&batch(&[1, 2]), Some(origin(&[41, 42], &[None, None]))).unwrap();
    assert_eq!(
        std::str::from_utf8(&encoded.records.bytes()).unwrap(),
        "owner,_partition=3,city=Jakarta n=1i 1700000000001000041\nowner,_partition=3,city=Jakarta n=2i 1700000000002000042\n"
    );
    assert!(sink.destination().is_ok());
}

#[test]
fn records_of_a_millisecond_are_one_sample_only_if_that_is_wanted() {
    for kind in ["victoriaMetrics", "prometheusRemoteWrite"] {
        let document = json!({ "kind": kind, "url": "http://127.0.0.1:8428", "timeColumn": "at", "tags": ["city"] });
        assert_eq!(refusal(document.clone(), None).key.as_deref(), Some("sameMillisecond"));
        let sink = plan(with(&document, &json!({ "sameMillisecond": "last", "measurement": "m" })), None).unwrap();
        let encoded = sink.encoder().encode(&batch(&[7]), Some(origin(&[1], &[None]))).unwrap();
        match kind {
            "victoriaMetrics" => assert_eq!(encoded.records.record(0), b"m,city=Jakarta n=7i 1700000000007\n"),
            _ => assert!(encoded.records.record(0).windows(3).any(|part| part == b"m_n")),
        }
    }
}
