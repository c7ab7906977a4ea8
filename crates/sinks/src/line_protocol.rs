//! Rows as InfluxDB's line protocol, a column at a time.
//!
//! <https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/>
//!
//! Every column is written once into cells with all that belongs to them (`,city=Jakarta`, `rides=12i`); a line is then
//! nothing but copies of its cells. A row that the protocol cannot say is refused with the reason; it is never changed.

mod cells;
mod escape;

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use delivery::EncodedBatchBuilder;

use crate::{Encoded, FieldKind, LayoutError, PointLayout, Precision, RowEncoder, RowOrigin};
pub(crate) use cells::texts;
use cells::{Cells, field_cells, tag_cells, time_cells};
use escape::{Backslash, Unsayable, put_field_name, put_measurement, put_tag_name};

/// Records that end in the same nanosecond would be one point, so the offset goes there.
const NANOS_PER_MILLI: i64 = 1_000_000;

/// Whose line protocol it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// InfluxDB 1 and 2.
    Influx,
    Influx3,
    /// VictoriaMetrics: numbers and truth values only.
    Numbers,
}

impl Dialect {
    fn backslash(self) -> Backslash {
        match self {
            Self::Influx => Backslash::Plain,
            Self::Influx3 | Self::Numbers => Backslash::Special,
        }
    }
}

type PutName = fn(&mut Vec<u8>, &str, Backslash) -> Result<(), Unsayable>;

/// Encodes the rows of one query for one measurement.
#[derive(Clone, Debug)]
pub struct LineEncoder {
    layout: PointLayout,
    precision: Precision,
    kinds: Vec<FieldKind>,
    /// Escaped.
    measurement: Vec<u8>,
    /// `,name=`, in the order of the names, which the server would have to bring them into.
    tags: Vec<(usize, Vec<u8>)>,
    /// `name=`
    fields: Vec<(usize, Vec<u8>)>,
    of_records: Option<TopicTag>,
    dialect: Dialect,
}

/// Whether points of records say which topic they are from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicTag {
    No,
    Yes,
}

impl LineEncoder {
    /// For rows of this schema. `of_records` is for rows that stand for single records.
    pub fn new(
        measurement: &str,
        layout: PointLayout,
        schema: &SchemaRef,
        dialect: Dialect,
        of_records: Option<TopicTag>,
    ) -> Result<Self, LayoutError> {
        let kinds = layout.kinds(schema)?;
        layout.check_tags(schema)?;
        let precision = match of_records {
            Some(_) => layout.precision(schema).map(|_| Precision::Nanoseconds)?,
            None => layout.precision(schema)?,
        };
        if dialect == Dialect::Numbers {
            check_numbers(&layout, &kinds, schema)?;
        }
        let mut name = Vec::new();
        put_measurement(&mut name, measurement, dialect.backslash())
            .map_err(|error| unsayable("the measurement", measurement, error))?;
        let written = |columns: &[(usize, String)], what, before: &str, put: PutName| {
            let mut written = Vec::with_capacity(columns.len());
            for (column, name) in columns {
                let mut bytes = before.as_bytes().to_vec();
                put(&mut bytes, name, dialect.backslash()).map_err(|error| unsayable(what, name, error))?;
                bytes.push(b'=');
                written.push((*column, bytes));
            }
            Ok(written)
        };
        let mut tags = written(&layout.tags, "the tag", ",", put_tag_name)?;
        tags.sort_by(|one, other| one.1.cmp(&other.1));
        let fields = written(&layout.fields, "the field", "", put_field_name)?;
        Ok(Self { layout, precision, kinds, measurement: name, tags, fields, of_records, dialect })
    }

    /// Of the times in the lines.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// The names of the fields and how they are written.
    pub fn fields(&self) -> impl Iterator<Item = (&str, FieldKind)> {
        self.layout.fields.iter().zip(&self.kinds).map(|((_, name), kind)| (name.as_str(), *kind))
    }
}

