//! `millrace topic produce`: a file of records into a topic, at a rate if one is given.
//!
//! Counts and the first errors go to stderr; a record that is refused does not stop the others, but the exit code says so.

use crate::arguments::{ProduceArguments, RecordFormat};
use crate::client::{Client, failure_of, json};
use crate::failure::Failure;
use crate::output::{Output, note};
use reqwest::{Method, StatusCode, header};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

const BATCH_RECORDS_MAX: usize = 5_000;
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;
const READ_BUFFER_BYTES: usize = 1024 * 1024;
const CHUNKS_AHEAD_MAX: usize = 4;
/// How long a record waits for others to be sent with.
const WAIT_MAX: Duration = Duration::from_millis(100);
/// With a rate, records go out in this rhythm.
const RATE_INTERVAL: Duration = Duration::from_millis(50);
const ERRORS_SHOWN_MAX: usize = 20;

pub async fn run(arguments: ProduceArguments, client: Client, mut output: Output) -> Result<(), Failure> {
    let format = format_of(&arguments)?;
    let reader = open(&arguments.file)?;
    let mut bucket = arguments.rate.map(TokenBucket::new);
    let batch_records = bucket.as_ref().map_or(BATCH_RECORDS_MAX, TokenBucket::batch_records);
    let mut batches = Batches::read(reader, format, batch_records);
    let mut publisher = Publisher { client, arguments: &arguments, format, sent: 0, acknowledged: 0, refused: 0 };
    let started = Instant::now();
    let ended = publish_all(&mut batches, &mut bucket, &mut publisher).await;
    let seconds = started.elapsed().as_secs_f64();
    let (acknowledged, refused) = (publisher.acknowledged, publisher.refused);
    note(format!("{acknowledged} records acknowledged, {refused} refused, {seconds:.1} s"));
    ended?;
    if output.format() != crate::arguments::OutputFormat::Table {
        output.item(&json!({ "acknowledged": acknowledged, "refused": refused }))?;
    }
    match refused {
        0 => Ok(()),
        _ => Err(Failure::error(format!("{refused} of {} records were refused", acknowledged + refused))),
    }
}

async fn publish_all(
    batches: &mut Batches,
    bucket: &mut Option<TokenBucket>,
    publisher: &mut Publisher<'_>,
) -> Result<(), Failure> {
    while let Some(batch) = batches.next().await? {
        if let Some(bucket) = bucket {
            bucket.take(batch.records).await;
        }
        publisher.publish(batch).await?;
    }
    Ok(())
}

fn format_of(arguments: &ProduceArguments) -> Result<RecordFormat, Failure> {
    if let Some(format) = arguments.format {
        return Ok(format);
    }
    match arguments.file.extension().and_then(|extension| extension.to_str()) {
        Some("pb" | "bin") => Ok(RecordFormat::Pb),
        Some("ndjson" | "jsonl" | "json") => Ok(RecordFormat::Ndjson),
        _ if arguments.file == Path::new("-") => Ok(RecordFormat::Ndjson),
        _ => Err(Failure::usage(format!("the form of {} cannot be told by its name", arguments.file.display()))
            .with_hint("add --format ndjson or --format pb")),
    }
}

type Reader = BufReader<Box<dyn Read + Send>>;

fn open(path: &Path) -> Result<Reader, Failure> {
    let reader: Box<dyn Read + Send> = match path == Path::new("-") {
        true => Box::new(std::io::stdin()),
        false => Box::new(
            File::open(path).map_err(|error| Failure::error(format!("cannot read {}: {error}", path.display())))?,
        ),
    };
    Ok(BufReader::with_capacity(READ_BUFFER_BYTES, reader))
}

#[derive(Default)]
struct Batch {
    body: Vec<u8>,
    records: usize,
}

impl Batch {
    fn has_room(&self, records_max: usize) -> bool {
        self.records < records_max && self.body.len() < BATCH_BYTES_MAX
    }
}

/// Records as a thread reads them, so that a slow pipe holds up neither the clock nor what has already come.
struct Batches {
    chunks: mpsc::Receiver<Result<Batch, Failure>>,
    records_max: usize,
    /// What did not fit into the last batch.
    left: Option<Result<Batch, Failure>>,
}

