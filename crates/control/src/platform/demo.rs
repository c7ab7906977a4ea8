//! The demo city: its schemas, topics and daggers, and a stream of its records at the pace of the clock.

use super::Platform;
use crate::access::Actor;
use crate::error::ControlError;
use crate::platform::schemas::SchemaPush;
use crate::resource::{Kind, Metadata};
use crate::time_text::now_ms;
use crate::topic_spec::TopicSpec;
use bytes::Bytes;
use city::{City, CityBatch, CityOptions};
use log::{NewRecord, TopicLog};
use schema::SourceFile;
use std::sync::Arc;
use std::time::Duration;

const TICK: Duration = Duration::from_millis(100);
/// Records of one tick; a city that has fallen behind catches up in several.
const RECORDS_PER_TICK_MAX: usize = 100_000;

pub struct DemoOptions {
    pub records_per_second: f64,
    pub seed: u64,
}

impl Platform {
    /// Makes what the city needs and is not there yet, and lets it publish until the server ends.
    pub async fn start_demo(self: &Arc<Self>, options: DemoOptions) -> Result<(), ControlError> {
        let server = Actor::server();
        let sources = city::proto_sources()
            .into_iter()
            .map(|source| SourceFile { path: source.path.to_owned(), text: source.text.to_owned() })
            .collect();
        self.push_schemas(&server, SchemaPush::Sources(sources)).await?;
        for topic in city::topics() {
            if self.db.get(Kind::Topic, topic.name).await?.is_none() {
                let mut spec = TopicSpec::new(topic.partitions, Some(topic.message_full_name.to_owned()));
                spec.description = Some(topic.description.to_owned());
                self.create_topic(&server, &Metadata::named(topic.name), &spec).await?;
            }
        }
        let publishing = tokio::spawn(publish(Arc::clone(&self.log) as Arc<dyn TopicLog>, options));
        self.tasks.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(publishing);
        for dagger in city::daggers() {
            // One that somebody has changed or stopped stays as they left it.
            if self.db.get(Kind::Dagger, dagger.name).await?.is_none() {
                self.apply_dagger(&server, dagger.yaml).await?;
            }
        }
        Ok(())
    }
}

async fn publish(log: Arc<dyn TopicLog>, options: DemoOptions) {
    let topics: Vec<&'static str> = city::topics().iter().map(|topic| topic.name).collect();
    let made = tokio::task::spawn_blocking(move || {
        let city_options = CityOptions {
            seed: options.seed,
            records_per_second: options.records_per_second,
            start_ms: now_ms(),
            ..CityOptions::default()
        };
        (City::new(city_options), CityBatch::new())
    });
    let Ok((mut city, mut batch)) = made.await else { return };
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let made = tokio::task::spawn_blocking(move || {
            city.next_batch(&mut batch, now_ms(), RECORDS_PER_TICK_MAX);
            (city, batch)
        });
        let Ok(next) = made.await else { return };
        (city, batch) = next;
        for (topic, records) in by_topic(&batch, topics.len()).into_iter().enumerate() {
            if records.is_empty() {
                continue;
            }
            if let Err(error) = log.produce(topics[topic], records).await {
                tracing::warn!(topic = topics[topic], %error, "the demo city cannot publish");
            }
        }
    }
}

fn by_topic(batch: &CityBatch, topics: usize) -> Vec<Vec<NewRecord>> {
    let bytes = Bytes::copy_from_slice(batch.bytes());
    let mut records: Vec<Vec<NewRecord>> = (0..topics).map(|_| Vec::new()).collect();
    for record in batch.records() {
        records[record.topic].push(NewRecord {
            partition: None,
            key: Some(bytes.slice(record.key_range())),
            value: Some(bytes.slice(record.value_range())),
            headers: Vec::new(),
            timestamp_ms: Some(record.timestamp_ms),
        });
    }
    records
}
