use super::*;
use crate::dagger_plan::{self, FutureCheck};
use schema::{SchemaSet, SourceFile};

const PROTO: &str = "syntax = \"proto3\"; package t; import \"google/protobuf/timestamp.proto\";
enum Kind { NONE = 0; APPLE = 1; }
message Place { string area = 1; double lat = 2; double lon = 3; }
message Item { string label = 1; int64 price = 2; }
message Event {
  string name = 1; int64 amount = 2; google.protobuf.Timestamp at = 3; double weight = 4; Kind kind = 5; Place place = 6;
  repeated Item items = 7; int32 small = 8;
}";

fn identity_of(sql: &str, streams: &str, proto: &str) -> (StateIdentity, PlannedDagger) {
    let schemas = SchemaSet::from_sources(&[SourceFile { path: "t.proto".into(), text: proto.into() }]).unwrap();
    let document = serde_json::json!({
        "apiVersion": "millrace/v1", "kind": "Dagger", "metadata": {"name": "d"},
        "spec": {"streams": serde_json::from_str::<Value>(streams).unwrap(), "sql": sql},
    });
    let (_, mut spec) = DaggerSpec::parse(&document.to_string()).unwrap();
    let planned = dagger_plan::plan(&mut spec, &schemas, FutureCheck::None)
        .unwrap_or_else(|error| panic!("{sql}\n{error}: {:?}", error.hint));
    (StateIdentity::of(&spec, &planned), planned)
}

const STREAM: &str = r#"[{"schema": "t.Event", "topics": ["events"]}]"#;

fn verdict(before: &str, after: &str) -> StateVerdict {
    identity_of(before, STREAM, PROTO).0.verdict(&identity_of(after, STREAM, PROTO).0)
}

#[track_caller]
fn keeps(before: &str, after: &str) -> StateVerdict {
    let verdict = verdict(before, after);
    assert_eq!((verdict.fate, &verdict.reason), (StateFate::Kept, &None), "{after}");
    verdict
}

#[track_caller]
fn loses(before: &str, after: &str, why: &str) {
    let verdict = verdict(before, after);
    assert_eq!((verdict.fate, verdict.reason.as_deref()), (StateFate::Lost, Some(why)), "{after}");
    assert!(verdict.kept.is_empty() && !verdict.lost.is_empty(), "{verdict:?}");
}

const BASE: &str = "SELECT name, kind, COUNT(*) AS n, MAX(amount) AS most, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS e \
                    FROM data_stream WHERE amount > 10 AND place.area = 'it''s' \
                    GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), name, kind";

#[test]
fn what_follows_the_window_and_how_it_is_written_keeps_the_state() {
    let from = "FROM data_stream WHERE amount > 10 AND place.area = 'it''s'";
    let group = "GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), name, kind";
    let all = "name, kind, COUNT(*) AS n, MAX(amount) AS most, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS e";
    for after in [
        format!("SELECT {all} {from} {group} HAVING COUNT(*) > 5"),
        format!("SELECT {all}, MAX(amount) * 2 + COUNT(*) AS both {from} {group}"),
        format!(
            "SELECT TUMBLE_START(rowtime, INTERVAL '60' SECOND) AS s, MAX(amount) AS a, kind AS k, COUNT(*) AS b, name {from} \
             GROUP BY kind, name, TUMBLE(rowtime, INTERVAL '60' SECOND)"
        ),
        format!(
            "select  name, kind, count(*) AS n, max(amount) AS most, tumble_end(rowtime, interval '1' minute) AS e -- same\n\
             from data_stream where ((place.area = 'it''s')) and 10 < amount {group}"
        ),
        "SELECT d.name, COUNT(1) AS n, d.kind, MAX(d.amount) AS most, TUMBLE_END(d.rowtime, INTERVAL '1' MINUTE) AS e \
                 FROM data_stream AS d WHERE d.amount > 10 AND d.place.area = 'it''s' \
                 GROUP BY TUMBLE(d.rowtime, INTERVAL '1' MINUTE), d.name, d.kind"
            .to_owned(),
        format!("SELECT {all} FROM (SELECT kind, name, amount, rowtime {from}) {group}"),
        format!(
            "SELECT {all} FROM (SELECT * FROM data_stream WHERE place.area = 'it''s') AS x WHERE amount > 10 {group}"
        ),
        "SELECT name, kind, COUNT(*) AS n, MAX(amount) AS most, window_end AS e \
         FROM TABLE(TUMBLE(TABLE data_stream, DESCRIPTOR(rowtime), INTERVAL '1' MINUTE)) \
         WHERE amount > 10 AND place.area = 'it''s' GROUP BY window_start, window_end, name, kind"
            .to_owned(),
        format!("SELECT name, n * 2 AS twice, kind, e FROM (SELECT {all} {from} {group}) WHERE most < 100"),
    ] {
        let verdict = keeps(BASE, &after);
        assert_eq!(verdict.kept.len(), 1);
        assert!(verdict.notes.is_empty() == after.to_lowercase().contains("max("), "{after}: {verdict:?}");
    }
    let verdict = keeps(BASE, BASE);
    assert_eq!(verdict.kept, ["count(1), max(amount) per name, kind in windows of 1m"]);
    assert!(verdict.lost.is_empty() && verdict.warnings().is_empty());
}

