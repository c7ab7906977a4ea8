//! Dead letters: finding them and looking into them.

use super::Platform;
use crate::access::{Caller, Permission};
use crate::dagger_spec::DaggerSpec;
use crate::error::ControlError;
use crate::firehose_spec::{firehose_owner, owner_firehose};
use crate::records::{self, DraftValue, PartFormat, RecordDraft, RecordFormat, base64_text};
use crate::resource::Kind;
use crate::sinks::external::is_of_sink;
use crate::time_text::millis;
use crate::topic_spec::TopicSpec;
use bytes::Bytes;
use codec::{Payload, RecordPart, WireFormat};
use delivery::{DeadLetter, DeadLetterFilter, DeadLetterKey, DeadLetterKind, DeadLetterState};
use serde_json::{Value, json};
use std::collections::HashMap;

pub const DEAD_LETTERS_PER_PAGE_MAX: usize = 1_000;

/// Which dead letters, in the words of the edge.
#[derive(Debug, Clone, Default)]
pub struct DeadLetterQuery {
    /// Or the firehose of this name, if there is no such dagger.
    pub dagger: Option<String>,
    pub firehose: Option<String>,
    pub topic: Option<String>,
    pub kind: Option<String>,
    pub state: Option<String>,
}

impl DeadLetterQuery {
    pub(super) fn filter(&self) -> Result<DeadLetterFilter, ControlError> {
        let kind = self
            .kind
            .as_deref()
            .map(|text| text.parse::<DeadLetterKind>().map_err(|error| ControlError::invalid("kind_invalid", error)))
            .transpose()?;
        let state = match self.state.as_deref() {
            None => None,
            Some("kept") => Some(DeadLetterState::Kept),
            Some("replayed") => Some(DeadLetterState::Replayed),
            Some(other) => {
                return Err(ControlError::invalid(
                    "state_invalid",
                    format!("`{other}` is not a state of a dead letter"),
                )
                .with_hint("the states are: kept, replayed"));
            }
        };
        Ok(DeadLetterFilter {
            owner: self.firehose.as_deref().map(firehose_owner).or_else(|| self.dagger.clone()),
            topic: self.topic.clone(),
            kind,
            state,
            ..DeadLetterFilter::default()
        })
    }
}

/// What somebody makes of a letter's value before it is replayed.
#[derive(Debug, Clone)]
pub enum EditedValue {
    /// A message in the protobuf JSON mapping, written in the topic's encoding.
    Json(Value),
    /// The record's bytes as they shall be.
    Bytes(Bytes),
}

pub struct DeadLetters {
    pub items: Vec<Value>,
    pub next: Option<String>,
}

impl Platform {
    pub async fn dead_letters(
        &self,
        caller: &Caller,
        query: &DeadLetterQuery,
        after: Option<String>,
        limit: usize,
    ) -> Result<DeadLetters, ControlError> {
        let (store, filter) = (self.dead_letters.clone(), self.dead_letter_filter(query).await?);
        let limit = limit.clamp(1, DEAD_LETTERS_PER_PAGE_MAX);
        let page = tokio::task::spawn_blocking(move || store.list(&filter, after.as_deref(), limit)).await??;
        // A page can be shorter than its limit: what the caller may not read is left out.
        let groups = self.owner_groups().await?;
        let readable = |letter: &&DeadLetter| may_read(caller, &groups, &letter.key.owner);
        Ok(DeadLetters { items: page.letters.iter().filter(readable).map(summary).collect(), next: page.next_cursor })
    }

    /// One dead letter with its bytes, decoded as far as it goes by the message type as it is now.
    pub async fn dead_letter(&self, caller: &Caller, id: &str) -> Result<Value, ControlError> {
        let letter = self.find_dead_letter(id).await?;
        let (kind, name) = owner_of(&letter);
        caller.require(Permission::ReadRecords, &self.group_of(kind, name).await?)?;
        let mut shown = summary(&letter);
        let format = if is_of_sink(&letter) { None } else { self.format_of(&letter).await };
        if let Some(object) = shown.as_object_mut() {
            object.insert("key".into(), letter.record_key.as_deref().map_or(Value::Null, text_or_base64));
            let headers: serde_json::Map<String, Value> =
                letter.headers.iter().map(|(key, value)| (key.clone(), text_or_base64(value))).collect();
            object.insert("headers".into(), Value::Object(headers));
            object.insert("valueBase64".into(), letter.value.as_deref().map(base64_text).into());
            let decoded = match (&format, &letter.value) {
                (Some(format), Some(value)) => decoded_text(format, value, &letter).into(),
                (None, Some(value)) if is_of_sink(&letter) => String::from_utf8_lossy(value).into(),
                _ => Value::Null,
            };
            object.insert("schema".into(), format.map(|format| format.message.full_name().to_owned()).into());
            object.insert("decoded".into(), decoded);
        }
        Ok(shown)
    }

