//! Rows as what CleverTap calls records: events or profiles.

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use shape::Template;

use crate::properties::{Place, Properties};
use crate::time_column::TimeColumn;
use crate::{Encoded, RowEncoder, RowOrigin};

/// Far more than the properties that are taken.
const RECORD_BYTES_MAX: usize = 512 << 10;

#[derive(Debug)]
pub(super) enum Upload {
    Event { name: Template },
    Profile,
}

#[derive(Debug)]
pub(super) struct RecordEncoder {
    pub upload: Upload,
    pub identity_type: String,
    pub identity: Template,
    pub time: Option<TimeColumn>,
    pub properties: Properties,
}

impl RowEncoder for RecordEncoder {
    fn encode(&self, batch: &RecordBatch, _: Option<RowOrigin<'_>>) -> Result<Encoded, ArrowError> {
        let identity = self.identity.bind(batch)?;
        let name = match &self.upload {
            Upload::Event { name } => Some(name.bind(batch)?),
            Upload::Profile => None,
        };
        let times = self.time.as_ref().map(|time| time.bind(batch)).transpose()?;
        let picked = self.properties.pick(batch)?;
        let properties = self.properties.bind(batch, &picked)?;
        let present = |what: &str, text: String| match text.trim().is_empty() {
            true => Err(format!("the {what} is empty")),
            false => Ok(text),
        };
        Ok(Encoded::of_rows(batch.num_rows(), RECORD_BYTES_MAX, |row, out| {
            let user = present("user's identity", identity.render(row)?)?;
            out.push(b'{');
            rows::write_string(&self.identity_type, out);
            out.push(b':');
            rows::write_string(&user, out);
            if let Some(micros) = times.as_ref().and_then(|times| times.micros(row)) {
                out.extend_from_slice(format!(",\"ts\":{}", micros.div_euclid(1_000_000)).as_bytes());
            }
            match &name {
                Some(name) => {
                    out.extend_from_slice(b",\"type\":\"event\",\"evtName\":");
                    rows::write_string(&present("name of the event", name.render(row)?)?, out);
                    out.extend_from_slice(b",\"evtData\":{");
                }
                None => out.extend_from_slice(b",\"type\":\"profile\",\"profileData\":{"),
            }
            properties.write(row, Place::First, out)?;
            out.extend_from_slice(b"}}");
            Ok(())
        }))
    }
}
