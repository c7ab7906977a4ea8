//! Who comes in, and what they may do, as programs and browsers see it.

use crate::server::{Answer, BINARY, TOKEN, TestServer, run};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const NOBODY: (&str, &str) = ("authorization", "");

fn send(server: &TestServer, as_whom: (&str, &str), method: &str, path: &str, body: &Value) -> Answer {
    server.http_with_headers(
        method,
        path,
        &[as_whom, ("content-type", "application/json")],
        body.to_string().as_bytes(),
    )
}

fn admin(server: &TestServer, method: &str, path: &str, body: &Value) -> Answer {
    let answer = send(server, ("authorization", &format!("Bearer {TOKEN}")), method, path, body);
    assert!(answer.status < 300, "{answer:?}");
    answer
}

/// Somebody with a role in a group, logged in as a browser is; the `cookie` header.
fn member(server: &TestServer, name: &str, group: &str, role: &str) -> String {
    let made = admin(server, "POST", "/api/v1/users", &json!({ "name": name })).json();
    admin(server, "POST", &format!("/api/v1/groups/{group}/members"), &json!({ "user": name, "role": role }));
    let accepted = json!({ "invitation": made["invitation"], "password": "a long enough one" });
    let answer = send(server, NOBODY, "POST", "/api/v1/session/invitation", &accepted);
    assert_eq!(answer.status, 204, "{answer:?}");
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    cookie.split(';').next().unwrap().to_owned()
}

fn group(server: &TestServer, name: &str) {
    admin(server, "POST", "/api/v1/groups", &json!({ "name": name }));
}

fn dagger(name: &str, group: &str) -> String {
    format!(
        "apiVersion: millrace/v1\nkind: Dagger\nmetadata: {{name: {name}, group: {group}}}\nspec:\n  streams:\n    - topics: \
         [bookings]\n      table: b\n  sql: SELECT order_number, rowtime FROM b\n"
    )
}

#[test]
fn an_admin_of_the_platform_makes_another() {
    let server = TestServer::start();
    group(&server, "rides");
    let rani = member(&server, "rani", "rides", "admin");
    let as_rani = |method: &str, path: &str, body: &Value| send(&server, ("cookie", &rani), method, path, body);
    let (yes, no) = (json!({ "platformAdmin": true }), json!({ "platformAdmin": false }));
    assert_eq!(as_rani("PUT", "/api/v1/users/rani", &yes).json()["code"], "forbidden");
    let refused = send(&server, ("authorization", &format!("Bearer {TOKEN}")), "PUT", "/api/v1/users/admin", &no);
    assert_eq!((refused.status, refused.json()["code"].as_str()), (409, Some("last_admin")));
    let made = admin(&server, "PUT", "/api/v1/users/rani", &yes).json();
    assert_eq!((&made["name"], &made["admin"]), (&json!("rani"), &json!(true)));
    assert_eq!(as_rani("GET", "/api/v1/session", &json!({})).json()["user"]["admin"], true);
    // It takes effect at once, both ways.
    server.cli(&["user", "set", "rani", "--platform-admin", "false"]).ok();
    assert_eq!(as_rani("PUT", "/api/v1/users/rani", &yes).status, 403);
    server.cli(&["user", "set", "nobody-of-this-name", "--platform-admin", "true"]).failed_with(3, "there is no user");
    server.cli(&["user", "set", "rani", "--platform-admin", "perhaps"]).failed_with(2, "perhaps");
    let audit = admin(&server, "GET", "/api/v1/audit?kind=User&name=rani", &json!({})).json();
    let actions: Vec<&str> =
        audit["items"].as_array().unwrap().iter().map(|it| it["action"].as_str().unwrap()).collect();
    assert_eq!(actions[..2], ["update", "update"], "{audit}");
    let members = admin(&server, "GET", "/api/v1/groups/rides/members", &json!({})).json();
    let since: Vec<&Value> = members["items"].as_array().unwrap().iter().map(|member| &member["since"]).collect();
    assert!(since.iter().all(|since| since.as_str().is_some_and(|at| at.ends_with('Z'))), "{members}");
}