#[test]
fn an_aggregate_that_is_left_out_goes_and_the_others_stay() {
    let verdict = keeps(BASE, &BASE.replace("MAX(amount) AS most, ", ""));
    assert_eq!(verdict.kept, ["count(1) per name, kind in windows of 1m"]);
    assert_eq!(verdict.lost, ["max(amount) per name, kind in windows of 1m"]);
    assert!(verdict.warnings()[0].contains("max(amount)"));
}

#[test]
fn what_the_window_takes_and_adds_up_loses_it() {
    for (from, to, why) in [
        ("COUNT(*)", "MIN(amount)", "the window of 1 minute has a new aggregate min(amount)"),
        ("MAX(amount)", "MAX(weight)", "the window of 1 minute has a new aggregate max(weight)"),
        ("COUNT(*)", "COUNT(DISTINCT name)", "the window of 1 minute has a new aggregate count(DISTINCT name)"),
        (
            "COUNT(*)",
            "COUNT(*) FILTER (WHERE weight > 1)",
            "the window of 1 minute has a new aggregate count(1) FILTER (WHERE weight > 1.0)",
        ),
        (", name, kind", ", name, kind, small", "the window of 1 minute has a new key small"),
        ("amount > 10", "amount > 11", "the filter before the window of 1 minute has changed"),
        ("amount > 10", "amount >= 10", "the filter before the window of 1 minute has changed"),
        ("'it''s'", "'its'", "the filter before the window of 1 minute has changed"),
        ("AND place", "OR place", "the filter before the window of 1 minute has changed"),
        ("'1' MINUTE", "'5' MINUTE", "the window of 1 minute has become a window of 5 minutes"),
        (
            "rowtime, INTERVAL '1' MINUTE",
            "rowtime, INTERVAL '1' MINUTE, INTERVAL '10' SECOND",
            "the window of 1 minute begins at another time",
        ),
    ] {
        loses(BASE, &BASE.replace(from, to), why);
    }
    loses(
        BASE,
        &BASE.replace("name, kind, COUNT", "kind, COUNT").replace(", name, kind", ", kind"),
        "the window of 1 minute no longer has the key name",
    );
    loses(BASE, &format!("{BASE} HAVING AVG(weight) > 3"), "the window of 1 minute has a new aggregate avg(weight)");
    loses(
        BASE,
        &BASE.replace("amount > 10", "amount > 12").replace("COUNT(*)", "SUM(weight)"),
        "the filter before the window of 1 minute has changed; the window of 1 minute has a new aggregate sum(weight)",
    );
    let rows = "SELECT name, amount, rowtime FROM data_stream";
    loses(BASE, rows, "the query no longer groups by a window");
    loses(rows, BASE, "the query now groups by a window of 1 minute");
}

#[test]
fn texts_in_constants_are_not_taken_for_sql() {
    let with = |filter: &str| BASE.replace("place.area = 'it''s'", filter);
    loses(
        &with("name = 'a' AND kind = 'APPLE'"),
        &with("name = 'a'' AND kind = ''APPLE'"),
        "the filter before the window of 1 minute has changed",
    );
    loses(
        &with("name IN ('a', 'b', 'c', 'd')"),
        &with("name IN ('a, b', 'c', 'd')"),
        "the filter before the window of 1 minute has changed",
    );
    keeps(&with("name IN ('a', 'b', 'c', 'd')"), &with("name IN ('d', 'a', 'c', 'b')"));
    keeps(&with("small > 3 AND (kind = 'APPLE' OR weight < 1)"), &with("(1 > weight OR 'APPLE' = kind) AND 3 < small"));
}

#[test]
fn a_query_without_windows_keeps_its_positions_and_says_what_that_means() {
    let before = "SELECT name, rowtime FROM data_stream WHERE amount > 0";
    assert_eq!(keeps(before, before).warnings(), [""; 0]);
    for after in
        ["SELECT name, amount, rowtime FROM data_stream WHERE amount > 0", "SELECT name, rowtime FROM data_stream"]
    {
        let verdict = keeps(before, after);
        assert_eq!(verdict.kept, ["the positions in `events`"]);
        assert!(verdict.warnings()[0].contains("are not read again"), "{verdict:?}");
    }
}

