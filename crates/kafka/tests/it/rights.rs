//! What a user has to be allowed, as docs/kafka.md has it, and how the test of a connection tells what is missing.

use std::process::Command;
use std::time::Duration;

use kafka::{
    ClusterConfig, Compression, Delivery, KafkaLog, Marker, Outcome, Sasl, Security, Step, Writer, WriterOptions,
    test_connection,
};
use log::TopicLog;

use crate::cluster::{connect, read_to_end, record, topic, values, variable};

/// Bob, who may do what he was granted.
fn bob(prefix: &str) -> ClusterConfig {
    let sasl = Some(Sasl::Plain { username: "bob".to_owned(), password: "bob-secret".to_owned() });
    let bootstrap = variable("MILLRACE_KAFKA_BOOTSTRAP_SASL_PLAINTEXT");
    ClusterConfig {
        security: Security { sasl, ..Security::default() },
        prefix: prefix.to_owned(),
        ..ClusterConfig::plaintext("bob", &[&bootstrap])
    }
}

fn grant(what: &[&str]) {
    let console = concat!(env!("CARGO_MANIFEST_DIR"), "/../../scripts/kafka/console.sh");
    let bootstrap = variable("MILLRACE_KAFKA_BOOTSTRAP");
    let granted = Command::new(console)
        .args(["AclCommand", "--bootstrap-server", &bootstrap, "--add", "--allow-principal", "User:bob"])
        .args(what)
        .output()
        .unwrap();
    assert!(granted.status.success(), "{}", String::from_utf8_lossy(&granted.stderr));
}

/// Outcome and detail of the last step.
fn rights(config: &ClusterConfig) -> (Outcome, String) {
    let steps = test_connection(config).unwrap();
    let last = steps.into_iter().find(|step| step.step == Step::Rights).unwrap();
    (last.outcome, last.detail)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_granted_is_enough_and_what_is_missing_is_told() {
    let admin = connect();
    let (reads, writes) = (topic(&admin, 1).await, topic(&admin, 1).await);
    admin.produce(&reads, vec![record("k", "one")]).await.unwrap();
    let prefix = format!("{writes}-");
    let config = bob(&prefix);
    assert_eq!(rights(&config), (Outcome::Failed, "logged in, and sees no topic".to_owned()));
    grant(&["--operation", "Describe", "--topic", &reads]);
    let blind = (Outcome::Failed, "sees 1 topic, may read and write none of them".to_owned());
    until(&config, |found| *found == blind).await;
    grant(&["--operation", "Read", "--topic", &reads]);
    grant(&["--operation", "Write", "--operation", "Describe", "--topic", &writes]);
    let both = (Outcome::Passed, "of 2 topics: may read 1, may write 1; may not make topics".to_owned());
    until(&config, |found| *found == both).await;

    let log = KafkaLog::connect(config).unwrap();
    let mut reader = log.open(&reads, 0, 0).await.unwrap();
    assert_eq!(values(&read_to_end(reader.as_mut()).await), ["one"]);
    log.produce(&writes, vec![record("k", "published")]).await.unwrap();
    let described = log.topic(&reads).await.unwrap();
    assert_eq!(described.partitions[0].end_offset, 1);

    let delivery = || Delivery::ExactlyOnce { name: "dagger".to_owned(), timeout: Duration::from_secs(60) };
    let options = || WriterOptions { topic: writes.clone(), delivery: delivery(), compression: Compression::None };
    assert!(Writer::open(&log, options(), 1 << 20).is_err());
    grant(&["--operation", "Read", "--topic", &writes]);
    let prefixed = ["--resource-pattern-type", "prefixed"];
    grant(&[&["--operation", "Read", "--group", &prefix], &prefixed[..]].concat());
    grant(
        &[&["--operation", "Describe", "--operation", "Write", "--transactional-id", &prefix], &prefixed[..]].concat(),
    );
    let writer = loop {
        match Writer::open(&log, options(), 1 << 20) {
            Ok(writer) => break writer,
            Err(error) => println!("not yet: {error}"),
        }
    };
    assert_eq!(writer.committed().unwrap(), None);
    writer.write(&[record("k", "exactly once")], |_, reason| panic!("{reason}")).unwrap();
    let marker = Marker { lineage: "abc".to_owned(), checkpoint: 1 };
    writer.prepare(&marker).unwrap();
    writer.commit().unwrap();
    assert_eq!(writer.committed().unwrap(), Some(marker));
    let mut reader = admin.open(&writes, 0, 0).await.unwrap();
    assert_eq!(values(&read_to_end(reader.as_mut()).await), ["published", "exactly once"]);
    // Bob sees nothing again: the cluster may be used by another run.
    for topic in [&reads, &writes] {
        admin.delete_topic(topic).await.unwrap();
    }
}

/// Brokers learn of what was granted one after the other.
async fn until(config: &ClusterConfig, is_so: impl Fn(&(Outcome, String)) -> bool) {
    let mut found = rights(config);
    for _ in 0..50 {
        if is_so(&found) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        found = rights(config);
    }
    panic!("still {found:?}");
}
