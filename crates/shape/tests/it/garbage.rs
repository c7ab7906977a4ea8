//! Whatever somebody writes, the answer is a result or an error, soon.

use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use proptest::prelude::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use shape::{ColumnSource, ColumnSpec, Filter, Shape, ShapeSpec, Template, TimeWindow};

use crate::booking;

/// Pieces of which expressions and templates are made, and some that do not belong there.
const PIECES: &[&str] = &[
    "price",
    "count",
    "status",
    "customer",
    ".id",
    ".name",
    "items",
    "tags",
    "labels",
    "event_timestamp",
    "trip",
    "note",
    " ",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ",",
    ".",
    ":",
    "?",
    "==",
    "!=",
    "<",
    ">=",
    "&&",
    "||",
    "!",
    "-",
    "+",
    "*",
    "/",
    "%",
    " in ",
    "has(",
    ".exists(x,",
    ".all(x,",
    ".map(x,",
    ".filter(x,",
    "size(",
    ".size()",
    "timestamp(",
    "duration(",
    "'1h'",
    "\"a\"",
    "b'x'",
    "r\"\\d\"",
    "'''",
    "\"\"\"",
    "\\",
    "\\u{0}",
    "1",
    "1u",
    "1.5",
    "1e999",
    "0x",
    "-9223372036854775808",
    "null",
    "true",
    "x",
    "`",
    "@",
    "@0",
    "$",
    "#",
    ";",
    "\n",
    "\0",
    "é",
    "\u{202e}",
    "😀",
    "{{",
    "}}",
    "{%",
    "%}",
    "{#",
    "#}",
    "{{-",
    "-%}",
    " if ",
    " for x in ",
    "endif",
    "endfor",
    " else ",
    "set x = ",
    "|",
    " | json",
    " | urlencode",
    " | default('')",
    " | date('%Q')",
    "raw",
    "endraw",
    "macro m()",
    "include 'x'",
    "loop",
    "range(9)",
    "dyn(",
    ".matches('(')",
];

fn soup(rng: &mut ChaCha8Rng) -> String {
    let pieces = rng.random_range(0..24);
    (0..pieces)
        .map(|_| match rng.random_range(0..12) {
            0 => char::from_u32(rng.random_range(0..0x2_0000)).unwrap_or('\u{fffd}').to_string(),
            _ => PIECES[rng.random_range(0..PIECES.len())].to_owned(),
        })
        .collect()
}

/// What is right, and is made wrong or stays right by small changes.
const RIGHT: &[&str] = &[
    r#"status == "CANCELLED" && price > 10.0"#,
    r#"status in ["DONE", "FAILED"] || !paid"#,
    "count in [1, 2, 3] && amount != 7",
    "number > 41u && ratio <= 0.5",
    "10 / count > 2 || discount > 1.0",
    r#"customer.id == 7 && size(customer.name) > 3"#,
    "has(customer.email) && has(labels.floor)",
    r#"items.exists(item, item.sku == "tea" && item.count >= 2)"#,
    "items.map(item, item.count) == [2, 1]",
    "tags.filter(tag, tag.matches('^v')).size() == 1",
    r#"event_timestamp > timestamp("2025-12-31T00:00:00Z")"#,
    r#"trip > duration("1m30s") || trip == null"#,
    "order_id.startsWith('o/') ? paid : note == null",
    "{'a': count, 'b': 2}['a'] == 3",
    r#"token == b"\x00\xff" || -price < -1.5"#,
    "/orders/{{ order_id | urlencode }}/{{ customer.id }}",
    r#"{"id": {{ order_id | json }}, "price": {{ price }}}"#,
    r#"b_{{ event_timestamp | date("%Y%m%d", "Asia/Jakarta") }}"#,
    "{% if price > 10 %}dear{% else %}{{ note | default('-') }}{% endif %}",
    "{% for item in items %}{{ item.sku | upper }} x{{ item.count }};{% endfor %}",
    "{{ tags | join(',') }}{# all #}{{ labels.floor | default(0) }}",
    "{{ customer.email | sha256 }} {{ token | base64 }} {{ number + 1 }}",
];

fn nearly_right(rng: &mut ChaCha8Rng) -> String {
    let mut chars: Vec<char> = RIGHT[rng.random_range(0..RIGHT.len())].chars().collect();
    for _ in 0..rng.random_range(0..4) {
        let at = rng.random_range(0..=chars.len());
        let end = (at + rng.random_range(0..4)).min(chars.len());
        let put = match rng.random_range(0..6) {
            0 => String::new(),
            1 => chars[at..end].iter().collect::<String>().repeat(2),
            2 => format!(" && {}", RIGHT[rng.random_range(0..RIGHT.len())]),
            3 => soup(rng),
            _ => PIECES[rng.random_range(0..PIECES.len())].to_owned(),
        };
        drop(chars.splice(at..end, put.chars()));
    }
    chars.into_iter().collect()
}