impl RowEncoder for LineEncoder {
    fn encode(&self, batch: &RecordBatch, origin: Option<RowOrigin<'_>>) -> Result<Encoded, ArrowError> {
        let origin = match (self.of_records, origin) {
            (None, _) => None,
            (Some(topic), Some(origin)) if origin.is_of(batch.num_rows()) => Some((topic, origin)),
            _ => return Err(ArrowError::InvalidArgumentError("the rows do not say which records they are".into())),
        };
        let mut refused = BTreeMap::new();
        let mut tags = Vec::with_capacity(self.tags.len() + 1);
        if let Some((_, origin)) = origin.filter(|(_, origin)| origin.row_names.iter().any(Option::is_some)) {
            let names: ArrayRef = Arc::new(StringArray::from(origin.row_names.to_vec()));
            tags.push(tag_cells(&names, b",_row=", self.dialect.backslash(), &mut refused)?);
        }
        for (column, prefix) in &self.tags {
            tags.push(tag_cells(batch.column(*column), prefix, self.dialect.backslash(), &mut refused)?);
        }
        let mut fields = Vec::with_capacity(self.fields.len());
        for ((column, prefix), kind) in self.fields.iter().zip(&self.kinds) {
            fields.push(field_cells(batch.column(*column), prefix, *kind, &mut refused)?);
        }
        let offsets = origin.map(|(_, origin)| origin.offsets);
        let times = time_cells(batch.column(self.layout.time), self.precision, offsets, &mut refused)?;
        let mut head = self.measurement.clone();
        if let Some((topic, origin)) = origin {
            put_origin_tags(&mut head, topic, &origin);
        }
        Ok(assemble(batch.num_rows(), &head, &tags, &fields, &times, refused))
    }
}

/// Before the tags of the row: `_partition` and `_topic` come before most names.
fn put_origin_tags(head: &mut Vec<u8>, topic: TopicTag, origin: &RowOrigin<'_>) {
    head.extend_from_slice(format!(",_partition={}", origin.partition).as_bytes());
    if topic == TopicTag::Yes {
        head.extend_from_slice(b",_topic=");
        // Names of topics have nothing in them that is to be escaped.
        head.extend_from_slice(origin.topic.as_bytes());
    }
}

fn assemble(
    rows: usize,
    head: &[u8],
    tags: &[Cells],
    fields: &[Cells],
    times: &Cells,
    mut refused: BTreeMap<usize, String>,
) -> Encoded {
    let cells = || tags.iter().chain(fields).chain([times]);
    let bytes = cells().map(Cells::size).sum::<usize>() + rows * (head.len() + fields.len() + 3);
    let mut lines = EncodedBatchBuilder::with_capacity(rows, bytes);
    let mut written = Vec::with_capacity(rows);
    for row in 0..rows {
        if refused.contains_key(&row) {
            continue;
        }
        if fields.iter().all(|field| field.get(row).is_empty()) {
            refused.insert(row, "every field is NULL, so there is nothing to write".to_owned());
            continue;
        }
        let line = lines.bytes_mut();
        line.extend_from_slice(head);
        for tag in tags {
            line.extend_from_slice(tag.get(row));
        }
        let mut separator = b' ';
        for field in fields.iter().map(|field| field.get(row)).filter(|field| !field.is_empty()) {
            line.push(separator);
            line.extend_from_slice(field);
            separator = b',';
        }
        line.push(b' ');
        line.extend_from_slice(times.get(row));
        line.push(b'\n');
        lines.end_record();
        written.push(row);
    }
    Encoded { records: lines.finish(), rows: written, refused: refused.into_iter().collect() }
}

fn unsayable(what: &str, name: &str, error: Unsayable) -> LayoutError {
    LayoutError { detail: format!("{what} `{}` {error}", name.escape_debug()), hint: "give it another name".to_owned() }
}

pub(crate) fn check_numbers(layout: &PointLayout, kinds: &[FieldKind], schema: &Schema) -> Result<(), LayoutError> {
    let text = layout.fields.iter().zip(kinds).find(|(_, kind)| **kind == FieldKind::Text);
    text.map_or(Ok(()), |((column, name), _)| {
        let data_type = schema.field(*column).data_type();
        Err(LayoutError {
            detail: format!(
                "the column `{name}` is a field and has the type {data_type}, and only numbers can be kept"
            ),
            hint: format!("make it a tag by naming it `tag_{name}`, or leave it out"),
        })
    })
}

#[cfg(test)]
mod tests;
