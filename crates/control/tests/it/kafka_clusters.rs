//! Clusters of Apache Kafka as resources, against a real one: `scripts/kafka/with_kafka.sh --secure --acl -- cargo test ...`.

use crate::open_platform::open;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use control::access::Actor;
use control::{Change, Platform};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A variable that `with_kafka.sh` sets.
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set: run the tests within `scripts/kafka/with_kafka.sh --secure --acl -- cargo test ...`")
    })
}

fn certificate(name: &str) -> String {
    std::fs::read_to_string(format!("{}/{name}", variable("MILLRACE_KAFKA_CERTS"))).unwrap()
}

pub fn document(name: &str, spec: Value) -> String {
    json!({ "apiVersion": "millrace/v1", "kind": "KafkaCluster", "metadata": { "name": name }, "spec": spec })
        .to_string()
}

/// By SCRAM over TLS, with the secret `kafka-password`.
fn secured() -> Value {
    json!({
        "type": "kafka", "bootstrap": [variable("MILLRACE_KAFKA_BOOTSTRAP_SASL_SSL")],
        "security": {
            "protocol": "SASL_SSL", "mechanism": "SCRAM-SHA-512", "username": "alice",
            "password": { "secret": "kafka-password" }, "ca": certificate("ca.crt"),
        },
    })
}

async fn put_secret(platform: &Platform, name: &str, value: &str) {
    platform.put_secret(&Actor::server(), name, None, value).await.unwrap();
}

async fn apply(platform: &Platform, name: &str, spec: Value) -> (Value, Change) {
    platform.apply_kafka_cluster(&Actor::server(), &document(name, spec)).await.unwrap()
}

