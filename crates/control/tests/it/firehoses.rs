//! Firehoses from their document to a server on loopback that speaks InfluxDB's write API.

use crate::open_platform::{PROTO, publish, push, until};
use crate::test_database;
use async_trait::async_trait;
use bytes::Bytes;
use control::access::{Actor, Caller, Role};
use control::records::{DraftValue, RecordDraft};
use control::{
    AddressPolicy, Applied, ControlError, DeadLetterQuery, DemoOptions, EditedValue, GroupSpec, Metadata, Platform,
    PlatformOptions, RecordPlace, SeekTo, TopicSpec,
};
use delivery::contract::{FaultyServer, Request, Response, Upstream};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// Takes lines, and refuses those with a text in them.
#[derive(Default)]
struct Receiver {
    lines: Mutex<Vec<String>>,
    refused: Mutex<Option<String>>,
    tokens: Mutex<Vec<String>>,
}

#[async_trait]
impl Upstream for Receiver {
    async fn answer(&self, request: Request) -> Response {
        if !request.target.starts_with("/write") {
            return Response::new(200, r#"{"results":[{"statement_id":0}]}"#);
        }
        let lines: Vec<String> = String::from_utf8_lossy(&request.body).lines().map(str::to_owned).collect();
        let refused = self.refused.lock().unwrap().clone();
        if refused.is_some_and(|text| lines.iter().any(|line| line.contains(&text))) {
            return Response::new(400, r#"{"error":"partial write: field type conflict"}"#);
        }
        self.tokens.lock().unwrap().extend(request.header("authorization").map(str::to_owned));
        self.lines.lock().unwrap().extend(lines);
        Response::new(204, "")
    }
}

impl Receiver {
    fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    fn refuse(&self, text: Option<&str>) {
        *self.refused.lock().unwrap() = text.map(str::to_owned);
    }
}

async fn receiver() -> (Arc<Receiver>, FaultyServer) {
    let receiver = Arc::new(Receiver::default());
    let server = FaultyServer::start(Arc::clone(&receiver) as Arc<dyn Upstream>).await.unwrap();
    (receiver, server)
}

/// A platform whose operator lets sinks reach loopback, with the topic `events`.
async fn open(directory: &Path) -> Arc<Platform> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let platform = Platform::open(PlatformOptions {
        database_url: test_database::url(directory),
        sink_addresses: AddressPolicy::allowing(["127.0.0.0/8".parse().unwrap()]),
        ..PlatformOptions::in_directory(directory)
    })
    .await
    .unwrap();
    push(&platform, PROTO).await;
    if platform.topic("events").await.is_err() {
        let spec = TopicSpec::new(1, Some("t.Event".to_owned()));
        platform.create_topic(&Actor::server(), &Metadata::named("events"), &spec).await.unwrap();
    }
    platform
}

fn document(server: &FaultyServer) -> Value {
    json!({
        "apiVersion": "millrace/v1", "kind": "Firehose", "metadata": { "name": "to-influx" },
        "spec": {
            "topic": "events",
            "sink": {
                "kind": "influx", "version": 1, "url": server.url(), "database": "d", "measurement": "events",
                "timeColumn": "at",
            },
            "delivery": { "linger": "5ms", "retry": { "first": "10ms", "longest": "50ms" } },
        },
    })
}

async fn apply(platform: &Arc<Platform>, document: &Value) -> Result<Applied, ControlError> {
    platform.apply_firehose(&Actor::server(), &document.to_string()).await
}

async fn publish_amounts(platform: &Platform, amounts: std::ops::Range<i64>) {
    for amount in amounts {
        let event = json!({ "name": format!("n{amount}"), "amount": amount, "at": "2026-01-01T00:00:00Z" });
        publish(platform, "events", &event.to_string()).await;
    }
}

async fn status(platform: &Platform) -> Value {
    platform.firehose("to-influx").await.unwrap()["status"].clone()
}

/// Waits until so many records are delivered, and that is committed; the ledger has to balance whenever it is looked at.
async fn delivered(platform: &Platform, records: u64) -> Value {
    until(
        || async {
            let status = status(platform).await;
            let cell = |name: &str| status["ledger"][name].as_u64().unwrap();
            let cells = ["delivered", "filtered", "late", "deadLettered", "held"].map(cell);
            assert_eq!(cell("consumed"), cells.iter().sum::<u64>(), "{status}");
            status
        },
        |status| {
            let ledger = &status["ledger"];
            ledger["delivered"] == records && ledger["held"] == 0 && status["lag"] == 0
        },
    )
    .await
}

fn position(status: &Value) -> (&Value, &Value) {
    (&status["partitions"][0]["position"], &status["lag"])
}

async fn letters(platform: &Platform, state: &str) -> Vec<Value> {
    let query = DeadLetterQuery {
        firehose: Some("to-influx".to_owned()),
        state: Some(state.to_owned()),
        ..DeadLetterQuery::default()
    };
    platform.dead_letters(&Caller::server(), &query, None, 100).await.unwrap().items
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_runs_pauses_moves_and_goes_on_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let (platform, (receiver, server)) = (open(directory.path()).await, receiver().await);
    publish_amounts(&platform, 0..10).await;
    let applied = apply(&platform, &document(&server)).await.unwrap();
    assert_eq!((applied.change.as_str(), &applied.resource["kind"]), ("created", &json!("Firehose")));
    assert_eq!(applied.resource["spec"]["delivery"]["batchRecords"], 5_000);
    let running = delivered(&platform, 10).await;
    assert_eq!((&running["state"], position(&running)), (&json!("running"), (&json!(10), &json!(0))));
    assert_eq!(running["sink"]["guarantee"], "overwrites");
    assert_eq!(receiver.lines().len(), 10);
    assert!(receiver.lines().iter().any(|line| line.contains("amount=3i")), "{:?}", receiver.lines());
    // The same document again is no change.
    assert_eq!(apply(&platform, &document(&server)).await.unwrap().change.as_str(), "unchanged");

    let paused = platform.pause_firehose(&Actor::server(), "to-influx").await.unwrap();
    assert_eq!((&paused["spec"]["state"], &paused["status"]["state"]), (&json!("paused"), &json!("paused")));
    publish_amounts(&platform, 10..15).await;
    // It stays so over a restart of the server, with its numbers.
    platform.close().await.unwrap();
    drop(platform);
    let platform = open(directory.path()).await;
    let paused = until(|| status(&platform), |status| status["state"] == "paused" && status["lag"] == 5).await;
    assert_eq!((position(&paused), &paused["ledger"]["delivered"]), ((&json!(10), &json!(5)), &json!(10)));
    assert_eq!(receiver.lines().len(), 10);
    // A document that does not say whether it runs leaves it paused.
    apply(&platform, &document(&server)).await.unwrap();
    assert_eq!(status(&platform).await["state"], "paused");
    platform.resume_firehose(&Actor::server(), "to-influx").await.unwrap();
    delivered(&platform, 15).await;
    assert_eq!(receiver.lines().len(), 15);

    let beyond = platform.seek_firehose(&Actor::server(), "to-influx", SeekTo::Offsets(vec![(0, 16)])).await;
    assert_eq!(beyond.unwrap_err().code, "offset_not_there");
    let nowhere = platform.seek_firehose(&Actor::server(), "to-influx", SeekTo::Offsets(vec![(1, 0)])).await;
    assert_eq!(nowhere.unwrap_err().code, "partition_not_found");
    platform.seek_firehose(&Actor::server(), "to-influx", SeekTo::Offsets(vec![(0, 12)])).await.unwrap();
    delivered(&platform, 18).await;
    platform.seek_firehose(&Actor::server(), "to-influx", SeekTo::Earliest).await.unwrap();
    let all = delivered(&platform, 33).await;
    assert_eq!((receiver.lines().len(), position(&all)), (33, (&json!(15), &json!(0))));

    let scaled = platform.scale_firehose(&Actor::server(), "to-influx", 4).await.unwrap();
    assert_eq!(scaled["spec"]["delivery"]["parallelism"], 4);
    assert!(platform.scale_firehose(&Actor::server(), "to-influx", 0).await.is_err());
    until(|| status(&platform), |status| status["parallelism"] == 4).await;
    publish_amounts(&platform, 15..20).await;
    delivered(&platform, 38).await;
    let revisions = platform.firehose_revisions("to-influx").await.unwrap();
    assert!(revisions.len() >= 4, "{}", revisions.len());
    let states = until(
        || async { platform.firehose_history("to-influx").await.unwrap() },
        |states| states.iter().any(|line| line["reason"].as_str().is_some_and(|why| why.starts_with("paused by"))),
    )
    .await;
    assert!(states.iter().any(|line| line["state"] == "running"), "{states:?}");

    // Nothing of it is left for a new one of its name.
    platform.delete_firehose(&Actor::server(), "to-influx").await.unwrap();
    assert_eq!(platform.firehose("to-influx").await.unwrap_err().code, "firehose_not_found");
    apply(&platform, &document(&server)).await.unwrap();
    delivered(&platform, 20).await;
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_sent_is_a_dead_letter_until_it_is_mended() {
    let directory = tempfile::tempdir().unwrap();
    let (platform, (receiver, server)) = (open(directory.path()).await, receiver().await);
    let raw = Metadata::named("raw");
    platform.create_topic(&Actor::server(), &raw, &TopicSpec::new(1, None)).await.unwrap();
    // Two records that are no message, and one that the server does not take.
    let drafts =
        [&[0xff, 0xff][..], &[0x0a, 0x05, b'x'], &[0x0a, 0x06, b'p', b'o', b'i', b's', b'o', b'n', 0x10, 0x07]];
    let drafts = drafts
        .map(|bytes| RecordDraft { value: DraftValue::Bytes(Bytes::copy_from_slice(bytes)), ..RecordDraft::default() });
    platform.produce("raw", drafts.map(Ok).into(), None).await.unwrap();
    platform.apply_topic(&Actor::server(), &raw, &TopicSpec::new(1, Some("t.Event".to_owned()))).await.unwrap();
    for amount in 0..5 {
        publish(&platform, "raw", &json!({ "name": "x", "amount": amount }).to_string()).await;
    }
    receiver.refuse(Some("poison"));
    let mut document = document(&server);
    document["spec"]["topic"] = json!("raw");
    document["spec"]["filter"] = json!("amount != 3");
    document["spec"]["columns"] =
        json!([{ "field": "name" }, { "field": "amount" }, { "field": "_timestamp", "as": "at" }]);
    apply(&platform, &document).await.unwrap();
    let status = delivered(&platform, 4).await;
    let ledger = json!({ "consumed": 8, "delivered": 4, "filtered": 1, "late": 0, "deadLettered": 3, "held": 0 });
    assert_eq!((&status["ledger"], position(&status)), (&ledger, (&json!(8), &json!(0))));

    let kept = letters(&platform, "kept").await;
    let kinds: Vec<&str> = kept.iter().map(|letter| letter["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["undecodable", "undecodable", "undeliverable"]);
    assert_eq!(kept[2]["owner"], json!({ "kind": "Firehose", "name": "to-influx" }));
    assert!(kept[2]["error"].as_str().unwrap().contains("field type conflict"), "{}", kept[2]);
    let id = |letter: usize| kept[letter]["id"].as_str().unwrap();
    let shown = platform.dead_letter(&Caller::server(), id(2)).await.unwrap();
    assert!(shown["decoded"].as_str().unwrap().contains("poison"), "{shown}");

    // As long as nothing is mended it is refused again.
    let again = platform.replay_dead_letters(&Caller::server(), Some(id(2)), &DeadLetterQuery::default()).await;
    assert_eq!(again.unwrap_err().code, "dead_letter_still_refused");
    let again = platform.replay_dead_letters(&Caller::server(), Some(id(0)), &DeadLetterQuery::default()).await;
    assert_eq!(again.unwrap_err().code, "dead_letter_still_refused");
    receiver.refuse(None);
    let replayed = platform.replay_dead_letters(&Caller::server(), Some(id(2)), &DeadLetterQuery::default()).await;
    assert_eq!(replayed.unwrap(), 1);
    assert!(receiver.lines().iter().any(|line| line.contains("poison")), "{:?}", receiver.lines());
    // Edited: as a message, which goes the whole way, and as bytes.
    let wrong = EditedValue::Json(json!({ "nmae": "mended" }));
    assert!(platform.replay_edited_letter(&Caller::server(), id(0), wrong).await.is_err());
    let mended = EditedValue::Json(json!({ "name": "mended", "amount": 8 }));
    assert_eq!(platform.replay_edited_letter(&Caller::server(), id(0), mended).await.unwrap(), 1);
    let bytes = EditedValue::Bytes(Bytes::from_static(&[0x0a, 0x01, b'b', 0x10, 0x09]));
    assert_eq!(platform.replay_edited_letter(&Caller::server(), id(1), bytes).await.unwrap(), 1);
    let lines = receiver.lines();
    assert_eq!(lines.len(), 7, "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("mended") && line.contains("amount=8i")), "{lines:?}");
    assert!(letters(&platform, "kept").await.is_empty());
    let replays: Vec<Value> =
        letters(&platform, "replayed").await.iter().map(|letter| letter["replays"].clone()).collect();
    assert_eq!(replays, [1, 1, 1]);
    // A replayed record stays in its cell.
    assert_eq!(platform.firehose("to-influx").await.unwrap()["status"]["ledger"], ledger);
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_is_waited_for_with_words_and_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let (platform, (receiver, mut server)) = (open(directory.path()).await, receiver().await);
    apply(&platform, &document(&server)).await.unwrap();
    publish_amounts(&platform, 0..5).await;
    delivered(&platform, 5).await;
    server.go_down().await;
    publish_amounts(&platform, 5..10).await;
    let down = until(|| status(&platform), |status| status["state"] == "retrying").await;
    assert!(down["message"].as_str().unwrap().contains("InfluxDB"), "{down}");
    // Nobody's patience is tried: it is paused, and the server of Millrace ends, while the sink is down.
    platform.close().await.unwrap();
    drop(platform);
    let platform = open(directory.path()).await;
    until(|| status(&platform), |status| status["state"] == "retrying").await;
    server.come_up().await.unwrap();
    let well = delivered(&platform, 10).await;
    assert_eq!((position(&well), receiver.lines().len()), ((&json!(10), &json!(0)), 10));
    until(|| status(&platform), |status| status["state"] == "running").await;
    assert!(letters(&platform, "kept").await.is_empty());
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_secret_is_used_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let (platform, (receiver, server)) = (open(directory.path()).await, receiver().await);
    let mut document = document(&server);
    document["spec"]["sink"]["username"] = json!("rani");
    document["spec"]["sink"]["secret"] = json!("influx-password");
    assert_eq!(apply(&platform, &document).await.err().unwrap().code, "secret_not_found");
    platform.put_secret(&Actor::server(), "influx-password", None, "one").await.unwrap();
    apply(&platform, &document).await.unwrap();
    publish_amounts(&platform, 0..1).await;
    delivered(&platform, 1).await;
    platform.put_secret(&Actor::server(), "influx-password", None, "two").await.unwrap();
    publish_amounts(&platform, 1..2).await;
    delivered(&platform, 2).await;
    let tokens = receiver.tokens.lock().unwrap().clone();
    assert_eq!(tokens.len(), 2);
    assert_ne!(tokens[0], tokens[1]);
    let shown = platform.firehose("to-influx").await.unwrap().to_string();
    assert!(!shown.contains("\"two\""), "{shown}");
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_can_be_tried_before_it_is_deployed() {
    let directory = tempfile::tempdir().unwrap();
    let (platform, (receiver, server)) = (open(directory.path()).await, receiver().await);
    publish_amounts(&platform, 0..5).await;
    let mut document = document(&server);
    document["spec"]["filter"] = json!("amount > 2");
    let judged = platform.validate_firehose(&document.to_string()).await;
    assert_eq!((&judged["problems"], &judged["guarantee"]), (&json!([]), &json!("overwrites")));
    let names: Vec<&str> =
        judged["columns"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["name", "amount", "at"]);
    let tried = platform.preview_firehose(&Actor::server(), &document.to_string(), Some(4)).await.unwrap();
    let outcomes: Vec<&str> = tried.iter().map(|record| record["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["filtered", "filtered", "filtered", "kept"]);
    assert_eq!((&tried[3]["value"]["name"], &tried[3]["row"]["amount"]), (&json!("n3"), &json!(3)));
    assert!(tried[3]["sent"].as_str().unwrap().contains("amount=3i"), "{}", tried[3]);
    let at = |offset| RecordPlace { partition: 0, offset };
    let sent = platform.send_one_record(&Actor::server(), &document.to_string(), at(4)).await.unwrap();
    assert_eq!(sent["isDelivered"], true, "{sent}");
    assert_eq!(receiver.lines().len(), 1);
    receiver.refuse(Some("n4"));
    let refused = platform.send_one_record(&Actor::server(), &document.to_string(), at(4)).await.unwrap();
    assert!(refused["isDelivered"] == false && refused["answer"].as_str().unwrap().contains("field type conflict"));
    let filtered = platform.send_one_record(&Actor::server(), &document.to_string(), at(0)).await.unwrap();
    assert!(filtered["answer"].as_str().unwrap().contains("filtered"), "{filtered}");
    let gone = platform.send_one_record(&Actor::server(), &document.to_string(), at(5)).await.unwrap_err();
    assert!(gone.hint.unwrap().contains("0 to 4"), "{}", gone.detail);
    // Nothing was made.
    assert!(platform.firehoses().await.unwrap().is_empty());

    for (pointer, value, place, detail) in [
        ("/spec/filter", json!("amont > 2"), "filter", "amont"),
        ("/spec/topic", json!("evnts"), "topic", "there is no topic `evnts`"),
        ("/spec/sink/url", json!("http://10.1.2.3"), "sink.url", "private address"),
        ("/spec/sink/timeColumn", json!("when"), "sink.timeColumn", "when"),
        ("/spec/delivery/linger", json!("soon"), "delivery.linger", "soon"),
    ] {
        let mut wrong = document.clone();
        if let Some(key) = pointer.strip_prefix("/spec/sink/") {
            wrong["spec"]["sink"][key] = value;
        } else {
            *wrong.pointer_mut(pointer).unwrap() = value;
        }
        let judged = platform.validate_firehose(&wrong.to_string()).await;
        let problem = &judged["problems"][0];
        assert_eq!(problem["place"], place, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(detail), "{problem}");
        assert!(apply(&platform, &wrong).await.is_err());
    }
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_may_make_one_and_what_it_holds_is_guarded() {
    let directory = tempfile::tempdir().unwrap();
    let (platform, (_receiver, server)) = (open(directory.path()).await, receiver().await);
    let (actor, by) = (Actor::server(), Caller::server());
    let closed = GroupSpec { description: None, open_records: false };
    platform.create_group(&actor, "rides", &closed).await.unwrap();
    platform.create_group(&actor, "food", &closed).await.unwrap();
    let secret_topic = Metadata { group: "food".to_owned(), ..Metadata::named("meals") };
    let spec = TopicSpec::new(1, Some("t.Event".to_owned()));
    platform.create_topic(&actor, &secret_topic, &spec).await.unwrap();
    platform.create_user(&by, "rani", "", false).await.unwrap();
    platform.put_member(&by, "rides", "rani", Role::Editor).await.unwrap();
    let (_, token) = platform.access().create_token(&by, "rani", "t", None, None).await.unwrap();
    let rani = Actor::new(platform.caller(&token).await.unwrap().unwrap());
    let apply_as = |actor: Actor, document: Value| {
        let platform = Arc::clone(&platform);
        async move { platform.apply_firehose(&actor, &document.to_string()).await }
    };
    let mut document = document(&server);
    document["metadata"]["group"] = json!("food");
    assert_eq!(apply_as(rani.clone(), document.clone()).await.err().unwrap().code, "forbidden");
    document["metadata"]["group"] = json!("rides");
    document["spec"]["topic"] = json!("meals");
    let other = apply_as(rani.clone(), document.clone()).await.err().unwrap();
    assert!(other.detail.contains("the topic `meals`"), "{other}");
    assert!(platform.preview_firehose(&rani, &document.to_string(), None).await.is_err());
    document["spec"]["topic"] = json!("events");
    // A dry run makes nothing.
    let dry = Actor { is_dry_run: true, ..rani.clone() };
    apply_as(dry, document.clone()).await.unwrap();
    assert!(platform.firehoses().await.unwrap().is_empty());
    apply_as(rani.clone(), document.clone()).await.unwrap();
    // What it reads, and the group that owns it, stay.
    assert_eq!(platform.delete_topic(&actor, "events").await.unwrap_err().code, "topic_in_use");
    assert_eq!(platform.delete_group(&actor, "rides").await.unwrap_err().code, "group_in_use");
    let stale = Actor { if_generation: Some(9), ..rani.clone() };
    assert_eq!(platform.pause_firehose(&stale, "to-influx").await.unwrap_err().code, "generation_conflict");
    assert_eq!(platform.delete_firehose(&stale, "to-influx").await.unwrap_err().code, "generation_conflict");
    platform.delete_firehose(&rani, "to-influx").await.unwrap();
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_examples_fit_the_demo_city() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open(directory.path()).await;
    platform.start_demo(DemoOptions { records_per_second: 10.0, seed: 1 }).await.unwrap();
    for secret in ["bookings-db", "webhook-key"] {
        platform.put_secret(&Actor::server(), secret, None, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").await.unwrap();
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/firehoses");
    let mut documents = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let judged = platform.validate_firehose(&std::fs::read_to_string(&path).unwrap()).await;
            assert_eq!(judged["problems"], json!([]), "{}", path.display());
            documents += 1;
        }
    }
    assert_eq!(documents, 3);
    platform.close().await.unwrap();
}
