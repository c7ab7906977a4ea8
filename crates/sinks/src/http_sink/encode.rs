//! Rows as bodies, with heads before them where requests differ.

use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use reqwest::header::HeaderName;
use serde::de::IgnoredAny;
use shape::Template;

use super::config::{Framing, body_bytes};
use super::head::{HeadTemplates, header_name};
use crate::json_rows::JsonRows;
use crate::row_identity::RowIdentities;
use crate::templates::template;
use crate::{Encoded, RowEncoder, RowOrigin, SettingError, Settings, SinkContext};

/// What a record says.
#[derive(Debug)]
pub(super) enum Body {
    Json(JsonRows),
    Template { template: Template, needs: Needs },
    None,
}

/// What a text has to be to stand in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    OneLine,
    Json,
    JsonInOneLine,
}

#[derive(Debug)]
pub(super) struct HttpEncoder {
    pub head: Option<HeadTemplates>,
    pub body: Body,
    pub bytes_max: usize,
    /// The header that says which record it is.
    pub identity: Option<HeaderName>,
    /// Name of the dagger or firehose.
    pub owner: String,
}

impl Body {
    pub fn read(settings: &Settings, schema: &Schema, framing: &Framing) -> Result<Self, SettingError> {
        match settings.text("body") {
            Some("template") => {
                let missing = || {
                    let hint = "write for example `{\"id\": {{ order_id | json }}}`";
                    SettingError::at("template", "the template of the body is missing", hint)
                };
                let template = template(settings, "template", schema)?.ok_or_else(missing)?;
                let is_json = settings.text("contentType").is_some_and(|content_type| content_type.contains("json"));
                let needs = match framing {
                    Framing::Array { .. } => Needs::Json,
                    Framing::Lines if is_json => Needs::JsonInOneLine,
                    Framing::Lines => Needs::OneLine,
                    Framing::Single if is_json => Needs::Json,
                    Framing::Single => Needs::Nothing,
                };
                Ok(Self::Template { template, needs })
            }
            Some("none") if *framing == Framing::Single => Ok(Self::None),
            Some("none") => {
                Err(SettingError::at("body", "a batch without a body has no records", "choose `mode: single`"))
            }
            _ => {
                let json = JsonRows::new(schema, (0..schema.fields().len()).collect());
                let hint = "select a part of it, or cast it";
                Ok(Self::Json(json.map_err(|detail| SettingError::at("body", detail, hint))?))
            }
        }
    }

    /// For [`crate::PlannedSink::form`].
    pub fn form(&self) -> &'static str {
        match self {
            Self::Json(_) => "json",
            Self::Template { .. } => "template",
            Self::None => "none",
        }
    }
}

impl HttpEncoder {
    pub fn new(
        settings: &Settings,
        context: &SinkContext,
        head: Option<HeadTemplates>,
        body: Body,
    ) -> Result<Self, SettingError> {
        let bytes_max = body_bytes(settings);
        Ok(Self { head, body, bytes_max, identity: identity(settings)?, owner: context.owner.clone() })
    }
}

/// Which header says which record it is, if one does.
pub(super) fn identity(settings: &Settings) -> Result<Option<HeaderName>, SettingError> {
    let name = settings.text("idempotencyHeader").filter(|_| settings.text("mode") != Some("batch"));
    name.map(|name| header_name("idempotencyHeader", name)).transpose()
}

impl RowEncoder for HttpEncoder {
    fn encode(&self, batch: &RecordBatch, origin: Option<RowOrigin<'_>>) -> Result<Encoded, ArrowError> {
        if origin.is_some_and(|origin| !origin.is_of(batch.num_rows())) {
            return Err(ArrowError::InvalidArgumentError("the origins do not fit the rows".to_owned()));
        }
        let identities = RowIdentities { owner: &self.owner, origin };
        let head = self.head.as_ref().map(|head| head.bind(batch)).transpose()?;
        let write = |row: usize, body: &[u8], out: &mut Vec<u8>| {
            if let Some(head) = &head {
                let identity = self.identity.as_ref().map(|name| (name.as_str(), identities.path(row, body)));
                head.write(row, identity.as_slice(), out)?;
            }
            out.extend_from_slice(body);
            Ok(())
        };
        let mut body = Vec::new();
        let rows = batch.num_rows();
        Ok(match &self.body {
            Body::Json(json) => {
                let columns = json.pick(batch)?;
                let json = json.bind(&columns)?;
                Encoded::of_rows(rows, self.bytes_max, |row, out| {
                    body.clear();
                    json.write_row(row, &mut body)?;
                    write(row, &body, out)
                })
            }
            Body::Template { template, needs } => {
                let template = template.bind(batch)?;
                Encoded::of_rows(rows, self.bytes_max, |row, out| {
                    let text = template.render(row)?;
                    needs.check(&text)?;
                    write(row, text.as_bytes(), out)
                })
            }
            Body::None => Encoded::of_rows(rows, self.bytes_max, |row, out| write(row, &[], out)),
        })
    }
}

impl Needs {
    fn check(self, text: &str) -> Result<(), String> {
        if matches!(self, Self::OneLine | Self::JsonInOneLine) && text.contains(['\n', '\r']) {
            return Err("the text of the record has several lines, and it is to be one of a body".to_owned());
        }
        if matches!(self, Self::Json | Self::JsonInOneLine)
            && let Err(error) = serde_json::from_str::<IgnoredAny>(text)
        {
            return Err(format!("the text of the record is not JSON: {error}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit_where_they_are_put() {
        for (needs, text, fits) in [
            (Needs::Nothing, "a\nb", true),
            (Needs::OneLine, "a\nb", false),
            (Needs::OneLine, "a", true),
            (Needs::Json, "{\"a\":\n1}", true),
            (Needs::Json, "{\"a\":NaN}", false),
            (Needs::Json, "1,2", false),
            (Needs::JsonInOneLine, "{\"a\":\n1}", false),
        ] {
            assert_eq!(needs.check(text).is_ok(), fits, "{needs:?} {text}");
        }
    }
}
