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

const BATCH_RECORDS_MAX: usize = 5_000;
const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
const RECORD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// With a rate, records go out in this rhythm.
const RATE_INTERVAL: Duration = Duration::from_millis(50);
const ERRORS_SHOWN_MAX: usize = 20;

pub async fn run(arguments: ProduceArguments, client: Client, mut output: Output) -> Result<(), Failure> {
    let format = format_of(&arguments)?;
    let mut reader = open(&arguments.file)?;
    let mut bucket = arguments.rate.map(TokenBucket::new);
    let batch_records = bucket.as_ref().map_or(BATCH_RECORDS_MAX, TokenBucket::batch_records);
    let mut publisher = Publisher { client, arguments: &arguments, format, sent: 0, acknowledged: 0, refused: 0 };
    let started = Instant::now();
    loop {
        let batch = next_batch(&mut reader, format, batch_records)?;
        if batch.records > 0 {
            if let Some(bucket) = &mut bucket {
                bucket.take(batch.records).await;
            }
            publisher.publish(batch).await?;
        } else {
            break;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let (acknowledged, refused) = (publisher.acknowledged, publisher.refused);
    note(format!("{acknowledged} records acknowledged, {refused} refused, {seconds:.1} s"));
    if output.format() != crate::arguments::OutputFormat::Table {
        output.item(&json!({ "acknowledged": acknowledged, "refused": refused }))?;
    }
    match refused {
        0 => Ok(()),
        _ => Err(Failure::error(format!("{refused} of {} records were refused", acknowledged + refused))),
    }
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

fn open(path: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(std::io::stdin())));
    }
    let file = File::open(path).map_err(|error| Failure::error(format!("cannot read {}: {error}", path.display())))?;
    Ok(Box::new(BufReader::with_capacity(1 << 20, file)))
}

struct Batch {
    body: Vec<u8>,
    records: usize,
}

fn next_batch(reader: &mut dyn BufRead, format: RecordFormat, records_max: usize) -> Result<Batch, Failure> {
    let mut batch = Batch { body: Vec::new(), records: 0 };
    while batch.records < records_max && batch.body.len() < BATCH_BYTES_MAX {
        let is_there = match format {
            RecordFormat::Ndjson => read_line(reader, &mut batch.body)?,
            RecordFormat::Pb => read_delimited(reader, &mut batch.body)?,
        };
        if !is_there {
            break;
        }
        batch.records += 1;
    }
    Ok(batch)
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

    fn batches(bytes: &[u8], format: RecordFormat, records_max: usize) -> Result<Vec<(Vec<u8>, usize)>, Failure> {
        let mut reader = BufReader::with_capacity(3, bytes);
        let mut found = Vec::new();
        loop {
            let batch = next_batch(&mut reader, format, records_max)?;
            if batch.records == 0 {
                return Ok(found);
            }
            found.push((batch.body, batch.records));
        }
    }

    #[test]
    fn lines_and_messages_are_cut_into_batches() {
        let found = batches(b"{\"a\":1}\n\n  \n{\"a\":2}\n{\"a\":3}", RecordFormat::Ndjson, 2).unwrap();
        assert_eq!(found, [(b"{\"a\":1}\n{\"a\":2}\n".to_vec(), 2), (b"{\"a\":3}\n".to_vec(), 1)]);
        let found = batches(b"\x02ab\x00\x01c", RecordFormat::Pb, 2).unwrap();
        assert_eq!(found, [(b"\x02ab\x00".to_vec(), 2), (b"\x01c".to_vec(), 1)]);
    }

    #[test]
    fn torn_messages_are_refused() {
        for torn in
            [b"\x05ab".as_slice(), b"\x80", b"\xff\xff\xff\xff\x7f", b"\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80"]
        {
            assert!(batches(torn, RecordFormat::Pb, 10).is_err(), "{torn:?}");
        }
    }
}
