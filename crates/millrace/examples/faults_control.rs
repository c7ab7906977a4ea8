//! `faults_control [SEEDS]`: kills the server with SIGKILL at random moments while topics and daggers are made, edited, stopped,
//! started and deleted through the API. The last line of stdout is one JSON object.
//!
//! After each restart every resource has to be as it was before the request that got no answer, or as that request leaves it;
//! what was answered has to be there; a dagger has to do what its spec says; and audit log and revisions have one line for each
//! change that was answered, and at most one for the one that was not. Some requests are sent again after the restart, with
//! the key that they had: they must not be done twice. The seed decides what is done and when it is killed; it is printed.

#[path = "faults_control/model.rs"]
mod model;
#[allow(dead_code)]
#[path = "server/server.rs"]
mod server;

use model::Thing;
use serde_json::{Value, json};
use server::{Server, binary};
use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// How often the server is killed per seed.
const KILLS: usize = 10;
/// Clients at the same time, each with resources of its own.
const CLIENTS: u64 = 3;
const PATIENCE: Duration = Duration::from_secs(30);
const PROTO: &str =
    "syntax = \"proto3\"; package faults.v1; message Event { string name = 1; int64 amount = 2; int64 at = 3; }";

/// A sequence that its seed decides: xorshift64.
pub struct Random(u64);

impl Random {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

#[derive(Default)]
struct Found {
    lost: usize,
    doubled: usize,
    failed: usize,
}

fn main() -> Result<()> {
    let seeds: u64 = std::env::args().nth(1).map_or(Ok(20), |text| text.parse())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut all, mut requests) = (Found::default(), 0);
    for seed in 1..=seeds {
        let mut found = Found::default();
        match runtime.block_on(disturb(seed, &mut found)) {
            Ok(sent) => requests += sent,
            Err(error) => {
                eprintln!("seed {seed}: {error}");
                found.failed += 1;
            }
        }
        eprintln!("seed {seed}: {} lost, {} doubled, {} failed", found.lost, found.doubled, found.failed);
        all.lost += found.lost;
        all.doubled += found.doubled;
        all.failed += found.failed;
    }
    eprintln!("{requests} changes were asked for");
    let (cases, Found { lost, doubled, failed }) = (seeds * KILLS as u64, all);
    println!("{{\"area\":\"control\",\"cases\":{cases},\"lost\":{lost},\"doubled\":{doubled},\"failed\":{failed}}}");
    std::process::exit(i32::from(lost + doubled + failed > 0));
}

/// One data directory, and the server in it killed again and again; how many changes were asked for.
async fn disturb(seed: u64, found: &mut Found) -> Result<usize> {
    let binary = binary()?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let mut random = Random::new(seed);
    let mut clients: Vec<Vec<Thing>> = (0..CLIENTS).map(Thing::all_of).collect();
    let server = Server::start(&binary, &data)?;
    server
        .post("/schemas", json!({ "files": [{ "path": "faults/v1/event.proto", "text": PROTO }] }))
        .await?
        .success()?;
    let events = json!({
        "apiVersion": "millrace/v1", "kind": "Topic", "metadata": { "name": "events" },
        "spec": { "partitions": 2, "schema": "faults.v1.Event" },
    });
    server.post("/topics", events).await?.success()?;
    let records: Vec<Value> = (0..100)
        .map(|n| json!({ "value": { "name": format!("n{}", n % 7), "amount": n, "at": 1_700_000_000_000_i64 + n } }))
        .collect();
    server.post("/topics/events/records", json!(records)).await?.success()?;
    let (mut server, mut requests) = (Some(server), 0);
    for _ in 0..KILLS {
        let running = match server.take() {
            Some(running) => running,
            None => {
                // Now and then it is killed while it starts, too.
                if random.below(4) == 0 {
                    Server::start_and_kill(&binary, &data, Duration::from_millis(random.below(150)))?;
                }
                Server::start(&binary, &data)?
            }
        };
        verify(&running, &data, &mut clients, &mut random, found).await?;
        requests += work(running, &mut clients, &mut random, found).await?;
    }
    let server = Server::start(&binary, &data)?;
    verify(&server, &data, &mut clients, &mut random, found).await?;
    Ok(requests)
}

