//! A firehose that nobody has deployed, tried: is it right, what would it send, and what does the sink say to one record.

use super::Platform;
use super::firehose_plan::PlannedFirehose;
use super::reading::next_there;
use super::validate::type_name;
use crate::access::{Actor, Permission};
use crate::error::ControlError;
use crate::firehose_spec::{FirehoseDocument, FirehoseSpec};
use crate::records;
use crate::resource::{Kind, Metadata};
use ::sinks::Guarantee;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use delivery::EncodedBatch;
use firehose::{PipelineWorker, slab_of_record};
use log::{Slab, TopicLog};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const RECORDS_DEFAULT: usize = 20;
pub const PREVIEW_RECORDS_MAX: usize = 200;
const POLL_BYTES: usize = 1024 * 1024;
/// Of what would be sent, this much of a record is shown.
const SENT_BYTES_SHOWN_MAX: usize = 64 * 1024;
const CALL_TIME_MAX: Duration = Duration::from_secs(30);

/// The record of a topic that is sent by hand.
#[derive(Debug, Clone, Copy)]
pub struct RecordPlace {
    pub partition: u32,
    pub offset: i64,
}

impl Platform {
    /// Judges without making anything: `problems` with their places, and what would be written.
    pub async fn validate_firehose(&self, text: &str) -> Value {
        let judged = async {
            let (metadata, document) = FirehoseDocument::parse(text)?;
            let mut spec = self.complete_firehose(&metadata, document).await?;
            let planned = self.plan_firehose(&metadata, &mut spec).await?;
            Ok::<_, ControlError>((metadata, spec, planned))
        };
        match judged.await {
            Ok((metadata, spec, planned)) => {
                let fields = planned.schema.fields().iter();
                let columns: Vec<Value> =
                    fields.map(|field| json!({ "name": field.name(), "type": type_name(field.data_type()) })).collect();
                json!({
                    "problems": [], "columns": columns, "guarantee": guarantee(planned.sink.guarantee()),
                    "firehose": {
                        "apiVersion": crate::resource::API_VERSION, "kind": "Firehose",
                        "metadata": { "name": metadata.name, "group": metadata.group, "labels": metadata.labels },
                        "spec": spec.to_json(),
                    },
                })
            }
            Err(error) => {
                let position = error.position;
                json!({
                    "problems": [{
                        "place": place_of(&error.detail), "detail": error.detail, "hint": error.hint, "code": error.code,
                        "line": position.map(|position| position.line), "column": position.map(|position| position.column),
                    }],
                    "columns": null, "guarantee": null, "firehose": null,
                })
            }
        }
    }

    /// The first records of the topic, and what becomes of each. Nothing is sent.
    pub async fn preview_firehose(
        &self,
        actor: &Actor,
        text: &str,
        records: Option<usize>,
    ) -> Result<Vec<Value>, ControlError> {
        let (metadata, mut spec) = FirehoseSpec::parse(text)?;
        self.check_trial_rights(actor, &metadata, &spec).await?;
        let planned = self.plan_firehose(&metadata, &mut spec).await?;
        let wanted = records.unwrap_or(RECORDS_DEFAULT).clamp(1, PREVIEW_RECORDS_MAX);
        let mut worker = planned.pipeline.worker();
        let mut tried = Vec::with_capacity(wanted);
        for partition in self.log.topic(&spec.topic).await?.partitions {
            let mut position = partition.start_offset;
            while tried.len() < wanted && position < partition.end_offset {
                let mut reader = self.log.open(&spec.topic, partition.partition, position).await?;
                let slab = next_there(reader.as_mut(), POLL_BYTES).await?;
                if slab.is_empty() {
                    break;
                }
                for record in (0..slab.len()).take(wanted - tried.len()) {
                    tried.push(try_record(&planned, &mut worker, &slab, record)?);
                }
                position = slab.next_offset;
            }
        }
        Ok(tried)
    }

    /// With secrets in it a preview could tell what they are, so it takes who may use them.
    async fn check_trial_rights(
        &self,
        actor: &Actor,
        metadata: &Metadata,
        spec: &FirehoseSpec,
    ) -> Result<(), ControlError> {
        if !spec.secrets().is_empty() {
            actor.require(Permission::WriteDaggers, &metadata.group)?;
        }
        match self.db.get(Kind::Topic, &spec.topic).await? {
            Some(topic) => actor.require(Permission::ReadRecords, &topic.metadata.group),
            None => Ok(()),
        }
    }

