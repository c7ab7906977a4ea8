use crate::server::TestServer;
use serde_json::json;

const RECORDS: &str = "/api/v1/topics/bookings/records";

#[test]
fn any_service_publishes_over_http() {
    let server = TestServer::with_bookings(3);
    let (status, answer) = server.http_json(
        "POST",
        RECORDS,
        json!({
            "records": [
                {"value": {"orderNumber": "a", "amount": "12", "eventTimestamp": "2026-01-05T01:00:00Z"}, "key": "a",
                 "headers": {"trace": "t-1"}, "timestamp": "2026-01-05T01:00:01Z"},
                {"value": {"order_number": "b", "amount": 13}, "key": "a", "timestamp": 1767574802000_i64},
            ]
        }),
    );
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["acknowledged"], 2);
    // One key, one partition, in order.
    assert_eq!(answer["records"][0]["partition"], answer["records"][1]["partition"]);
    assert_eq!((&answer["records"][0]["offset"], &answer["records"][1]["offset"]), (&0.into(), &1.into()));

    let shown = server.cli(&["-o", "ndjson", "topic", "tail", "bookings", "-n", "5"]).lines();
    assert_eq!(shown.len(), 2);
    assert_eq!(shown[0]["key"], "a");
    assert_eq!(shown[0]["headers"], json!({"trace": "t-1"}));
    assert_eq!(shown[0]["timestamp"], "2026-01-05T01:00:01Z");
    assert_eq!(
        shown[0]["value"],
        json!({
            "order_number": "a", "amount": 12, "city": "", "event_timestamp": "2026-01-05T01:00:00Z",
        })
    );
    assert_eq!(shown[1]["timestamp"], "2026-01-05T01:00:02Z");
}

#[test]
fn one_record_alone_and_a_list_are_taken_too() {
    let server = TestServer::with_bookings(1);
    assert_eq!(server.http_json("POST", RECORDS, json!({"value": {"orderNumber": "a"}})).0, 200);
    let (status, answer) = server.http_json("POST", RECORDS, json!([{"value": {}}, {"value": null, "key": "gone"}]));
    assert_eq!((status, &answer["acknowledged"]), (200, &2.into()), "{answer}");
    let shown = server.cli(&["-o", "ndjson", "topic", "tail", "bookings"]).lines();
    assert_eq!(shown[2]["value"], json!(null));
}

