//! Another topic, of the embedded log or of a Kafka cluster. At least once: what is written again is there twice.

mod destination;
mod encode;
mod record;

use std::sync::Arc;

use async_trait::async_trait;
use delivery::Destination;

use crate::{
    CallLimits, Guarantee, LookupError, Need, Order, PlannedSink, RowEncoder, Services, Setting, SettingError,
    Settings, SinkContext, SinkDescription, SinkInput, SinkKind, ValueKind,
};
use destination::TopicDestination;
use encode::TopicEncoder;

pub(crate) struct TopicKind;

/// The embedded log takes more in one call; others write to it, too.
const CALL_BYTES_MAX: usize = 8 << 20;
const CALL_RECORDS_MAX: usize = 10_000;

const fn optional(key: &'static str, title: &'static str, help: &'static str, value: ValueKind) -> Setting {
    Setting { key, title, help, value, need: Need::Optional, only_with: None }
}

static DESCRIPTION: SinkDescription = SinkDescription {
    kind: "topic",
    title: "Topic",
    what: "Records of another topic, of Millrace or of a Kafka cluster; the value is encoded anew, or copied.",
    settings: &[
        Setting {
            key: "topic",
            title: "Topic",
            help: "the topic that is written to; it has to be there",
            value: ValueKind::Text,
            need: Need::Required,
            only_with: None,
        },
        optional(
            "schema",
            "Message type",
            "the message type of the values; if not given, that of the topic",
            ValueKind::Text,
        ),
        optional(
            "valueColumn",
            "Value column",
            "a column of bytes or text that is the value as it is; without one, the columns are encoded as the message type",
            ValueKind::Text,
        ),
        optional(
            "key",
            "Key",
            "the key, as a template: `{{ order_id }}`; without one there is no key",
            ValueKind::Template,
        ),
        optional(
            "keyColumns",
            "Key columns",
            "the columns that are encoded as the key, for a topic whose keys are messages",
            ValueKind::Columns,
        ),
        optional("headers", "Headers", "names, and a template for each", ValueKind::Templates),
        optional(
            "timestampColumn",
            "Timestamp",
            "the column with the time of a record; if not given, its event time, or else the time of writing",
            ValueKind::Text,
        ),
    ],
};

struct PlannedTopic {
    topic: String,
    encoder: Arc<TopicEncoder>,
    services: Arc<dyn Services>,
}

impl SinkKind for TopicKind {
    fn description(&self) -> &'static SinkDescription {
        &DESCRIPTION
    }

    fn plan(
        &self,
        settings: &Settings,
        input: &SinkInput<'_>,
        context: &SinkContext,
    ) -> Result<Box<dyn PlannedSink>, SettingError> {
        let topic = settings.text("topic").unwrap_or_default();
        if topic == context.topic {
            let detail = format!("`{topic}` is the topic that is read: every record would be read again, for ever");
            return Err(SettingError::at("topic", detail, "write to another topic"));
        }
        let services = context.services()?;
        let not_there = |LookupError { detail, hint }| SettingError::at("topic", detail, hint);
        let format = services.topic_format(topic).map_err(not_there)?;
        let encoder = Arc::new(TopicEncoder::new(settings, input, format, services.as_ref())?);
        Ok(Box::new(PlannedTopic { topic: topic.to_owned(), encoder, services }))
    }
}

#[async_trait]
impl PlannedSink for PlannedTopic {
    fn encoder(&self) -> Arc<dyn RowEncoder> {
        Arc::clone(&self.encoder) as _
    }

    fn destination(&self) -> Result<Arc<dyn Destination>, String> {
        Ok(Arc::new(TopicDestination::new(&self.topic, Arc::clone(&self.services))))
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce("a record that is written again is there twice")
    }

    fn order(&self) -> Order {
        Order::Key
    }

    fn limits(&self) -> CallLimits {
        CallLimits { records_max: CALL_RECORDS_MAX, bytes_max: CALL_BYTES_MAX }
    }

    fn form(&self) -> String {
        "record of a topic".to_owned()
    }
}