    /// Really sends one record. The position of the firehose stays.
    pub async fn send_one_record(&self, actor: &Actor, text: &str, place: RecordPlace) -> Result<Value, ControlError> {
        let (metadata, mut spec) = FirehoseSpec::parse(text)?;
        self.check_firehose_rights(actor, &metadata, &spec).await?;
        let planned = self.plan_firehose(&metadata, &mut spec).await?;
        let slab = self.one_record(&spec.topic, place).await?;
        let fate = Fate::of(&mut planned.pipeline.worker(), &slab).map_err(does_not_fit)?;
        let answer = |sent: String, answer: String, is_delivered: bool, took: Duration| {
            json!({
                "sent": sent, "answer": answer, "isDelivered": is_delivered,
                "tookMillis": (took.as_secs_f64() * 1e4).round() / 10.0,
            })
        };
        let sent = fate.sent.unwrap_or_default();
        let Some(records) = fate.records else {
            let reason = fate.reason.unwrap_or_else(|| "the record is filtered: nothing is sent".to_owned());
            return Ok(answer(sent, reason, false, Duration::ZERO));
        };
        if actor.is_dry_run {
            return Ok(answer(sent, "a dry run sends nothing".to_owned(), false, Duration::ZERO));
        }
        let destination = planned.sink.destination().map_err(ControlError::internal)?;
        let began = Instant::now();
        let said = tokio::time::timeout(CALL_TIME_MAX, destination.deliver(&records)).await;
        let (said, is_delivered) = match said {
            Err(_) => (format!("{} has not answered within {CALL_TIME_MAX:?}", destination.name()), false),
            Ok(Err(error)) => (format!("{}: {} ({})", destination.name(), error.reason, error.class), false),
            Ok(Ok(answer)) => match answer.errors.first() {
                Some(error) => (format!("{}: {} ({})", destination.name(), error.reason, error.class), false),
                None => (format!("{} has taken it", destination.name()), true),
            },
        };
        Ok(answer(sent, said, is_delivered, began.elapsed()))
    }

    async fn one_record(&self, topic: &str, place: RecordPlace) -> Result<Slab, ControlError> {
        let RecordPlace { partition, offset } = place;
        let not_there = |hint: String| {
            let detail = format!("there is no record at offset {offset} of partition {partition} of `{topic}`");
            ControlError::not_found("record_not_found", detail).with_hint(hint)
        };
        let partitions = self.log.topic(topic).await?.partitions;
        let Some(found) = partitions.iter().find(|found| found.partition == partition) else {
            return Err(not_there(format!("it has {} partitions, counted from 0", partitions.len())));
        };
        if !(found.start_offset..found.end_offset).contains(&offset) {
            let hint = match found.end_offset - found.start_offset {
                0 => "the partition has no records".to_owned(),
                _ => format!("it has the offsets {} to {}", found.start_offset, found.end_offset - 1),
            };
            return Err(not_there(hint));
        }
        let mut reader = self.log.open(topic, partition, offset).await?;
        let slab = next_there(reader.as_mut(), POLL_BYTES).await?;
        match (0..slab.len()).find(|record| slab.offset(*record) == offset) {
            Some(record) => Ok(alone(&slab, record)),
            None => Err(not_there("the log keeps nothing at this offset".to_owned())),
        }
    }
}

/// What becomes of one record, step by step.
fn try_record(
    planned: &PlannedFirehose,
    worker: &mut PipelineWorker,
    slab: &Slab,
    record: usize,
) -> Result<Value, ControlError> {
    let slab = alone(slab, record);
    let shown = records::show(&slab, 0, &planned.format, false).json;
    let Fate { outcome, reason, row, sent, .. } = Fate::of(worker, &slab).map_err(does_not_fit)?;
    let value = shown.get("value").or_else(|| shown.get("valueBase64")).cloned().unwrap_or_default();
    Ok(json!({
        "partition": slab.partition, "offset": slab.offset(0), "timestamp": crate::time_text::millis(slab.timestamp_ms(0)),
        "value": value, "outcome": outcome, "reason": reason, "row": row, "sent": sent,
    }))
}

