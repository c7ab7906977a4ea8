//! `apply`, `diff` and `delete -f`: what files say becomes so.

use crate::server::{Ran, TestServer};
use serde_json::json;

const GROUP: &str = "apiVersion: millrace/v1\nkind: Group\nmetadata: {name: rides}\nspec: {description: Rides}\n";
const TOPIC: &str = "\
apiVersion: millrace/v1
kind: Topic
metadata: {name: trips, group: rides}
spec: {partitions: 2, schema: shop.v1.Booking}
";
const FIRST: &str = "\
apiVersion: millrace/v1
kind: Dagger
metadata: {name: first, group: rides}
spec:
  streams: [{topics: [trips], table: t}]
  sinks: [{kind: topic, topic: cheap}]
  sql: |
    SELECT order_number, amount
    FROM t WHERE amount < 10
";
/// Reads what the first one writes.
const SECOND: &str = "\
apiVersion: millrace/v1
kind: Dagger
metadata: {name: second, group: rides}
spec:
  streams: [{topics: [cheap], table: t}]
  sinks: [{kind: log}]
  sql: SELECT order_number FROM t
";

/// A folder whose files are in an order that does not work.
fn folder(server: &TestServer) -> String {
    server.file("city/a-second.yaml", SECOND);
    server.file("city/b/first.yml", FIRST);
    server.file(
        "city/b/z-topic.json",
        serde_json::to_string(&json!({
            "apiVersion": "millrace/v1", "kind": "Topic", "metadata": { "name": "trips", "group": "rides" },
            "spec": { "partitions": 2, "schema": "shop.v1.Booking" },
        }))
        .unwrap(),
    );
    server.file("city/notes.txt", "kind: of nothing");
    let group = server.file("city/z-group.yaml", GROUP);
    group.strip_suffix("/z-group.yaml").unwrap().to_owned()
}

fn lines(ran: &Ran) -> Vec<&str> {
    ran.stderr.lines().filter(|line| !line.starts_with("warning")).collect()
}

#[test]
fn a_folder_becomes_so_in_an_order_that_works() {
    let server = TestServer::with_bookings(1);
    let folder = folder(&server);
    let made = server.cli(&["apply", "-f", &folder, "--wait", "-o", "ndjson"]).ok();
    let expected = ["group rides created", "topic trips created", "dagger first created", "dagger second created"];
    assert_eq!(lines(&made)[..4], expected);
    assert_eq!(lines(&made)[4..], ["dagger first running", "dagger second running"]);
    let resources = made.lines();
    assert_eq!(resources.len(), 4);
    assert_eq!(
        (&resources[3]["metadata"]["name"], &resources[3]["status"]["state"]),
        (&json!("second"), &json!("running"))
    );

    let again = server.cli(&["apply", "-f", &folder]).ok();
    assert!(lines(&again).iter().all(|line| line.ends_with(" unchanged")), "{}", again.stderr);
    assert_eq!(again.stdout, "");
    server.file("city/z-group.yaml", GROUP.replace("Rides", "Rides and more"));
    let changed = server.cli(&["apply", "-f", &format!("{folder}/z-group.yaml"), "-f", &format!("{folder}/b")]).ok();
    assert_eq!(lines(&changed), ["group rides updated", "topic trips unchanged", "dagger first unchanged"]);

    // The topic that a dagger has made is in no file.
    let deleted = server.cli(&["delete", "-f", &folder]).failed_with(1, "owns the topic `cheap`");
    assert_eq!(lines(&deleted)[..3], ["dagger second deleted", "dagger first deleted", "topic trips deleted"]);
    server.cli(&["delete", "topic", "cheap"]).ok();
    let deleted = server.cli(&["delete", "-f", &folder]).ok();
    assert_eq!(lines(&deleted)[2..], ["topic trips was not there", "group rides deleted"]);
}

