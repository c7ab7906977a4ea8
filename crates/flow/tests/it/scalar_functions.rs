//! The scalar functions in a dagger: published values, NULL, and arguments of wrong types at their places. Their rules are
//! tested one by one in `crates/functions/tests`.

use crate::orders::{check, order, refused};

fn values(fields: &str, cases: &[(&str, &str)]) {
    for (call, expected) in cases {
        check(&format!("SELECT {call} AS x FROM orders"), &[order(1, fields)], &[&format!("{{\"x\":{expected}}}")]);
    }
}

#[test]
fn published_values() {
    // Wikipedia's geohash, the example of H3's documentation, Dagger's S2 test, Rosetta Code's airports of Nashville and Los
    // Angeles, and the S2 cell statistics (level 0: a sixth of the sphere).
    values(
        r#""pickup": {"lat": 57.64911, "lon": 10.40744}"#,
        &[("GeoHash(pickup.lat, pickup.lon, 11)", "\"u4pruydqqvj\"")],
    );
    values(
        r#""pickup": {"lat": 37.7752702151959, "lon": -122.418307270836}"#,
        &[("H3Id(pickup.lat, pickup.lon, 9)", "\"8928308280fffff\"")],
    );
    values(
        r#""pickup": {"lat": -6.170024, "lon": 106.8243203}"#,
        &[
            ("S2Id(pickup.lat, pickup.lon, 13)", "\"3344474489181175808\""),
            ("GeoHash(pickup.lat, pickup.lon, 6)", "\"qqguyu\""),
        ],
    );
    values(
        r#""pickup": {"lat": 36.12, "lon": -86.67}"#,
        &[("round(Distance(pickup.lat, pickup.lon, 33.94, -118.40), 3)", "2886.444")],
    );
}

#[test]
fn lists_and_maps() {
    values(
        r#""readings": [3.0, 1.0, 2.0, 1.0], "labels": {"a": "1"}, "items": [{"name": "tea", "count": 2}, {"name": "rice", "count": 5}]"#,
        &[
            ("ElementAt(readings, 0)", "\"3.0\""),
            ("ElementAt(readings, -1)", "\"1.0\""),
            ("ElementAt(readings, 4)", "null"),
            ("items[2].name", "\"rice\""),
            ("ListContains(readings, 2.0)", "true"),
            ("ListContains(readings, 9.0)", "false"),
            ("ArrayAggregate(readings, 'sum', 'double')", "7.0"),
            ("ArrayAggregate(readings, 'distinct.average', 'double')", "2.0"),
            ("MapGet(labels, 'a')", "\"1\""),
            ("MapGet(labels, 'b')", "null"),
            ("labels['a']", "\"1\""),
            ("map_entries(labels)", "[{\"key\":\"a\",\"value\":\"1\"}]"),
            ("entries(labels)", "[{\"key\":\"a\",\"value\":\"1\"}]"),
            ("Split('a-b--c', '-')", r#"["a","b","","c"]"#),
        ],
    );
}

#[test]
fn nulls() {
    values(
        "",
        &[
            ("FormatTimeInZone(paid, 'Asia/Jakarta', 'yyyy-MM-dd')", "null"),
            ("pickup.lat", "null"),
            ("pickup.name IS NULL", "true"),
            ("coalesce(pickup.lat, 5.0)", "5.0"),
            ("S2Id(pickup.lat, pickup.lon, 13)", "null"),
            ("GeoHash(pickup.lat, pickup.lon, 5)", "null"),
            ("Distance(pickup.lat, pickup.lon, 1.0, 1.0)", "null"),
            ("TimestampFromUnix(rating)", "null"),
            ("JsonQuery(NULL, '$.a')", "null"),
            ("Split(CAST(NULL AS STRING), ',')", "[]"),
        ],
    );
}

#[test]
fn fields_of_absent_messages_in_windows() {
    let orders = [order(1, r#""pickup": {"lat": 2.0}"#), order(2, ""), order(3, "")];
    check(
        "SELECT count(pickup.lat) AS n, sum(pickup.lat) AS s, count(1) AS m FROM orders GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE)",
        &orders,
        &[r#"{"n":1,"s":2.0,"m":3}"#],
    );
    check(
        "SELECT pickup.lat AS lat, count(1) AS m FROM orders GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), pickup.lat",
        &orders,
        &[r#"{"lat":2.0,"m":1}"#, r#"{"lat":null,"m":2}"#],
    );
    check("SELECT rowtime FROM orders WHERE pickup.lat = 0", &orders, &[]);
    check(
        "SELECT p.lat AS lat, n FROM (SELECT pickup AS p, count(1) AS n FROM orders GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), pickup)",
        &orders,
        &[r#"{"lat":2.0,"n":1}"#, r#"{"lat":null,"n":2}"#],
    );
}

#[test]
fn wrong_arguments_are_refused_at_the_function() {
    for (query, words) in [
        ("SELECT «S2Id»(city, amount, 3) FROM orders", "lat"),
        ("SELECT id, «S2Id»(amount, amount) FROM orders", "arguments"),
        ("SELECT id,\n «GeoHash»(id, amount, 3) FROM orders", "number"),
        ("SELECT «H3Id»(amount, amount, 1.5) FROM orders", "whole number"),
        ("SELECT «Distance»(amount, amount, amount, id) FROM orders", "number"),
        ("SELECT «ElementAt»(id, 1) FROM orders", "ElementAt"),
        ("SELECT «MapGet»(readings, 'a') FROM orders", "MapGet"),
        ("SELECT «ListContains»(id, 'a') FROM orders", "ListContains"),
        ("SELECT «Split»(amount, ',') FROM orders", "Split"),
        ("SELECT «JsonQuery»(amount, '$') FROM orders", "JsonQuery"),
        ("SELECT «JsonDelete»(id) FROM orders", "JsonDelete"),
        ("SELECT «FormatTimeInZone»(id, 'UTC', 'yyyy') FROM orders", "FormatTimeInZone"),
        ("SELECT «TimestampFromUnix»(id) FROM orders", "TimestampFromUnix"),
        ("SELECT «StartOfWeek»(id, 'UTC') FROM orders", "StartOfWeek"),
        (
            "SELECT «PercentileAggregator»(0, amount) FROM orders GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE)",
            "over 0",
        ),
        (
            "SELECT «PercentileAggregator»(50, id) FROM orders GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE)",
            "PercentileAggregator",
        ),
    ] {
        refused(query, words);
    }
}
