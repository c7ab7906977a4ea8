//! The courier against sinks in memory that answer as they are told.

use async_trait::async_trait;
use delivery::contract::KeptInMemory;
use delivery::{
    Answer, BackoffOptions, CallError, Courier, CourierOptions, Destination, EncodedBatch, EncodedBatchBuilder,
    ErrorClass, KeepError, KeepUndelivered, OutageRoute, Parcel, Policy, RecordError, RecordRoute, Undelivered,
};
use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What a call is answered, from its number and its records.
type Answers = dyn Fn(usize, &[String]) -> Result<Answer, CallError> + Send + Sync;

struct Told {
    answers: Box<Answers>,
    calls: Mutex<Vec<Vec<String>>>,
    /// What the sink has, in the order in which it came.
    stored: Mutex<Vec<String>>,
    /// Calls at the same time, now and at most.
    at_once: AtomicUsize,
    at_once_max: AtomicUsize,
}

impl Told {
    fn new(answers: impl Fn(usize, &[String]) -> Result<Answer, CallError> + Send + Sync + 'static) -> Arc<Self> {
        Arc::new(Self {
            answers: Box::new(answers),
            calls: Mutex::default(),
            stored: Mutex::default(),
            at_once: AtomicUsize::new(0),
            at_once_max: AtomicUsize::new(0),
        })
    }

    fn stored(&self) -> Vec<String> {
        self.stored.lock().unwrap().clone()
    }

    fn calls(&self) -> Vec<Vec<String>> {
        self.calls.lock().unwrap().clone()
    }
}

#[async_trait]
impl Destination for Told {
    fn name(&self) -> &str {
        "told"
    }

    async fn deliver(&self, batch: &EncodedBatch) -> Result<Answer, CallError> {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.at_once_max.fetch_max(now, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1)).await;
        let records: Vec<String> =
            (0..batch.len()).map(|index| String::from_utf8(batch.record(index).to_vec()).unwrap()).collect();
        let number = {
            let mut calls = self.calls.lock().unwrap();
            calls.push(records.clone());
            calls.len() - 1
        };
        let answer = (self.answers)(number, &records);
        if let Ok(answer) = &answer {
            let refused: Vec<usize> = answer.errors.iter().map(|error| error.index).collect();
            let taken = records.iter().enumerate().filter(|(index, _)| !refused.contains(index));
            self.stored.lock().unwrap().extend(taken.map(|(_, record)| record.clone()));
        }
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        answer
    }
}

fn parcel(number: u64, records: &[&str]) -> Parcel<u64> {
    let mut builder = EncodedBatchBuilder::default();
    records.iter().for_each(|record| builder.push(record.as_bytes()));
    Parcel { records: builder.finish(), keys: None, origin: Arc::new(number) }
}

fn options() -> CourierOptions {
    CourierOptions {
        batch_records_max: 4,
        linger: Duration::from_millis(5),
        lanes: 1,
        backoff: BackoffOptions {
            first: Duration::from_millis(1),
            longest: Duration::from_millis(10),
            ..BackoffOptions::default()
        },
        ..CourierOptions::default()
    }
}

fn start(destination: &Arc<Told>, options: CourierOptions) -> (Courier<u64>, Arc<KeptInMemory>) {
    let kept = Arc::new(KeptInMemory::default());
    (Courier::start(Arc::clone(destination) as _, Arc::clone(&kept) as _, options), kept)
}

fn error(class: ErrorClass) -> CallError {
    CallError::new(class, format!("because {class}"))
}