const MINUTES: &str = "SELECT name, COUNT(*) AS n, SUM(amount) AS total, TUMBLE_ROWTIME(rowtime, INTERVAL '1' MINUTE) AS t \
                       FROM data_stream GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), name";

fn hours(inner: &str, what: &str) -> String {
    format!("SELECT {what}, TUMBLE_END(t, INTERVAL '1' HOUR) AS e FROM ({inner}) GROUP BY TUMBLE(t, INTERVAL '1' HOUR)")
}

#[test]
fn windows_over_windows() {
    let before = hours(MINUTES, "MAX(n) AS most, SUM(total) AS total");
    keeps(&before, &hours(&MINUTES.replace("AS n,", "AS m,"), "SUM(total) AS all_of_it, MAX(m) AS most"));
    let verdict = keeps(&before, &hours(&MINUTES.replace("SUM(amount) AS total, ", ""), "MAX(n) AS most"));
    assert_eq!(verdict.kept, ["count(1) per name in windows of 1m", "max([count(1)]) in windows of 1h"]);
    assert_eq!(verdict.lost, ["sum(amount) per name in windows of 1m", "sum([sum(amount)]) in windows of 1h"]);
    loses(
        &before,
        &hours(&format!("{MINUTES} HAVING COUNT(*) > 1"), "MAX(n) AS most, SUM(total) AS total"),
        "the filter before the window of 1 hour has changed",
    );
    loses(
        &before,
        &hours(&MINUTES.replace("'1' MINUTE", "'2' MINUTE"), "MAX(n) AS most, SUM(total) AS total"),
        "the window of 1 minute has become a window of 2 minutes; what the window of 1 hour takes from the windows before \
         it has changed",
    );
    loses(
        &before,
        &hours(MINUTES, "MAX(n) AS most, MAX(total) AS total"),
        "the window of 1 hour has a new aggregate max([sum(amount)])",
    );
    // Only the inner one stays; what the outer one held goes.
    let verdict = keeps(&before, MINUTES);
    assert_eq!(verdict.lost, ["max([count(1)]), sum([sum(amount)]) in windows of 1h"]);
}

#[test]
fn joins_and_unions_of_windows() {
    let side = |size: &str, filter: &str, aggregate: &str| {
        format!(
            "SELECT name, {aggregate} AS v, TUMBLE_END(rowtime, INTERVAL '{size}' MINUTE) AS e FROM data_stream WHERE {filter} \
             GROUP BY TUMBLE(rowtime, INTERVAL '{size}' MINUTE), name"
        )
    };
    let join = |what: &str, a: &str, b: &str| {
        format!("SELECT {what} FROM ({a}) AS a JOIN ({b}) AS b ON a.e = b.e AND a.name = b.name")
    };
    let (small, large) = (side("1", "amount < 9", "COUNT(*)"), side("1", "amount >= 9", "SUM(weight)"));
    let before = join("a.name, a.v, b.v AS w, a.e", &small, &large);
    keeps(&before, &join("b.v / a.v AS share, a.name, a.e", &small, &large));
    keeps(&before, &join("a.name, a.v AS w, b.v, a.e", &large, &small));
    loses(
        &before,
        &join("a.name, a.v, b.v AS w, a.e", &small, &side("1", "amount >= 8", "SUM(weight)")),
        "the filter before the window of 1 minute has changed",
    );
    let verdict = keeps(&before, &small);
    assert_eq!(verdict.lost, ["sum(weight) per name in windows of 1m"]);
    loses(&small, &before, "the window of 1 minute is new");

    // A join with sessions closes a millisecond later than a window by itself.
    let session = "SELECT name, COUNT(*) AS v, SESSION_END(rowtime, INTERVAL '1' MINUTE) AS e FROM data_stream \
                   GROUP BY SESSION(rowtime, INTERVAL '1' MINUTE), name";
    let joined = join("a.name, a.v, b.v AS w, a.e", &small, session);
    keeps(&joined, &join("a.name, a.v + b.v AS w, a.e", &small, session));
    loses(
        &joined,
        &small,
        "the window of 1 minute closes at another time than before, together with what is read beside it",
    );

    // The parts of a union before a window have no order.
    let united = |first: &str, second: &str| {
        format!(
            "SELECT x, COUNT(*) AS n, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS e FROM \
             (SELECT {first} UNION ALL SELECT {second}) GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), x"
        )
    };
    let one = "name AS x, rowtime FROM data_stream WHERE amount > 1";
    let other = "place.area AS x, rowtime FROM data_stream WHERE amount > 2";
    keeps(&united(one, other), &united(other, one));
    loses(
        &united(one, other),
        &united(&one.replace("name", "place.area"), &other.replace("place.area", "name")),
        "the window of 1 minute has a new key [place.area | name]; the window of 1 minute no longer has the key \
         [name | place.area]",
    );
}

