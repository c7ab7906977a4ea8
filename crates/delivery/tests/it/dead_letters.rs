//! Putting, listing, counting, replaying and deleting.

use delivery::{
    DeadLetter, DeadLetterFilter, DeadLetterKey, DeadLetterKind, DeadLetterLimits, DeadLetterState, DeadLetterStore,
    DeliveryError,
};

fn letter(owner: &str, topic: &str, partition: u32, offset: i64) -> DeadLetter {
    DeadLetter {
        key: DeadLetterKey {
            owner: owner.into(),
            stream: "data_stream".into(),
            topic: topic.into(),
            partition,
            offset,
        },
        kind: DeadLetterKind::Undecodable,
        error: "field 3: the record ends within it".into(),
        error_byte_offset: Some(17),
        timestamp_ms: 1_704_067_200_000 + offset,
        event_time_ms: None,
        record_key: Some(b"\xff\x00key".to_vec()),
        value: Some(vec![0xde, 0xad, offset as u8]),
        headers: vec![("trace".into(), b"\x01".to_vec()), ("trace".into(), vec![])],
        first_seen_ms: 1_000 + offset,
        replays: 0,
        state: DeadLetterState::Kept,
    }
}

fn store(limits: DeadLetterLimits) -> (tempfile::TempDir, DeadLetterStore) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = DeadLetterStore::open(dir.path(), limits).expect("opens");
    (dir, store)
}

fn offsets(store: &DeadLetterStore, filter: &DeadLetterFilter) -> Vec<i64> {
    let page = store.list(filter, None, 1_000).expect("lists");
    assert_eq!(page.next_cursor, None);
    page.letters.iter().map(|letter| letter.key.offset).collect()
}

#[test]
fn a_letter_comes_back_as_it_was_put_and_only_once() {
    let (dir, store) = store(DeadLetterLimits::default());
    let mut bare = letter("d", "t", 0, 2);
    bare.record_key = None;
    bare.value = None;
    bare.headers.clear();
    bare.error_byte_offset = None;
    bare.event_time_ms = Some(-5);
    let mut empty = letter("d", "t", 0, 3);
    empty.value = Some(vec![]);
    empty.record_key = Some(vec![]);
    let letters = [letter("d", "t", 0, 1), bare, empty];
    assert_eq!(store.put_many(&letters).expect("puts").stored, 3);
    let mut again = letters.to_vec();
    again.iter_mut().for_each(|letter| letter.error = "another error".into());
    again.push(letter("d", "t", 0, 4));
    again.push(letter("d", "t", 0, 4));
    let summary = store.put_many(&again).expect("puts");
    assert_eq!((summary.stored, summary.already_there, summary.over_limit), (1, 4, 0));
    store.sync(store.sync_point()).expect("syncs");
    drop(store);
    let store = DeadLetterStore::open(dir.path(), DeadLetterLimits::default()).expect("opens");
    assert_eq!(store.put_many(&again).expect("puts").already_there, 5);
    for letter in &letters {
        assert_eq!(store.get(&letter.key).expect("reads").as_ref(), Some(letter));
    }
    assert_eq!(store.get(&self::letter("d", "t", 1, 1).key).expect("reads"), None);
}