#[test]
fn what_is_shown_is_what_can_be_applied() {
    let server = TestServer::with_bookings(1);
    server.cli(&["apply", "-f", &folder(&server)]).ok();
    for kind in ["groups", "topics", "daggers", "dagger-clusters"] {
        let shown = server.cli(&["get", kind, "-o", "yaml"]).ok().stdout;
        let again = server.cli_with_input(&["apply", "-f", "-"], shown.as_bytes()).ok();
        assert!(lines(&again).iter().all(|line| line.ends_with(" unchanged")), "{}", again.stderr);
    }
    let shown = server.cli(&["get", "dagger", "first", "-o", "json"]).ok().stdout;
    server.cli_with_input(&["apply", "-f", "-"], shown.as_bytes()).ok();
}

#[test]
fn a_dry_run_checks_everything_and_makes_nothing() {
    let server = TestServer::with_bookings(1);
    let folder = folder(&server);
    let dry = server.cli(&["apply", "-f", &folder, "--dry-run"]).ok();
    assert_eq!(lines(&dry)[0], "group rides created (dry run)");
    // What the topics of this folder would be, no server knows yet.
    assert!(lines(&dry)[3].starts_with("dagger second not checked"), "{}", dry.stderr);
    server.cli(&["get", "topic", "trips"]).failed_with(3, "there is no topic");
    let wrong = server.file(
        "wrong.yaml",
        FIRST.replace("trips", "bookings").replace("rides", "default").replace("amount <", "amuont <"),
    );
    server.cli(&["apply", "--dry-run", "-f", &wrong]).failed_with(1, "wrong.yaml, line 9, in the SQL: line 2, column ");
    let dagger = server.file("dagger.yaml", FIRST.replace("trips", "bookings").replace("rides", "default"));
    server.cli(&["dagger", "apply", "--dry-run", "-f", &dagger]).ok();
    server.cli(&["get", "dagger", "first"]).failed_with(3, "there is no dagger");
}

#[test]
fn all_files_are_read_before_anything_is_sent() {
    let server = TestServer::with_bookings(1);
    let folder = folder(&server);
    let check = |name: &str, text: &str, place: &str, what: &str| {
        let file = server.file(&format!("city/{name}"), text);
        server.cli(&["apply", "-f", &folder]).failed_with(1, place).failed_with(1, what);
        std::fs::remove_file(file).unwrap();
        server.cli(&["get", "group", "rides"]).failed_with(3, "there is no group");
    };
    let two = |second: &str| format!("{TOPIC}---\n{second}");
    check("wrong.yaml", &two("kind: Tpoic\n"), "wrong.yaml, line 6: ", "did you mean `Topic`?");
    check("wrong.yaml", &two("kind: Topic\nmetadata: [\n"), "wrong.yaml: line 8, column ", "");
    check("wrong.yaml", &GROUP.replace("spec:", "spce:"), "wrong.yaml: line 4, column 1", "did you mean `spec`?");
    check("twice.yaml", GROUP, "the group rides is in ", "z-group.yaml, line 1");
    server.cli(&["apply", "-f", "nowhere"]).failed_with(1, "cannot read nowhere");
    server.cli_with_input(&["apply", "-f", "-"], b"# nothing\n").failed_with(1, "there is no document in -");
    server.cli(&["apply"]).failed_with(2, "--file");
}

