//! What turns rows into the records of a sink.

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use delivery::EncodedBatch;

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

/// Encodes the rows of one query.
pub trait RowEncoder: Send + Sync + 'static {
    /// `origin` is needed where rows stand for records. Errors are about whole batches: they do not fit the query.
    fn encode(&self, batch: &RecordBatch, origin: Option<RowOrigin<'_>>) -> Result<Encoded, ArrowError>;
}
