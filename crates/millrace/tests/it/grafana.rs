//! `grafana export`, the same by download, and what the portal is told.

use crate::server::TestServer;
use serde_json::Value;
use std::path::Path;

const COUNTS: &str = "\
apiVersion: millrace/v1
kind: Dagger
metadata: {name: bookings_per_minute}
spec:
  streams: [{topics: [bookings], table: t}]
  sinks: [{kind: series}]
  sql: SELECT count(1) AS n, order_number AS tag_order, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS window_timestamp
    FROM t GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), order_number
";
const TO_LOG: &str = "\
apiVersion: millrace/v1
kind: Dagger
metadata: {name: printed}
spec:
  streams: [{topics: [bookings], table: t}]
  sinks: [{kind: log}]
  sql: SELECT order_number, rowtime FROM t
";

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn an_export_is_what_grafana_provisions() {
    let server = TestServer::with_bookings(1);
    server.cli(&["apply", "-f", &server.file("d.yaml", COUNTS), &server.file("e.yaml", TO_LOG)]).ok();
    let folder = server.directory.path().join("grafana");
    let ran = server.cli(&["grafana", "export", folder.to_str().unwrap(), "-o", "json"]).ok();
    assert!(
        ran.stderr.contains("no dashboard of printed: the dagger `printed` writes no measurement"),
        "{}",
        ran.stderr
    );
    let written: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!(written.as_array().unwrap().len(), 3, "{written}");

    let sources: Value =
        serde_yaml_ng::from_str(&read(&folder.join("provisioning/datasources/millrace.yaml"))).unwrap();
    let source = &sources["datasources"][0];
    assert_eq!(source["url"], server.url.as_str());
    assert_eq!(source["jsonData"]["dbName"], "default");
    assert_eq!(source["secureJsonData"]["httpHeaderValue1"], "Bearer $MILLRACE_TOKEN");
    let providers: Value =
        serde_yaml_ng::from_str(&read(&folder.join("provisioning/dashboards/millrace.yaml"))).unwrap();
    let path = providers["providers"][0]["options"]["path"].as_str().unwrap();
    assert_eq!(Path::new(path), folder.join("dashboards"));

    let dashboard: Value =
        serde_json::from_str(&read(&folder.join("dashboards/default/bookings_per_minute.json"))).unwrap();
    assert_eq!(dashboard["uid"], "millrace-dagger-bookings_per_minute");
    assert_eq!(dashboard["panels"][0]["interval"], "1m");
    assert_eq!(
        dashboard["panels"][0]["targets"][0]["query"],
        "SELECT sum(\"n\") FROM \"bookings_per_minute\" WHERE $timeFilter AND \"tag_order\" =~ /^${order}$/ GROUP BY \
         time($__interval), \"tag_order\" fill(null)"
    );
    assert_eq!(dashboard["panels"][0]["datasource"]["uid"], source["uid"]);

    let (status, alone) = server.http("GET", "/api/v1/daggers/bookings_per_minute/grafana", &[], b"");
    assert_eq!((status, serde_json::from_str::<Value>(&alone).unwrap()), (200, dashboard));
}

#[test]
fn a_download_is_an_archive_and_mistakes_are_told() {
    let server = TestServer::with_bookings(1);
    server.cli(&["apply", "-f", &server.file("d.yaml", COUNTS), &server.file("e.yaml", TO_LOG)]).ok();
    let answer =
        server.http_with_headers("GET", "/api/v1/grafana?group=default", &[("accept", "application/json")], b"");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["files"].as_array().unwrap().len(), 3);
    assert_eq!(answer.json()["skipped"][0]["dagger"], "printed");

    for (path, status, code) in [
        ("/api/v1/grafana?group=nobody", 404, "group_not_found"),
        ("/api/v1/grafana?url=ftp://elsewhere", 422, "grafana_place_invalid"),
        ("/api/v1/grafana?color=red", 422, "query_invalid"),
        ("/api/v1/daggers/printed/grafana", 409, "no_measurement"),
        ("/api/v1/daggers/nothing/grafana", 404, "dagger_not_found"),
    ] {
        let answer = server.http_with_headers("GET", path, &[], b"");
        assert_eq!(answer.json()["code"], code, "{path}: {}", answer.body);
        assert!([status, 400].contains(&answer.status), "{path}: {}", answer.status);
    }
    let file = server.file("taken", "");
    server.cli(&["grafana", "export", &file]).failed_with(1, "cannot write");
}

#[test]
fn a_tag_with_a_value_for_every_record_is_warned_of() {
    let server = TestServer::with_bookings(1);
    let lines: String = (0..2_000).map(|number| booking(number) + "\n").collect();
    let file = server.file("many.ndjson", lines);
    server.cli(&["topic", "produce", "bookings", "--file", &file]).ok();
    let dagger = server.file("d.yaml", COUNTS);
    let ran = server.cli(&["apply", "-f", &dagger, "--dry-run"]).ok();
    assert!(ran.stderr.contains("the tag `tag_order` will have too many values"), "{}", ran.stderr);
    let preview = server.cli(&["dagger", "preview", "-f", &dagger, "-o", "json"]).json();
    assert_eq!(preview["tags"]["tags"][0]["name"], "tag_order");
    assert_eq!(preview["tags"]["tags"][0]["isTooMany"], true);
    let (status, _) = server.http("GET", "/api/v1/daggers/bookings_per_minute", &[], b"");
    assert_eq!(status, 404);

    server.cli(&["apply", "-f", &dagger]).ok();
    let shown = server.cli(&["dagger", "show", "bookings_per_minute", "-o", "json"]).json();
    assert_eq!(shown["status"]["sinks"][0]["seriesMax"], 1_000_000);
}

fn booking(number: u32) -> String {
    format!(r#"{{"orderNumber": "order-{number}", "eventTimestamp": "2026-01-01T00:00:10Z"}}"#)
}
