//! What turns rows into the records of a sink.

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use delivery::{EncodedBatch, EncodedBatchBuilder};

/// The record that each row of a batch stands for, where rows are records.
#[derive(Clone, Copy, Debug)]
pub struct RowOrigin<'a> {
    pub topic: &'a str,
    pub partition: u32,
    /// Offset per row.
    pub offsets: &'a [i64],
    /// What tells the rows of one record from each other, if something has to.
    pub row_names: &'a [Option<String>],
}

impl RowOrigin<'_> {
    pub(crate) fn is_of(&self, rows: usize) -> bool {
        self.offsets.len() == rows && self.row_names.len() == rows
    }
}

/// Records, and the rows that have none.
#[derive(Debug)]
pub struct Encoded {
    pub records: EncodedBatch,
    /// The row of each record.
    pub rows: Vec<usize>,
    /// Rows that cannot be written, with the reason, in their order.
    pub refused: Vec<(usize, String)>,
}

impl Encoded {
    /// Writes rows one after the other. A row that `write` refuses, or that becomes longer than `bytes_max`, has no record.
    pub(crate) fn of_rows(
        rows: usize,
        bytes_max: usize,
        mut write: impl FnMut(usize, &mut Vec<u8>) -> Result<(), String>,
    ) -> Self {
        let mut records = EncodedBatchBuilder::with_capacity(rows, 0);
        let (mut written, mut refused) = (Vec::with_capacity(rows), Vec::new());
        for row in 0..rows {
            let start = records.size();
            let done = write(row, records.bytes_mut());
            let size = records.size() - start;
            let done = done.and_then(|()| match size <= bytes_max {
                true => Ok(()),
                false => Err(format!("it would be {size} bytes, and {bytes_max} are the most")),
            });
            match done {
                Ok(()) => {
                    records.end_record();
                    written.push(row);
                }
                Err(reason) => {
                    records.bytes_mut().truncate(start);
                    refused.push((row, reason));
                }
            }
        }
        Self { records: records.finish(), rows: written, refused }
    }
}

/// Encodes the rows of one query.
pub trait RowEncoder: Send + Sync + 'static {
    /// `origin` is needed where rows stand for records. Errors are about whole batches: they do not fit the query.
    fn encode(&self, batch: &RecordBatch, origin: Option<RowOrigin<'_>>) -> Result<Encoded, ArrowError>;
}