impl Batches {
    fn read(mut reader: Reader, format: RecordFormat, records_max: usize) -> Self {
        let (sender, chunks) = mpsc::channel(CHUNKS_AHEAD_MAX);
        std::thread::spawn(move || {
            loop {
                let (chunk, end) = next_chunk(&mut reader, format, records_max);
                // Nobody takes them any more: the command has failed and says so itself.
                if chunk.records > 0 && sender.blocking_send(Ok(chunk)).is_err() {
                    return;
                }
                match end {
                    ChunkEnd::More => {}
                    ChunkEnd::Last => return,
                    ChunkEnd::Broken(failure) => return drop(sender.blocking_send(Err(failure))),
                }
            }
        });
        Self { chunks, records_max, left: None }
    }

    /// A full batch, or what has come within the time that the first record may wait.
    async fn next(&mut self) -> Result<Option<Batch>, Failure> {
        let first = match self.left.take() {
            Some(left) => Some(left),
            None => self.chunks.recv().await,
        };
        let Some(first) = first else { return Ok(None) };
        let mut batch = first?;
        let deadline = tokio::time::Instant::now() + WAIT_MAX;
        while batch.has_room(self.records_max) {
            match tokio::time::timeout_at(deadline, self.chunks.recv()).await {
                Err(_) | Ok(None) => break,
                Ok(Some(Ok(chunk)))
                    if batch.records + chunk.records <= self.records_max
                        && batch.body.len() + chunk.body.len() <= BATCH_BYTES_MAX =>
                {
                    batch.body.extend_from_slice(&chunk.body);
                    batch.records += chunk.records;
                }
                Ok(Some(left)) => {
                    self.left = Some(left);
                    break;
                }
            }
        }
        Ok(Some(batch))
    }
}

enum ChunkEnd {
    More,
    /// The input has ended.
    Last,
    Broken(Failure),
}

/// Waits for one record, and takes with it what can be had without waiting.
fn next_chunk(reader: &mut Reader, format: RecordFormat, records_max: usize) -> (Batch, ChunkEnd) {
    let mut chunk = Batch::default();
    while chunk.has_room(records_max) && (chunk.records == 0 || has_whole_record(reader.buffer(), format)) {
        let start = chunk.body.len();
        let read = match format {
            RecordFormat::Ndjson => read_line(reader, &mut chunk.body),
            RecordFormat::Pb => read_delimited(reader, &mut chunk.body),
        };
        match read {
            Ok(true) => chunk.records += 1,
            Ok(false) => return (chunk, ChunkEnd::Last),
            Err(failure) => {
                chunk.body.truncate(start);
                return (chunk, ChunkEnd::Broken(failure));
            }
        }
    }
    (chunk, ChunkEnd::More)
}

fn has_whole_record(buffer: &[u8], format: RecordFormat) -> bool {
    match format {
        // Blank lines are passed over, so one that is not blank has to be there.
        RecordFormat::Ndjson => {
            let start = buffer.iter().position(|byte| !byte.is_ascii_whitespace());
            start.is_some_and(|start| buffer[start..].contains(&b'\n'))
        }
        RecordFormat::Pb => {
            let mut rest = buffer;
            let length = prost_reflect::prost::decode_length_delimiter(&mut rest);
            length.is_ok_and(|length| length <= rest.len())
        }
    }
}

fn unreadable(error: std::io::Error) -> Failure {
    Failure::error(format!("the records cannot be read: {error}"))
}

/// Appends the next line that is not blank, with its end.
fn read_line(reader: &mut dyn BufRead, body: &mut Vec<u8>) -> Result<bool, Failure> {
    loop {
        let start = body.len();
        let read = reader.take(RECORD_BYTES_MAX as u64).read_until(b'\n', body).map_err(unreadable)?;
        if read == 0 {
            return Ok(false);
        }
        if read == RECORD_BYTES_MAX {
            return Err(Failure::error(format!("a line is longer than {RECORD_BYTES_MAX} bytes")));
        }
        if body[start..].trim_ascii().is_empty() {
            body.truncate(start);
            continue;
        }
        if body.last() != Some(&b'\n') {
            body.push(b'\n');
        }
        return Ok(true);
    }
}

