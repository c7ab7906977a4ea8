use crate::server::{BOOKING_PROTO, Ran, run};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;

const SPEC: &str = "\
apiVersion: millrace/v1
kind: Dagger
metadata: {name: counts}
spec:
  streams: [{schema: shop.v1.Booking, watermark: {delay: 5s}}]
  sql: |
    SELECT city AS tag_city, count(1) AS bookings, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS window_timestamp
    FROM data_stream WHERE amount > 0 GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), city
";

/// Writes the spec, the schema, and two partitions of records.
fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    let write = |path: &str, content: &[u8]| {
        let path = directory.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    };
    write("spec.yaml", SPEC.as_bytes());
    write("protos/shop/v1/booking.proto", BOOKING_PROTO.as_bytes());
    for partition in 0..2 {
        let mut lines = String::new();
        for number in 0..500_i64 {
            let (minute, second) = (number / 60 % 60, number % 60);
            let city = ["Jakarta", "Bandung", "Medan"][(number % 3) as usize];
            lines.push_str(&format!(
                "{{\"city\": \"{city}\", \"amount\": {}, \"eventTimestamp\": \"2026-01-05T01:{minute:02}:{second:02}Z\"}}\n",
                number % 5
            ));
        }
        write(&format!("p{partition}.ndjson"), lines.as_bytes());
    }
    write("broken.pb", b"\x03\x0a\x01a\x02\x0a\x05");
    directory
}

fn run_spec(directory: &Path, more: &[&str]) -> Ran {
    let base = ["dagger", "run", "spec.yaml", "--proto", "protos"];
    run(&[&base[..], more].concat(), directory)
}

fn ledger(ran: &Ran) -> Value {
    serde_json::from_str(ran.stderr.lines().last().unwrap_or_default()).unwrap_or_else(|_| panic!("{}", ran.stderr))
}

#[test]
fn the_same_files_give_the_same_bytes() {
    let directory = directory();
    let inputs = ["--input", "data_stream=p0.ndjson", "--input", "data_stream=p1.ndjson"];
    let first = run_spec(directory.path(), &inputs).ok();
    assert_eq!(
        ledger(&first),
        json!({
            "consumed": 1000, "delivered": 800, "filtered": 200, "late": 0, "dead_lettered": 0, "rows": 27,
        })
    );
    assert!(first.stdout.starts_with("{\"tag_city\":\"Bandung\",\"bookings\":"), "{}", first.stdout);
    assert_eq!(first.stdout.lines().count(), 27);
    for (threads, rows) in [("1", "1"), ("2", "7"), ("3", "1000000")] {
        let again =
            run_spec(directory.path(), &[&inputs[..], &["--threads", threads, "--batch-rows", rows]].concat()).ok();
        assert_eq!(again.stdout, first.stdout, "threads {threads}, batch rows {rows}");
        assert_eq!(ledger(&again), ledger(&first));
    }
    run_spec(directory.path(), &[&inputs[..], &["--output", "out.ndjson"]].concat()).ok();
    assert_eq!(std::fs::read_to_string(directory.path().join("out.ndjson")).unwrap(), first.stdout);
}

#[test]
fn broken_records_are_counted_and_named() {
    let directory = directory();
    let ran = run_spec(directory.path(), &["--input", "data_stream=broken.pb"]).ok();
    let ledger = ledger(&ran);
    assert_eq!((&ledger["consumed"], &ledger["dead_lettered"]), (&2.into(), &2.into()), "{}", ran.stderr);
    assert!(ran.stderr.contains("record 1: "), "{}", ran.stderr);
}

#[test]
fn wrong_usage_is_said() {
    let directory = directory();
    run_spec(directory.path(), &["--input", "data_strem=p0.ndjson"]).failed_with(2, "did you mean `data_stream`?");
    run_spec(directory.path(), &["--input", "p0.ndjson"]).failed_with(2, "TABLE=FILE");
    run_spec(directory.path(), &["--input", "data_stream=p0.txt"]).failed_with(2, "FILE.pb");
    run_spec(directory.path(), &["--input", "data_stream=none.pb"]).failed_with(1, "none.pb");
}
