//! Which message type a dagger's rows become, and whether every column has its field.

use crate::error::{ControlError, nearest};
use arrow::datatypes::Schema;
use codec::{CompileError, EncodeProgram};
use prost_reflect::MessageDescriptor;

#[derive(Debug, Clone)]
pub struct TopicSinkConfig {
    pub topic: String,
    pub program: EncodeProgram,
    /// The columns that make the record's key, by index.
    pub key: Vec<usize>,
}

impl TopicSinkConfig {
    pub fn new(
        topic: &str,
        message: &MessageDescriptor,
        schema: &Schema,
        key: &[String],
    ) -> Result<Self, ControlError> {
        let program = EncodeProgram::compile(message, schema).map_err(refused)?;
        let key = key.iter().map(|column| key_column(schema, column)).collect::<Result<_, _>>()?;
        Ok(Self { topic: topic.to_owned(), program, key })
    }
}

fn key_column(schema: &Schema, column: &str) -> Result<usize, ControlError> {
    schema.index_of(column).map_err(|_| {
        let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let hint = match nearest(column, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the columns are: {}", names.join(", ")),
        };
        ControlError::invalid(
            "topic_sink_refused",
            format!("the sink `topic` has the key `{column}`, which is no column of the query"),
        )
        .with_hint(hint)
    })
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