/// Appends the next message with its length before it.
fn read_delimited(reader: &mut dyn BufRead, body: &mut Vec<u8>) -> Result<bool, Failure> {
    let start = body.len();
    let mut length: u64 = 0;
    for place in 0..10 {
        let mut byte = [0u8];
        let read = reader.read(&mut byte).map_err(unreadable)?;
        if read == 0 {
            return match body.len() == start {
                true => Ok(false),
                false => Err(Failure::error("the file ends within the length of a message")),
            };
        }
        body.push(byte[0]);
        length |= u64::from(byte[0] & 0x7f) << (7 * place).min(63);
        if byte[0] < 0x80 {
            return read_message(reader, length, body);
        }
    }
    Err(Failure::error("a message's length has more than 10 bytes").with_hint("are the messages varint-delimited?"))
}

fn read_message(reader: &mut dyn BufRead, length: u64, body: &mut Vec<u8>) -> Result<bool, Failure> {
    if length > RECORD_BYTES_MAX as u64 {
        return Err(Failure::error(format!(
            "a message says that it has {length} bytes, the limit is {RECORD_BYTES_MAX}"
        ))
        .with_hint("are the messages varint-delimited?"));
    }
    let read = reader.take(length).read_to_end(body).map_err(unreadable)?;
    match read as u64 == length {
        true => Ok(true),
        false => Err(Failure::error(format!("the file ends within a message: {length} bytes were due, {read} came"))),
    }
}

struct Publisher<'a> {
    client: Client,
    arguments: &'a ProduceArguments,
    format: RecordFormat,
    sent: usize,
    acknowledged: u64,
    refused: u64,
}

impl Publisher<'_> {
    async fn publish(&mut self, batch: Batch) -> Result<(), Failure> {
        let media_type = match self.format {
            RecordFormat::Ndjson => "application/x-ndjson",
            RecordFormat::Pb => "application/x-protobuf",
        };
        let mut request = self
            .client
            .request(Method::POST, &["topics", &self.arguments.name, "records"])?
            .header(header::CONTENT_TYPE, media_type)
            .body(batch.body);
        if let Some(field) = &self.arguments.key_field {
            request = request.query(&[("key_field", field)]);
        }
        let response = self.client.send_any(request).await?;
        // 422 with a list of records: every one was refused, each for its own reason.
        let answer = match response.status() {
            status if status.is_success() => json(response).await?,
            StatusCode::UNPROCESSABLE_ENTITY => {
                let text = response.text().await.unwrap_or_default();
                let answer: Value = serde_json::from_str(&text).unwrap_or_default();
                if answer.get("records").is_none() {
                    return Err(serde_json::from_value::<crate::failure::Problem>(answer)
                        .map_or_else(|_| Failure::error("the server refused the records"), Failure::from));
                }
                answer
            }
            _ => return Err(failure_of(response).await),
        };
        self.count(&answer);
        self.sent += batch.records;
        Ok(())
    }

    fn count(&mut self, answer: &Value) {
        let number = |key: &str| answer.get(key).and_then(Value::as_u64).unwrap_or(0);
        let shown_before = self.refused;
        self.acknowledged += number("acknowledged");
        self.refused += number("refused");
        let records = answer.get("records").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let errors = records.iter().enumerate().filter_map(|(index, record)| Some((index, record.get("error")?)));
        let room = ERRORS_SHOWN_MAX.saturating_sub(usize::try_from(shown_before).unwrap_or(usize::MAX));
        for (index, error) in errors.take(room) {
            let text = |key: &str| error.get(key).and_then(Value::as_str);
            let hint = text("hint").map(|hint| format!(" ({hint})")).unwrap_or_default();
            note(format!("record {}: {}{hint}", self.sent + index + 1, text("detail").unwrap_or("refused")));
        }
    }
}

