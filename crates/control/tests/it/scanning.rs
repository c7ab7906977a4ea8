//! Reading topics with conditions, against a plain look at every record.

use crate::open_platform::{open, publish, push};
use bytes::Bytes;
use control::access::Actor;
use control::records::{DraftValue, RecordDraft};
use control::{
    ControlError, Follow, Metadata, Platform, RecordRate, ScanEnd, ScanProgress, Shows, TailFilter, TailFrom, TailLine,
    TailRequest, TopicSpec,
};
use serde_json::Value;
use std::sync::Arc;

const PROTO: &str = "syntax = \"proto3\"; package t; message Event { string name = 1; int64 amount = 2; }";
const START_MS: i64 = 1_700_000_000_000;
const PARTITIONS: u32 = 3;
const RECORDS: i64 = 40_000;

/// Records whose number, time and partition are known: the n-th is n seconds after the start, in partition n % 3, but
/// only the first partition has names that begin with `rare`.
async fn numbered(directory: &std::path::Path) -> Arc<Platform> {
    let platform = open(directory).await;
    push(&platform, PROTO).await;
    let spec = TopicSpec::new(PARTITIONS, Some("t.Event".to_owned()));
    platform.create_topic(&Actor::server(), &Metadata::named("events"), &spec).await.unwrap();
    let drafts = (0..RECORDS).map(|number| {
        let name = if number % 300 == 0 { format!("rare-{number}") } else { format!("Plain-{number}") };
        Ok(RecordDraft {
            value: DraftValue::Json(Bytes::from(format!("{{\"name\": \"{name}\", \"amount\": {number}}}"))),
            timestamp_ms: Some(START_MS + number * 1_000),
            partition: Some((number % i64::from(PARTITIONS)) as u32),
            ..RecordDraft::default()
        })
    });
    let drafts: Vec<_> = drafts.collect();
    for some in drafts.chunks(5_000) {
        assert_eq!(platform.produce("events", some.to_vec(), None).await.unwrap().acknowledged(), some.len());
    }
    platform
}

fn request(from: TailFrom, limit: Option<usize>, filter: TailFilter) -> TailRequest {
    let shows = Shows { progress: true, raw: false };
    TailRequest { from, partition: None, limit, follow: Follow::No, filter, scan: None, shows }
}

fn condition(text: &str) -> TailFilter {
    TailFilter { condition: Some(text.to_owned()), text: None }
}