#[tokio::test]
async fn batches_are_full_or_have_lingered() {
    let told = Told::new(|_, _| Ok(Answer::delivered()));
    let (courier, _) = start(&told, CourierOptions { linger: Duration::from_secs(3_600), ..options() });
    courier.push(parcel(0, &["a", "b", "c", "d", "e", "f"])).await.unwrap();
    while courier.counts().delivered < 4 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(courier.acknowledged(), 0);
    courier.flush().await.unwrap();
    assert_eq!(told.calls(), [vec!["a", "b", "c", "d"], vec!["e", "f"]]);
    let (courier, _) = start(&told, CourierOptions { batch_bytes_max: 5, ..options() });
    courier.push(parcel(0, &["123", "45", "6", "longer than that"])).await.unwrap();
    courier.flush().await.unwrap();
    assert_eq!(told.calls()[2..], [vec!["123", "45"], vec!["6"], vec!["longer than that"]]);
    // One that lingers goes by itself.
    let (courier, _) = start(&told, options());
    courier.push(parcel(0, &["x"])).await.unwrap();
    while courier.acknowledged() < 1 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn records_of_a_key_keep_their_order_while_lanes_work_at_once() {
    // Every third call fails, so that there is something to overtake.
    let told =
        Told::new(|number, _| if number % 3 == 1 { Err(error(ErrorClass::Down)) } else { Ok(Answer::delivered()) });
    let (courier, _) = start(&told, CourierOptions { lanes: 4, ..options() });
    for number in 0..100u64 {
        let texts: Vec<String> = (0..7).map(|key| format!("{key}:{number}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        courier.push(Parcel { keys: Some((0..7).collect()), ..parcel(number, &texts) }).await.unwrap();
    }
    courier.flush().await.unwrap();
    let mut of_keys: HashMap<String, Vec<u64>> = HashMap::new();
    for record in told.stored() {
        let (key, number) = record.split_once(':').unwrap();
        of_keys.entry(key.to_owned()).or_default().push(number.parse().unwrap());
    }
    assert_eq!(of_keys.len(), 7);
    for (key, numbers) in of_keys {
        assert_eq!(numbers, (0..100).collect::<Vec<_>>(), "key {key}");
    }
    let at_once = told.at_once_max.load(Ordering::SeqCst);
    assert!((2..=4).contains(&at_once), "{at_once} calls at once");
    assert!(courier.counts().balances());
}

#[tokio::test]
async fn only_named_records_are_tried_again_or_put_aside() {
    let told = Told::new(|number, records| {
        let at = |record: &str| records.iter().position(|known| known == record);
        let error = |index, class| RecordError { index, class, reason: format!("because {class}") };
        let mut errors: Vec<RecordError> =
            at("bad").map(|index| error(index, ErrorClass::Refused)).into_iter().collect();
        if number < 2 {
            errors.extend(at("later").map(|index| error(index, ErrorClass::Throttled)));
        }
        errors.sort_by_key(|error| error.index);
        Ok(Answer { errors, retry_after: None })
    });
    let (courier, kept) = start(&told, options());
    courier.push(parcel(7, &["a", "later", "bad", "b"])).await.unwrap();
    courier.flush().await.unwrap();
    assert_eq!(told.calls(), [vec!["a", "later", "bad", "b"], vec!["later"], vec!["later"]]);
    let kept = kept.kept();
    assert_eq!((kept.len(), kept[0].origin, kept[0].index, kept[0].reason.as_str()), (1, 7, 2, "because refused"));
    let counts = courier.counts();
    assert!(counts.balances(), "{counts:?}");
    assert_eq!((counts.taken, counts.delivered, counts.dead_lettered, counts.retried), (4, 3, 1, 2));
}

#[tokio::test]
async fn halves_find_what_a_call_fails_for() {
    let is_bad = |record: &String| record == "3" || record == "900";
    let told = Told::new(move |_, records| match records.iter().any(is_bad) {
        true => Err(error(ErrorClass::BadRecord)),
        false => Ok(Answer::delivered()),
    });
    let (courier, kept) = start(&told, CourierOptions { batch_records_max: 1_000, ..options() });
    let texts: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    courier.push(parcel(0, &texts)).await.unwrap();
    courier.flush().await.unwrap();
    let bad: Vec<usize> = kept.kept().iter().map(|kept| kept.index).collect();
    assert_eq!(bad, [3, 900]);
    let calls = told.calls().len();
    assert!(calls <= 1 + 2 * 2 * 10, "{calls} calls");
    // In the order in which they came.
    let stored: Vec<u32> = told.stored().iter().map(|record| record.parse().unwrap()).collect();
    assert!(stored.is_sorted() && stored.len() == 998);
}

#[tokio::test]
async fn outages_wait_and_put_nothing_aside() {
    for class in [ErrorClass::Down, ErrorClass::Throttled, ErrorClass::Auth] {
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let told = Told::new(
            move |_, _| if over.load(Ordering::SeqCst) { Ok(Answer::delivered()) } else { Err(error(class)) },
        );
        let (courier, kept) = start(&told, options());
        courier.push(parcel(0, &["a", "b"])).await.unwrap();
        while told.calls().len() < 10 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let problem = courier.problem().expect("it is in trouble");
        assert!(
            problem.message.contains(&format!("because {class}")) && problem.message.contains("2 rows wait"),
            "{problem:?}"
        );
        assert_eq!((courier.acknowledged(), courier.counts().in_flight), (0, 2));
        is_over.store(true, Ordering::SeqCst);
        courier.flush().await.unwrap();
        assert_eq!((courier.problem(), courier.acknowledged()), (None, 1));
        assert_eq!((told.stored(), kept.kept()), (vec!["a".to_owned(), "b".to_owned()], vec![]));
    }
}

#[tokio::test]
async fn whoever_gives_too_much_waits() {
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    let told = Told::new(move |_, _| match over.load(Ordering::SeqCst) {
        true => Ok(Answer::delivered()),
        false => Err(error(ErrorClass::Down)),
    });
    let (courier, _) = start(&told, CourierOptions { held_bytes_max: 10, ..options() });
    courier.push(parcel(0, &["longer than ten bytes"])).await.unwrap();
    let waits = tokio::time::timeout(Duration::from_millis(50), courier.push(parcel(1, &["x"]))).await;
    assert!(waits.is_err(), "there is no room");
    assert_eq!(courier.counts().taken, 1);
    is_over.store(true, Ordering::SeqCst);
    assert_eq!(courier.push(parcel(1, &["x"])).await.unwrap(), 1);
    courier.flush().await.unwrap();
    assert_eq!(told.stored(), ["longer than ten bytes", "x"]);
}

#[tokio::test]
async fn a_policy_can_end_it_and_what_was_not_delivered_is_not_acknowledged() {
    let strict = Policy { refused: RecordRoute::Fail, down: OutageRoute::Fail, ..Policy::default() };
    for class in [ErrorClass::Refused, ErrorClass::Down, ErrorClass::Ours] {
        let told = Told::new(move |number, _| if number == 0 { Ok(Answer::delivered()) } else { Err(error(class)) });
        let (courier, kept) = start(&told, CourierOptions { policy: strict, ..options() });
        courier.push(parcel(0, &["a"])).await.unwrap();
        courier.flush().await.unwrap();
        courier.push(parcel(1, &["b"])).await.unwrap();
        let failure = courier.flush().await.unwrap_err();
        assert_eq!((failure.class, failure.reason), (class, format!("because {class}")));
        assert!(courier.push(parcel(2, &["c"])).await.is_err());
        assert_eq!((courier.acknowledged(), kept.kept().len()), (1, 0));
    }
}

/// Has no room at first.
struct FullDisk {
    failures: AtomicUsize,
    kept: KeptInMemory,
}

#[async_trait]
impl KeepUndelivered<u64> for FullDisk {
    async fn keep(&self, records: &[Undelivered<'_, u64>]) -> Result<(), KeepError> {
        if self.failures.fetch_add(1, Ordering::SeqCst) < 3 {
            return Err(KeepError { message: "the disk is full".to_owned(), may_pass: true });
        }
        self.kept.keep(records).await
    }
}

#[tokio::test]
async fn what_cannot_be_put_aside_is_not_acknowledged() {
    let told = Told::new(|_, _| Err(error(ErrorClass::Refused)));
    let keeper = Arc::new(FullDisk { failures: AtomicUsize::new(0), kept: KeptInMemory::default() });
    let courier = Courier::start(Arc::clone(&told) as _, Arc::clone(&keeper) as _, options());
    courier.push(parcel(0, &["a"])).await.unwrap();
    while courier.problem().is_none() {
        assert_eq!(courier.acknowledged(), 0);
        tokio::task::yield_now().await;
    }
    courier.flush().await.unwrap();
    assert_eq!((keeper.kept.kept().len(), courier.counts().dead_lettered), (1, 1));
    assert_eq!(told.calls().len(), 1, "the sink is not asked again");
}

#[tokio::test]
async fn the_sink_is_called_at_the_pace_that_it_was_promised() {
    let told = Told::new(|number, _| if number == 1 { Err(error(ErrorClass::Down)) } else { Ok(Answer::delivered()) });
    let limited = CourierOptions { calls_per_second: NonZeroU32::new(50), lanes: 3, ..options() };
    let (courier, _) = start(&told, limited);
    let began = Instant::now();
    for number in 0..10 {
        courier.push(parcel(number, &["a", "b", "c", "d"])).await.unwrap();
    }
    courier.flush().await.unwrap();
    // Eleven calls with the one that failed, and ten times a fiftieth between them.
    assert_eq!(told.calls().len(), 11);
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
    let told = Told::new(|_, _| Ok(Answer::delivered()));
    let limited = CourierOptions { records_per_second: NonZeroU32::new(100), batch_records_max: 1_000, ..options() };
    let (courier, _) = start(&told, limited);
    let began = Instant::now();
    let records = ["x"; 130];
    courier.push(parcel(0, &records)).await.unwrap();
    courier.flush().await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
    assert_eq!(told.calls().iter().map(Vec::len).collect::<Vec<_>>(), [100, 30]);
}

#[tokio::test]
async fn a_sink_that_keeps_failing_is_tried_by_one_call_at_a_time() {
    let is_over = Arc::new(AtomicBool::new(false));
    let over = Arc::clone(&is_over);
    let told =
        Told::new(
            move |_, _| {
                if over.load(Ordering::SeqCst) { Ok(Answer::delivered()) } else { Err(error(ErrorClass::Down)) }
            },
        );
    let (courier, _) = start(&told, CourierOptions { break_after: NonZeroU32::new(8), lanes: 4, ..options() });
    for number in 0..8 {
        courier.push(parcel(number, &["a", "b", "c", "d"])).await.unwrap();
    }
    while !courier.is_broken_open() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let message = courier.problem().unwrap().message;
    assert!(message.contains("calls in a row have failed, and one at a time is tried"), "{message}");
    // Calls that were made before end.
    tokio::time::sleep(Duration::from_millis(50)).await;
    told.at_once_max.store(0, Ordering::SeqCst);
    let before = told.calls().len();
    while told.calls().len() < before + 10 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(told.at_once_max.load(Ordering::SeqCst), 1);
    is_over.store(true, Ordering::SeqCst);
    courier.flush().await.unwrap();
    assert!(!courier.is_broken_open() && courier.problem().is_none());
    assert!(told.at_once_max.load(Ordering::SeqCst) > 1, "all lanes call again");
    assert_eq!(told.stored().len(), 32);
}

#[tokio::test]
async fn a_receipt_tells_of_its_parcel_whatever_becomes_of_those_before() {
    let told = Told::new(|_, records| match records[0].as_str() {
        "stuck" => Err(error(ErrorClass::Down)),
        _ => {
            let bad = records.iter().position(|record| record == "bad");
            let error = |index| RecordError { index, class: ErrorClass::Refused, reason: "no".to_owned() };
            Ok(Answer { errors: bad.map(error).into_iter().collect(), retry_after: None })
        }
    });
    let (courier, kept) = start(&told, CourierOptions { lanes: 2, ..options() });
    let keyed = |key: u64, number, records: &[&str]| Parcel {
        keys: Some(vec![key; records.len()].into()),
        ..parcel(number, records)
    };
    let stuck = courier.push_with_receipt(keyed(0, 0, &["stuck"])).await.unwrap();
    let taken = courier.push_with_receipt(keyed(1, 1, &["a", "bad", "b"])).await.unwrap();
    while taken.settled() < 3 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert_eq!((taken.dead_lettered(), kept.kept().len()), (vec![1], 1));
    assert_eq!((stuck.settled(), courier.acknowledged()), (0, 0));
}

#[tokio::test]
async fn a_destination_that_breaks_its_contract_is_noticed() {
    let told = Told::new(|_, _| {
        let error = RecordError { index: 9, class: ErrorClass::Refused, reason: "no".to_owned() };
        Ok(Answer { errors: vec![error], retry_after: None })
    });
    let (courier, _) = start(&told, options());
    courier.push(parcel(0, &["a"])).await.unwrap();
    assert_eq!(courier.flush().await.unwrap_err().class, ErrorClass::Ours);
    let told = Told::new(|_, _| panic!("a defect"));
    let (courier, _) = start(&told, options());
    courier.push(parcel(0, &["a"])).await.unwrap();
    assert_eq!(courier.flush().await.unwrap_err().class, ErrorClass::Ours);
}
