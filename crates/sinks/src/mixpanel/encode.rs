//! Rows as events of Mixpanel. `$insert_id` is made of topic, partition and offset, so that an event which is imported again is
//! known again.

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use shape::Template;

use crate::properties::{Place, Properties};
use crate::row_identity::RowIdentities;
use crate::time_column::TimeColumn;
use crate::{Encoded, RowEncoder, RowOrigin};

/// "Each event must be smaller than 1MB of uncompressed JSON."
const EVENT_BYTES_MAX: usize = 1_000_000;
const DISTINCT_ID_BYTES_MAX: usize = 255;

#[derive(Debug)]
pub(super) struct EventEncoder {
    pub owner: String,
    pub event: Template,
    pub distinct_id: Template,
    pub time: TimeColumn,
    pub properties: Properties,
}

impl RowEncoder for EventEncoder {
    fn encode(&self, batch: &RecordBatch, origin: Option<RowOrigin<'_>>) -> Result<Encoded, ArrowError> {
        if origin.is_some_and(|origin| !origin.is_of(batch.num_rows())) {
            return Err(ArrowError::InvalidArgumentError("the origins do not fit the rows".to_owned()));
        }
        let identities = RowIdentities { owner: &self.owner, origin };
        let (event, distinct_id) = (self.event.bind(batch)?, self.distinct_id.bind(batch)?);
        let times = self.time.bind(batch)?;
        let picked = self.properties.pick(batch)?;
        let properties = self.properties.bind(batch, &picked)?;
        Ok(Encoded::of_rows(batch.num_rows(), EVENT_BYTES_MAX, |row, out| {
            let start = out.len();
            let event = event.render(row)?;
            if event.trim().is_empty() {
                return Err("the name of the event is empty".to_owned());
            }
            out.extend_from_slice(b"{\"event\":");
            rows::write_string(&event, out);
            let micros = times
                .micros(row)
                .ok_or_else(|| format!("`{}` is NULL, and an event needs a time", self.time.name()))?;
            out.extend_from_slice(format!(",\"properties\":{{\"time\":{}", micros.div_euclid(1_000)).as_bytes());
            let distinct_id = distinct_id.render(row)?;
            if distinct_id.len() > DISTINCT_ID_BYTES_MAX {
                return Err(format!("the user's id is longer than {DISTINCT_ID_BYTES_MAX} bytes"));
            }
            out.extend_from_slice(b",\"distinct_id\":");
            rows::write_string(&distinct_id, out);
            properties.write(row, Place::BehindOthers, out)?;
            let insert_id = identities.short(row, out.get(start..).unwrap_or_default());
            out.extend_from_slice(b",\"$insert_id\":");
            rows::write_string(&insert_id, out);
            out.extend_from_slice(b"}}");
            Ok(())
        }))
    }
}
