//! The built-in series: points as lines, which the platform writes. The same record is the same point whenever it is written.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use delivery::{Answer, CallError, Destination, EncodedBatch};

use crate::line_protocol::{Dialect, TopicTag};
use crate::point_settings::{FIELDS, MEASUREMENT, TAGS, TIME_COLUMN, layout, measurement, refused};
use crate::settings::duration;
use crate::{
    Guarantee, LineEncoder, LookupError, Need, Order, PlannedSink, Precision, RowEncoder, SeriesPoints, Services,
    Setting, SettingError, Settings, SinkContext, SinkDescription, SinkInput, SinkKind, ValueKind,
};

pub(crate) struct SeriesKind;

static DESCRIPTION: SinkDescription = SinkDescription {
    kind: "series",
    title: "Built-in series",
    what: "Points of the built-in time series; the same record is the same point whenever it is written.",
    settings: &[
        MEASUREMENT,
        TIME_COLUMN,
        TAGS,
        FIELDS,
        Setting {
            key: "retention",
            title: "Kept for",
            help: "how long points are kept: a duration such as `30d`, or `forever`",
            value: ValueKind::Text,
            need: Need::Default("\"7d\""),
            only_with: None,
        },
    ],
};

struct PlannedSeries {
    measurement: String,
    retention: Duration,
    encoder: Arc<LineEncoder>,
    services: Arc<dyn Services>,
}

/// Writes lines of one measurement.
struct SeriesDestination {
    name: String,
    measurement: String,
    retention: Duration,
    precision: Precision,
    services: Arc<dyn Services>,
}

impl SinkKind for SeriesKind {
    fn description(&self) -> &'static SinkDescription {
        &DESCRIPTION
    }

    fn plan(
        &self,
        settings: &Settings,
        input: &SinkInput<'_>,
        context: &SinkContext,
    ) -> Result<Box<dyn PlannedSink>, SettingError> {
        let (measurement, layout) = (measurement(settings, context)?, layout(settings, input)?);
        let services = context.services()?;
        let not_there = |LookupError { detail, hint }| SettingError::at("measurement", detail, hint);
        services.check_measurement(measurement).map_err(not_there)?;
        let of_records = match input.key_columns {
            Some(_) => None,
            None if context.topic.is_empty() => Some(TopicTag::Yes),
            None => Some(TopicTag::No),
        };
        if of_records.is_some() {
            layout.check_added(&["_partition", "_topic", "_row"]).map_err(refused)?;
        }
        let encoder =
            LineEncoder::new(measurement, layout, input.schema, Dialect::Influx, of_records).map_err(refused)?;
        Ok(Box::new(PlannedSeries {
            measurement: measurement.to_owned(),
            retention: retention(settings.text("retention").unwrap_or_default())?,
            encoder: Arc::new(encoder),
            services,
        }))
    }
}

fn retention(text: &str) -> Result<Duration, SettingError> {
    match (text, duration(text)) {
        ("forever", _) => Ok(Duration::MAX),
        (_, Some(retention)) if !retention.is_zero() => Ok(retention),
        _ => {
            let detail = format!("`{text}` does not say how long points are kept");
            Err(SettingError::at("retention", detail, "write a duration such as `7d` or `12h`, or `forever`"))
        }
    }
}

#[async_trait]
impl PlannedSink for PlannedSeries {
    fn encoder(&self) -> Arc<dyn RowEncoder> {
        Arc::clone(&self.encoder) as _
    }

    fn destination(&self) -> Result<Arc<dyn Destination>, String> {
        Ok(Arc::new(SeriesDestination {
            name: format!("the built-in series `{}`", self.measurement),
            measurement: self.measurement.clone(),
            retention: self.retention,
            precision: self.encoder.precision(),
            services: Arc::clone(&self.services),
        }))
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::Overwrites
    }

    fn order(&self) -> Order {
        Order::Key
    }

    fn form(&self) -> String {
        format!("line protocol of the built-in series, {:?}", self.encoder.precision()).to_lowercase()
    }
}

#[async_trait]
impl Destination for SeriesDestination {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, batch: &EncodedBatch) -> Result<Answer, CallError> {
        let Self { measurement, retention, precision, .. } = self;
        let points = SeriesPoints { measurement, retention: *retention, precision: *precision, lines: batch };
        self.services.write_points(points).await
    }
}
