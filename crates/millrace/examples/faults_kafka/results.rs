//! Reads what a dagger has published, as any reader of committed records does, and judges it.

use crate::Result;
use crate::events::{CLOSING_KEY, Place, Total, decode_total};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

const METADATA_TIMEOUT: Duration = Duration::from_secs(10);
/// What comes a second time comes within this time after the first.
const AFTERWARDS: Duration = Duration::from_millis(1_500);
const SHOWN_MAX: usize = 3;

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    pub lost: usize,
    pub doubled: usize,
    pub wrong: usize,
}

/// Which records a reader sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    Committed,
    /// Those of aborted transactions, too.
    Uncommitted,
}

/// Reads until all that is expected is there or the time is over, then a while longer, to the end of each partition.
pub fn read(
    mut client: ClientConfig,
    topic: &str,
    isolation: Isolation,
    expected: &BTreeMap<Place, Total>,
    patience: Duration,
) -> Result<Vec<(Place, Total)>> {
    client
        .set("group.id", "faults-reader")
        .set("isolation.level", if isolation == Isolation::Committed { "read_committed" } else { "read_uncommitted" })
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "100");
    let consumer: BaseConsumer = client.create()?;
    let metadata = consumer.fetch_metadata(Some(topic), METADATA_TIMEOUT)?;
    let partitions = metadata.topics().iter().flat_map(|topic| topic.partitions()).map(|one| one.id());
    let mut unread: BTreeSet<i32> = partitions.collect();
    let mut assigned = TopicPartitionList::new();
    for partition in &unread {
        assigned.add_partition_offset(topic, *partition, Offset::Beginning)?;
    }
    consumer.assign(&assigned)?;
    let (mut found, mut missing) = (Vec::new(), expected.keys().cloned().collect::<BTreeSet<Place>>());
    let (deadline, mut complete) = (Instant::now() + patience, None);
    loop {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => {
                unread.insert(message.partition());
                let value = message.payload().ok_or("a result has no value")?;
                let (place, total) = decode_total(value).ok_or("a result cannot be decoded")?;
                if place.1 != CLOSING_KEY {
                    missing.remove(&place);
                    found.push((place, total));
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => drop(unread.remove(&partition)),
            // What passes is tried again by the client.
            Some(Err(_)) | None => {}
        }
        if missing.is_empty() && complete.is_none() {
            complete = Some(Instant::now() + AFTERWARDS);
        }
        let until = complete.unwrap_or(deadline);
        if Instant::now() > until && (unread.is_empty() || Instant::now() > until + METADATA_TIMEOUT) {
            return Ok(found);
        }
    }
}

/// What became of results that no reader of committed records has seen, for whoever looks for the reason.
pub fn say_what_became_of_lost(
    all: &[(Place, Total)],
    committed: &[(Place, Total)],
    expected: &BTreeMap<Place, Total>,
) {
    let seen: BTreeSet<&Place> = committed.iter().map(|(place, _)| place).collect();
    let lost: Vec<&Place> = expected.keys().filter(|place| !seen.contains(place)).collect();
    let aborted = |place: &Place| all.iter().filter(|(other, _)| other == place).count();
    let uncommitted = lost.iter().filter(|place| aborted(place) > 0).count();
    let (first, last) = (lost.first(), lost.last());
    eprintln!(
        "    {} lost, {uncommitted} of them written and not committed; from {first:?} to {last:?} of {:?} to {:?}; {} records \
         with those of aborted transactions, {} without",
        lost.len(),
        expected.keys().next(),
        expected.keys().last(),
        all.len(),
        committed.len(),
    );
}

pub fn judge(found: &[(Place, Total)], expected: &BTreeMap<Place, Total>) -> Verdict {
    let mut verdict = Verdict::default();
    let mut seen = BTreeSet::new();
    let mut shown = 0;
    let mut show = |what: &str, place: &Place, found: Option<&Total>| {
        shown += 1;
        if shown <= SHOWN_MAX {
            eprintln!("    {what}: {place:?} is {found:?}, expected {:?}", expected.get(place));
        }
    };
    for (place, total) in found {
        if !seen.insert(place) {
            verdict.doubled += 1;
            show("doubled", place, Some(total));
        }
        if expected.get(place) != Some(total) {
            verdict.wrong += 1;
            show("wrong", place, Some(total));
        }
    }
    for place in expected.keys().filter(|place| !seen.contains(place)) {
        verdict.lost += 1;
        show("lost", place, None);
    }
    verdict
}
