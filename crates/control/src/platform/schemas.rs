//! Message types: pushing, listing, describing.

use super::Platform;
use crate::access::Actor;
use crate::error::{ControlError, ErrorKind, Position};
use prost_reflect::MessageDescriptor;
use schema::{MessageSummary, SchemaError, SchemaErrorKind, SchemaSet, SourceFile};
use std::sync::Arc;

/// What a push brings.
pub enum SchemaPush {
    /// `.proto` files by import path.
    Sources(Vec<SourceFile>),
    /// A serialised `google.protobuf.FileDescriptorSet`.
    DescriptorSet(Vec<u8>),
}

impl Platform {
    pub fn schema_set(&self) -> Arc<SchemaSet> {
        // The lock is held for a pointer copy only, so a poisoned one still holds a whole set.
        Arc::clone(&self.schemas.read().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// Adds types, or replaces the ones that are there; running daggers take the new ones up at their next start.
    /// Returns the message types of the push.
    pub async fn push_schemas(&self, actor: &Actor, push: SchemaPush) -> Result<Vec<MessageSummary>, ControlError> {
        let _change = self.changes.lock().await;
        let current = self.schema_set();
        let (pushed, merged) = tokio::task::spawn_blocking(move || {
            let pushed = match push {
                SchemaPush::Sources(files) => SchemaSet::from_sources(&files)?,
                SchemaPush::DescriptorSet(bytes) => SchemaSet::from_descriptor_set(&bytes)?,
            };
            let merged = current.merge(&pushed)?;
            Ok::<_, ControlError>((pushed, merged))
        })
        .await??;
        let summaries = pushed.messages();
        let names: Vec<String> = summaries.iter().map(|summary| summary.full_name.clone()).collect();
        if !actor.is_dry_run {
            self.store_schema_set(actor, &pushed.to_descriptor_set(), &names, merged).await?;
        }
        Ok(summaries)
    }

    /// Writes the set to the database, then shows it to everybody.
    pub(super) async fn store_schema_set(
        &self,
        actor: &Actor,
        pushed: &[u8],
        names: &[String],
        merged: SchemaSet,
    ) -> Result<(), ControlError> {
        self.db.put_schema_set(actor, pushed, names, &merged.to_descriptor_set()).await?;
        *self.schemas.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = Arc::new(merged);
        Ok(())
    }

    pub fn message_types(&self) -> Vec<MessageSummary> {
        self.schema_set().messages()
    }

    pub fn describe_message(&self, full_name: &str) -> Result<MessageSummary, ControlError> {
        Ok(self.schema_set().describe(full_name)?)
    }

    pub fn message(&self, full_name: &str) -> Result<MessageDescriptor, ControlError> {
        Ok(self.schema_set().message(full_name)?)
    }
}

impl From<SchemaError> for ControlError {
    fn from(error: SchemaError) -> Self {
        let (kind, code) = match error.kind {
            SchemaErrorKind::Invalid => (ErrorKind::Invalid, "schema_invalid"),
            SchemaErrorKind::NotFound => (ErrorKind::NotFound, "schema_not_found"),
            SchemaErrorKind::Conflict => (ErrorKind::Conflict, "schema_conflict"),
            SchemaErrorKind::TooLarge => (ErrorKind::TooLarge, "schema_too_large"),
            SchemaErrorKind::Unsupported => (ErrorKind::Invalid, "schema_unsupported"),
        };
        let position =
            error.line.map(|line| Position { line: line as usize, column: error.column.unwrap_or(1) as usize });
        // One finding carries its hint apart; several are listed with theirs in the text.
        let (detail, hint) = match error.more.is_empty() {
            true => (SchemaError { hint: None, ..error.clone() }.to_string(), error.hint),
            false => (error.to_string(), None),
        };
        ControlError { kind, code, detail, hint, position }
    }
}

impl From<delivery::DeliveryError> for ControlError {
    fn from(error: delivery::DeliveryError) -> Self {
        use delivery::DeliveryError as D;
        match &error {
            D::DiskFull => Self::unavailable("disk_full", error.to_string()),
            D::InUse | D::Storage { .. } => Self::unavailable("dead_letters_unavailable", error.to_string()),
            D::InvalidCursor { .. } => Self::invalid("cursor_invalid", error.to_string()),
            D::TooLong { .. } => Self::too_large("dead_letter_too_large", error.to_string()),
            D::Corrupt { .. } => Self::internal(error.to_string()),
        }
    }
}

impl From<log::LogError> for ControlError {
    fn from(error: log::LogError) -> Self {
        use log::LogError as L;
        let text = error.to_string();
        match error {
            L::UnknownTopic { topic, nearest } => {
                Self::not_found("topic_not_found", format!("there is no topic `{topic}`"))
                    .maybe_hint(nearest.map(|name| format!("did you mean `{name}`?")))
            }
            L::UnknownPartition { .. } => Self::invalid("partition_not_found", text),
            L::TopicExists { .. } => Self::conflict("topic_exists", text),
            L::InvalidTopicName { .. } => Self::invalid("name_invalid", text),
            L::InvalidConfig { .. } => Self::invalid("topic_invalid", text),
            L::OverLimit { .. } => Self::too_large("over_limit", text),
            L::BadRecord { .. } => Self::invalid("record_invalid", text),
            L::OffsetGone { .. } | L::OffsetBeyondEnd { .. } => Self::invalid("offset_out_of_range", text),
            L::DiskFull { .. } => Self::unavailable("disk_full", text),
            L::Cluster { may_pass: true, .. } => Self::unavailable("kafka_cluster_unavailable", text),
            L::Cluster { .. } => Self::conflict("kafka_cluster_refused", text),
            L::TopicRecreated { .. } => Self::conflict("topic_recreated", text),
            L::Locked { .. } => Self::conflict("data_directory_in_use", text),
            L::Io { .. } | L::PartitionFailed { .. } | L::PartlyWritten { .. } | L::Closed => {
                Self::unavailable("log_unavailable", text)
            }
            _ => Self::internal(text),
        }
    }
}