/// Lets so many records through per second, evenly; time that was not used is not saved up.
struct TokenBucket {
    rate: f64,
    next: Instant,
}

impl TokenBucket {
    fn new(rate: u64) -> Self {
        Self { rate: rate as f64, next: Instant::now() }
    }

    fn batch_records(&self) -> usize {
        ((self.rate * RATE_INTERVAL.as_secs_f64()) as usize).clamp(1, BATCH_RECORDS_MAX)
    }

    async fn take(&mut self, records: usize) {
        let now = Instant::now();
        if self.next > now {
            tokio::time::sleep_until(self.next.into()).await;
        }
        self.next = self.next.max(now) + Duration::from_secs_f64(records as f64 / self.rate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn batches(
        input: impl Read + Send + 'static,
        format: RecordFormat,
        records_max: usize,
        buffer_bytes: usize,
    ) -> Result<Vec<(Vec<u8>, usize)>, Failure> {
        let mut batches = Batches::read(BufReader::with_capacity(buffer_bytes, Box::new(input)), format, records_max);
        let mut found = Vec::new();
        while let Some(batch) = batches.next().await? {
            found.push((batch.body, batch.records));
        }
        Ok(found)
    }

    #[tokio::test]
    async fn lines_and_messages_are_cut_into_batches() {
        let lines = b"{\"a\":1}\n\n  \n{\"a\":2}\n{\"a\":3}".as_slice();
        let found = batches(lines, RecordFormat::Ndjson, 2, 100).await.unwrap();
        assert_eq!(found, [(b"{\"a\":1}\n{\"a\":2}\n".to_vec(), 2), (b"{\"a\":3}\n".to_vec(), 1)]);
        let messages = b"\x02ab\x00\x01c".as_slice();
        let found = batches(messages, RecordFormat::Pb, 2, 100).await.unwrap();
        assert_eq!(found, [(b"\x02ab\x00".to_vec(), 2), (b"\x01c".to_vec(), 1)]);
        // Wherever a read ends, nothing is cut.
        for buffer_bytes in 1..8 {
            for (input, format, whole) in [
                (messages, RecordFormat::Pb, messages),
                (lines, RecordFormat::Ndjson, b"{\"a\":1}\n{\"a\":2}\n{\"a\":3}\n"),
            ] {
                let found = batches(input, format, 2, buffer_bytes).await.unwrap();
                assert!(found.iter().all(|(_, records)| (1..=2).contains(records)));
                assert_eq!(found.into_iter().flat_map(|(body, _)| body).collect::<Vec<_>>(), whole);
            }
        }
    }

    #[tokio::test]
    async fn what_has_come_does_not_wait_for_what_has_not() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        let mut batches = Batches::read(BufReader::new(Box::new(reader)), RecordFormat::Ndjson, 10);
        for (written, expected) in [("1\n2\n3", "1\n2\n"), ("\n", "3\n"), ("4\n\n", "4\n")] {
            std::io::Write::write_all(&mut writer, written.as_bytes()).unwrap();
            let batch = batches.next().await.unwrap().unwrap();
            assert_eq!(String::from_utf8(batch.body).unwrap(), expected);
        }
        drop(writer);
        assert!(batches.next().await.unwrap().is_none());
    }

    #[tokio::test]
    async fn torn_messages_are_refused_after_what_is_whole() {
        for torn in
            [b"\x05ab".as_slice(), b"\x80", b"\xff\xff\xff\xff\x7f", b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"]
        {
            assert!(batches(torn, RecordFormat::Pb, 10, 100).await.is_err(), "{torn:?}");
            let (mut chunk, mut end) = (Vec::new(), ChunkEnd::More);
            let mut reader: Reader = BufReader::new(Box::new(std::io::Cursor::new([b"\x01a", torn].concat())));
            while matches!(end, ChunkEnd::More) {
                let (more, next) = next_chunk(&mut reader, RecordFormat::Pb, 10);
                chunk.extend(more.body);
                end = next;
            }
            assert!(chunk == b"\x01a" && matches!(end, ChunkEnd::Broken(_)), "{torn:?}");
        }
    }
}