#[test]
fn nobody_gets_nothing_but_what_is_open() {
    let server = TestServer::start();
    for path in ["/healthz", "/readyz", "/api/v1/version", "/api/v1/session"] {
        assert_eq!(server.http("GET", path, &[NOBODY], b"").0, 200, "{path}");
    }
    let session = send(&server, NOBODY, "GET", "/api/v1/session", &json!({})).json();
    assert_eq!((&session["user"], &session["setupNeeded"]), (&Value::Null, &json!(true)));
    let refused = send(&server, NOBODY, "GET", "/api/v1/daggers", &json!({}));
    assert_eq!((refused.status, refused.json()["code"].as_str()), (401, Some("login_needed")));
    let wrong = send(&server, ("authorization", "Bearer mlr_wrong"), "GET", "/api/v1/daggers", &json!({}));
    assert_eq!((wrong.status, wrong.json()["code"].as_str()), (401, Some("token_invalid")));
    let elsewhere = tempfile::tempdir().unwrap();
    run(&["--server", &server.url, "topic", "list"], elsewhere.path())
        .failed_with(1, "log in first")
        .failed_with(1, "MILLRACE_TOKEN");
}

#[test]
fn the_token_of_the_data_directory_is_for_its_owner_and_its_server() {
    let server = TestServer::start();
    let file = server.data_dir().join("token");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let data_dir = server.data_dir();
    let data_dir = data_dir.to_str().unwrap();
    run(&["--data-dir", data_dir, "topic", "list"], server.directory.path()).ok();
    // The user who runs the server is let in from anywhere, by its address alone.
    let elsewhere = tempfile::tempdir().unwrap();
    let by_address = || {
        let mut command = Command::new(BINARY);
        command.args(["--server", &server.url, "topic", "list"]).current_dir(elsewhere.path());
        command.env("XDG_CONFIG_HOME", elsewhere.path()).env_remove("MILLRACE_DATA_DIR");
        command
    };
    let state = server.directory.path().join("state");
    assert!(by_address().env("XDG_STATE_HOME", state).output().unwrap().status.success());
    assert!(!by_address().env("XDG_STATE_HOME", elsewhere.path()).output().unwrap().status.success());
    // Another server is not told it.
    let other = TestServer::start();
    run(&["--data-dir", data_dir, "--server", &other.url, "topic", "list"], server.directory.path())
        .failed_with(1, "log in first");
}

#[test]
fn a_link_sets_a_password_once_and_a_session_ends() {
    let server = TestServer::start();
    let made = admin(&server, "POST", "/api/v1/users", &json!({ "name": "rani" })).json();
    assert!(made["link"].as_str().unwrap().starts_with("/welcome#mlr_"));
    let short = json!({ "invitation": made["invitation"], "password": "short" });
    let refused = send(&server, NOBODY, "POST", "/api/v1/session/invitation", &short);
    assert_eq!((refused.status, refused.json()["code"].as_str()), (422, Some("password_invalid")));
    let accepted = json!({ "invitation": made["invitation"], "password": "a long enough one" });
    assert_eq!(send(&server, NOBODY, "POST", "/api/v1/session/invitation", &accepted).status, 204);
    assert_eq!(send(&server, NOBODY, "POST", "/api/v1/session/invitation", &accepted).status, 401);

    let login = |password: &str| {
        send(&server, NOBODY, "POST", "/api/v1/session", &json!({ "name": "rani", "password": password }))
    };
    assert_eq!(login("wrong password").json()["code"], "login_failed");
    let session = login("a long enough one");
    let cookie = session.header("set-cookie").unwrap().split(';').next().unwrap().to_owned();
    let shown = send(&server, ("cookie", &cookie), "GET", "/api/v1/session", &json!({})).json();
    assert_eq!((&shown["user"]["name"], &shown["via"]), (&json!("rani"), &json!("session")));
    // Without a group: nothing may be changed, what is open may be read.
    assert_eq!(shown["permissions"]["write:daggers"], json!([]));
    assert_eq!(shown["permissions"]["read:records"], json!(["default"]));
    assert_eq!(send(&server, ("cookie", &cookie), "DELETE", "/api/v1/session", &json!({})).status, 204);
    assert_eq!(send(&server, ("cookie", &cookie), "GET", "/api/v1/daggers", &json!({})).status, 401);
    for _ in 0..10 {
        login("wrong password");
    }
    assert_eq!(login("a long enough one").status, 429);
}