    pub(super) async fn find_dead_letter(&self, id: &str) -> Result<DeadLetter, ControlError> {
        let key = parse_id(id)?;
        let store = self.dead_letters.clone();
        tokio::task::spawn_blocking(move || store.get(&key)).await??.ok_or_else(|| {
            ControlError::not_found("dead_letter_not_found", format!("there is no dead letter `{id}`"))
                .with_hint("`millrace dead-letter list` shows their ids")
        })
    }

    /// A name that is said to be a dagger's may be that of a firehose.
    pub(super) async fn dead_letter_filter(&self, query: &DeadLetterQuery) -> Result<DeadLetterFilter, ControlError> {
        let filter = query.filter()?;
        let Some(name) = query.dagger.as_deref().filter(|_| query.firehose.is_none()) else { return Ok(filter) };
        let is_firehose =
            self.db.get(Kind::Dagger, name).await?.is_none() && self.db.get(Kind::Firehose, name).await?.is_some();
        let owner = if is_firehose { firehose_owner(name) } else { name.to_owned() };
        Ok(DeadLetterFilter { owner: Some(owner), ..filter })
    }

    /// The group of every dagger and firehose, as owners of letters.
    async fn owner_groups(&self) -> Result<HashMap<String, String>, ControlError> {
        let (daggers, firehoses) = (self.db.by_name(Kind::Dagger).await?, self.db.by_name(Kind::Firehose).await?);
        let daggers = daggers.iter().map(|(name, dagger)| (name.clone(), dagger.metadata.group.clone()));
        let firehoses = firehoses.iter().map(|(name, it)| (firehose_owner(name), it.metadata.group.clone()));
        Ok(daggers.chain(firehoses).collect())
    }

    /// The letter with another value: what somebody has mended.
    pub(super) async fn edited(&self, letter: DeadLetter, value: EditedValue) -> Result<DeadLetter, ControlError> {
        if is_of_sink(&letter) {
            return Err(ControlError::invalid("dead_letter_not_editable", "it is a row of a result, and no record")
                .with_hint("edit the query of its dagger, or write the row to the server yourself"));
        }
        let headers =
            letter.headers.iter().map(|(name, value)| (name.clone(), Bytes::copy_from_slice(value))).collect();
        let (value, headers) = match value {
            EditedValue::Bytes(bytes) => (bytes, headers),
            EditedValue::Json(json) => {
                let Some(format) = self.format_of(&letter).await else {
                    return Err(ControlError::invalid("topic_without_schema", "its message type is not known")
                        .with_hint("give the bytes of the record: `valueBase64`"));
                };
                let format = RecordFormat { value: Some(format), key: None };
                let draft = RecordDraft { value: DraftValue::JsonValue(json), headers, ..RecordDraft::default() };
                let record = records::encode(draft, &format, None)?;
                (record.value.unwrap_or_default(), record.headers)
            }
        };
        let headers = headers.into_iter().map(|(name, value)| (name, value.to_vec())).collect();
        Ok(DeadLetter { value: Some(value.to_vec()), headers, ..letter })
    }

