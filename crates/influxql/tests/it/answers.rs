//! What answers look like.

use std::collections::HashMap;

use influxql::{CsvWriter, JsonOptions, parse, write_json};
use serde_json::json;

use crate::asking::City;

const OF: &str = "FROM driver_count_demo_influx_3876";

#[test]
fn the_query_of_a_daggers_page() {
    let city = City::new();
    let answer = city.ask(
        "SELECT sum(*) FROM driver_count_demo_influx_3876 WHERE time > now() - 900s GROUP BY time(30s) fill(null)",
    );
    // Windows of 15 minutes, the last 5 of which have points.
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let series = &answer["results"][0]["series"][0];
    assert_eq!(series["columns"], json!(["time", "sum_drivers", "sum_fare"]));
    let rows = series["values"].as_array().unwrap();
    assert_eq!(rows.len(), 31);
    assert_eq!(rows[0], json!([1_772_409_000, null, null]));
    assert_eq!(rows[20], json!([1_772_409_600, 15, 3.75]));
    assert_eq!(rows[30], json!([1_772_409_900, null, null]));
}

#[test]
fn keys_and_numbers_are_as_in_influxdb() {
    let city = City::new();
    assert_eq!(
        city.ask(&format!("SELECT max(drivers), fare {OF} GROUP BY city")),
        r#"{"results":[{"statement_id":0,"series":[{"name":"driver_count_demo_influx_3876","tags":{"city":"bandung"},"columns":["time","max","fare"],"values":[[1772409890,59,14.75]]},{"name":"driver_count_demo_influx_3876","tags":{"city":"jakarta"},"columns":["time","max","fare"],"values":[[1772409890,58,14.5]]}]}]}"#
    );
    assert_eq!(city.ask(&format!("SELECT nothing {OF}")), r#"{"results":[{"statement_id":0}]}"#);
    assert_eq!(city.ask(""), "{}");
    assert_eq!(
        city.ask("SELECT x FROM"),
        r#"{"error":"error parsing query: found EOF, expected identifier at line 1, char 15"}"#
    );
}

#[test]
fn times_without_an_epoch_and_pretty_json() {
    let mut city = City::new();
    city.options.epoch = None;
    let mut out = Vec::new();
    let chunks = city.chunks(&format!("SELECT fare {OF} LIMIT 1"));
    write_json(&mut out, &chunks, JsonOptions { epoch: None, pretty: true }).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.starts_with("{\n    \"results\": [\n        {\n            \"statement_id\": 0,\n"), "{text}");
    assert!(text.contains("\"2026-03-02T00:00:00Z\",\n"), "{text}");
}

#[test]
fn chunks_of_rows() {
    let mut city = City::new();
    city.options.chunk_rows = Some(20);
    let chunks = city.chunks(&format!("SELECT fare {OF} GROUP BY city"));
    let shape: Vec<(usize, bool, bool)> =
        chunks.iter().map(|chunk| (chunk.series[0].rows(), chunk.series[0].partial, chunk.partial)).collect();
    assert_eq!(shape, [(20, true, true), (10, false, true), (20, true, true), (10, false, false)]);
}

#[test]
fn csv() {
    let city = City::new();
    let chunks = city.chunks(&format!("SELECT max(drivers), last(fare) {OF} GROUP BY city; SHOW DATABASES"));
    let mut out = Vec::new();
    CsvWriter::new(None).write(&mut out, &chunks).unwrap();
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "name,tags,time,max,last\n\
         driver_count_demo_influx_3876,city=bandung,0,59,14.75\n\
         driver_count_demo_influx_3876,city=jakarta,0,58,14.5\n\
         \n\
         name,tags,name\n\
         databases,,city\n"
    );
}

#[test]
fn parameters_stand_for_values_and_names() {
    let city = City::new();
    let params: HashMap<String, serde_json::Value> = [
        ("least".to_owned(), json!(55)),
        ("city".to_owned(), json!("jakarta")),
        ("field".to_owned(), json!({"ident": "drivers"})),
    ]
    .into();
    let text = format!("SELECT $field {OF} WHERE drivers > $least AND city = $city");
    let chunks: Vec<_> = influxql::run(parse(&text, &params).unwrap(), city.options.clone(), &city).collect();
    assert_eq!(chunks[0].series[0].rows(), 2);
    let missing = parse(&format!("SELECT fare {OF} WHERE city = $nowhere"), &params).unwrap_err();
    assert_eq!(missing.to_string(), "error parsing query: missing parameter: nowhere");
}

#[test]
fn a_statement_that_fails_stops_those_behind_it() {
    let city = City::new();
    let answer = city.ask(&format!("SHOW DATABASES; SELECT x FROM nowhere..y; SELECT fare {OF} LIMIT 1"));
    assert!(answer.ends_with(r#"{"statement_id":1,"error":"not executed"}]}"#), "{answer}");
}

#[test]
fn only_a_post_changes_something() {
    let mut city = City::new();
    city.options.may_write = false;
    assert_eq!(
        city.refused("DROP MEASUREMENT driver_count_demo_influx_3876"),
        "'DROP MEASUREMENT driver_count_demo_influx_3876' changes something; \
         use a POST request instead of a GET request"
    );
    city.options.may_write = true;
    assert_eq!(city.ask("DROP MEASUREMENT driver_count_demo_influx_3876"), r#"{"results":[{"statement_id":0}]}"#);
    assert_eq!(city.ask("SHOW MEASUREMENTS"), r#"{"results":[{"statement_id":0}]}"#);
}