/// Compiles a text as everything that it can be, and uses what could be compiled. Whether it was right as a template
/// with fields, a filter and a column.
fn try_all(text: &str, batch: &RecordBatch) -> [bool; 3] {
    let mut right = [false; 3];
    let mut is_syntax = false;
    match Filter::compile(text, batch.schema_ref()) {
        Ok(filter) => {
            assert_eq!(filter.judge(batch).unwrap(), filter.judge_row_by_row(batch).unwrap(), "{text:?}");
            right[1] = true;
        }
        // The same text is no column then, either.
        Err(error) => is_syntax = error.detail.starts_with("line "),
    }
    if let Ok(template) = Template::compile(text, batch.schema_ref()) {
        let bound = template.bind(batch).unwrap();
        for row in 0..batch.num_rows() {
            let _ = bound.render(row);
        }
        right[0] = !template.fields().is_empty();
    }
    if is_syntax {
        return right;
    }
    let spec = ShapeSpec {
        columns: Some(vec![ColumnSpec {
            name: Some("x".into()),
            source: ColumnSource::Expression { text: text.to_owned(), declared: None },
        }]),
        ..ShapeSpec::default()
    };
    if let Ok(shape) = Shape::compile(&spec, batch.schema_ref()) {
        let shaped = shape.apply(batch).unwrap();
        assert_eq!(shaped.input_rows.len() + shaped.failed.len(), batch.num_rows(), "{text:?}");
        right[2] = true;
    }
    right
}

#[test]
fn a_hundred_thousand_random_texts_are_answered() {
    let batch = booking::batch();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut right = [0; 3];
    let mut longest = (Duration::ZERO, String::new());
    for _ in 0..100_000 {
        let text = if rng.random_bool(0.5) { soup(&mut rng) } else { nearly_right(&mut rng) };
        let started = Instant::now();
        for (count, is_right) in right.iter_mut().zip(try_all(&text, &batch)) {
            *count += usize::from(is_right);
        }
        if started.elapsed() > longest.0 {
            longest = (started.elapsed(), text);
        }
    }
    println!("templates, filters and columns among them: {right:?}; the longest took {:?}: {:?}", longest.0, longest.1);
    // Otherwise nothing but the reading of them was looked at.
    assert!(right.iter().all(|count| *count > 200), "{right:?}");
}

#[test]
fn texts_that_are_deep_or_long_are_answered() {
    let batch = booking::batch();
    for (piece, end) in [
        ("(", ")"),
        ("[", "]"),
        ("{", "}"),
        ("{1:", "}"),
        ("!", ""),
        ("-", ""),
        ("!(", ")"),
        ("has(", ")"),
        ("price.", ""),
        ("price[", "]"),
        ("price + ", ""),
        ("paid || ", ""),
        ("paid && ", ""),
        ("paid ? ", ""),
        ("paid ? paid : ", ""),
        ("price == ", ""),
        ("size(", ")"),
        ("tags.map(x, ", ")"),
        ("'", ""),
        ("\\", ""),
        ("{{", "}}"),
        ("{% if paid %}", "{% endif %}"),
        ("{% for x in tags %}", "{% endfor %}"),
        ("{{ price | ", ""),
        ("{{ [", "] }}"),
        ("{#", ""),
    ] {
        for times in [10, 100, 1_000, 8_000] {
            for middle in ["paid", ""] {
                let text = format!("{}{middle}{}", piece.repeat(times), end.repeat(times));
                try_all(&text, &batch);
            }
        }
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop_oneof![any::<String>(), Just("object".into()), Just("#".into()), Just("#/not".into()), Just("(".into())]
            .prop_map(Value::from),
    ];
    let keyword = prop_oneof![
        "type|enum|const|minimum|maxLength|pattern|items|properties|required|allOf|anyOf|oneOf|not|if|then|else|\\$ref",
        "price|tags|status|customer",
        any::<String>(),
    ];
    leaf.prop_recursive(6, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((keyword.clone(), inner), 0..6)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        try_all(&text, &booking::batch());
    }

    #[test]
    fn any_schema_is_answered(schema in any_json()) {
        let batch = booking::batch();
        let spec = ShapeSpec { json_schema: Some(schema), ..ShapeSpec::default() };
        if let Ok(shape) = Shape::compile(&spec, batch.schema_ref()) {
            shape.apply(&batch).unwrap();
        }
    }

    #[test]
    fn any_names_are_answered(path in any::<String>(), name in any::<Option<String>>(), past in any::<Duration>()) {
        let batch = booking::batch();
        for source in [ColumnSource::Field(path.clone()), ColumnSource::Hash { field: path.clone(), key: Some(path.clone()) }] {
            let columns = Some(vec![ColumnSpec { name: name.clone(), source }]);
            let _ = Shape::compile(&ShapeSpec { columns, ..ShapeSpec::default() }, batch.schema_ref());
        }
        for field in [path, "event_timestamp".to_owned()] {
            let window = TimeWindow { field, past, future: past };
            let spec = ShapeSpec { time_window: Some(window), ..ShapeSpec::default() };
            if let Ok(shape) = Shape::compile(&spec, batch.schema_ref()) {
                shape.apply(&batch).unwrap();
            }
        }
    }
}