    /// The type that its dagger reads it as, or, if that is gone, the topic's; in the topic's encoding.
    async fn format_of(&self, letter: &DeadLetter) -> Option<PartFormat> {
        let of_dagger = self.db.get(Kind::Dagger, &letter.key.owner).await.ok().flatten().and_then(|resource| {
            let spec = DaggerSpec::from_json(&resource.metadata.name, &resource.spec).ok()?;
            spec.streams.into_iter().find(|stream| stream.table == letter.key.stream)?.schema
        });
        let topic = self.db.get(Kind::Topic, super::replay::origin_of(letter)).await.ok().flatten();
        let topic = topic.and_then(|topic| TopicSpec::from_json(&topic.spec).ok());
        let (of_topic, encoding) = topic.map(|topic| (topic.schema, topic.encoding)).unwrap_or_default();
        let message = self.message(&of_dagger.or(of_topic)?).ok()?;
        Some(PartFormat::new(message, encoding, RecordPart::Value))
    }
}

/// The fields up to the fault; what is no protobuf is shown as the text that it is.
fn decoded_text(format: &PartFormat, value: &[u8], letter: &DeadLetter) -> String {
    let header = letter.headers.iter().rev().find(|(name, _)| name == format.schema_header());
    let payload = format.payload(&Bytes::copy_from_slice(value), header.map(|(_, value)| value.as_slice()));
    match payload {
        Ok(Payload { start: Some(start), .. }) => {
            codec::decode_from_as_far_as_possible(&format.message, value, start as usize)
        }
        Ok(Payload { start: None, .. }) => String::from_utf8_lossy(value).into_owned(),
        Err(broken) if format.wire == WireFormat::Json => {
            format!("{}\n! {}\n", String::from_utf8_lossy(value), broken.detail)
        }
        Err(broken) => format!("! {}\n", broken.detail),
    }
}

/// Whose it is.
pub(super) fn owner_of(letter: &DeadLetter) -> (Kind, &str) {
    match owner_firehose(&letter.key.owner) {
        Some(firehose) => (Kind::Firehose, firehose),
        None => (Kind::Dagger, &letter.key.owner),
    }
}

fn may_read(caller: &Caller, groups: &HashMap<String, String>, owner: &str) -> bool {
    match groups.get(owner) {
        Some(group) => caller.may(Permission::ReadRecords, group),
        None => caller.groups_with(Permission::ReadRecords).is_none(),
    }
}

fn summary(letter: &DeadLetter) -> Value {
    let state = match letter.state {
        DeadLetterState::Kept => "kept",
        DeadLetterState::Replayed => "replayed",
    };
    let (kind, owner) = owner_of(letter);
    json!({
        "id": format_id(&letter.key),
        "dagger": owner,
        "owner": { "kind": kind.as_str(), "name": owner },
        "stream": letter.key.stream,
        "topic": letter.key.topic,
        "partition": letter.key.partition,
        "offset": letter.key.offset,
        "kind": letter.kind.as_str(),
        "error": letter.error,
        "errorByte": letter.error_byte_offset,
        "timestamp": millis(letter.timestamp_ms),
        "eventTime": letter.event_time_ms.map(millis),
        "firstSeen": millis(letter.first_seen_ms),
        "bytes": letter.value.as_ref().map(Vec::len),
        "state": state,
        "replays": letter.replays,
    })
}

fn text_or_base64(bytes: &[u8]) -> Value {
    std::str::from_utf8(bytes).map_or_else(|_| base64_text(bytes).into(), Value::from)
}

/// `DAGGER/STREAM/TOPIC/PARTITION/OFFSET`, or `firehose:NAME/...`; none of the names can hold a slash.
pub(super) fn format_id(key: &DeadLetterKey) -> String {
    format!("{}/{}/{}/{}/{}", key.owner, key.stream, key.topic, key.partition, key.offset)
}

fn parse_id(id: &str) -> Result<DeadLetterKey, ControlError> {
    let invalid = || {
        ControlError::invalid("dead_letter_id_invalid", format!("`{id}` is not the id of a dead letter"))
            .with_hint("an id is DAGGER/STREAM/TOPIC/PARTITION/OFFSET, as `millrace dead-letter list` prints it")
    };
    let parts: Vec<&str> = id.split('/').collect();
    let [owner, stream, topic, partition, offset] = parts.as_slice() else { return Err(invalid()) };
    Ok(DeadLetterKey {
        owner: (*owner).to_owned(),
        stream: (*stream).to_owned(),
        topic: (*topic).to_owned(),
        partition: partition.parse().map_err(|_| invalid())?,
        offset: offset.parse().map_err(|_| invalid())?,
    })
}