#[test]
fn lists_taken_apart() {
    let base = "SELECT label, SUM(price) AS total, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS e FROM data_stream \
                CROSS JOIN UNNEST(items) AS i(label, price) WHERE amount > 1 \
                GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE), label";
    keeps(base, &base.replace("i(label", "j(label").replace("AS total", "AS t"));
    keeps(
        base,
        &base
            .replace("i(label, price)", "i(l, p)")
            .replace("SELECT label", "SELECT l")
            .replace(", label", ", l")
            .replace("SUM(price)", "SUM(p)"),
    );
    loses(base, &base.replace("amount > 1", "price > 1"), "the filter before the window of 1 minute has changed");
}

#[test]
fn streams() {
    type Edit = (&'static str, &'static str, Option<&'static str>);
    let edits: [Edit; 5] = [
        (r#"["events"]"#, r#"["more", "events"]"#, None),
        (r#"["events"]"#, r#"["more"]"#, Some("the stream `data_stream` no longer reads the topic `events`")),
        (
            r#""topics""#,
            r#""timestamp": "record", "topics""#,
            Some("the event time of the stream `data_stream` has changed"),
        ),
        (r#""topics""#, r#""startFrom": "latest", "late": "keep", "watermark": {"delay": "9s"}, "topics""#, None),
        (
            r#""t.Event""#,
            r#""t.Other""#,
            Some("the message type of the stream `data_stream` has changed from t.Event to t.Other"),
        ),
    ];
    let proto = format!(
        "{PROTO} message Other {{ string name = 1; Kind kind = 5; int64 amount = 2; \
                         google.protobuf.Timestamp at = 3; Place place = 6; }}"
    );
    let before = identity_of(BASE, STREAM, &proto).0;
    for (from, to, why) in edits {
        let verdict = before.verdict(&identity_of(BASE, &STREAM.replace(from, to), &proto).0);
        assert_eq!(verdict.reason.as_deref(), why);
        assert_eq!(verdict.fate, if why.is_some() { StateFate::Lost } else { StateFate::Kept });
    }
}

#[test]
fn types_that_the_state_is_of() {
    let before = identity_of(BASE, STREAM, PROTO).0;
    let after = identity_of(BASE, STREAM, &PROTO.replace("int64 amount", "uint64 amount")).0;
    let reason = before.verdict(&after).reason;
    assert!(reason.as_deref().is_some_and(|reason| reason.contains("max(amount)")), "{reason:?}");
    // What is counted may be of any type.
    let count = "SELECT COUNT(name) AS n, TUMBLE_END(rowtime, INTERVAL '1' MINUTE) AS e FROM data_stream \
                 GROUP BY TUMBLE(rowtime, INTERVAL '1' MINUTE)";
    let after = identity_of(count, STREAM, &PROTO.replace("string name", "bytes name")).0;
    assert_eq!(identity_of(count, STREAM, PROTO).0.verdict(&after).fate, StateFate::Kept);
}

#[test]
fn what_is_written_is_read_and_what_was_written_before_is_understood() {
    let (identity, planned) = identity_of(BASE, STREAM, PROTO);
    let stored = StoredState::read(&identity.to_bytes().unwrap());
    assert_eq!(stored, StoredState::Known(identity.clone()));

    let columns: Vec<String> = planned.plan.windows[0]
        .schema
        .fields()
        .iter()
        .map(|column| format!("{} {}", column.name(), column.data_type()))
        .collect();
    let former = json!({
        "query": planned.plan.explain, "windows": columns,
        "streams": [{"table": "data_stream", "schema": "t.Event", "timestamp": "at", "topics": ["events"]}],
    });
    let former = StoredState::read(former.to_string().as_bytes());
    assert_eq!(former.verdict(&identity, &planned).fate, StateFate::Kept);
    let (other, planned) = identity_of(&format!("{BASE} HAVING COUNT(*) > 5"), STREAM, PROTO);
    let verdict = former.verdict(&other, &planned);
    assert_eq!(verdict.fate, StateFate::Lost);
    assert!(verdict.reason.is_some_and(|reason| reason.contains("an earlier version")));

    for damaged in ["", "{}", "[]", "\u{0}", "{\"query\": 1}"] {
        let stored = StoredState::read(damaged.as_bytes());
        assert_eq!(stored, StoredState::Unreadable, "{damaged:?}");
        assert_eq!(stored.verdict(&other, &planned).fate, StateFate::Lost);
    }
    assert_eq!(StoredState::None.verdict(&other, &planned).fate, StateFate::None);
}
