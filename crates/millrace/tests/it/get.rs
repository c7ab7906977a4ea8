//! `get`, `delete`, and the commands of tokens, secrets and of a dagger's past.

use crate::server::{TOKEN, TestServer, run};
use serde_json::{Value, json};

const DAGGER: &str = "\
apiVersion: millrace/v1
kind: Dagger
metadata: {name: orders}
spec:
  streams: [{topics: [bookings], table: t}]
  sinks: [{kind: log}]
  sql: SELECT order_number, rowtime FROM t
";

/// Without what others change who write to the same disk.
fn without_disk(mut listed: Value) -> Value {
    for item in listed.as_array_mut().unwrap() {
        if let Some(status) = item.get_mut("status").and_then(Value::as_object_mut) {
            status.remove("diskFreeBytes");
        }
    }
    listed
}

#[test]
fn every_kind_is_listed_and_shown() {
    let server = TestServer::with_bookings(1);
    server.cli(&["apply", "-f", &server.file("d.yaml", DAGGER)]).ok();
    server.cli_with_input(&["secret", "set", "pager"], b"open sesame\n").ok();
    server.cli(&["token", "create", "nightly"]).ok();
    for (kind, plural, name) in [
        ("dagger", "daggers", "orders"),
        ("topic", "topics", "bookings"),
        ("schema", "schemas", "shop.v1.Booking"),
        ("group", "groups", "default"),
        ("dagger-cluster", "dagger-clusters", "embedded"),
        ("kafka-cluster", "kafka-clusters", "embedded"),
        ("secret", "secrets", "pager"),
        ("user", "users", "admin"),
        ("token", "tokens", "nightly"),
    ] {
        let listed = server.cli(&["get", plural, "-o", "json"]).json();
        assert!(listed.to_string().contains(name), "{kind}: {listed}");
        assert_eq!(without_disk(server.cli(&["get", kind, "-o", "json"]).json()), without_disk(listed));
        let table = server.cli(&["get", kind]).ok().stdout;
        assert!(table.lines().next().unwrap().contains("NAME") || kind == "schema", "{table}");
        assert!(table.contains(name), "{table}");
        let one = server.cli(&["get", kind, name, "-o", "json"]).json();
        assert!(one.to_string().contains(name), "{kind}: {one}");
        server.cli(&["get", kind, "nothing-of-this-name"]).failed_with(3, "there is no ");
    }
    server.cli(&["get", "secret", "paegr"]).failed_with(3, "did you mean `pager`?");
    server.cli(&["get", "dager"]).failed_with(2, "dagger");
    let audit = server.cli(&["get", "audit", "orders", "-o", "ndjson"]).lines();
    assert_eq!((audit.len(), &audit[0]["action"]), (1, &json!("create")));
    let audit = server.cli(&["get", "audit", "--limit", "2"]).ok();
    assert_eq!(audit.stdout.lines().count(), 3);
    assert!(audit.stderr.contains("--limit shows more"), "{}", audit.stderr);
}

#[test]
fn the_built_in_kafka_cluster_is_seen_and_stays() {
    let server = TestServer::with_bookings(2);
    server.cli_with_input(&["topic", "produce", "bookings", "-f", "-"], b"{}\n{}\n{}\n").ok();
    let cluster = server.cli(&["get", "kafka-cluster", "embedded", "-o", "json"]).json();
    assert_eq!(cluster["spec"], json!({ "type": "embedded" }));
    let status = &cluster["status"];
    assert_eq!((&status["state"], &status["topics"]), (&json!("running"), &json!(1)));
    assert_eq!((&status["partitions"], &status["records"]), (&json!(2), &json!(3)));
    assert!(status["bytes"].as_u64().unwrap() > 0 && status["diskFreeBytes"].as_u64().unwrap() > 0, "{status}");
    assert!(std::path::Path::new(status["directory"].as_str().unwrap()).is_dir(), "{status}");
    let listed = server.http_json("GET", "/api/v1/kafka-clusters?sort=-size&limit=1", json!({})).1;
    assert_eq!((&listed["total"], &listed["items"][0]["metadata"]["name"]), (&json!(1), &json!("embedded")));

    // What was got can be applied, and nothing else can.
    let written = server.cli(&["get", "kafka-clusters", "-o", "yaml"]).ok().stdout;
    let applied = server.cli_with_input(&["apply", "-f", "-"], written.as_bytes()).ok();
    assert!(applied.stderr.contains("unchanged"), "{}", applied.stderr);
    let apply = |metadata: &str, spec: &str| {
        let text = format!("apiVersion: millrace/v1\nkind: KafkaCluster\nmetadata: {metadata}\nspec: {spec}\n");
        server.cli_with_input(&["apply", "-f", "-"], text.as_bytes())
    };
    apply("{name: embedded, labels: {a: b}}", "{type: embedded}").failed_with(1, "is built in and cannot be changed");
    apply("{name: other}", "{type: embedded}").failed_with(1, "`metadata.name` is `other`");
    apply("{name: embedded}", "{type: kafka, bootstrap: ['a:1']}").failed_with(1, "is built in and cannot be changed");
    apply("{name: other}", "{type: kafak}").failed_with(1, "did you mean `kafka`?");
    apply("{name: other}", "{type: kafka}").failed_with(1, "there is no address");
    server.cli(&["delete", "kafka-cluster", "embedded"]).failed_with(1, "is built in and cannot be deleted");
    let again = server.cli(&["get", "kafka-cluster", "embedded", "-o", "json"]).json();
    assert_eq!(again["metadata"], cluster["metadata"]);
}