#[test]
fn a_record_that_is_wrong_does_not_disturb_the_others() {
    let server = TestServer::with_bookings(1);
    let (status, answer) = server.http_json(
        "POST",
        RECORDS,
        json!({"records": [
            {"value": {"orderNumber": "a"}},
            {"value": {"orderNumbr": "b"}},
            {"value": {"amount": "many"}},
            {"value": {}, "kye": "x"},
            {"value": {}, "partition": 7},
            {"value": {}, "timestamp": "yesterday"},
            {"valueBase64": "CgVhYg=="},
            {"value": {"orderNumber": "c"}},
        ]}),
    );
    assert_eq!(status, 207, "{answer}");
    assert_eq!((&answer["acknowledged"], &answer["refused"]), (&2.into(), &6.into()));
    let codes: Vec<_> = answer["records"].as_array().unwrap().iter().map(|r| r["error"]["code"].as_str()).collect();
    assert_eq!(
        codes,
        [
            None,
            Some("record_invalid"),
            Some("record_invalid"),
            Some("unknown_key"),
            Some("partition_not_found"),
            Some("time_invalid"),
            Some("record_invalid"),
            None,
        ]
    );
    let hint = answer["records"][3]["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("`key`"), "{hint}");
    let offsets: Vec<_> = server.cli(&["-o", "ndjson", "topic", "tail", "bookings"]).lines();
    assert_eq!(offsets.len(), 2);
    // None at all is an error.
    assert_eq!(server.http_json("POST", RECORDS, json!([{"value": {"x": 1}}])).0, 422);
}

#[test]
fn protobuf_and_lines_are_taken_as_they_are() {
    let server = TestServer::with_bookings(1);
    let protobuf = [("content-type", "application/x-protobuf")];
    let (status, answer) =
        server.http("POST", &format!("{RECORDS}?key=k"), &protobuf, b"\x03\x0a\x01a\x00\x03\x0a\x01b");
    assert_eq!(status, 200, "{answer}");
    // What comes after a broken length has no known beginning; what came before stays.
    let (status, answer) = server.http("POST", RECORDS, &protobuf, b"\x03\x0a\x01c\x09\x0a\x01");
    assert_eq!(status, 207, "{answer}");
    let lines = [("content-type", "application/x-ndjson")];
    let (status, _) =
        server.http("POST", &format!("{RECORDS}?key_field=city"), &lines, b"{\"city\": \"Jakarta\"}\n\n{}\n");
    assert_eq!(status, 200);
    let shown = server.cli(&["-o", "ndjson", "topic", "tail", "bookings"]).lines();
    let seen: Vec<_> = shown.iter().map(|r| (r["key"].clone(), r["value"]["order_number"].clone())).collect();
    let expected = [("k", "a"), ("k", ""), ("k", "b"), ("", "c"), ("Jakarta", ""), ("", "")];
    for ((key, order), (expected_key, expected_order)) in seen.iter().zip(expected) {
        assert_eq!(order, expected_order);
        assert_eq!(key.as_str().unwrap_or(""), expected_key);
    }
    let (status, _) = server.http("POST", RECORDS, &[("content-type", "text/csv")], b"a,b");
    assert_eq!(status, 415);
}

#[test]
fn requests_have_limits_and_other_pages_have_no_say() {
    let server = TestServer::with_bookings(1);
    let too_many = json!(vec![json!({"value": {}}); 10_001]);
    assert_eq!(server.http_json("POST", RECORDS, too_many).0, 413);
    let too_large = vec![b' '; 2 * 1024 * 1024];
    assert_eq!(server.http("POST", "/api/v1/topics", &[], &too_large).0, 413);
    let (status, _) = server.http("POST", RECORDS, &[("origin", "http://evil.example")], b"{\"value\": {}}");
    assert_eq!(status, 403);
    assert_eq!(server.http("GET", "/api/v1/nothing", &[], b"").0, 404);
    assert_eq!(server.http("DELETE", "/api/v1/sql", &[], b"").0, 405);
    assert!(server.cli(&["-o", "ndjson", "topic", "tail", "bookings"]).lines().is_empty());
}

#[test]
fn the_command_line_produces_and_counts() {
    let server = TestServer::with_bookings(2);
    let mut lines = String::new();
    for number in 0..12_000 {
        lines.push_str(&format!("{{\"orderNumber\": \"{number}\", \"amount\": {number}}}\n"));
    }
    let file = server.file("records.ndjson", lines);
    let ran =
        server.cli(&["topic", "produce", "bookings", "--file", &file, "--key-field", "order_number", "-o", "json"]);
    assert!(ran.stderr.contains("12000 records acknowledged, 0 refused"), "{}", ran.stderr);
    assert_eq!(ran.json(), json!({"acknowledged": 12_000, "refused": 0}));
    let topic = server.cli(&["-o", "json", "topic", "show", "bookings"]).json();
    assert_eq!(topic["status"]["records"], 12_000);
    assert!(topic["status"]["partitions"].as_array().unwrap().iter().all(|p| p["endOffset"].as_i64() > Some(4_000)));

    let ran = server.cli_with_input(&["topic", "produce", "bookings", "-f", "-"], b"{}\n{\"x\": 1}\n{}\n");
    ran.failed_with(1, "record 2: ").failed_with(1, "2 records acknowledged, 1 refused");
    let ran = server.cli_with_input(
        &["topic", "produce", "bookings", "-f", "-", "--format", "pb", "--rate", "100"],
        b"\x00\x00\x00",
    );
    assert!(ran.ok().stderr.contains("3 records acknowledged"));
    assert_eq!(server.cli(&["-o", "ndjson", "topic", "tail", "bookings", "--from", "earliest"]).lines().len(), 12_005);
    assert_eq!(
        server.cli(&["-o", "ndjson", "topic", "tail", "bookings", "--from", "earliest", "-n", "7"]).lines().len(),
        7
    );
    assert!(server.cli(&["-o", "ndjson", "topic", "tail", "bookings", "--from", "2100-01-01"]).lines().is_empty());
}

#[test]
fn a_follower_sees_what_comes() {
    let server = TestServer::with_bookings(2);
    std::thread::scope(|scope| {
        let follower = scope.spawn(|| {
            server.cli(&["-o", "ndjson", "topic", "tail", "bookings", "--from", "latest", "-n", "2"]).lines()
        });
        // When the follower has begun is not known, so records go on coming until it has seen its two.
        let mut number = 0;
        while !follower.is_finished() {
            server.http_json("POST", RECORDS, json!({"value": {"amount": number}}));
            number += 1;
        }
        assert_eq!(follower.join().unwrap().len(), 2);
    });
}

#[test]
fn a_topic_without_schema_takes_any_bytes_but_no_json() {
    let server = TestServer::start();
    server.cli(&["topic", "create", "raw"]).ok();
    let (status, _) = server.http_json("POST", "/api/v1/topics/raw/records", json!({"valueBase64": "////"}));
    assert_eq!(status, 200);
    let (status, answer) = server.http_json("POST", "/api/v1/topics/raw/records", json!({"value": {}}));
    assert_eq!((status, &answer["records"][0]["error"]["code"]), (422, &"topic_without_schema".into()));
    assert_eq!(server.cli(&["-o", "ndjson", "topic", "tail", "raw"]).lines()[0]["valueBase64"], "////");
    server.cli(&["topic", "create", "typed", "--schema", "no.Such"]).failed_with(3, "no message type `no.Such`");
    server.cli(&["topic", "delete", "raw"]).ok();
    server.cli(&["topic", "show", "raw"]).failed_with(3, "there is no topic `raw`");
}

#[test]
fn records_are_found_by_condition_and_text() {
    let server = TestServer::with_bookings(3);
    let records: Vec<_> =
        (0..30).map(|number| json!({"value": {"orderNumber": format!("Order-{number}"), "amount": number}})).collect();
    assert_eq!(server.http_json("POST", RECORDS, json!(records)).0, 200);
    let amounts = |arguments: &[&str]| -> Vec<i64> {
        let command = [&["-o", "ndjson", "topic", "tail", "bookings"], arguments].concat();
        let mut amounts: Vec<i64> =
            server.cli(&command).lines().iter().filter_map(|record| record["value"]["amount"].as_i64()).collect();
        amounts.sort_unstable();
        amounts
    };
    let found = amounts(&["--from", "earliest", "--where", "amount % 10 = 3 AND order_number LIKE 'Order-%'"]);
    assert_eq!(found, [3, 13, 23]);
    assert_eq!(amounts(&["--from", "earliest", "--text", "order-2"]), [2, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29]);
    assert_eq!(amounts(&["-n", "2", "--where", "amount > 5"]).len(), 2);
    let refused = server.cli(&["topic", "tail", "bookings", "--where", "amuont = 1"]);
    assert!(refused.stderr.contains("line 1, column 1") && refused.stderr.contains("amount"), "{}", refused.stderr);
}

#[test]
fn a_topic_has_an_encoding_and_types_for_its_keys() {
    let server = TestServer::with_bookings(1);
    let type_name = server.cli(&["-o", "json", "topic", "show", "bookings"]).json()["spec"]["schema"].clone();
    let type_name = type_name.as_str().unwrap();
    let create = ["topic", "create", "framed", "--schema", type_name, "--key-schema", type_name, "--encoding"];
    server.cli(&[&create, ["{"].as_slice()].concat()).failed_with(2, "--encoding is not JSON");
    server.cli(&[&create, ["confluant"].as_slice()].concat()).failed_with(1, "did you mean `confluent`?");
    server.cli(&[&create, [r#"{"type": "confluent", "schemaIds": [7]}"#].as_slice()].concat()).ok();
    let shown = server.cli(&["-o", "json", "topic", "show", "framed"]).json();
    assert_eq!(shown["spec"]["encoding"], json!({"type": "confluent", "schemaIds": [7]}));
    assert_eq!(shown["spec"]["keySchema"], type_name);

    let records = "/api/v1/topics/framed/records";
    let (status, answer) = server.http_json("POST", records, json!({"value": {"orderNumber": "a"}}));
    assert_eq!(status, 200, "{answer}");
    // Of the keys no schema id is known, so none can be written; bytes can.
    let keyed = json!({"value": {}, "key": {"orderNumber": "a"}});
    let (status, answer) = server.http_json("POST", records, keyed);
    assert_eq!((status, &answer["records"][0]["error"]["code"]), (422, &"encoding_incomplete".into()), "{answer}");
    let bytes = json!({"valueBase64": "AAAAAAcACgFi", "keyBase64": "AAAAAAMACgFi"});
    assert_eq!(server.http_json("POST", records, bytes).0, 200);
    let (status, answer) = server.http_json("POST", records, json!({"valueBase64": "CgFi"}));
    let detail = answer["records"][0]["error"]["detail"].as_str().unwrap();
    assert!(status == 422 && detail.contains("it looks like bare protobuf"), "{answer}");
    let protobuf = [("content-type", "application/x-protobuf")];
    assert_eq!(server.http("POST", records, &protobuf, b"\x03\x0a\x01c").0, 200);

    let tailed = server.cli(&["-o", "ndjson", "topic", "tail", "framed"]).lines();
    let names: Vec<_> = tailed.iter().map(|record| record["value"]["order_number"].clone()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(tailed[1]["key"]["order_number"], "b");
    let table = server.cli(&["topic", "tail", "framed"]).ok().stdout;
    assert!(table.contains("order_number"), "{table}");
}