#[test]
fn waiting_says_why_a_dagger_does_not_run() {
    let server = TestServer::with_bookings(1);
    let stopped = server.file(
        "stopped.yaml",
        FIRST.replace("sql:", "state: suspended\n  sql:").replace("trips", "bookings").replace("rides", "default"),
    );
    // One that is not to run is not waited for.
    server.cli(&["apply", "-f", &stopped, "--wait"]).ok();
    let file = server.file(
        "raw.yaml",
        "\
apiVersion: millrace/v1
kind: Dagger
metadata: {name: stuck}
spec:
  streams: [{topics: [raw], schema: shop.v1.Booking, onBadRecord: fail, table: t}]
  sinks: [{kind: log}]
  sql: SELECT order_number FROM t
",
    );
    server.cli(&["topic", "create", "raw"]).ok();
    let record = json!({ "valueBase64": "CgFhEA==" });
    assert_eq!(server.http_json("POST", "/api/v1/topics/raw/records", record).0, 200);
    let failed = server.cli(&["apply", "-f", &file, "--wait", "--timeout", "20s"]);
    // It may have been seen running for a moment before it met the record.
    if failed.code == 0 {
        let again = || server.cli(&["get", "dagger", "stuck", "-o", "json"]).json()["status"]["state"].clone();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while again() != "failed" {
            assert!(std::time::Instant::now() < deadline);
        }
        server.cli(&["apply", "-f", &file, "--wait"]).failed_with(1, "the dagger stuck has failed: ");
    } else {
        failed.failed_with(1, "the dagger stuck has failed: ");
    }
}

#[test]
fn a_difference_is_shown_and_can_be_an_exit_code() {
    let server = TestServer::with_bookings(1);
    let folder = folder(&server);
    let all = server.cli(&["diff", "-f", &folder]).ok().stdout;
    assert!(all.starts_with("--- /dev/null\n+++ group rides ("), "{all}");
    assert!(all.contains("+  description: Rides\n"), "{all}");
    server.cli(&["apply", "-f", &folder]).ok();
    let none = server.cli(&["diff", "-f", &folder, "--exit-code"]).ok();
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", ""));

    let file = server.file("city/b/first.yml", FIRST.replace("< 10", "< 20"));
    let found = server.cli(&["diff", "-f", &folder]).ok().stdout;
    let changed: Vec<&str> = found.lines().filter(|line| line.starts_with(['+', '-'])).collect();
    let title = format!("+++ dagger first ({file})");
    let expected =
        ["--- dagger first (generation 1)", &title, "-    FROM t WHERE amount < 10", "+    FROM t WHERE amount < 20"];
    assert_eq!(changed, expected, "{found}");
    let coded = server.cli(&["diff", "-f", &folder, "--exit-code", "-o", "json"]);
    assert_eq!(coded.code, 5, "{coded:?}");
    let found: serde_json::Value = serde_json::from_str(&coded.stdout).unwrap();
    assert_eq!((&found[2]["name"], &found[2]["change"]), (&json!("first"), &json!("updated")));
    server.file("city/b/first.yml", FIRST.replace("amount <", "amuont <"));
    server.cli(&["diff", "-f", &folder, "--exit-code"]).failed_with(1, "line 9, in the SQL");
    // Looking has changed nothing.
    assert_eq!(server.cli(&["get", "dagger", "first", "-o", "json"]).json()["metadata"]["generation"], 1);
}

#[test]
fn what_comes_from_a_file_says_so() {
    let server = TestServer::with_bookings(1);
    let file = server.file("topic.yaml", TOPIC.replace(", group: rides", ""));
    let origin = |server: &TestServer| -> String {
        let shown = server.cli(&["topic", "show", "trips", "-o", "json"]).ok().json();
        shown["metadata"]["updatedFrom"].as_str().unwrap_or_default().to_owned()
    };
    server.cli(&["apply", "-f", &file]).ok();
    assert_eq!(origin(&server), "file");
    let mut topic = server.cli(&["topic", "show", "trips", "-o", "json"]).ok().json();
    topic["spec"]["description"] = json!("of all cities");
    // What a server has said of a resource can be sent back.
    assert_eq!(server.http_json("POST", "/api/v1/apply", topic).0, 200);
    assert_eq!(origin(&server), "api");
    server.cli(&["topic", "create", "other", "--schema", "shop.v1.Booking"]).ok();
    let other = server.cli(&["topic", "show", "other", "-o", "json"]).ok().json();
    assert_eq!(other["metadata"]["updatedFrom"], "command-line");
}
