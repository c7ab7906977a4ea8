//! Rows as CloudEvents: <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>

use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use shape::Template;

use crate::http_sink::HeadTemplates;
use crate::json_rows::JsonRows;
use crate::row_identity::RowIdentities;
use crate::time_column::TimeColumn;
use crate::{Encoded, RowEncoder, RowOrigin};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Structured,
    Binary,
    Batch,
}

#[derive(Debug)]
pub(super) struct EventEncoder {
    pub mode: Mode,
    pub owner: String,
    /// Where records differ in more than their bodies.
    pub head: Option<HeadTemplates>,
    pub is_signed: bool,
    pub event_type: Template,
    pub source: Option<Template>,
    pub subject: Option<Template>,
    pub time: Option<TimeColumn>,
    pub data: JsonRows,
    pub bytes_max: usize,
}

impl EventEncoder {
    /// Every column is in the data.
    pub fn data(schema: &Schema) -> Result<JsonRows, String> {
        JsonRows::new(schema, (0..schema.fields().len()).collect())
    }
}

impl RowEncoder for EventEncoder {
    fn encode(&self, batch: &RecordBatch, origin: Option<RowOrigin<'_>>) -> Result<Encoded, ArrowError> {
        if origin.is_some_and(|origin| !origin.is_of(batch.num_rows())) {
            return Err(ArrowError::InvalidArgumentError("the origins do not fit the rows".to_owned()));
        }
        let identities = RowIdentities { owner: &self.owner, origin };
        let head = self.head.as_ref().map(|head| head.bind(batch)).transpose()?;
        let (event_type, source) =
            (self.event_type.bind(batch)?, self.source.as_ref().map(|it| it.bind(batch)).transpose()?);
        let subject = self.subject.as_ref().map(|subject| subject.bind(batch)).transpose()?;
        let times = self.time.as_ref().map(|time| time.bind(batch)).transpose()?;
        let columns = self.data.pick(batch)?;
        let data = self.data.bind(&columns)?;
        let mut content = Vec::new();
        Ok(Encoded::of_rows(batch.num_rows(), self.bytes_max, |row, out| {
            content.clear();
            data.write_row(row, &mut content)?;
            let id = identities.path(row, &content);
            let mut attributes = vec![("specversion", "1.0".to_owned()), ("id", id.clone())];
            let source = match &source {
                Some(source) => source.render(row)?,
                None => format!("/millrace/{}", self.owner),
            };
            attributes.push(("source", uri_reference(source)?));
            let event_type = event_type.render(row)?;
            if event_type.is_empty() {
                return Err("the type of the event is empty".to_owned());
            }
            attributes.push(("type", event_type));
            if let Some(subject) = &subject {
                attributes
                    .extend(Some(subject.render(row)?).filter(|text| !text.is_empty()).map(|text| ("subject", text)));
            }
            if let Some(times) = &times {
                attributes.extend(times.text(row)?.map(|time| ("time", time)));
            }
            if let Some(control) = attributes.iter().flat_map(|(_, value)| value.chars()).find(|c| c.is_control()) {
                return Err(format!("an attribute of the event has {} in it", control.escape_unicode()));
            }
            let mut headers = Vec::new();
            if self.mode == Mode::Binary {
                headers.extend(attributes.iter().map(|(name, value)| (header_of(name), percent_encoded(value))));
            }
            if self.is_signed && self.mode != Mode::Batch {
                headers.push(("webhook-id", percent_encoded(&id)));
            }
            if let Some(head) = &head {
                head.write(row, &headers, out)?;
            }
            match self.mode {
                Mode::Binary => out.extend_from_slice(&content),
                Mode::Structured | Mode::Batch => write_event(&attributes, &content, out),
            }
            Ok(())
        }))
    }
}

fn write_event(attributes: &[(&str, String)], data: &[u8], out: &mut Vec<u8>) {
    out.push(b'{');
    for (name, value) in attributes {
        rows::write_string(name, out);
        out.push(b':');
        rows::write_string(value, out);
        out.push(b',');
    }
    out.extend_from_slice(b"\"datacontenttype\":\"application/json\",\"data\":");
    out.extend_from_slice(data);
    out.push(b'}');
}

fn header_of(attribute: &str) -> &'static str {
    match attribute {
        "specversion" => "ce-specversion",
        "id" => "ce-id",
        "source" => "ce-source",
        "type" => "ce-type",
        "subject" => "ce-subject",
        _ => "ce-time",
    }
}

/// As section 3.1.3.2 of the binding has it: what is not printable ASCII, the blank, the quote and the percent sign.
fn percent_encoded(value: &str) -> String {
    let mut encoded = String::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'"' | b'%' => encoded.push_str(&format!("%{byte:02X}")),
            b'!'..=b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

fn uri_reference(source: String) -> Result<String, String> {
    match source.is_empty() || source.contains(char::is_whitespace) {
        true => Err(format!("`{}` is no source of an event: it is an address or a path", source.escape_debug())),
        false => Ok(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_any_text() {
        assert_eq!(percent_encoded("a/b-1 \"é%\u{20ac}"), "a/b-1%20%22%C3%A9%25%E2%82%AC");
    }
}
