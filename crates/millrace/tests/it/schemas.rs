use crate::server::TestServer;

#[test]
fn schemas_are_pushed_listed_and_shown() {
    let server = TestServer::with_bookings(1);
    let shown = server.cli(&["-o", "json", "schema", "show", "shop.v1.Booking"]).json();
    assert_eq!(shown["spec"]["comment"], "A booking of anything.");
    assert_eq!(shown["spec"]["fields"][0]["name"], "order_number");
    assert_eq!(shown["spec"]["fields"][0]["comment"], "Unique.");
    assert_eq!(shown["spec"]["fields"][3]["type"], "google.protobuf.Timestamp");
}

#[test]
fn a_directory_is_pushed_with_its_imports() {
    let server = TestServer::start();
    server.file(
        "p/a/v1/a.proto",
        "syntax = \"proto3\";\npackage a.v1;\nimport \"b/v1/b.proto\";\nmessage A { b.v1.B b = 1; }\n",
    );
    let single = server.file("p/b/v1/b.proto", "syntax = \"proto3\";\npackage b.v1;\nmessage B { int32 n = 1; }\n");
    let root = server.directory.path().join("p");
    server.cli(&["schema", "push", root.to_str().unwrap()]).ok();
    assert_eq!(server.cli(&["-o", "json", "schema", "list"]).json().as_array().map(Vec::len), Some(2));
    // A push replaces the type.
    server
        .file("p/b/v1/b.proto", "syntax = \"proto3\";\npackage b.v1;\nmessage B { int32 n = 1; string added = 2; }\n");
    server.cli(&["schema", "push", &single]).ok();
    let shown = server.cli(&["-o", "json", "schema", "show", "b.v1.B"]).json();
    assert_eq!(shown["spec"]["fields"][1]["name"], "added");
}

#[test]
fn mistakes_have_file_line_and_column() {
    let server = TestServer::start();
    let broken = server.file("broken.proto", "syntax = \"proto3\";\nmessage A {\n  strin name = 1;\n}\n");
    server.cli(&["schema", "push", &broken]).failed_with(1, "broken.proto:3:3");
    let (status, problem) = server.http_json(
        "POST",
        "/api/v1/schemas",
        serde_json::json!({"files": [{"path": "x.proto", "text": "syntax = \"proto3\";\nmessage {"}]}),
    );
    assert_eq!(status, 422);
    assert_eq!((&problem["code"], &problem["line"]), (&"schema_invalid".into(), &2.into()), "{problem}");
}