/// What becomes of a record.
#[derive(Default)]
struct Fate {
    outcome: &'static str,
    reason: Option<String>,
    row: Value,
    /// What leaves, as text.
    sent: Option<String>,
    records: Option<EncodedBatch>,
}

impl Fate {
    fn failed(reason: &str) -> Self {
        Self { outcome: "failed", reason: Some(reason.to_owned()), ..Self::default() }
    }

    fn filtered(reason: Option<&str>) -> Self {
        Self { outcome: "filtered", reason: reason.map(str::to_owned), ..Self::default() }
    }

    /// Of the one record of a slab.
    fn of(worker: &mut PipelineWorker, slab: &Slab) -> Result<Self, ArrowError> {
        let decoded = worker.decode(slab);
        if let Some(failed) = decoded.failed.first() {
            return Ok(Self::failed(&failed.reason));
        }
        if decoded.tombstones > 0 {
            return Ok(Self::filtered(Some("it has no value")));
        }
        let rows = match worker.shape(&decoded)? {
            None => decoded.batch,
            Some(shaped) => match shaped.failed.first() {
                Some((_, reason)) => return Ok(Self::failed(reason)),
                None if shaped.rows.num_rows() == 0 => return Ok(Self::filtered(None)),
                None => shaped.rows,
            },
        };
        let row = row_json(&rows)?;
        let encoded = worker.encode(&rows, &[0], slab)?;
        Ok(match encoded.failed.first() {
            Some(failed) => Self { row, ..Self::failed(&failed.reason) },
            None if encoded.records.is_empty() => Self { row, ..Self::filtered(Some("the sink has no use for it")) },
            None => {
                // What is no text is shown as the row that it is made of.
                let sent = sent_text(&encoded.records).unwrap_or_else(|| row.to_string());
                Self { outcome: "kept", row, sent: Some(sent), records: Some(encoded.records), reason: None }
            }
        })
    }
}

fn row_json(rows: &RecordBatch) -> Result<Value, ArrowError> {
    let writer = rows::RowWriter::new(&rows.schema());
    let bound = writer.bind(rows).map_err(|error| ArrowError::InvalidArgumentError(error.to_string()))?;
    let mut json = Vec::new();
    bound.write_row(0, &mut json);
    serde_json::from_slice(&json).map_err(|error| ArrowError::JsonError(error.to_string()))
}

/// What leaves, if it is text.
fn sent_text(records: &EncodedBatch) -> Option<String> {
    let mut text = String::new();
    for index in 0..records.len() {
        if index > 0 {
            text.push('\n');
        }
        let record = std::str::from_utf8(records.record(index)).ok()?;
        let end = record.floor_char_boundary(SENT_BYTES_SHOWN_MAX);
        text.push_str(record.get(..end).unwrap_or(record));
    }
    (!text.contains('\0')).then_some(text)
}

/// A slab with this record only.
fn alone(slab: &Slab, record: usize) -> Slab {
    let headers: Vec<(String, Vec<u8>)> =
        slab.headers(record).map(|(name, value)| (name.to_owned(), value.to_vec())).collect();
    let place = (slab.partition, slab.offset(record));
    slab_of_record(&slab.topic, place, slab.timestamp_ms(record), slab.key(record), slab.value(record), &headers)
}

fn does_not_fit(error: ArrowError) -> ControlError {
    ControlError::internal(format!("the steps of the firehose do not fit each other: {error}"))
}

fn guarantee(guarantee: Guarantee) -> &'static str {
    match guarantee {
        Guarantee::ExactlyOnce => "exactlyOnce",
        Guarantee::Overwrites => "overwrites",
        Guarantee::AtLeastOnce(_) => "atLeastOnce",
    }
}

/// Where in the spec, such as `columns[2].expression`: details begin with it.
fn place_of(detail: &str) -> &str {
    let quoted = detail.split('`').nth(1).filter(|_| detail.contains("`spec.") || detail.contains("`metadata."));
    quoted.map_or("", |place| place.strip_prefix("spec.").unwrap_or(place))
}

#[cfg(test)]
mod tests {
    use super::place_of;

    #[test]
    fn a_detail_has_its_place() {
        assert_eq!(place_of("`spec.columns[2].expression`: there is no `x`"), "columns[2].expression");
        assert_eq!(place_of("line 3, column 1: unknown key `x` in `spec`"), "");
        assert_eq!(place_of("there is no group `x`"), "");
    }
}
