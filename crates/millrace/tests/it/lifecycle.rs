use crate::server::{BINARY, TestServer, run};
use std::process::Command;

#[test]
fn it_answers_and_ends_cleanly_on_either_signal() {
    for signal in ["INT", "TERM"] {
        let server = TestServer::start();
        assert_eq!(server.http("GET", "/healthz", &[], b"").0, 200);
        assert_eq!(server.http("GET", "/readyz", &[], b"").0, 200);
        let file = server.data_dir().join("server.json");
        let written: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
        assert_eq!(written["url"], server.url);
        let (code, directory) = server.stop(signal);
        assert_eq!(code, 0, "after SIG{signal}");
        assert!(!directory.path().join("data/server.json").exists());
    }
}

#[test]
fn a_second_server_on_the_same_directory_is_refused() {
    let server = TestServer::start();
    let data_dir = server.data_dir();
    let output =
        Command::new(BINARY).args(["up", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&data_dir).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("is in use by process"), "{stderr}");
    assert!(output.stdout.is_empty());
    // The first is not disturbed.
    assert_eq!(server.http("GET", "/healthz", &[], b"").0, 200);
    server.cli(&["topic", "list"]).ok();
}

#[test]
fn a_taken_port_is_said() {
    let server = TestServer::start();
    let address = server.url.strip_prefix("http://").unwrap().to_owned();
    run(&["up", "--listen", &address, "--data-dir", "other"], server.directory.path())
        .failed_with(1, "cannot listen on")
        .failed_with(1, "hint:");
}

#[test]
fn a_server_is_found_through_its_data_directory() {
    let server = TestServer::start();
    let data_dir = server.data_dir();
    run(&["--data-dir", data_dir.to_str().unwrap(), "topic", "list"], server.directory.path()).ok();
    // The default data directory is `data` where the command runs.
    run(&["topic", "list"], server.directory.path()).ok();
}

#[test]
fn what_was_acknowledged_is_there_after_kill_9() {
    let server = TestServer::with_bookings(2);
    let records = b"{\"orderNumber\": \"a\", \"amount\": 1}\n{\"orderNumber\": \"b\", \"amount\": 2}\n";
    server.cli_with_input(&["topic", "produce", "bookings", "--file", "-"], records).ok();
    let server = TestServer::start_in(server.kill(), &[]);
    let shown = server.cli(&["-o", "ndjson", "topic", "tail", "bookings"]).lines();
    let orders: Vec<&str> = shown.iter().filter_map(|record| record["value"]["order_number"].as_str()).collect();
    assert_eq!(orders, ["a", "b"]);
    assert_eq!(server.cli(&["-o", "json", "schema", "list"]).json()[0]["metadata"]["name"], "shop.v1.Booking");
    let topics = server.cli(&["-o", "json", "topic", "list"]).json();
    assert_eq!(topics[0]["spec"]["partitions"], 2);
    assert_eq!(topics[0]["status"]["records"], 2);
}
