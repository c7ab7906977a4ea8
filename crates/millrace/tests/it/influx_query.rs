//! `/query`: what it takes, who may ask what, and in which forms it answers. What statements mean is tested in `influxql`.

use crate::server::{Answer, TestServer};
use serde_json::{Value, json};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn encoded(parameters: &[(&str, &str)]) -> String {
    let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    parameters.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect::<Vec<_>>().join("&")
}

fn get(server: &TestServer, parameters: &[(&str, &str)]) -> Answer {
    server.http_with_headers("GET", &format!("/query?{}", encoded(parameters)), &[], b"")
}

fn post(server: &TestServer, parameters: &[(&str, &str)]) -> Answer {
    server.http_with_headers("POST", "/query", &[FORM], encoded(parameters).as_bytes())
}

fn api(server: &TestServer, method: &str, path: &str, body: Value) -> Answer {
    let headers = [("content-type", "application/json")];
    let answer = server.http_with_headers(method, path, &headers, body.to_string().as_bytes());
    assert!(answer.status < 300, "{path}: {answer:?}");
    answer
}

fn with_points(database: &str) -> TestServer {
    let server = TestServer::start();
    if database != "default" {
        api(&server, "POST", "/api/v1/groups", json!({ "name": database }));
    }
    let body = b"cpu,host=a v=1 1700000000\ncpu,host=b v=2 1700000001\ncpu,host=a v=3,t=\"<x>\" 1700000002\n";
    let path = format!("/write?db={database}&precision=s");
    assert_eq!(server.http_with_headers("POST", &path, &[], body).status, 204);
    server
}

#[test]
fn the_forms_of_an_answer() {
    let server = with_points("default");
    let select = ("q", "SELECT v FROM cpu WHERE host = 'a'");
    let (db, epoch) = (("db", "default"), ("epoch", "s"));
    let plain = get(&server, &[db, select]);
    assert_eq!((plain.status, plain.header("content-type")), (200, Some("application/json")));
    assert_eq!(
        plain.body,
        "{\"results\":[{\"statement_id\":0,\"series\":[{\"name\":\"cpu\",\"columns\":[\"time\",\"v\"],\"values\":[[\
         \"2023-11-14T22:13:20Z\",1],[\"2023-11-14T22:13:22Z\",3]]}]}]}\n"
    );
    let expected = json!([[1_700_000_000, 1], [1_700_000_002, 3]]);
    for answer in [get(&server, &[db, epoch, select]), post(&server, &[db, epoch, select])] {
        assert_eq!(answer.json()["results"][0]["series"][0]["values"], expected);
    }
    let pretty = get(&server, &[db, epoch, select, ("pretty", "true")]);
    assert!(pretty.body.starts_with("{\n    \"results\": [\n"), "{}", pretty.body);
    let path = format!("/query?{}", encoded(&[db, epoch, select]));
    let csv = server.http_with_headers("GET", &path, &[("accept", "application/csv")], b"");
    assert_eq!(csv.header("content-type"), Some("text/csv"));
    assert_eq!(csv.body, "name,tags,time,v\ncpu,,1700000000,1\ncpu,,1700000002,3\n");
    let packed = server.http_with_headers("GET", &path, &[("accept", "application/x-msgpack")], b"");
    assert_eq!((packed.status, packed.header("content-type")), (200, Some("application/x-msgpack")));
    assert!(packed.body.contains("results") && packed.body.contains("statement_id"), "{packed:?}");
    let chunked = get(&server, &[db, epoch, ("q", "SELECT v FROM cpu"), ("chunked", "true"), ("chunk_size", "2")]);
    let lines: Vec<Value> = chunked
        .body
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let counts: Vec<usize> =
        lines.iter().map(|line| line["results"][0]["series"][0]["values"].as_array().unwrap().len()).collect();
    assert_eq!((counts, &lines[0]["results"][0]["partial"]), (vec![2, 1], &json!(true)));
    let parameters = ("params", "{\"host\": \"b\", \"least\": 1}");
    let bound = get(&server, &[db, epoch, ("q", "SELECT v FROM cpu WHERE host = $host AND v > $least"), parameters]);
    assert_eq!(bound.json()["results"][0]["series"][0]["values"], json!([[1_700_000_001, 2]]));
    let text = get(&server, &[db, ("q", "SELECT t FROM cpu")]);
    assert!(text.body.contains("\"\\u003cx\\u003e\""), "{}", text.body);
}