#[test]
fn a_kafka_cluster_is_tested_before_and_after_it_is_applied() {
    let server = TestServer::with_bookings(1);
    // Its name is also a word of the API.
    let text = "apiVersion: millrace/v1\nkind: KafkaCluster\nmetadata: {name: test}\n\
                spec: {type: kafka, bootstrap: ['127.0.0.1:1']}\n";
    let nobody = "address: 127.0.0.1:1: nobody answers";
    let tested = server.cli_with_input(&["kafka-cluster", "test", "-f", "-"], text.as_bytes());
    assert!(tested.stdout.contains("notReached"), "{}", tested.stdout);
    tested.failed_with(1, nobody);
    server.cli(&["get", "kafka-cluster", "test"]).failed_with(3, "there is no Kafka cluster `test`");
    server.cli_with_input(&["apply", "-f", "-"], text.as_bytes()).ok();
    let shown = server.cli(&["get", "kafka-cluster", "test", "-o", "json"]).json();
    assert_eq!((&shown["status"]["state"], &shown["spec"]["prefix"]), (&json!("unreachable"), &json!("millrace-")));
    server.cli(&["kafka-cluster", "test", "test"]).failed_with(1, nobody);
    server.cli(&["kafka-cluster", "topics", "test"]).failed_with(1, "no broker answers at its address");
    server.cli(&["kafka-cluster", "topics", "embedded", "--search", "book"]).ok();
    server.cli(&["kafka-cluster", "test", "embedded"]).failed_with(1, "there is no connection to test");
    server.cli(&["delete", "kafka-cluster", "test"]).ok();
}

