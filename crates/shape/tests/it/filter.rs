use shape::Filter;

use crate::booking;

/// For the three rows: `true`, `false`, or `!` and the reason.
fn judged(text: &str) -> Vec<String> {
    let batch = booking::batch();
    let filter = Filter::compile(text, batch.schema_ref()).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let judged = filter.judge(&batch).unwrap();
    assert_eq!(judged, filter.judge_row_by_row(&batch).unwrap(), "{text}");
    let reason = |row| judged.failed.iter().find(|(failed, _)| *failed == row).map(|(_, reason)| format!("!{reason}"));
    judged
        .holds
        .iter()
        .enumerate()
        .map(|(row, holds)| holds.map_or_else(|| reason(row).unwrap(), |holds| holds.to_string()))
        .collect()
}

#[track_caller]
fn refused(text: &str, detail: &str, hint: &str) {
    let error = Filter::compile(text, booking::batch().schema_ref()).unwrap_err();
    assert!(error.place == "filter" && error.detail.contains(detail) && error.hint.contains(hint), "{text}: {error:?}");
}

#[test]
fn conditions_on_all_types() {
    for (text, expected) in [
        (r#"status == "CANCELLED" && price > 10.0"#, "true false false"),
        (r#"status in ["DONE", "CANCELLED"]"#, "true false true"),
        (r#"!(status != "DONE")"#, "false false true"),
        ("price >= 9 && price < 12.6", "true false true"),
        ("amount == 9223372036854775807", "true false false"),
        ("number == 18446744073709551615u", "true false false"),
        ("number > 41u && number < 43", "false false true"),
        ("count in [1, 3]", "true false true"),
        ("10.0 < price", "true false false"),
        ("paid", "true false false"),
        ("paid == false", "false true true"),
        ("ratio > 0.05", "true false true"),
        ("discount == null", "false true true"),
        ("discount != null && discount > 2.0", "true false false"),
        (r#"token == b"abc""#, "false false true"),
        (r#"order_id.startsWith("o") && order_id.contains(" ")"#, "false false true"),
        (r#"order_id.matches("^o.[0-9]$")"#, "true false true"),
        (r#"order_id.endsWith("1")"#, "true false false"),
        ("size(order_id) == 3", "true false true"),
        ("order_id.size() + count == 6", "true false false"),
        (r#"customer.name == "Ana \"A\" Putri""#, "true false false"),
        ("customer == null", "false true false"),
        ("customer.id == 7 || customer == null", "true true false"),
        ("has(customer.email)", "true false false"),
        ("has(customer.id)", "true false true"),
        (r#""vip" in tags"#, "true false false"),
        ("size(tags) > 0", "true false true"),
        (r#"tags.exists(tag, tag.startsWith("ol"))"#, "false false true"),
        (r#"items.exists(item, item.sku == "tea" && item.count < 2)"#, "true false false"),
        ("items.all(item, item.count > 1)", "false true true"),
        ("items.exists_one(item, has(item.note))", "true false false"),
        (r#"items.map(item, item.sku) == ["rice", "tea"]"#, "true false false"),
        ("size(items.filter(item, item.count > 1)) == 1", "true false true"),
        ("has(labels.floor) && labels.floor == 3", "true false false"),
        (r#""floor" in labels && labels["floor"] > 2"#, "true false false"),
        (r#"type(price) == double"#, "true true true"),
        ("string(count) == '3'", "true false false"),
        (r#"items.exists(item, item.sku.matches("^.ea$")) || matches(order_id, "3$")"#, "true false true"),
        (r#"order_id.matches(note == null ? "x" : "^o")"#, "true false true"),
        ("price > 10.0 ? paid : !paid", "true true true"),
        ("true", "true true true"),
        ("1 + 1 == 3", "false false false"),
    ] {
        assert_eq!(judged(text).join(" "), expected, "{text}");
    }
}

#[test]
fn times_and_durations() {
    for (text, expected) in [
        (r#"event_timestamp != null && event_timestamp > timestamp("2025-01-01T00:00:00Z")"#, "true false false"),
        (r#"event_timestamp == timestamp("2026-01-01T07:00:00.5+07:00")"#, "true false false"),
        ("event_timestamp != null && event_timestamp.getFullYear() == 2023", "false false true"),
        (r#"trip != null && trip > duration("1m")"#, "true false false"),
        (r#"trip != null && trip == duration("90.5s")"#, "true false false"),
        ("trip != null && trip.getMinutes() == 1", "true false false"),
        (
            r#"event_timestamp != null && event_timestamp + duration("1h") > timestamp("2026-01-01T01:00:00Z")"#,
            "true false false",
        ),
    ] {
        assert_eq!(judged(text).join(" "), expected, "{text}");
    }
}

#[test]
fn a_row_that_cannot_be_judged_fails_with_the_reason() {
    let rows = judged("discount > 1.0");
    assert_eq!(rows[0], "true");
    assert!(rows[1].starts_with("!found no matching overload") && rows[1].ends_with("`discount` is NULL"), "{rows:?}");
    let rows = judged("price / double(count) > 4.0 || 10 / count > 20");
    assert_eq!(rows[0], "true");
    assert!(rows[1].contains("ivision by zero"), "{rows:?}");
    // What is known decides: CEL's logic goes over errors where the other side is enough.
    assert_eq!(judged("discount > 1.0 || price == 0.0")[1], "true");
    assert_eq!(judged("discount > 1.0 && price != 0.0")[1], "false");
    assert!(judged(r#"event_timestamp > timestamp("2020-01-01T00:00:00Z")"#)[1].starts_with('!'));
    assert!(judged("customer.id > 3")[1].contains("`customer.id` is NULL"));
    assert!(judged("labels.floor == 3")[1].contains("floor"));
    assert!(judged("dyn(count)")[0].contains("gives int for this row"));
}

#[test]
fn the_columns_in_use_are_known() {
    let batch = booking::batch();
    let filter =
        Filter::compile("price > 1.0 && customer.id in [1] && items.all(price, price.count > 1)", batch.schema_ref());
    assert_eq!(filter.unwrap().fields(), ["price", "customer", "items"]);
}

#[test]
fn what_is_wrong_is_said_when_it_is_compiled() {
    refused("prise > 10.0", "no field `prise`", "`price`");
    refused("customer.nme == 'x'", "`customer` has no field `nme`", "`name`");
    refused("has(customer.nme)", "no field `nme`", "`name`");
    refused("items.exists(item, item.skuu == 'x')", "no field `skuu`", "`sku`");
    refused("items.exists(item, itm.sku == 'x')", "no field `itm`", "`item`");
    refused("price.amount > 1.0", "double has no field", "");
    refused("price", "is a double", "compare");
    refused("price + 1 > 2.0", "no double + int", "1.0");
    refused("number + 1 > 2u", "no uint + int", "1u");
    refused("status == 3", "string and int are never equal", "quotes");
    refused("price > '10'", "no order", "quotes");
    refused("event_timestamp > '2026-01-01'", "no order", "timestamp(");
    refused("count in ['1']", "never in a list", "quotes");
    refused("status && paid", "string is not true or false", "compare");
    refused("order_id.startWith('a')", "no function `startWith`", "`startsWith`");
    refused("startsWith(order_id, 'a')", "not called like this", "x.startsWith(y)");
    refused("price.startsWith('a')", "takes no double", "string");
    refused("order_id.matches('(')", "no pattern", "");
    refused("tags.exists(tag, tag.matches('(?=a)'))", "no pattern", "look-around");
    refused("event_timestamp > timestamp('yesterday')", "fails for every row", "");
    refused("price > ", "", "");
    refused("", "", "");
    refused("price > 1.0 price", "", "");
    refused("google.protobuf.Duration{seconds: 1} == trip", "", "");
}

#[test]
fn size_depth_and_work_are_limited() {
    refused(&format!("price > {}", "1".repeat(9_000)), "8192", "shorten");
    refused(&format!("{}paid{}", "(".repeat(4_000), ")".repeat(4_000)), "", "");
    refused(&format!("{}paid", "!(".repeat(2_000)), "", "");
    refused(&format!("count {} == 1", "+ 1 ".repeat(80)), "inside each other", "shorter");
    refused(&format!("count {} == 1", "+ 1 ".repeat(2_000)), "", "");
    refused(&format!("order_id {} == ''", "+ (order_id + order_id) ".repeat(50)), "joined more than", "fewer");
    refused("tags.all(a, tags.all(b, tags.all(c, tags.all(d, a == d))))", "loops are more than", "");
    let doubling = "[order_id]".to_owned() + &".map(a, a + a)".repeat(20);
    refused(&format!("size({doubling}) == 1"), "loops over texts", "fewer");
    let many = vec!["1"; 1_500].join(",");
    let rows = judged(&format!("[{many}].all(a, tags.all(b, size(b) > a))"));
    assert!(rows[1].contains("1000000 steps"), "{rows:?}");
}
