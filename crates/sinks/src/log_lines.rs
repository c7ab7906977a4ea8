//! The server's log: rows as JSON lines, `{"sink":"OWNER","row":{..}}`. Only so many a second are printed; all are counted.

mod destination;
mod encode;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use delivery::Destination;

use crate::{
    Guarantee, Need, Order, PlannedSink, RowEncoder, Setting, SettingError, Settings, SinkContext, SinkDescription,
    SinkInput, SinkKind, ValueKind,
};
use destination::LogDestination;
use encode::JsonEncoder;

pub(crate) struct LogKind;

static DESCRIPTION: SinkDescription = SinkDescription {
    kind: "log",
    title: "Log",
    what: "JSON lines on the server's standard output, for trying things out.",
    settings: &[Setting {
        key: "linesPerSecond",
        title: "Lines per second",
        help: "more rows than this in a second are counted and not printed",
        value: ValueKind::Integer { min: 1, max: 100_000 },
        need: Need::Default("100"),
        only_with: None,
    }],
};

struct PlannedLog {
    owner: String,
    lines_per_second: u64,
    encoder: Arc<JsonEncoder>,
    /// Rows that were not printed.
    unprinted: Arc<AtomicU64>,
}

impl SinkKind for LogKind {
    fn description(&self) -> &'static SinkDescription {
        &DESCRIPTION
    }

    fn plan(
        &self,
        settings: &Settings,
        input: &SinkInput<'_>,
        context: &SinkContext,
    ) -> Result<Box<dyn PlannedSink>, SettingError> {
        let lines_per_second = settings.integer("linesPerSecond").and_then(|lines| u64::try_from(lines).ok());
        Ok(Box::new(PlannedLog {
            owner: context.owner.clone(),
            lines_per_second: lines_per_second.unwrap_or(1),
            encoder: Arc::new(JsonEncoder::new(input.schema)?),
            unprinted: Arc::default(),
        }))
    }
}

#[async_trait]
impl PlannedSink for PlannedLog {
    fn encoder(&self) -> Arc<dyn RowEncoder> {
        Arc::clone(&self.encoder) as _
    }

    fn destination(&self) -> Result<Arc<dyn Destination>, String> {
        let out = Arc::new(Mutex::new(std::io::stdout()));
        Ok(Arc::new(LogDestination::new(&self.owner, self.lines_per_second, out, Arc::clone(&self.unprinted))))
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::AtLeastOnce("a row that is written again is another line")
    }

    fn order(&self) -> Order {
        Order::Key
    }

    fn form(&self) -> String {
        "json".to_owned()
    }

    async fn notice(&self) -> Option<String> {
        let unprinted = self.unprinted.load(Ordering::Relaxed);
        (unprinted > 0).then(|| {
            format!("{unprinted} rows were not printed, as there were more than {} in a second", self.lines_per_second)
        })
    }
}
