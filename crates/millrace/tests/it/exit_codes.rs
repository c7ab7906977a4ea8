use crate::server::{TestServer, run};

#[test]
fn the_exit_code_tells_what_went_wrong() {
    let server = TestServer::with_bookings(1);
    // 1: an error
    server.cli(&["topic", "create", "bookings"]).failed_with(1, "exists already");
    server.cli(&["sql", "SELECT * FROM nothing"]).failed_with(1, "error:");
    // 2: wrong usage
    server.cli(&["topic", "create"]).failed_with(2, "Usage");
    server.cli(&["tpoic"]).failed_with(2, "topic");
    server.cli(&["topic", "produce", "bookings", "--file", "records.txt"]).failed_with(2, "--format");
    // 3: not found, with the nearest name
    server.cli(&["topic", "show", "booking"]).failed_with(3, "did you mean `bookings`?");
    server.cli(&["topic", "tail", "booking"]).failed_with(3, "did you mean `bookings`?");
    server.cli(&["schema", "show", "shop.v1.Bokking"]).failed_with(3, "did you mean `shop.v1.Booking`?");
    server
        .cli_with_input(&["topic", "produce", "nothing", "-f", "-"], b"{}\n")
        .failed_with(3, "there is no topic `nothing`");
    // 0, and nothing but data on stdout
    let list = server.cli(&["-o", "json", "topic", "list"]).ok();
    assert!(list.stderr.is_empty(), "{}", list.stderr);
}

#[test]
fn a_server_that_is_not_there_is_said() {
    let directory = tempfile::tempdir().unwrap();
    run(&["--server", "http://127.0.0.1:1", "topic", "list"], directory.path())
        .failed_with(1, "no server answers at http://127.0.0.1:1")
        .failed_with(1, "millrace up");
}

#[test]
fn every_form_of_output_holds_the_same() {
    let server = TestServer::with_bookings(1);
    let json = server.cli(&["-o", "json", "topic", "list"]).json();
    assert_eq!(json[0]["metadata"]["name"], "bookings");
    let lines = server.cli(&["topic", "list", "-o", "ndjson"]).lines();
    assert_eq!(lines, json.as_array().unwrap().clone());
    let yaml = server.cli(&["topic", "list", "-o", "yaml"]).ok().stdout;
    assert!(yaml.contains("name: bookings"), "{yaml}");
    let table = server.cli(&["topic", "list"]).ok().stdout;
    let mut rows = table.lines();
    assert!(rows.next().unwrap().starts_with("NAME"), "{table}");
    assert!(rows.next().unwrap().contains("shop.v1.Booking"), "{table}");
}