#[test]
fn roles_count_in_their_group() {
    let server = TestServer::with_bookings(1);
    for name in ["rides", "food"] {
        group(&server, name);
    }
    let (viewer, editor) = (member(&server, "viewer", "rides", "viewer"), member(&server, "editor", "rides", "editor"));
    let post = |cookie: &str, yaml: String| {
        server.http_with_headers("POST", "/api/v1/daggers", &[("cookie", cookie)], yaml.as_bytes())
    };
    let refused = post(&viewer, dagger("d", "rides"));
    assert_eq!((refused.status, refused.json()["code"].as_str()), (403, Some("forbidden")));
    assert!(refused.json()["hint"].as_str().unwrap().contains("editor"), "{refused:?}");
    assert_eq!(post(&editor, dagger("d", "food")).status, 403);
    let made = post(&editor, dagger("d", "rides"));
    assert_eq!(made.status, 200, "{made:?}");
    assert_eq!(made.json()["resource"]["metadata"]["createdBy"], "editor");
    // Found by everybody, changed by the group.
    assert_eq!(send(&server, ("cookie", &viewer), "GET", "/api/v1/daggers/d", &json!({})).status, 200);
    assert_eq!(send(&server, ("cookie", &viewer), "POST", "/api/v1/daggers/d/stop", &json!({})).status, 403);
    // Forked into a group of one's own, asleep, with a measurement of its own.
    let fork = json!({ "name": "mine", "group": "rides" });
    assert_eq!(send(&server, ("cookie", &viewer), "POST", "/api/v1/daggers/d/fork", &fork).status, 403);
    let forked = send(&server, ("cookie", &editor), "POST", "/api/v1/daggers/d/fork", &fork);
    assert_eq!(forked.status, 201, "{forked:?}");
    let spec = forked.json()["resource"]["spec"].clone();
    assert_eq!((&spec["state"], &spec["sinks"][0]["measurement"]), (&json!("suspended"), &json!("mine")));

    let log = admin(&server, "GET", "/api/v1/audit?kind=Dagger", &json!({})).json();
    let seen: Vec<(&str, &str)> = log["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (entry["actor"].as_str().unwrap(), entry["name"].as_str().unwrap()))
        .collect();
    assert_eq!(seen, [("editor", "mine"), ("editor", "d")]);
    assert_eq!(send(&server, ("cookie", &editor), "GET", "/api/v1/audit", &json!({})).status, 403);
}

#[test]
fn records_of_a_closed_group_are_for_its_members() {
    let server = TestServer::with_bookings(1);
    let stranger = member(&server, "stranger", "default", "viewer");
    admin(&server, "DELETE", "/api/v1/groups/default/members/stranger", &json!({}));
    let read = |path: &str| send(&server, ("cookie", &stranger), "GET", path, &json!({})).status;
    assert_eq!(read("/api/v1/topics/bookings/records"), 200, "the default group is open");
    admin(&server, "PUT", "/api/v1/groups/default", &json!({ "openRecords": false }));
    assert_eq!(read("/api/v1/topics/bookings/records"), 403);
    assert_eq!(read("/api/v1/topics/bookings"), 200, "everything can be found");
    let preview = dagger("p", "default");
    let refused =
        server.http_with_headers("POST", "/api/v1/daggers/preview", &[("cookie", &stranger)], preview.as_bytes());
    assert_eq!(refused.status, 403, "{refused:?}");
    let refused = send(&server, ("cookie", &stranger), "POST", "/api/v1/sql", &json!({ "sql": "SELECT 1" }));
    assert_eq!(refused.status, 403);
}

#[test]
fn a_token_can_have_less_than_its_owner() {
    let server = TestServer::start();
    let asked = json!({ "name": "nightly", "scopes": ["find:resources"], "expiresIn": "1h" });
    let made = admin(&server, "POST", "/api/v1/tokens", &asked).json();
    let secret = format!("Bearer {}", made["secret"].as_str().unwrap());
    let token = ("authorization", secret.as_str());
    assert_eq!(send(&server, token, "GET", "/api/v1/topics", &json!({})).status, 200);
    let refused = send(&server, token, "POST", "/api/v1/groups", &json!({ "name": "g" }));
    assert!(refused.json()["hint"].as_str().unwrap().contains("nightly"), "{refused:?}");
    let more = send(&server, token, "POST", "/api/v1/tokens", &json!({ "name": "more", "scopes": ["write:platform"] }));
    assert_eq!(more.json()["code"], "scope_invalid");
    // Not even for one who asks twice is a secret kept: the second is told that the token is there.
    let asked = json!({ "name": "pressed" }).to_string();
    let bearer = format!("Bearer {TOKEN}");
    let press = || {
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", "press")];
        server.http_with_headers("POST", "/api/v1/tokens", &headers, asked.as_bytes())
    };
    assert_eq!((press().status, press().json()["code"].as_str()), (201, Some("token_exists")));
    let listed = admin(&server, "GET", "/api/v1/tokens", &json!({}));
    assert!(!listed.body.contains(made["secret"].as_str().unwrap()));
    let id = made["token"]["id"].as_str().unwrap();
    admin(&server, "DELETE", &format!("/api/v1/tokens/{id}"), &json!({}));
    assert_eq!(send(&server, token, "GET", "/api/v1/topics", &json!({})).status, 401);
}

#[test]
fn a_change_is_made_once_and_only_to_what_was_seen() {
    let server = TestServer::with_bookings(1);
    let bearer = format!("Bearer {TOKEN}");
    let post = |headers: &[(&str, &str)], body: &str| {
        let headers = [&[("authorization", bearer.as_str())], headers].concat();
        server.http_with_headers("POST", "/api/v1/topics", &headers, body.as_bytes())
    };
    let topic = "apiVersion: millrace/v1\nkind: Topic\nmetadata: {name: once}\nspec: {partitions: 1}\n";
    let first = post(&[("idempotency-key", "press-1")], topic);
    let second = post(&[("idempotency-key", "press-1")], topic);
    assert_eq!((first.status, second.status), (201, 201), "{second:?}");
    assert_eq!((first.body.as_str(), second.header("idempotency-replayed")), (second.body.as_str(), Some("true")));
    assert_eq!(post(&[("idempotency-key", "press-2")], topic).status, 409, "another press is another order");
    let other = post(&[("idempotency-key", "press-1")], &topic.replace("once", "twice"));
    assert_eq!(other.json()["code"], "idempotency_key_reused");

    let apply = |headers: &[(&str, &str)], yaml: String| {
        let headers = [&[("authorization", bearer.as_str())], headers].concat();
        server.http_with_headers("POST", "/api/v1/daggers", &headers, yaml.as_bytes())
    };
    let dry = server.http_with_headers("POST", "/api/v1/daggers?dryRun=true", &[], dagger("d", "default").as_bytes());
    assert_eq!((dry.status, dry.json()["change"].as_str()), (200, Some("created")));
    assert_eq!(server.http("GET", "/api/v1/daggers/d", &[], b"").0, 404);
    let made = apply(&[], dagger("d", "default"));
    assert_eq!(made.header("etag"), Some("\"1\""));
    let wider = dagger("d", "default").replace("rowtime FROM", "amount, rowtime FROM");
    assert_eq!(apply(&[("if-match", "\"1\"")], wider).header("etag"), Some("\"2\""));
    let stale = apply(&[("if-match", "\"1\"")], dagger("d", "default"));
    assert_eq!((stale.status, stale.json()["code"].as_str()), (412, Some("generation_conflict")));
    let stopped = send(&server, ("authorization", &bearer), "POST", "/api/v1/daggers/d/stop", &json!({}));
    assert_eq!(stopped.json()["spec"]["state"], "suspended");
    // A document that does not speak of it leaves it asleep.
    assert_eq!(apply(&[], dagger("d", "default")).json()["resource"]["spec"]["state"], "suspended");
}

#[test]
fn other_machines_come_by_https_or_not_at_all() {
    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(BINARY)
        .args(["up", "--listen", "0.0.0.0:0", "--data-dir"])
        .arg(directory.path().join("data"))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("--behind-proxy"), "{stderr}");
}
