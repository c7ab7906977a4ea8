//! `google.protobuf.Timestamp` fields: a TIMESTAMP(6), and its parts exactly.

use crate::orders::{check, order, refused};

fn orders() -> Vec<String> {
    vec![
        order(
            1,
            r#""id": "x", "paid": "2024-02-29T12:00:00.123456789Z", "pickup": {"at": "9999-12-31T23:59:59.999999999Z", "name": "p"}"#,
        ),
        order(2, r#""id": "y", "pickup": {"name": "q"}"#),
        order(3, r#""id": "z", "paid": "1969-12-31T23:59:59.999999999Z", "items": [{"at": "2000-01-01T00:00:00.5Z"}]"#),
    ]
}

#[test]
fn parts_are_exact() {
    check(
        "SELECT id, paid.seconds AS s, paid.nanos AS n, paid FROM orders",
        &orders(),
        &[
            r#"{"id":"x","s":1709208000,"n":123456789,"paid":"2024-02-29T12:00:00.123456Z"}"#,
            r#"{"id":"y","s":null,"n":null,"paid":null}"#,
            r#"{"id":"z","s":-1,"n":999999999,"paid":"1969-12-31T23:59:59.999999Z"}"#,
        ],
    );
    check("SELECT o.paid.nanos AS n FROM orders AS o WHERE o.paid.seconds > 0", &orders(), &[r#"{"n":123456789}"#]);
    check(
        "SELECT pickup.at.seconds AS s, pickup.at.nanos AS n, pickup.name AS p FROM orders WHERE id = 'x'",
        &orders(),
        &[r#"{"s":253402300799,"n":999999999,"p":"p"}"#],
    );
    check(
        "SELECT pickup.at.nanos AS n, pickup.at AS at FROM orders WHERE id <> 'z'",
        &orders(),
        &[r#"{"n":999999999,"at":"9999-12-31T23:59:59.999999Z"}"#, r#"{"n":null,"at":null}"#],
    );
}

#[test]
fn parts_beside_the_whole_message() {
    check(
        "SELECT pickup, pickup.at.nanos AS n FROM orders WHERE id = 'y'",
        &orders(),
        &[r#"{"pickup":{"lat":0.0,"lon":0.0,"at":null,"name":"q"},"n":null}"#],
    );
}

#[test]
fn parts_in_sub_queries_filters_and_windows() {
    check(
        "SELECT s.p.nanos AS n FROM (SELECT paid AS p, id FROM orders) AS s WHERE s.id = 'x'",
        &orders(),
        &[r#"{"n":123456789}"#],
    );
    check(
        "SELECT paid.nanos AS n, max(paid.seconds) AS s, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS e FROM orders \
         WHERE paid.seconds IS NOT NULL GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), paid.nanos",
        &orders(),
        &[
            r#"{"n":123456789,"s":1709208000,"e":"1970-01-01T00:01:00Z"}"#,
            r#"{"n":999999999,"s":-1,"e":"1970-01-01T00:01:00Z"}"#,
        ],
    );
    check(
        "SELECT id, u.at.seconds AS s FROM orders CROSS JOIN UNNEST(items) AS u(name, n, at)",
        &orders(),
        &[r#"{"id":"z","s":946684800}"#],
    );
}

#[test]
fn what_would_not_be_exact_is_refused() {
    refused("SELECT id, u.at.«nanos» AS s FROM orders CROSS JOIN UNNEST(items) AS u(name, n, at)", "inside an array");
    refused("SELECT paid.«second» FROM orders", "seconds");
}