#[test]
fn lists_are_filtered_sorted_and_cut() {
    let server = TestServer::with_bookings(1);
    server
        .cli(&[
            "apply",
            "-f",
            &server.file("g.yaml", "apiVersion: millrace/v1\nkind: Group\nmetadata: {name: rides}\nspec: {}\n"),
        ])
        .ok();
    for (name, group, state) in [("a", "rides", "running"), ("b", "default", "suspended"), ("c", "rides", "suspended")]
    {
        let text = DAGGER.replace("name: orders", &format!("name: {name}, group: {group}"));
        server.cli_with_input(&["apply", "-f", "-"], format!("{text}  state: {state}\n").as_bytes()).ok();
    }
    let names = |filters: &[&str]| {
        let listed = server.cli(&[&["get", "daggers", "-o", "ndjson"], filters].concat()).lines();
        listed
            .iter()
            .map(|dagger| dagger["metadata"]["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(names(&[]), "a b c");
    assert_eq!(names(&["--group", "rides"]), "a c");
    assert_eq!(names(&["--state", "suspended", "--group", "rides"]), "c");
    assert_eq!(names(&["--sort", "-name"]), "c b a");
    assert_eq!(names(&["--search", "order_number rides", "--limit", "1"]), "a");
    let cut = server.cli(&["get", "daggers", "--limit", "2"]).ok();
    assert_eq!((cut.stdout.lines().count(), cut.stderr.trim()), (3, "2 of 3; --limit shows more"));
    server.cli(&["get", "topics", "--state", "running"]).failed_with(2, "--state says nothing");
    server.cli(&["get", "users", "--group", "rides"]).failed_with(2, "--group says nothing");
    server.cli(&["get", "dagger", "a", "--search", "x"]).failed_with(2, "by its name");
    server.cli(&["get", "daggers", "--sort", "nam"]).failed_with(1, "did you mean `name`?");
    let many: String = (0..1_005)
        .map(|n| format!("apiVersion: millrace/v1\nkind: Group\nmetadata: {{name: g{n}}}\nspec: {{}}\n---\n"))
        .collect();
    server.cli_with_input(&["apply", "-f", "-"], many.as_bytes()).ok();
    assert_eq!(server.cli(&["get", "groups", "-o", "ndjson"]).lines().len(), 1_007);
    assert_eq!(server.cli(&["get", "audit", "--limit", "1005", "-o", "ndjson"]).lines().len(), 1_005);
}

#[test]
fn what_is_named_is_deleted() {
    let server = TestServer::with_bookings(1);
    server.cli(&["apply", "-f", &server.file("d.yaml", DAGGER)]).ok();
    server.cli(&["delete", "topic", "bookings"]).failed_with(1, "reads the topic");
    server.cli(&["delete", "daggers", "orders"]).ok();
    server.cli(&["delete", "topic", "bookings"]).ok();
    server.cli(&["delete", "topic", "bookings"]).failed_with(3, "there is no topic");
    server.cli(&["delete", "schema", "shop.v1.Booking"]).failed_with(2, "stays");
    server.cli(&["delete"]).failed_with(2, "<KIND>");
    server.cli(&["delete", "topic"]).failed_with(2, "NAME");
    // With files, what is gone is as it should be.
    let gone = server.cli(&["delete", "-f", &server.file("d.yaml", DAGGER)]).ok();
    assert_eq!(gone.stderr.trim(), "dagger orders was not there");
}

#[test]
fn a_token_is_made_used_and_revoked() {
    let server = TestServer::start();
    let made = server.cli(&["token", "create", "nightly", "--scope", "find:resources", "--expires-in", "30d"]).ok();
    let secret = made.stdout.trim().to_owned();
    assert!(secret.starts_with("mlr_"), "{secret}");
    let with = |arguments: &[&str]| {
        run(&[&["--server", &server.url, "--token", &secret], arguments].concat(), server.directory.path())
    };
    with(&["topic", "list"]).ok();
    with(&["topic", "create", "t"]).failed_with(1, "nightly");
    let listed = server.cli(&["token", "list", "-o", "json"]).json();
    let nightly = listed.as_array().unwrap().iter().find(|token| token["name"] == "nightly").unwrap();
    assert_eq!(nightly["scopes"], json!(["find:resources"]));
    assert!(nightly["expires"].is_string() && !listed.to_string().contains(&secret));
    server.cli(&["token", "delete", nightly["id"].as_str().unwrap()]).ok();
    with(&["topic", "list"]).failed_with(1, "revoked");
    server.cli(&["token", "create", "x", "--scope", "find:resorces"]).failed_with(1, "did you mean `find:resources`?");
    server.cli(&["token", "create", "x", "--expires-in", "soon"]).failed_with(1, "expiresIn");
}

#[test]
fn a_secret_goes_in_and_never_comes_out() {
    let server = TestServer::start();
    server.cli_with_input(&["secret", "set", "pager"], b"open sesame\n").ok();
    let file = server.file("value.txt", "from a file\n");
    server.cli(&["secret", "set", "database", "--group", "default", "--from-file", &file]).ok();
    server.cli_with_input(&["secret", "set", "empty"], b"\n").failed_with(2, "is empty");
    server.cli_with_input(&["secret", "set", "x", "--group", "nowhere"], b"v").failed_with(3, "there is no group");
    let listed = server.cli(&["secret", "list", "-o", "json"]).json();
    let names: Vec<&Value> = listed.as_array().unwrap().iter().map(|secret| &secret["name"]).collect();
    assert_eq!(names, ["database", "pager"]);
    for (_, content) in walk(&server.data_dir()) {
        assert!(!content.windows(11).any(|window| window == b"open sesame" || window == b"from a file"));
    }
    server.cli(&["secret", "delete", "pager"]).ok();
    server.cli(&["secret", "delete", "pager"]).failed_with(3, "there is no secret");
    assert!(!server.cli(&["get", "audit", "-o", "json"]).ok().stdout.contains(TOKEN));
}

fn walk(folder: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(walk(&path)),
            false => found.push((path.clone(), std::fs::read(&path).unwrap())),
        }
    }
    found
}

#[test]
fn a_dagger_is_forked_published_and_rolled_back() {
    let server = TestServer::with_bookings(1);
    server.cli(&["dagger", "apply", "--wait", "-f", &server.file("d.yaml", DAGGER)]).ok();
    let wider = DAGGER.replace("order_number, rowtime", "order_number, amount, rowtime");
    server.cli(&["dagger", "apply", "-f", &server.file("d.yaml", wider)]).ok();
    let copy = server.cli(&["dagger", "fork", "orders", "mine", "-o", "json"]).json();
    assert_eq!((&copy[0]["spec"]["state"], &copy[0]["metadata"]["group"]), (&json!("suspended"), &json!("default")));
    server.cli(&["dagger", "fork", "orders", "mine"]).failed_with(1, "already");
    let published =
        server.cli(&["dagger", "publish", "orders", "order-log", "--key", "order_number", "-o", "json"]).json();
    assert_eq!(
        published[0]["spec"]["sinks"][1],
        json!({"kind": "topic", "topic": "order-log", "key": ["order_number"]})
    );
    server.cli(&["get", "topic", "order-log"]).ok();

    let revisions = server.cli(&["dagger", "revisions", "orders", "-o", "ndjson"]).lines();
    let generations: Vec<&Value> = revisions.iter().map(|revision| &revision["generation"]).collect();
    assert_eq!(generations, [3, 2, 1]);
    let back = server.cli(&["dagger", "rollback", "orders", "1", "-o", "json"]).json();
    assert_eq!(
        (&back[0]["metadata"]["generation"], &back[0]["spec"]["sql"]),
        (&json!(4), &json!("SELECT order_number, rowtime FROM t"))
    );
    server.cli(&["dagger", "rollback", "orders", "9"]).failed_with(3, "has no revision 9");
    let history = server.cli(&["dagger", "history", "orders"]).ok().stdout;
    assert!(history.lines().next().unwrap().starts_with("AT"), "{history}");
    assert!(history.contains("running"), "{history}");
}
