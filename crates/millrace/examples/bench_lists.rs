//! `bench_lists [TOPICS] [DAGGERS]`: how long the server takes for each list that the portal asks for, with 9,000 topics and
//! 1,000 suspended daggers. The last line of stdout is one JSON object; ends non-zero when the worst page is above the limit.
//!
//! Everything is made through the API. A page is asked for 20 times over a kept connection of loopback, until its last byte.

#[allow(dead_code)]
#[path = "server/server.rs"]
mod server;

use serde_json::{Value, json};
use server::{Server, binary};
use std::error::Error;
use std::process::ExitCode;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const LIMIT_MS: f64 = 200.0;
const ROUNDS: usize = 20;
const GROUPS: usize = 20;
const SCHEMAS: usize = 200;
/// Documents of one request.
const DOCUMENTS: usize = 500;

fn main() -> Result<ExitCode> {
    let mut sizes = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let topics = sizes.next().unwrap_or(Ok(9_000))?;
    let daggers = sizes.next().unwrap_or(Ok(1_000))?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(run(topics, daggers))
}

async fn run(topics: usize, daggers: usize) -> Result<ExitCode> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = Server::start(&binary()?, &data)?;
    fill(&server, topics, daggers).await?;
    let worst = measure(&server, topics, daggers).await?;
    drop(server);
    // A start reads all of it.
    let started = Instant::now();
    let server = Server::start(&binary()?, &data)?;
    server.get("/daggers?limit=1").await?.success()?;
    eprintln!("started again in {:?}", started.elapsed());
    let ratio = worst / LIMIT_MS;
    println!(
        "{{\"name\":\"lists\",\"ours\":{worst:.1},\"limit\":{LIMIT_MS},\"unit\":\"ms, worst page\",\"ratio\":{ratio:.3}}}"
    );
    Ok(ExitCode::from(u8::from(worst > LIMIT_MS)))
}

async fn fill(server: &Server, topics: usize, daggers: usize) -> Result<()> {
    let messages: String = (0..SCHEMAS)
        .map(|n| format!("// What happened, of kind {n}.\nmessage Event{n} {{ string name = 1; int64 amount = 2; int64 at = 3; }}\n"))
        .collect();
    let proto = format!("syntax = \"proto3\"; package lists.v1;\n{messages}");
    server
        .post("/schemas", json!({ "files": [{ "path": "lists/v1/event.proto", "text": proto }] }))
        .await?
        .success()?;
    let metadata = |name: String, n: usize| json!({ "name": name, "group": format!("group-{}", n % GROUPS), "labels": { "team": format!("team-{}", n % 7) } });
    let document = |kind: &str, metadata: Value, spec: Value| json!({ "apiVersion": "millrace/v1", "kind": kind, "metadata": metadata, "spec": spec });
    let groups = (0..GROUPS)
        .map(|n| document("Group", json!({ "name": format!("group-{n}") }), json!({ "description": "One of many" })));
    let topics_made = (0..topics).map(|n| {
        let spec = json!({ "partitions": 1 + n % 4, "schema": format!("lists.v1.Event{}", n % SCHEMAS), "description": format!("Events of kind {n}") });
        document("Topic", metadata(format!("events-{n:05}-log"), n), spec)
    });
    let daggers_made = (0..daggers).map(|n| {
        let sql = format!(
            "SELECT name AS tag_name, count(1) AS events, sum(amount) AS amount,\n       TUMBLE_END(rowtime, INTERVAL '60' SECOND) AS window_timestamp\nFROM data_stream WHERE amount > {n}\nGROUP BY TUMBLE(rowtime, INTERVAL '60' SECOND), name"
        );
        let spec = json!({ "streams": [{ "topics": [format!("events-{:05}-log", n % topics.max(1))], "timestamp": "at" }], "sql": sql, "state": "suspended" });
        document("Dagger", metadata(format!("counts-{n:04}"), n), spec)
    });
    apply(server, "groups", groups.collect()).await?;
    apply(server, "topics", topics_made.collect()).await?;
    apply(server, "daggers", daggers_made.collect()).await
}

async fn apply(server: &Server, what: &str, documents: Vec<Value>) -> Result<()> {
    let started = Instant::now();
    for documents in documents.chunks(DOCUMENTS) {
        let text: Vec<String> = documents.iter().map(Value::to_string).collect();
        server.post_text("/apply", text.join("\n---\n")).await?.success()?;
    }
    let took = started.elapsed();
    let each = took.checked_div(documents.len() as u32).unwrap_or_default();
    eprintln!("{} {what} made in {took:.1?}, {each:.2?} each", documents.len());
    Ok(())
}

/// The worst of all pages in milliseconds.
async fn measure(server: &Server, topics: usize, daggers: usize) -> Result<f64> {
    let (last_topics, last_daggers) = (topics.saturating_sub(50), daggers.saturating_sub(50));
    let pages = [
        "/topics?limit=50&sort=name".to_owned(),
        "/topics?limit=50&sort=-size".to_owned(),
        "/topics?limit=50&sort=schema".to_owned(),
        "/topics?limit=50&sort=-name&search=team-3%20kind".to_owned(),
        "/topics?limit=50&sort=records&group=group-7".to_owned(),
        format!("/topics?limit=50&sort=name&offset={last_topics}"),
        "/topics?limit=5&search=nothing-like-it".to_owned(),
        "/topics?limit=1000&sort=name".to_owned(),
        // Some pages of the portal ask for everything.
        "/topics".to_owned(),
        "/daggers".to_owned(),
        "/daggers?limit=50&sort=name".to_owned(),
        "/daggers?limit=50&sort=-lag".to_owned(),
        "/daggers?limit=50&sort=topics&state=suspended".to_owned(),
        "/daggers?limit=50&search=amount%20group-3".to_owned(),
        format!("/daggers?limit=50&sort=name&offset={last_daggers}"),
        "/daggers?topic=events-00007-log".to_owned(),
        "/schemas".to_owned(),
        "/schemas?search=kind%207".to_owned(),
        "/groups".to_owned(),
        "/dagger-clusters".to_owned(),
        "/users".to_owned(),
        "/tokens".to_owned(),
        "/secrets".to_owned(),
        "/audit".to_owned(),
        "/audit?group=group-7&limit=100".to_owned(),
        "/audit?kind=Topic&name=events-00001-log".to_owned(),
        "/audit?before=500&limit=100".to_owned(),
        "/dead-letters?state=kept&limit=100".to_owned(),
        "/topics/events-00000-log".to_owned(),
        "/daggers/counts-0000".to_owned(),
    ];
    let mut worst = Duration::ZERO;
    eprintln!("{:>9}  {:>9}  {:>9}  page", "median", "worst", "bytes");
    for page in &pages {
        let mut times = Vec::with_capacity(ROUNDS);
        let mut bytes = 0;
        for _ in 0..ROUNDS {
            let started = Instant::now();
            bytes = server.get_bytes(page).await?;
            times.push(started.elapsed());
        }
        times.sort_unstable();
        let (median, slowest) = (times[ROUNDS / 2], times[ROUNDS - 1]);
        eprintln!("{:>7.1}ms  {:>7.1}ms  {bytes:>9}  {page}", median.as_secs_f64() * 1e3, slowest.as_secs_f64() * 1e3);
        worst = worst.max(slowest);
    }
    Ok(worst.as_secs_f64() * 1e3)
}