#[test]
fn pages_cover_everything_once_while_letters_come_and_go() {
    let (_dir, store) = store(DeadLetterLimits::default());
    for owner in ["a", "b", "ba"] {
        for partition in 0..3 {
            let letters: Vec<DeadLetter> = (0..50).map(|offset| letter(owner, "t", partition, offset * 2)).collect();
            store.put_many(&letters).expect("puts");
        }
    }
    let mut cursor: Option<String> = None;
    let mut seen = Vec::new();
    loop {
        let page = store.list(&DeadLetterFilter::default(), cursor.as_deref(), 7).expect("lists");
        assert!(page.letters.len() <= 7);
        seen.extend(page.letters.into_iter().map(|letter| letter.key));
        let Some(next) = page.next_cursor else { break };
        // What is put before the cursor does not disturb, nor does the deletion of the last one seen.
        store.put_many(&[letter("a", "t", 0, 1)]).expect("puts");
        if seen.len() == 70 {
            let last = seen.last().expect("is there");
            let filter = DeadLetterFilter {
                first_seen_from_ms: Some(1_000 + last.offset),
                ..DeadLetterFilter::owner(&last.owner)
            };
            let filter = DeadLetterFilter { first_seen_until_ms: Some(1_001 + last.offset), ..filter };
            assert!(store.delete(&filter).expect("deletes") > 0);
        }
        cursor = Some(next);
    }
    assert!(seen.is_sorted() && seen.windows(2).all(|pair| pair[0] != pair[1]));
    assert!(seen.len() >= 447, "{}", seen.len());
    assert!(matches!(
        store.list(&DeadLetterFilter::default(), Some("not a cursor"), 7),
        Err(DeliveryError::InvalidCursor { .. })
    ));
    let owned = store.list(&DeadLetterFilter::owner("b"), None, 1_000).expect("lists");
    assert!(owned.letters.iter().all(|letter| letter.key.owner == "b"));
    let other_owners_cursor = store.list(&DeadLetterFilter::owner("a"), None, 1).expect("lists").next_cursor;
    let first = store.list(&DeadLetterFilter::owner("b"), other_owners_cursor.as_deref(), 1).expect("lists");
    assert_eq!(first.letters[0].key, owned.letters[0].key);
}

#[test]
fn filters() {
    let (_dir, store) = store(DeadLetterLimits::default());
    let mut late = letter("d", "t", 0, 2);
    late.kind = DeadLetterKind::Late;
    let mut other_stream = letter("d", "u", 0, 3);
    other_stream.key.stream = "other".into();
    store.put_many(&[letter("d", "t", 0, 1), late, other_stream, letter("e", "t", 0, 4)]).expect("puts");
    let all = DeadLetterFilter::default();
    assert_eq!(offsets(&store, &all), [1, 2, 3, 4]);
    assert_eq!(offsets(&store, &DeadLetterFilter::owner("d")), [1, 2, 3]);
    assert_eq!(offsets(&store, &DeadLetterFilter { kind: Some(DeadLetterKind::Late), ..all.clone() }), [2]);
    assert_eq!(offsets(&store, &DeadLetterFilter { topic: Some("u".into()), ..all.clone() }), [3]);
    assert_eq!(offsets(&store, &DeadLetterFilter { stream: Some("data_stream".into()), ..all.clone() }), [1, 2, 4]);
    let time = DeadLetterFilter { first_seen_from_ms: Some(1_002), first_seen_until_ms: Some(1_004), ..all.clone() };
    assert_eq!(offsets(&store, &time), [2, 3]);
    assert!(store.mark_replayed(&letter("e", "t", 0, 4).key).expect("marks"));
    assert!(!store.mark_replayed(&letter("e", "t", 0, 5).key).expect("is not there"));
    assert_eq!(offsets(&store, &DeadLetterFilter { state: Some(DeadLetterState::Replayed), ..all }), [4]);
}

#[test]
fn replays_and_deletions_are_counted() {
    let (dir, store) = store(DeadLetterLimits::default());
    let letters: Vec<DeadLetter> = (0..2_500).map(|offset| letter("d", "t", 0, offset)).collect();
    store.put_many(&letters).expect("puts");
    store.put_many(&[letter("e", "t", 0, 1)]).expect("puts");
    for _ in 0..2 {
        assert!(store.mark_replayed(&letters[7].key).expect("marks"));
    }
    let replayed = store.get(&letters[7].key).expect("reads").expect("is there");
    assert_eq!((replayed.replays, replayed.state), (2, DeadLetterState::Replayed));
    assert_eq!(replayed.value, letters[7].value);
    let before = store.usage();
    assert_eq!((before[0].owner.as_str(), before[0].kept, before[0].replayed), ("d", 2_499, 1));
    drop(store);
    let store = DeadLetterStore::open(dir.path(), DeadLetterLimits::default()).expect("opens");
    assert_eq!(store.usage(), before);
    assert_eq!(
        store
            .delete(&DeadLetterFilter { first_seen_from_ms: Some(1_100), ..DeadLetterFilter::owner("d") })
            .expect("deletes"),
        2_400
    );
    assert_eq!((store.usage()[0].kept, store.usage()[0].replayed), (99, 1));
    assert_eq!(store.delete(&DeadLetterFilter::owner("d")).expect("deletes"), 100);
    let left = store.usage();
    assert_eq!((left.len(), left[0].owner.as_str()), (1, "e"));
    assert!(left[0].bytes > 0);
    assert_eq!(store.delete(&DeadLetterFilter::default()).expect("deletes"), 1);
    assert_eq!(store.usage(), []);
}