/// The amounts in the order of time, and the last progress.
async fn read(platform: &Platform, request: TailRequest) -> Result<(Vec<i64>, ScanProgress), ControlError> {
    let mut lines = platform.tail("events", request).await?;
    let (mut records, mut last) = (Vec::new(), None);
    while let Some(line) = lines.recv().await {
        match line? {
            TailLine::Record(record) => {
                records.push((record.timestamp_ms, record.json["value"]["amount"].as_i64().unwrap()));
            }
            TailLine::Progress(progress) => last = Some(progress),
        }
    }
    records.sort_unstable();
    Ok((records.into_iter().map(|(_, amount)| amount).collect(), last.unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_find_what_a_look_at_every_record_finds() {
    let directory = tempfile::tempdir().unwrap();
    let platform = numbered(directory.path()).await;

    let every = |test: fn(i64) -> bool| (0..RECORDS).filter(|number| test(*number)).collect::<Vec<_>>();
    let (found, progress) =
        read(&platform, request(TailFrom::Earliest, None, condition("amount % 1000 = 7 AND name LIKE 'P%'")))
            .await
            .unwrap();
    assert_eq!(found, every(|number| number % 1_000 == 7));
    assert_eq!(progress.end, Some(ScanEnd::End));
    assert_eq!((progress.scanned, progress.of), (RECORDS as u64, RECORDS as u64));

    // The newest: more may come than were asked for, but the newest of them are the ones that were wanted.
    let (found, progress) =
        read(&platform, request(TailFrom::Last, Some(5), condition("amount < 30000"))).await.unwrap();
    assert!(found.ends_with(&[29_995, 29_996, 29_997, 29_998, 29_999]), "{found:?}");
    assert_eq!(progress.end, Some(ScanEnd::Limit));

    // Two of three partitions have none; they are not read to their beginnings once nothing newer can be there.
    let (found, progress) =
        read(&platform, request(TailFrom::Last, Some(3), condition("name LIKE 'rare%'"))).await.unwrap();
    assert!(found.ends_with(&[39_300, 39_600, 39_900]), "{found:?}");
    assert!(progress.scanned <= 30_000, "{progress:?}");

    let from = TailFrom::Time(START_MS + 20_000_500);
    let (found, _) = read(&platform, request(from, Some(2), condition("amount % 10 = 0"))).await.unwrap();
    assert_eq!(found[..2], [20_010, 20_020]);

    let metadata = condition("_partition = 2 AND _offset < 3");
    let (found, _) = read(&platform, request(TailFrom::Earliest, None, metadata)).await.unwrap();
    assert_eq!(found, [2, 5, 8]);

    let bounded = TailRequest { scan: Some(15_000), ..request(TailFrom::Earliest, None, condition("amount < 0")) };
    let (found, progress) = read(&platform, bounded).await.unwrap();
    assert!(found.is_empty() && progress.end == Some(ScanEnd::Scan), "{progress:?}");
    assert!((15_000..30_000).contains(&progress.scanned) && progress.of == 15_000, "{progress:?}");
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_are_found_in_whatever_case() {
    let directory = tempfile::tempdir().unwrap();
    let platform = numbered(directory.path()).await;
    let text = TailFilter { condition: None, text: Some("RARE-39".to_owned()) };
    let (found, _) = read(&platform, request(TailFrom::Earliest, None, text)).await.unwrap();
    assert_eq!(found, [3_900, 39_000, 39_300, 39_600, 39_900]);
    let both = TailFilter { text: Some("plain".to_owned()), ..condition("amount BETWEEN 299 AND 301") };
    let (found, _) = read(&platform, request(TailFrom::Earliest, None, both)).await.unwrap();
    assert_eq!(found, [299, 301]);
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_condition_says_where_it_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let platform = numbered(directory.path()).await;
    for (wrong, line, column) in [
        ("amuont > 3", 1, 1),
        ("amount > 3\n  AND nmae = 'x'", 2, 7),
        ("amount >", 1, 9),
        ("amount > 3; DROP TABLE x", 1, 13),
    ] {
        let error = read(&platform, request(TailFrom::Last, Some(1), condition(wrong))).await.err().unwrap();
        let place = error.position.map(|place| (place.line, place.column));
        assert_eq!((error.code, place), ("sql_invalid", Some((line, column))), "{wrong}: {error}");
    }
    for more in ["amount > 3 UNION ALL SELECT 1 FROM record", "amount IN (SELECT amount FROM record)"] {
        let error = read(&platform, request(TailFrom::Last, Some(1), condition(more))).await.err().unwrap();
        assert_eq!(error.code, "sql_invalid", "{more}: {error}");
    }
    let plain = TopicSpec::new(1, None);
    platform.create_topic(&Actor::server(), &Metadata::named("plain"), &plain).await.unwrap();
    let refused = platform.tail("plain", request(TailFrom::Last, Some(1), condition("a = 1"))).await.err().unwrap();
    assert_eq!(refused.code, "where_needs_schema");
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tail_is_filtered_too_and_shows_bytes_when_asked() {
    let directory = tempfile::tempdir().unwrap();
    let platform = numbered(directory.path()).await;
    let shows = Shows { progress: false, raw: true };
    let follow = TailRequest {
        follow: Follow::Yes,
        shows,
        ..request(TailFrom::Latest, Some(2), condition("amount = 3 OR amount = 5"))
    };
    let mut lines = platform.tail("events", follow).await.unwrap();
    for amount in 1..=6 {
        publish(&platform, "events", &format!("{{\"name\": \"x\", \"amount\": {amount}}}")).await;
    }
    let mut amounts = Vec::new();
    while let Some(line) = lines.recv().await {
        let TailLine::Record(record) = line.unwrap() else { continue };
        let amount = record.json["value"]["amount"].as_i64().unwrap();
        // Field 1 is the text x, field 2 the amount.
        let bytes = [0x0a, 1, b'x', 0x10, amount as u8];
        assert_eq!(record.json["valueBase64"], Value::from(control::records::base64_text(&bytes)));
        amounts.push(amount);
    }
    assert_eq!(amounts, [3, 5]);
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_from_the_start_misses_nothing_before_it_follows() {
    let directory = tempfile::tempdir().unwrap();
    let platform = numbered(directory.path()).await;
    let shows = Shows::default();
    let all = TailRequest { follow: Follow::Yes, shows, ..request(TailFrom::Earliest, None, TailFilter::default()) };
    let mut lines = platform.tail("events", all).await.unwrap();
    publish(&platform, "events", "{\"amount\": 40000}").await;
    let mut amounts = Vec::new();
    while amounts.len() <= RECORDS as usize {
        let Some(Ok(TailLine::Record(record))) = lines.recv().await else { panic!("it ended") };
        amounts.push(record.json["value"]["amount"].as_i64().unwrap());
    }
    amounts.sort_unstable();
    assert_eq!(amounts, (0..=RECORDS).collect::<Vec<_>>());
    platform.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rates_are_the_records_between_two_times() {
    let directory = tempfile::tempdir().unwrap();
    let platform = numbered(directory.path()).await;
    let last_ms = START_MS + (RECORDS - 1) * 1_000;
    for steps in [1, 7, 120, 500] {
        let RecordRate { from_ms, step_ms, counts, earliest_ms, latest_ms, .. } =
            platform.record_rate("events", (None, None), Some(steps)).await.unwrap();
        assert_eq!((from_ms, earliest_ms, latest_ms), (START_MS, Some(START_MS), Some(last_ms)));
        let plain: Vec<u64> = (0..steps as i64)
            .map(|step| {
                let range = from_ms + step * step_ms..from_ms + (step + 1) * step_ms;
                (0..RECORDS).filter(|number| range.contains(&(START_MS + number * 1_000))).count() as u64
            })
            .collect();
        assert_eq!(counts, plain, "{steps} steps");
    }
    let range = (Some(START_MS + 1_000_000), Some(START_MS + 1_060_000));
    let part = platform.record_rate("events", range, Some(6)).await.unwrap();
    assert_eq!((part.step_ms, part.counts), (10_000, vec![10; 6]));
    let backwards = (Some(START_MS + 2), Some(START_MS + 1));
    assert_eq!(platform.record_rate("events", backwards, None).await.err().unwrap().code, "query_invalid");
    assert_eq!(platform.record_rate("events", (None, None), Some(501)).await.err().unwrap().code, "query_invalid");
    let spec = TopicSpec::new(1, Some("t.Event".to_owned()));
    platform.create_topic(&Actor::server(), &Metadata::named("empty"), &spec).await.unwrap();
    let empty = platform.record_rate("empty", (None, None), None).await.unwrap();
    assert_eq!((empty.counts.iter().sum::<u64>(), empty.earliest_ms), (0, None));
    platform.close().await.unwrap();
}
