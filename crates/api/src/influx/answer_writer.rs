//! Parts of answers, in the form that the client wants: put together, or each as it comes.

use super::answer::Form;
use super::query::Answers;
use super::write::status;
use axum::http::StatusCode;
use bytes::Bytes;
use influxql::{
    CsvWriter, JsonOptions, JsonWriter, Precision, StatementChunk, write_csv_error, write_json, write_message_pack,
    write_message_pack_head, write_message_pack_part,
};
use std::convert::Infallible;
use std::io::{self, Write};

/// Of an answer that is not chunked, which is put together in memory; and of one chunk.
const ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How one answer is written.
#[derive(Clone, Copy)]
pub(super) struct AnswerWriter {
    form: Form,
    epoch: Option<Precision>,
}

type Failed = (StatusCode, String);

impl AnswerWriter {
    pub fn new(form: Form, epoch: Option<Precision>) -> Self {
        Self { form, epoch }
    }

    fn json(self) -> JsonOptions {
        JsonOptions { epoch: self.epoch, pretty: self.form == Form::Json { is_pretty: true } }
    }

    /// All parts in one body. Each is given up once it is written.
    pub async fn whole(self, first: Option<StatementChunk>, mut answers: Answers) -> Result<Vec<u8>, Failed> {
        let mut whole = Whole::new(self);
        let mut next = first.map(Ok);
        while let Some(part) = match next.take() {
            None => answers.recv().await,
            first => first,
        } {
            let part = part.map_err(|refusal| (status(&refusal), refusal.to_string()))?;
            whole = in_background(move || whole.write(&part)).await?;
        }
        in_background(move || whole.finish()).await
    }

    /// Each part as it comes. What goes wrong half-way is told by the last one.
    pub fn chunks(
        self,
        first: Option<StatementChunk>,
        answers: Answers,
    ) -> impl futures::Stream<Item = Result<Bytes, Infallible>> {
        let state = (CsvWriter::new(self.epoch), first.map(Ok), answers, 0);
        futures::stream::unfold(Some(state), move |state| async move {
            let (csv, mut next, mut answers, mut statement_id) = state?;
            let part = match next.take() {
                None => answers.recv().await?,
                Some(first) => first,
            };
            let written = match part {
                Ok(part) => {
                    statement_id = part.statement_id;
                    in_background(move || self.chunk(csv, &part)).await
                }
                Err(refusal) => Err((status(&refusal), refusal.to_string())),
            };
            match written {
                Ok((csv, bytes)) => Some((Ok(bytes), Some((csv, None, answers, statement_id)))),
                Err((_, text)) => Some((Ok(self.last_chunk(statement_id, text)), None)),
            }
        })
    }

    fn chunk(self, mut csv: CsvWriter, part: &StatementChunk) -> io::Result<(CsvWriter, Bytes)> {
        let mut out = Limited(Vec::new());
        let parts = std::slice::from_ref(part);
        match self.form {
            Form::Json { .. } => write_json(&mut out, parts, self.json())?,
            Form::Csv => csv.write(&mut out, parts)?,
            Form::MessagePack => write_message_pack(&mut out, parts, self.epoch)?,
        }
        Ok((csv, Bytes::from(out.0)))
    }

    fn last_chunk(self, statement_id: usize, text: String) -> Bytes {
        let mut out = Vec::new();
        let written = match self.form {
            Form::Csv => write_csv_error(&mut out, &text),
            _ => {
                let part = StatementChunk { statement_id, error: Some(text), ..StatementChunk::default() };
                self.chunk(CsvWriter::default(), &part).and_then(|(_, bytes)| out.write_all(&bytes))
            }
        };
        if let Err(error) = written {
            tracing::warn!(%error, "an error was not written whole");
        }
        Bytes::from(out)
    }
}

/// An answer that is being put together.
struct Whole {
    out: Limited,
    shape: Shape,
}

enum Shape {
    Json(JsonWriter),
    Csv(CsvWriter),
    /// How many parts there are is told before them.
    MessagePack {
        epoch: Option<Precision>,
        parts: usize,
    },
}

impl Whole {
    fn new(writer: AnswerWriter) -> Self {
        let shape = match writer.form {
            Form::Json { .. } => Shape::Json(JsonWriter::new(writer.json())),
            Form::Csv => Shape::Csv(CsvWriter::new(writer.epoch)),
            Form::MessagePack => Shape::MessagePack { epoch: writer.epoch, parts: 0 },
        };
        Self { out: Limited(Vec::new()), shape }
    }

    fn write(mut self, part: &StatementChunk) -> io::Result<Self> {
        match &mut self.shape {
            Shape::Json(writer) => writer.write(&mut self.out, part)?,
            Shape::Csv(writer) => writer.write(&mut self.out, std::slice::from_ref(part))?,
            Shape::MessagePack { epoch, parts } => {
                *parts += 1;
                write_message_pack_part(&mut self.out, part, *epoch)?;
            }
        }
        Ok(self)
    }

    fn finish(mut self) -> io::Result<Vec<u8>> {
        match self.shape {
            Shape::Json(writer) => writer.finish(&mut self.out)?,
            Shape::Csv(_) => {}
            Shape::MessagePack { parts, .. } => {
                let mut head = Vec::new();
                write_message_pack_head(&mut head, parts)?;
                self.out.0.splice(0..0, head);
            }
        }
        Ok(self.out.0)
    }
}

/// Large answers take long to write.
async fn in_background<T: Send + 'static>(write: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, Failed> {
    let written = tokio::task::spawn_blocking(write).await;
    let written = written.map_err(|error| (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    written.map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))
}

struct Limited(Vec<u8>);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > ANSWER_BYTES_MAX {
            let text = format!("the answer has more than {ANSWER_BYTES_MAX} bytes; ask for less, or with chunked=true");
            return Err(io::Error::other(text));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