/// All clients change their things, until the server is killed under them.
async fn work(server: Server, clients: &mut [Vec<Thing>], random: &mut Random, found: &mut Found) -> Result<usize> {
    let until_kill = Duration::from_millis(20 + random.below(500));
    let each = clients.iter_mut().map(|things| {
        let mut random = Random::new(random.below(u64::MAX));
        let server = &server;
        async move {
            let (mut sent, mut refused) = (0, Vec::new());
            loop {
                let index = random.below(things.len() as u64) as usize;
                let thing = &mut things[index];
                let request = thing.next(&mut random);
                sent += 1;
                match server.change(&request.path, request.body.as_ref(), &request.key).await {
                    Ok(answer) if answer.is_success() => thing.acknowledged(&request),
                    Ok(answer) => {
                        refused.push(format!("{request:?}: {answer:?}"));
                        thing.unanswered(request);
                        return (sent, refused);
                    }
                    // It is gone; whether it did this one is found out after the restart.
                    Err(_) => {
                        thing.unanswered(request);
                        return (sent, refused);
                    }
                }
            }
        }
    });
    let work = futures::future::join_all(each);
    let killed = async {
        tokio::time::sleep(until_kill).await;
        server.kill()
    };
    let (done, killed) = futures::future::join(work, killed).await;
    killed?;
    for refused in done.iter().flat_map(|(_, refused)| refused) {
        eprintln!("refused: {refused}");
        found.failed += 1;
    }
    Ok(done.iter().map(|(sent, _)| sent).sum())
}

async fn verify(
    server: &Server,
    data: &Path,
    clients: &mut [Vec<Thing>],
    random: &mut Random,
    found: &mut Found,
) -> Result<()> {
    let mut daggers: BTreeSet<String> = BTreeSet::new();
    for thing in clients.iter_mut().flatten() {
        let again = thing.maybe().filter(|_| random.below(2) == 0).cloned();
        if let Some(request) = again {
            let answer = server.change(&request.path, request.body.as_ref(), &request.key).await?;
            // Done before, and the answer was lost: there already, or gone already.
            if answer.is_success()
                || matches!(answer.code().as_str(), "topic_exists" | "topic_not_found" | "dagger_not_found")
            {
                thing.was_repeated();
            } else {
                eprintln!("sent again: {request:?}: {answer:?}");
                found.failed += 1;
            }
        }
        check(server, thing, found).await?;
        if thing.is_dagger() && thing.is_there() {
            daggers.insert(thing.name.clone());
        }
    }
    // What is deleted leaves no state behind that a new one of its name would go on from.
    for entry in std::fs::read_dir(data.join("checkpoints/daggers")).into_iter().flatten() {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if !daggers.contains(&name) {
            eprintln!("the state of {name} is there without it");
            found.failed += 1;
        }
    }
    Ok(())
}

/// Compares one resource with what was done to it, and goes on from what is there.
async fn check(server: &Server, thing: &mut Thing, found: &mut Found) -> Result<()> {
    let audit = server.get(&format!("/audit?kind={}&name={}&limit=1000", thing.kind(), thing.name)).await?.success()?;
    let actions: Vec<String> = audit["items"]
        .as_array()
        .into_iter()
        .flatten()
        .rev()
        .map(|entry| entry["action"].as_str().unwrap_or_default().to_owned())
        .collect();
    let (fewest, most) = thing.lines();
    found.lost += fewest.saturating_sub(actions.len());
    found.doubled += actions.len().saturating_sub(most);
    if actions.len() < fewest || actions.len() > most || !thing.settle(&actions) {
        eprintln!("{thing:?}: the audit log has {actions:?}");
        found.failed += usize::from((fewest..=most).contains(&actions.len()));
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = server.get(&thing.path()).await?;
        let shown = match answer.status {
            404 => None,
            _ => Some(answer.success()?),
        };
        let wrong = thing.wrong(shown.as_ref(), actions.len());
        match wrong {
            None => break,
            // An engine needs a moment to be what it should.
            Some(_) if thing.is_dagger() && is_on_its_way(shown.as_ref()) && Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Some(wrong) => {
                eprintln!("{thing:?}: {wrong}: {}", shown.unwrap_or_default());
                found.failed += 1;
                break;
            }
        }
    }
    if thing.is_dagger() && thing.is_there() {
        let revisions = server.get(&format!("{}/revisions", thing.path())).await?.success()?;
        let generations = revisions["items"].as_array().into_iter().flatten().map(|it| it["generation"].as_u64());
        let generations: Vec<u64> = generations.flatten().collect();
        if generations != (1..=actions.len() as u64).rev().collect::<Vec<_>>() {
            eprintln!("{thing:?}: the revisions are {generations:?}");
            found.doubled += generations.len().saturating_sub(actions.len());
            found.lost += actions.len().saturating_sub(generations.len());
            found.failed += usize::from(generations.len() == actions.len());
        }
    }
    Ok(())
}

fn is_on_its_way(shown: Option<&Value>) -> bool {
    let state = shown.and_then(|shown| shown["status"]["state"].as_str());
    matches!(state, Some("deploying" | "stopping" | "stopped"))
}