#[test]
fn what_goes_beyond_the_limits_is_counted_and_not_stored() {
    let (_dir, store) = store(DeadLetterLimits { letters_per_owner_max: 10, ..DeadLetterLimits::default() });
    let letters: Vec<DeadLetter> = (0..15).map(|offset| letter("d", "t", 0, offset)).collect();
    let summary = store.put_many(&letters).expect("puts");
    assert_eq!((summary.stored, summary.already_there, summary.over_limit), (10, 0, 5));
    let message = summary.over_limit_message.expect("a message");
    assert!(message.contains("`d`") && message.contains("10 dead letters, the limit is 10"), "{message}");
    assert_eq!(store.put_many(&[letter("other", "t", 0, 0)]).expect("puts").stored, 1, "others are not disturbed");
    store
        .delete(&DeadLetterFilter { first_seen_until_ms: Some(1_003), ..DeadLetterFilter::owner("d") })
        .expect("deletes");
    let summary = store.put_many(&letters).expect("puts");
    assert_eq!((summary.stored, summary.already_there, summary.over_limit), (3, 7, 5));
}

#[test]
fn bytes_are_limited_as_well() {
    let (_dir, store) = store(DeadLetterLimits { bytes_per_owner_max: 100_000, ..DeadLetterLimits::default() });
    let letters: Vec<DeadLetter> =
        (0..20).map(|offset| DeadLetter { value: Some(vec![7; 10_000]), ..letter("d", "t", 0, offset) }).collect();
    let summary = store.put_many(&letters).expect("puts");
    assert_eq!((summary.stored, summary.over_limit), (9, 11));
    let used: u64 = store.usage().iter().map(|usage| usage.bytes).sum();
    assert!((90_000..=100_000).contains(&used), "{used}");
    assert!(summary.over_limit_message.expect("a message").contains("bytes"));
}

#[test]
fn a_record_that_is_too_long_is_kept_without_its_bytes() {
    let limits = DeadLetterLimits {
        record_bytes_max: 1_000,
        error_bytes_max: 120,
        name_bytes_max: 20,
        ..DeadLetterLimits::default()
    };
    let (_dir, store) = store(limits);
    let long = DeadLetter { value: Some(vec![7; 2_000]), ..letter("d", "t", 0, 1) };
    let wordy = DeadLetter { error: "ü".repeat(500), ..letter("d", "t", 0, 2) };
    let summary = store.put_many(&[long.clone(), wordy.clone()]).expect("puts");
    assert_eq!((summary.stored, summary.stored_without_record), (2, 1));
    let found = store.get(&long.key).expect("reads").expect("is there");
    assert_eq!((found.value, found.record_key, found.headers.len()), (None, None, 0));
    assert!(found.error.starts_with(&long.error) && found.error.contains("the limit is 1000"), "{}", found.error);
    assert_eq!(store.get(&wordy.key).expect("reads").expect("is there").error, "ü".repeat(60));
    let named = letter(&"n".repeat(21), "t", 0, 1);
    assert!(matches!(store.put_many(&[named]), Err(DeliveryError::TooLong { found: 21, max: 20, .. })));
}