#[test]
fn mistakes_are_told_as_influxdb_does() {
    let server = with_points("default");
    for (parameters, status, error) in [
        (&[("db", "default")][..], 400, "missing required parameter \"q\""),
        (&[("q", " ")], 400, "missing required parameter \"q\""),
        (
            &[("q", "SELECT")],
            400,
            "error parsing query: found EOF, expected identifier, string, number, bool at line 1, char 8",
        ),
    ] {
        for answer in [get(&server, parameters), post(&server, parameters)] {
            assert_eq!((answer.status, answer.json()["error"].as_str().unwrap()), (status, error), "{parameters:?}");
        }
    }
    let params = get(&server, &[("q", "SHOW DATABASES"), ("params", "{")]);
    assert_eq!(params.status, 400);
    assert!(params.json()["error"].as_str().unwrap().starts_with("error parsing query parameters: "), "{params:?}");
    let unknown = get(&server, &[("q", "SELECT v FROM cpu"), ("db", "nowhere")]);
    assert_eq!(
        (unknown.status, unknown.body.as_str()),
        (200, "{\"results\":[{\"statement_id\":0,\"error\":\"database not found: nowhere\"}]}\n")
    );
    let changes = get(&server, &[("q", "DROP MEASUREMENT cpu"), ("db", "default")]);
    assert!(changes.body.contains("use a POST request"), "{}", changes.body);
    assert_eq!(server.http_with_headers("POST", "/query?async=true", &[FORM], b"q=SHOW+DATABASES").status, 204);
}

#[test]
fn everybody_sees_and_changes_what_they_may() {
    let server = with_points("rides");
    // `default` is open to everybody; `rides` is not.
    let made = api(&server, "POST", "/api/v1/users", json!({ "name": "rani" })).json();
    let accepted = json!({ "invitation": made["invitation"], "password": "a long enough one" });
    api(&server, "POST", "/api/v1/session/invitation", accepted);
    let rani = |q: &str| {
        let path = format!("/query?{}", encoded(&[("db", "rides"), ("u", "rani"), ("p", "a long enough one")]));
        server.http_with_headers("POST", &path, &[FORM, ("authorization", "")], encoded(&[("q", q)]).as_bytes())
    };
    let rows = |answer: Answer| answer.json()["results"][0]["series"][0]["values"].clone();
    let refused = rani("SELECT v FROM cpu");
    let text = "error authorizing query: rani not authorized to read database \"rides\", requires READ on rides";
    assert_eq!((refused.status, refused.json()["error"].as_str()), (403, Some(text)));
    assert_eq!(rows(rani("SHOW DATABASES")), json!([["default"]]));
    let made = rani("CREATE DATABASE food");
    let text = "error authorizing query: rani not authorized to execute statement 'CREATE DATABASE food', requires admin privilege";
    assert_eq!((made.status, made.json()["error"].as_str()), (403, Some(text)));
    // What is there already need not be made.
    assert_eq!(rani("CREATE DATABASE rides").status, 200);
    api(&server, "POST", "/api/v1/groups/rides/members", json!({ "user": "rani", "role": "viewer" }));
    assert_eq!(rows(rani("SELECT count(v) FROM cpu"))[0][1], 3);
    assert!(rani("DROP MEASUREMENT cpu").body.contains("has no right to `write:daggers`"));
    api(&server, "POST", "/api/v1/groups/rides/members", json!({ "user": "rani", "role": "editor" }));
    assert_eq!(rani("DROP MEASUREMENT cpu").body, "{\"results\":[{\"statement_id\":0}]}\n");
    assert_eq!(rani("SHOW MEASUREMENTS").body, "{\"results\":[{\"statement_id\":0}]}\n");
    let audit = api(&server, "GET", "/api/v1/audit?kind=Measurement", json!(null)).json();
    assert_eq!((&audit["items"][0]["actor"], &audit["items"][0]["name"]), (&json!("rani"), &json!("cpu")), "{audit}");
    for q in ["CREATE DATABASE food", "CREATE DATABASE food", "DROP DATABASE food", "DROP DATABASE food"] {
        assert_eq!(post(&server, &[("q", q)]).body, "{\"results\":[{\"statement_id\":0}]}\n", "{q}");
    }
    assert!(post(&server, &[("q", "DROP DATABASE \"default\"")]).body.contains("the group `default` stays"));
}
