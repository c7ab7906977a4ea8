//! Which topic a dagger's rows go to, and the message type that is made for them where none is named.

use super::RecordEncoder;
use crate::error::ControlError;
use crate::sinks::SinkCounters;
use codec::CompileError;
use flow::{OutputBatch, SinkError};
use log::NewRecord;

#[derive(Debug, Clone)]
pub struct TopicSinkConfig {
    pub topic: String,
    pub encoder: RecordEncoder,
}

impl TopicSinkConfig {
    /// The records that rows become. Rows that cannot become one are counted as refused.
    pub fn records(&self, rows: &OutputBatch, counters: &SinkCounters) -> Result<Vec<NewRecord>, SinkError> {
        let encoded = self.encoder.encode(rows).map_err(|error| SinkError::new(error.to_string(), false))?;
        if let Some(example) = encoded.example {
            tracing::warn!(topic = %self.topic, refused = encoded.refused, %example, "rows have no record");
            counters.add_refused(encoded.refused, example);
        }
        Ok(encoded.records)
    }
}

pub fn refused(error: CompileError) -> ControlError {
    ControlError::invalid("topic_sink_refused", format!("the sink `topic` cannot take this query: {error}"))
}

/// The name of a type that is made from a query: `millrace.daggers.BookingCount` for the topic `booking-count`.
pub fn generated_message_name(topic: &str) -> String {
    let mut name = String::from("millrace.daggers.");
    let mut at_start = true;
    for c in topic.chars() {
        match c.is_ascii_alphanumeric() {
            true if at_start => name.extend(c.to_uppercase()),
            true => name.push(c),
            false => {}
        }
        at_start = !c.is_ascii_alphanumeric();
    }
    // A type's name begins with a letter.
    if name.ends_with('.') || name["millrace.daggers.".len()..].starts_with(|c: char| c.is_ascii_digit()) {
        name.insert_str("millrace.daggers.".len(), "Topic");
    }
    name
}

#[cfg(test)]
mod tests {
    use super::generated_message_name;

    #[test]
    fn generated_types_have_names() {
        for (topic, name) in [
            ("booking-count", "BookingCount"),
            ("surge", "Surge"),
            ("a.b_c", "ABC"),
            ("2013-flights", "Topic2013Flights"),
            ("___", "Topic"),
        ] {
            assert_eq!(generated_message_name(topic), format!("millrace.daggers.{name}"));
        }
    }
}
