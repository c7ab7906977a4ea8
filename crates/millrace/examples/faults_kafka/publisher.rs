//! A service that publishes records on and on, whatever happens to the brokers: its client tries until they are there.

use crate::Result;
use crate::events::{Breakage, Event};
use crate::random::Random;
use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const TICK: Duration = Duration::from_millis(20);
/// Event time runs so much faster than the clock.
const SPEED: i64 = 10;
/// Event time begins so long ago: a window that is closed by the clock is closed far too early.
const AGO_MS: i64 = 24 * 3_600_000;
const RECORDS_PER_TICK_MAX: u64 = 4;
const FLUSH_TIMEOUT: Duration = Duration::from_secs(120);

/// Counts what could not be published.
#[derive(Clone, Default)]
struct Deliveries {
    failed: Arc<AtomicU64>,
}

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            eprintln!("a record was not published: {error}");
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

pub struct Publisher {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<Event>>,
    producer: Arc<ThreadedProducer<Deliveries>>,
    deliveries: Deliveries,
    stream: Stream,
}

/// What is published where.
#[derive(Clone)]
pub struct Stream {
    pub topic: String,
    pub partitions: i32,
    pub seed: u64,
    pub frame: Frame,
    /// The first event time; a day ago if it is not said.
    pub begin_ms: Option<i64>,
}

/// How values are framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    None,
    /// Confluent's, with this schema id; those that cannot be decoded have another first byte or another id.
    Confluent(u32),
}

impl Frame {
    fn framed(self, event: &Event) -> Vec<u8> {
        let Frame::Confluent(id) = self else { return event.encoded() };
        let (magic, id) = match event.breakage() {
            None => (0, id),
            Some(Breakage::FirstByte) => (0x7b, id),
            Some(Breakage::SchemaId) => (0, id + 1),
        };
        let whole = Event { is_broken: false, ..event.clone() };
        [&[magic][..], &id.to_be_bytes(), &[0], &whole.encoded()].concat()
    }
}

impl Publisher {
    pub fn start(mut client: ClientConfig, stream: Stream) -> Result<Self> {
        client
            .set("enable.idempotence", "true")
            .set("linger.ms", "50")
            .set("topic.metadata.refresh.interval.ms", "2000")
            .set("message.timeout.ms", "300000");
        let deliveries = Deliveries::default();
        let producer: Arc<ThreadedProducer<Deliveries>> = Arc::new(client.create_with_context(deliveries.clone())?);
        let stop = Arc::new(AtomicBool::new(false));
        let (sending, stopping, what) = (Arc::clone(&producer), Arc::clone(&stop), stream.clone());
        let thread = std::thread::Builder::new()
            .name("publisher".to_owned())
            .spawn(move || publish(&sending, &stopping, &what))?;
        Ok(Self { stop, thread, producer, deliveries, stream })
    }

    /// All that was published, which is then in the topic; at last, if asked for, what ends all windows.
    pub fn finish(self, end_windows: EndWindows) -> Result<Vec<Event>> {
        self.stop.store(true, Ordering::Relaxed);
        let mut events = self.thread.join().map_err(|_| "the publisher ended unexpectedly")?;
        let last_ms = events.iter().map(|event| event.time_ms).max().unwrap_or_default();
        if end_windows == EndWindows::Yes {
            for partition in 0..self.stream.partitions {
                let event = Event::closing(partition, last_ms);
                send(&self.producer, &self.stream, &event);
                events.push(event);
            }
        }
        self.producer.flush(FLUSH_TIMEOUT)?;
        match self.deliveries.failed.load(Ordering::Relaxed) {
            0 => Ok(events),
            failed => Err(format!("{failed} records were not published, so nothing can be judged").into()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndWindows {
    Yes,
    No,
}

fn publish(producer: &ThreadedProducer<Deliveries>, stop: &AtomicBool, stream: &Stream) -> Vec<Event> {
    let mut random = Random::new(stream.seed);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
    let (begin, began) = (stream.begin_ms.unwrap_or(now - AGO_MS), Instant::now());
    let mut events = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let now_ms = begin + began.elapsed().as_millis() as i64 * SPEED;
        for partition in 0..stream.partitions {
            for _ in 0..1 + random.below(RECORDS_PER_TICK_MAX) {
                let event = Event::of(&mut random, partition, now_ms, events.len() as u64);
                send(producer, stream, &event);
                events.push(event);
            }
        }
        std::thread::sleep(TICK);
    }
    events
}

fn send(producer: &ThreadedProducer<Deliveries>, stream: &Stream, event: &Event) {
    let value = stream.frame.framed(event);
    let mut record = BaseRecord::to(&stream.topic).partition(event.partition).key(&event.key).payload(&value);
    // Its queue may be full while brokers are down.
    while let Err((_, returned)) = producer.send(record) {
        record = returned;
        std::thread::sleep(TICK);
    }
}