/// The status once the cluster has answered or it is known why not.
async fn status(platform: &Arc<Platform>, name: &str) -> Value {
    let shown = platform.kafka_cluster(name).await.unwrap();
    shown["status"].clone()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secured_cluster_is_applied_shown_changed_and_deleted() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open(directory.path()).await;
    let error = platform.apply_kafka_cluster(&Actor::server(), &document("kafka", secured())).await.unwrap_err();
    assert_eq!(error.code, "secret_not_found");
    put_secret(&platform, "kafka-password", "wrong").await;
    assert_eq!(apply(&platform, "kafka", secured()).await.1, Change::Created);
    let refused = status(&platform, "kafka").await;
    assert_eq!(refused["state"], "misconfigured", "{refused}");
    assert!(refused["problem"].as_str().unwrap().contains("refused name, password or token"), "{refused}");
    assert!(refused["hint"].as_str().unwrap().contains("security.password"), "{refused}");

    // Another value of the secret is taken into use by itself.
    put_secret(&platform, "kafka-password", "alice-secret").await;
    let running = status(&platform, "kafka").await;
    assert_eq!((&running["state"], &running["problem"]), (&json!("running"), &Value::Null), "{running}");
    assert_eq!(running["brokers"][0]["address"], variable("MILLRACE_KAFKA_BOOTSTRAP_SASL_SSL"));
    assert_eq!(running["attachedTopics"], 0);
    assert_eq!(apply(&platform, "kafka", secured()).await.1, Change::Unchanged);
    let shown = platform.kafka_cluster("kafka").await.unwrap().to_string();
    assert!(!shown.contains("alice-secret"), "{shown}");
    let names = platform.kafka_clusters().await.unwrap();
    assert_eq!(
        names.iter().map(|one| one["metadata"]["name"].as_str().unwrap()).collect::<Vec<_>>(),
        ["embedded", "kafka"]
    );

    platform.close().await.unwrap();
    drop(platform);
    // It is there again after a start, also when its secret is not.
    let platform = open(directory.path()).await;
    assert_eq!(status(&platform, "kafka").await["state"], "running");
    platform.delete_secret(&Actor::server(), "kafka-password").await.unwrap();
    platform.close().await.unwrap();
    drop(platform);
    let platform = open(directory.path()).await;
    let without = status(&platform, "kafka").await;
    assert_eq!(without["state"], "misconfigured");
    assert!(without["problem"].as_str().unwrap().contains("`kafka-password`"), "{without}");
    platform.delete_kafka_cluster(&Actor::server(), "kafka").await.unwrap();
    assert_eq!(platform.kafka_cluster("kafka").await.unwrap_err().code, "kafka_cluster_not_found");
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clusters_that_are_down_make_nobody_wait_for_long() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open(directory.path()).await;
    // Nobody listens at the one; at the other nobody answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_address = silent.local_addr().unwrap().to_string();
    let closed_address = {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        closed.local_addr().unwrap().to_string()
    };
    for (name, address) in [("closed", closed_address), ("silent", silent_address)] {
        apply(&platform, name, json!({ "type": "kafka", "bootstrap": [address] })).await;
    }
    let begun = Instant::now();
    let all = platform.kafka_clusters().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
    let state = |name: &str| all.iter().find(|one| one["metadata"]["name"] == name).unwrap()["status"].clone();
    assert_eq!(state("closed")["state"], "unreachable", "{}", state("closed"));
    assert!(state("closed")["problem"].as_str().unwrap().contains("no broker answers"), "{}", state("closed"));
    assert_ne!(state("silent")["state"], "running", "{}", state("silent"));
    assert_eq!(state("embedded")["state"], "running");
    // The question is under way already, so nobody waits again.
    let begun = Instant::now();
    platform.kafka_clusters().await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let error = platform.kafka_cluster_topics("closed", false).await.unwrap_err();
    assert_eq!(error.code, "kafka_cluster_unavailable");
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_of_a_cluster_are_listed_and_described() {
    use log::TopicLog;
    let bootstrap = variable("MILLRACE_KAFKA_BOOTSTRAP");
    let outside = kafka::KafkaLog::connect(kafka::ClusterConfig::plaintext("outside", &[&bootstrap])).unwrap();
    let topic = format!("listed-{}", std::process::id());
    outside
        .create_topic(
            &topic,
            log::TopicConfig { retention_ms: Some(86_400_000), ..log::TopicConfig::with_partitions(3) },
        )
        .await
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let platform = open(directory.path()).await;
    put_secret(&platform, "kafka-password", "alice-secret").await;
    apply(&platform, "kafka", secured()).await;
    let find = |topics: Vec<Value>| topics.into_iter().find(|one| one["name"] == topic.as_str());
    let found = crate::open_platform::until(
        || async { find(platform.kafka_cluster_topics("kafka", false).await.unwrap()) },
        Option::is_some,
    )
    .await;
    let expected = json!({ "name": topic, "partitions": 3, "replicas": 1, "leaderless": 0, "attachedAs": null });
    assert_eq!(found.unwrap(), expected);
    let described = platform.kafka_cluster_topic("kafka", &topic).await.unwrap();
    assert_eq!(described["settings"]["retention.ms"], "86400000");
    assert_eq!(described["partitions"][2], json!({ "partition": 2, "startOffset": 0, "endOffset": 0 }));
    assert!(described["id"].is_string(), "{described}");
    let error = platform.kafka_cluster_topic("kafka", "no-such-topic").await.unwrap_err();
    assert_eq!(error.code, "topic_not_found");
    outside.delete_topic(&topic).await.unwrap();
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_tested_before_and_after_it_is_applied() {
    let directory = tempfile::tempdir().unwrap();
    let platform = open(directory.path()).await;
    let actor = Actor::server();
    put_secret(&platform, "kafka-password", "not-it").await;
    let test = |spec: Value| {
        let (platform, actor, text) = (&platform, &actor, document("draft", spec));
        async move { platform.test_kafka_cluster_document(actor, &text).await }
    };
    let failed = test(secured()).await.unwrap();
    assert_eq!(failed["ok"], false);
    let step = |answer: &Value, name: &str| {
        answer["steps"].as_array().unwrap().iter().find(|step| step["step"] == name).unwrap().clone()
    };
    assert_eq!(step(&failed, "encryption")["outcome"], "passed", "{failed}");
    assert_eq!(step(&failed, "login")["outcome"], "failed", "{failed}");
    assert!(step(&failed, "login")["hint"].as_str().unwrap().contains("security.password"), "{failed}");
    assert_eq!(step(&failed, "topics")["outcome"], "notReached", "{failed}");
    assert!(!failed.to_string().contains("not-it"), "{failed}");
    // Nothing is saved.
    assert_eq!(platform.kafka_cluster("draft").await.unwrap_err().code, "kafka_cluster_not_found");
    put_secret(&platform, "kafka-password", "alice-secret").await;
    apply(&platform, "kafka", secured()).await;
    let passed = platform.test_kafka_cluster(&actor, "kafka").await.unwrap();
    assert_eq!(passed["ok"], true, "{passed}");
    assert!(step(&passed, "login")["detail"].as_str().unwrap().contains("alice"), "{passed}");
    // What no client can be made of is a mistake of the document.
    let mut with_a_broken_key = secured();
    with_a_broken_key["security"] = json!({
        "protocol": "SSL", "ca": certificate("ca.crt"), "certificate": certificate("alice.crt"), "key": { "secret": "key" },
    });
    put_secret(&platform, "key", &certificate("mallory.key")).await;
    let error = test(with_a_broken_key.clone()).await.unwrap_err();
    assert_eq!((error.code, error.kind), ("kafka_cluster_invalid", control::ErrorKind::Invalid), "{error}");
    put_secret(&platform, "key", &certificate("alice.crt")).await;
    let error = test(with_a_broken_key).await.unwrap_err();
    assert!(error.detail.contains("the secret `key` of `spec.security.key` is a certificate"), "{error}");
    assert_eq!(platform.test_kafka_cluster(&actor, "embedded").await.unwrap_err().code, "cluster_builtin");
    platform.close().await.unwrap();
}

/// A token endpoint of one client: gives tokens that the test broker takes, which asks for no signature.
struct TokenServer {
    url: String,
    asked: Arc<AtomicU32>,
}

impl TokenServer {
    fn start(lifetime: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&asked);
        std::thread::spawn(move || {
            while let Ok((connection, _)) = listener.accept() {
                counted.fetch_add(1, Ordering::Relaxed);
                answer_token_request(connection, lifetime);
            }
        });
        Self { url, asked }
    }
}

fn answer_token_request(mut connection: TcpStream, lifetime: Duration) {
    let mut request = String::new();
    let mut buffer = [0; 4_096];
    while !request.ends_with("scope=kafka") {
        match connection.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => request.push_str(&String::from_utf8_lossy(&buffer[..count])),
        }
    }
    let is_known = request
        .to_lowercase()
        .contains(&format!("authorization: basic {}", STANDARD.encode("us:open sesame")).to_lowercase());
    assert!(request.contains("grant_type=client_credentials"), "{request}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let claims = format!(r#"{{"sub":"alice","iat":{},"exp":{}}}"#, now.as_secs(), (now + lifetime).as_secs_f64());
    let token = format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#), URL_SAFE_NO_PAD.encode(claims));
    let (status, body) = match is_known {
        true => ("200 OK", json!({ "access_token": token, "expires_in": lifetime.as_secs(), "token_type": "Bearer" })),
        false => ("401 Unauthorized", json!({ "error": "invalid_client", "error_description": "nobody knows you" })),
    };
    let body = body.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let _ = connection.write_all((head + &body).as_bytes());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_come_from_their_server_and_are_renewed() {
    // The provider of TLS is the binary's choice; here nothing is encrypted.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let directory = tempfile::tempdir().unwrap();
    let platform = open(directory.path()).await;
    let server = TokenServer::start(Duration::from_secs(8));
    let spec = json!({
        "type": "kafka", "bootstrap": [variable("MILLRACE_KAFKA_BOOTSTRAP_SASL_SSL")],
        "security": {
            "mechanism": "OAUTHBEARER", "ca": certificate("ca.crt"),
            "oauth": { "tokenUrl": server.url, "clientId": "us", "clientSecret": { "secret": "client" }, "scope": "kafka" },
        },
    });
    put_secret(&platform, "client", "not-it").await;
    let refused =
        platform.test_kafka_cluster_document(&Actor::server(), &document("draft", spec.clone())).await.unwrap();
    let login = refused["steps"].as_array().unwrap().iter().find(|step| step["step"] == "login").unwrap().clone();
    let detail = login["detail"].as_str().unwrap();
    assert!(detail.contains("invalid_client, nobody knows you") && detail.contains(&server.url), "{login}");
    assert!(!login.to_string().contains("not-it"), "{login}");
    put_secret(&platform, "client", "open sesame").await;
    apply(&platform, "kafka", spec).await;
    let running = status(&platform, "kafka").await;
    assert_eq!(running["state"], "running", "{running}");
    // The broker would cut the connection of an expired token.
    let first = server.asked.load(Ordering::Relaxed);
    crate::open_platform::until(|| async { server.asked.load(Ordering::Relaxed) }, |asked| *asked >= first + 2).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let running = status(&platform, "kafka").await;
    assert_eq!(running["state"], "running", "{running}");
    platform.close().await.unwrap();
}
