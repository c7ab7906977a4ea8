//! Prints rows, not too many of them.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use delivery::{Answer, CallError, Destination, EncodedBatch, ErrorClass};

/// A longer row is told of by its length.
const ROW_BYTES_MAX: usize = 64 << 10;
const SECOND: Duration = Duration::from_secs(1);

pub(super) struct LogDestination<W> {
    /// `{"sink":"OWNER",`
    prefix: Vec<u8>,
    lines_per_second: u64,
    second: Mutex<CurrentSecond>,
    out: Arc<Mutex<W>>,
    unprinted: Arc<AtomicU64>,
}

/// What was printed since a second began.
struct CurrentSecond {
    began: Instant,
    printed: u64,
    /// Left out since something was printed last.
    left_out: u64,
}

impl<W: Write + Send + 'static> LogDestination<W> {
    pub fn new(owner: &str, lines_per_second: u64, out: Arc<Mutex<W>>, unprinted: Arc<AtomicU64>) -> Self {
        let mut prefix = b"{\"sink\":".to_vec();
        rows::write_string(owner, &mut prefix);
        prefix.push(b',');
        let second = Mutex::new(CurrentSecond { began: Instant::now(), printed: 0, left_out: 0 });
        Self { prefix, lines_per_second, second, out, unprinted }
    }

    /// How many of so many rows can be printed now, and how many were left out before them.
    fn allow(&self, rows: u64) -> (u64, u64) {
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        if second.began.elapsed() >= SECOND {
            (second.began, second.printed) = (Instant::now(), 0);
        }
        let allowed = rows.min(self.lines_per_second - second.printed);
        second.printed += allowed;
        let before = if allowed > 0 { std::mem::take(&mut second.left_out) } else { 0 };
        second.left_out += rows - allowed;
        (allowed, before)
    }

    fn lines(&self, batch: &EncodedBatch) -> Vec<u8> {
        let (allowed, left_out) = self.allow(batch.len() as u64);
        self.unprinted.fetch_add(batch.len() as u64 - allowed, Ordering::Relaxed);
        let mut lines = Vec::new();
        if left_out > 0 {
            lines.extend_from_slice(&self.prefix);
            lines.extend_from_slice(format!("\"rowsLeftOut\":{left_out}}}\n").as_bytes());
        }
        for index in 0..usize::try_from(allowed).unwrap_or(usize::MAX) {
            let row = batch.record(index);
            lines.extend_from_slice(&self.prefix);
            if row.len() > ROW_BYTES_MAX {
                lines.extend_from_slice(format!("\"rowBytes\":{}}}\n", row.len()).as_bytes());
                continue;
            }
            lines.extend_from_slice(b"\"row\":");
            lines.extend_from_slice(row);
            lines.extend_from_slice(b"}\n");
        }
        lines
    }
}

#[async_trait]
impl<W: Write + Send + 'static> Destination for LogDestination<W> {
    fn name(&self) -> &str {
        "the server's log"
    }

    async fn deliver(&self, batch: &EncodedBatch) -> Result<Answer, CallError> {
        let (lines, out) = (self.lines(batch), Arc::clone(&self.out));
        if lines.is_empty() {
            return Ok(Answer::delivered());
        }
        // Whoever reads standard output may be slow; that must not hold up other tasks.
        let written = tokio::task::spawn_blocking(move || {
            let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
            out.write_all(&lines)?;
            out.flush()
        });
        match written.await {
            Ok(Ok(())) => Ok(Answer::delivered()),
            Ok(Err(error)) => {
                Err(CallError::new(ErrorClass::Down, format!("standard output cannot be written to: {error}")))
            }
            Err(error) => Err(CallError::new(ErrorClass::Ours, format!("a thread that prints has ended: {error}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use delivery::EncodedBatchBuilder;

    fn batch(rows: usize) -> EncodedBatch {
        let mut builder = EncodedBatchBuilder::default();
        (0..rows).for_each(|row| builder.push(format!("{{\"n\":{row}}}").as_bytes()));
        builder.finish()
    }

    #[tokio::test]
    async fn only_so_many_are_printed_and_all_are_counted() {
        let (out, unprinted) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
        let log = LogDestination::new("a \"b\"", 3, Arc::clone(&out), Arc::clone(&unprinted));
        for rows in [2, 4] {
            assert_eq!(log.deliver(&batch(rows)).await, Ok(Answer::delivered()));
        }
        let text = || String::from_utf8(std::mem::take(&mut *out.lock().unwrap())).unwrap();
        let line = |rest: &str| format!("{{\"sink\":\"a \\\"b\\\"\",{rest}}}\n");
        assert_eq!(text(), [line("\"row\":{\"n\":0}"), line("\"row\":{\"n\":1}"), line("\"row\":{\"n\":0}")].concat());
        assert_eq!(unprinted.load(Ordering::Relaxed), 3);
        log.second.lock().unwrap().began -= SECOND;
        log.deliver(&batch(1)).await.unwrap();
        assert_eq!(text(), [line("\"rowsLeftOut\":3"), line("\"row\":{\"n\":0}")].concat());
    }

    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_console_that_is_gone_is_an_outage() {
        let log = LogDestination::new("a", 3, Arc::new(Mutex::new(Broken)), Arc::default());
        assert_eq!(log.deliver(&batch(1)).await.unwrap_err().class, ErrorClass::Down);
    }
}
