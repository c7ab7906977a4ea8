//! JSON functions. The documents, paths and results are those of Dagger's tests; array cases are from RFC 9535.

use crate::query::{check, check_errors, check_rows};

/// A call with texts as SQL literals.
fn call(function: &str, texts: &[&str]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("'{}'", text.replace('\'', "''"))).collect();
    format!("{function}({})", quoted.join(", "))
}

#[test]
fn query() {
    for (json, path, expected) in [
        (r#"{"k1":null,"k2":"v2"}"#, "$.k2", r#""v2""#),
        (r#"{"k1":null,"k2":{"key1":"value1","key2":"value2"}}"#, "$.k2", r#"{"key1":"value1","key2":"value2"}"#),
        (r#"{"k1":null,"k2":"v2"}"#, "$.k1", "NULL"),
        (r#"{"k1":null,"k2":"v2"}"#, "$.k3", "NULL"),
        (r#"{"k1":null,"k2":"v2"}"#, "$.k2.k4", "NULL"),
        (r#"{"k1":null,"k2":"v2"}"#, "k2", r#""v2""#),
        (r#"{"a":[{"b":1},{"b":2},{"b":3}]}"#, "$.a[1].b", "2"),
        (r#"{"a":[{"b":1},{"b":2},{"b":3}]}"#, "$['a'][-1]['b']", "3"),
        (r#"{"a":[{"b":1},{"b":2},{"b":3}]}"#, "$.a[*].b", "[1,2,3]"),
        (r#"{"a":[{"b":1},{"b":2},{"b":3}]}"#, "$..b", "[1,2,3]"),
        (r#"{"a":[{"b":1},{"b":2},{"b":3}]}"#, "$.a[?(@.b > 1)].b", "[2,3]"),
        (r#"{"a":[1,2,3]}"#, "$.a[0:2]", "[1,2]"),
        (r#"{"a":[1,2,3]}"#, "$.none[*]", "[]"),
        (r#"{"a":1.50,"z":1,"b":12345678901234567890}"#, "$", r#"{"a":1.5,"z":1,"b":12345678901234567890}"#),
    ] {
        check(&[(&call("JsonQuery", &[json, path]), expected)]);
    }
    check(&[("JsonQuery(NULL, '$.a')", "NULL"), ("JsonQuery('{}', NULL)", "NULL")]);
    check_rows(&[
        ("JsonQuery(json, path)", ["[1,2]", "1", "NULL", "NULL"]),
        ("JsonQuery(json, '$.c')", ["\"x\"", "NULL", "NULL", "NULL"]),
        ("JSON_VALUE(json, '$.c')", ["x", "NULL", "NULL", "NULL"]),
        ("JSON_VALUE(json, path)", ["NULL", "1", "NULL", "NULL"]),
        ("JSON_EXISTS(json, path)", ["true", "true", "false", "NULL"]),
    ]);
    check_errors(&[
        (&call("JsonQuery", &[r#"{"k2""v2"}"#, "$.k2"]), &["JsonQuery: json is", "must be JSON", "line 1 column"]),
        (&call("JsonQuery", &["{}", "$[a"]), &["JsonQuery: path is '$[a'", "JSONPath such as"]),
        (&call("JsonQuery", &["{}", ""]), &["path is ''"]),
        ("JsonQuery(n, '$')", &["argument 1 (json) must be text"]),
    ]);
}

#[test]
fn update() {
    for (json, path, value, expected) in [
        ("{}", "$.k1", "'v1'", r#"{"k1":"v1"}"#),
        (r#"{"k1":null,"k2":"v2"}"#, "$.k3", "'v3'", r#"{"k1":null,"k2":"v2","k3":"v3"}"#),
        (r#"{"k1":null,"k2":"v2"}"#, "$.k2", "'updatedValue'", r#"{"k1":null,"k2":"updatedValue"}"#),
        (
            r#"{"k1":null,"k2":{"key1":"value1"}}"#,
            "$.k2.key3",
            "'value3'",
            r#"{"k1":null,"k2":{"key1":"value1","key3":"value3"}}"#,
        ),
        (
            r#"{"k1":null,"k2":"v2"}"#,
            "$.k2",
            "named_struct('key1', 'value1', 'key2', 2)",
            r#"{"k1":null,"k2":{"key1":"value1","key2":2}}"#,
        ),
        (r#"{"k1":null,"k2":"v2"}"#, "$.k2", "MAP {'key1': 'value1'}", r#"{"k1":null,"k2":{"key1":"value1"}}"#),
        (r#"{"k1":null,"k2":"v2"}"#, "$.k2", "NULL", r#"{"k1":null,"k2":null}"#),
        (r#"{"a":[1,2]}"#, "$.a[1]", "1.5", r#"{"a":[1,1.5]}"#),
        (r#"{"a":[1,2]}"#, "$.a[*]", "true", r#"{"a":[true,true]}"#),
        (r#"{"a":1}"#, "$['b c']", "make_array(1, 2)", r#"{"a":1,"b c":[1,2]}"#),
        (r#"{"a":1}"#, "$.a", "TIMESTAMP '2024-09-15 05:00:00'", r#"{"a":"2024-09-15T05:00:00Z"}"#),
        (r#"{"a":1}"#, "$.a", "X'6869'", r#"{"a":"aGk="}"#),
        (r#"{"a":1}"#, "$", "2", "2"),
    ] {
        let sql = format!("JsonUpdate('{json}', '{}', {value})", path.replace('\'', "''"));
        check(&[(&sql, expected)]);
    }
    check_errors(&[
        (r#"JsonUpdate('{"k2":"v2"}', '$.k2.k4', 'x')"#, &["JsonUpdate: path is", "a new name in an object"]),
        (r#"JsonUpdate('{"a":[1]}', '$.a[5]', 'x')"#, &["JsonUpdate: path is"]),
        ("JsonUpdate(json, '$.n', n)", &["JsonUpdate: path is"]),
    ]);
}

#[test]
fn delete() {
    for (json, path, expected) in [
        (r#"{"k1":"v1","k2":"v2"}"#, "$.k2", r#"{"k1":"v1"}"#),
        (r#"{"k1":"v1","k2":{"key1":"value1"}}"#, "$.k2", r#"{"k1":"v1"}"#),
        (r#"{"k1":"v1","k2":{"key1":"value1","key2":"value2"}}"#, "$.k2.key1", r#"{"k1":"v1","k2":{"key2":"value2"}}"#),
        (r#"{"k1":"v1","k2":["value1","value2","value3"]}"#, "$.k2[1]", r#"{"k1":"v1","k2":["value1","value3"]}"#),
        (r#"{"k1":"v1","k2":["value1","value2","value3"]}"#, "$..*", "{}"),
        (r#"{"a":[1,2,3,4,5,6,7,8,9,10,11,12]}"#, "$.a[1:]", r#"{"a":[1]}"#),
        (r#"{"a":1}"#, "$.b", r#"{"a":1}"#),
        (r#"{"z":1,"y":2,"x":3}"#, "$.z", r#"{"y":2,"x":3}"#),
    ] {
        check(&[(&call("JsonDelete", &[json, path]), expected)]);
    }
    check_errors(&[("JsonDelete('{}', '$')", &["not all of it"])]);
}
