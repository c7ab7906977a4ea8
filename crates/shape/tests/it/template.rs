use shape::Template;

use crate::booking;

/// What each of the three rows gives; errors begin with `!`.
fn rendered(text: &str) -> Vec<String> {
    let batch = booking::batch();
    let template = Template::compile(text, batch.schema_ref()).unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let bound = template.bind(&batch).unwrap();
    (0..batch.num_rows()).map(|row| bound.render(row).unwrap_or_else(|error| format!("!{error}"))).collect()
}

fn first(text: &str) -> String {
    rendered(text).remove(0)
}

#[track_caller]
fn refused(text: &str, detail: &str, hint: &str) {
    let error = Template::compile(text, booking::batch().schema_ref()).unwrap_err();
    assert!(error.place == "template" && error.detail.contains(detail) && error.hint.contains(hint), "{error:?}");
}

#[test]
fn fields_are_written_by_name() {
    assert_eq!(rendered("/orders/{{ order_id | urlencode }}/x"), ["/orders/o%2F1/x", "/orders//x", "/orders/o%203/x"]);
    for (text, expected) in [
        ("{{ number }}", "18446744073709551615"),
        ("{{amount}}", "9223372036854775807"),
        ("{{ price }} {{ ratio }} {{ paid }} {{ status }}", "12.5 0.1 true CANCELLED"),
        ("{{ event_timestamp }}", "2026-01-01T00:00:00.500Z"),
        ("{{ token }}", "AP8="),
        ("{{ customer.name | json }}", r#""Ana \"A\" Putri""#),
        ("{{ tags }}", r#"["new","vip"]"#),
        ("{{ tags[1] }}", "vip"),
        ("{{ labels.floor }}", "3"),
        ("{{ items[0].sku }}", "rice"),
        ("{% for item in items %}{{ item.sku }}={{ item.count }};{% endfor %}", "rice=2;tea=1;"),
        ("{% if price > 10 %}dear{% else %}cheap{% endif %}", "dear"),
        ("{{ customer | json }}", r#"{"id":7,"name":"Ana \"A\" Putri","email":"ana@example.com"}"#),
        ("{{ number | json }}/{{ note | json }}", r#"18446744073709551615/"by\nphone""#),
        ("{{ event_timestamp | date('%d.%m.%Y %H:%M', 'Asia/Jakarta') }}", "01.01.2026 07:00"),
        ("{{ event_timestamp | date('%Y') }}", "2026"),
        ("{{ event_timestamp | epoch_millis }}", "1767225600500"),
        ("{{ event_timestamp | epoch_seconds }}", "1767225600"),
        ("{{ 'abc' | sha256 }}{{ count }}", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad3"),
        ("{{ order_id | sha256 }}", "d79ee69847a98813670f491ee11fad876f43ce2f559d9443388cb88e02be15aa"),
        ("{{ customer.name | upper | base64 }}", "QU5BICJBIiBQVVRSSQ=="),
        ("{{ amount + 1 }}", "9223372036854775808"),
        ("{{ count }}\n", "3\n"),
        ("{{ '{{' }}{{ count }}}}", "{{3}}"),
    ] {
        assert_eq!(first(text), expected, "{text}");
    }
}

#[test]
fn null_has_no_text_unless_the_template_says_which() {
    let rows = rendered("{{ note }}");
    assert_eq!((rows[0].as_str(), rows[2].as_str()), ("by\nphone", ""));
    assert!(rows[1].starts_with("!`note` is NULL; write `{{ note | default"), "{rows:?}");
    for text in [
        "{{ customer.id }}",
        "{{ customer.id | urlencode }}",
        "{{ customer.id ~ '' | upper }}",
        "{{ discount | string }}",
    ] {
        let rows = rendered(text);
        assert!(rows[0].starts_with(|c: char| c.is_ascii_digit()), "{text}: {rows:?}");
        assert!(rows[1].starts_with('!') || text.contains('~') || text.contains("string"), "{text}: {rows:?}");
    }
    assert_eq!(rendered("{{ note | default('-') }}"), ["by\nphone", "-", ""]);
    assert_eq!(rendered("{{ customer.id | default(0) }}"), ["7", "0", "9"]);
    assert_eq!(rendered("{{ customer.id | json }}"), ["7", "null", "9"]);
    assert_eq!(rendered("{{ discount | json }}"), ["2.5", "null", "null"]);
    assert_eq!(rendered("{% if discount is none %}no{% else %}yes{% endif %}"), ["yes", "no", "no"]);
}

#[test]
fn a_template_without_fields_is_made_once() {
    let batch = booking::batch();
    for (text, expected) in [("plain { text", "plain { text"), ("{{ 1 + 1 }}", "2"), ("", ""), ("{# nothing #}", "")] {
        let template = Template::compile(text, batch.schema_ref()).unwrap();
        assert_eq!(template.constant(), Some(expected));
        assert!(template.fields().is_empty());
        assert_eq!(template.bind(&batch).unwrap().render(2).unwrap(), expected);
    }
}

#[test]
fn the_columns_in_use_are_known_and_enough() {
    let batch = booking::batch();
    let text =
        "{{ status }} {{ customer.id | default(1) }} {% for item in items %}{{ item.sku }}{% endfor %} {{ status }}";
    let template = Template::compile(text, batch.schema_ref()).unwrap();
    assert_eq!(template.fields(), ["status", "customer", "items"]);
    let wanted: Vec<usize> =
        template.fields().iter().rev().map(|name| batch.schema_ref().index_of(name).unwrap()).collect();
    let narrow = batch.project(&wanted).unwrap();
    assert_eq!(template.bind(&narrow).unwrap().render(0).unwrap(), "CANCELLED 7 ricetea CANCELLED");
    assert!(template.bind(&batch.project(&[0]).unwrap()).is_err());
}

#[test]
fn what_is_wrong_is_said_when_it_is_compiled() {
    refused("{{ ordr_id }}", "no field `ordr_id`", "`order_id`");
    refused("{{ customer.nam }}", "`customer` has no field `nam`", "`name`");
    refused("{{ _offset }}", "no field `_offset`", "list it under `columns`, as `{field: _offset}`");
    refused("{{ order_id | urlencod }}", "no filter `urlencod`", "`urlencode`");
    refused("{% if price > 1 %}{{ price | rnd }}{% endif %}", "no filter `rnd`", "");
    refused("a\n{{ order_id", "line 2", "");
    refused("{% for x in items %}", "", "endif");
    refused("{{ none }}", "NULL", "no field is in this template");
    refused("{% include 'x' %}", "", "");
    refused("{{ namespace() }}", "no field `namespace`", "");
    refused(&"x".repeat(20_000), "16384", "shorten");
}

#[test]
fn work_and_output_are_limited() {
    let rows = rendered("{% for a in range(9000) %}{% for b in range(9000) %}{{ count }}{% endfor %}{% endfor %}");
    assert!(rows[0].contains("too much work"), "{}", &rows[0][..100.min(rows[0].len())]);
    let rows = rendered("{{ order_id * 100000000 }}");
    assert!(rows[0].starts_with('!'), "{}", rows[0].len());
}

/// The short way and minijinja's give the same text, and fail for the same rows.
#[test]
fn the_direct_way_agrees_with_the_full_one() {
    let paths = [
        "order_id",
        "number",
        "amount",
        "count",
        "price",
        "ratio",
        "paid",
        "discount",
        "note",
        "token",
        "status",
        "event_timestamp",
        "customer",
        "customer.id",
        "customer.name",
        "customer.email",
        "trip",
        "trip.nanos",
        "items",
        "tags",
        "labels",
    ];
    for path in paths {
        for filter in ["", " | urlencode", "|json"] {
            let direct = format!("a {{{{ {path}{filter} }}}} b");
            let full = format!("{direct}{{# makes it no direct one #}}");
            let (direct, full) = (rendered(&direct), rendered(&full));
            for (direct, full) in direct.iter().zip(&full) {
                match (direct.starts_with('!'), full.starts_with('!')) {
                    (false, false) => assert_eq!(direct, full, "{path}{filter}"),
                    (one, other) => assert_eq!(one, other, "{path}{filter}: {direct} / {full}"),
                }
            }
        }
    }
}
