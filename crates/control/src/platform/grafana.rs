//! Daggers as Grafana shows them: found in their plans, so that a dashboard is right before the first point is written.

use super::Platform;
use crate::dagger_plan::{self, FutureCheck};
use crate::dagger_spec::{DaggerSpec, SinkSpec};
use crate::error::ControlError;
use crate::grafana::{self, Board, GrafanaFile, GrafanaPlace, Measure, MeasureKind};
use crate::resource::{Kind, Resource};
use crate::sinks::RecordMarks;
use crate::sinks::series::SeriesConfig;
use arrow::datatypes::DataType;
use operators::WindowKind;
use serde::Serialize;
use serde_json::Value;

/// Provisioning of all daggers, or of one group's.
#[derive(Debug, Serialize)]
pub struct GrafanaExport {
    pub files: Vec<GrafanaFile>,
    /// Daggers of which there is no dashboard, with the reason.
    pub skipped: Vec<SkippedDagger>,
}

#[derive(Debug, Serialize)]
pub struct SkippedDagger {
    pub dagger: String,
    pub reason: String,
}

impl Platform {
    /// Address of the Grafana that people use, if the operator has said it; without a slash at the end.
    pub fn grafana_url(&self) -> Option<&str> {
        self.grafana_url.as_deref()
    }

    /// The dashboard of one dagger.
    pub async fn grafana_dashboard(&self, name: &str, place: &GrafanaPlace) -> Result<Value, ControlError> {
        let resource = self.dagger_resource(name).await?;
        Ok(grafana::dashboard(&self.board(&resource)?, place))
    }

    /// Data sources and dashboards as files. A dagger that has no dashboard is told, and does not disturb the others.
    pub async fn grafana_export(
        &self,
        group: Option<&str>,
        place: &GrafanaPlace,
    ) -> Result<GrafanaExport, ControlError> {
        if let Some(group) = group
            && self.db.get(Kind::Group, group).await?.is_none()
        {
            return Err(self.not_found(Kind::Group, group).await);
        }
        let (mut boards, mut skipped) = (Vec::new(), Vec::new());
        for (name, resource) in self.db.by_name(Kind::Dagger).await?.iter() {
            if group.is_some_and(|group| group != resource.metadata.group) {
                continue;
            }
            match self.board(resource) {
                Ok(board) => boards.push(board),
                Err(error) => skipped.push(SkippedDagger { dagger: name.clone(), reason: error.detail }),
            }
        }
        Ok(GrafanaExport { files: grafana::files(&boards, place)?, skipped })
    }

    fn board(&self, resource: &Resource) -> Result<Board, ControlError> {
        let name = &resource.metadata.name;
        let mut spec = DaggerSpec::from_json(name, &resource.spec)?;
        let measurement = spec.sinks.iter().find_map(|sink| match sink {
            SinkSpec::Series { measurement, .. } => Some(measurement.clone()),
            _ => None,
        });
        let measurement = measurement.ok_or_else(|| {
            ControlError::conflict("no_measurement", format!("the dagger `{name}` writes no measurement"))
                .with_hint("add the sink `series` to it")
        })?;
        let planned = dagger_plan::plan(&mut spec, &self.schema_set(), FutureCheck::AppendTime)?;
        let (plan, schema) = (&planned.plan, &planned.plan.schema);
        let marks = RecordMarks::of(&spec, plan);
        let config = SeriesConfig::new(&measurement, schema, plan.key_columns.as_deref(), marks)?;
        let measures: Vec<Measure> = config
            .layout
            .fields
            .iter()
            .filter_map(|(column, field)| {
                let kind = measure_kind(schema.fields().get(*column)?.data_type())?;
                Some(Measure { field: field.clone(), kind })
            })
            .collect();
        if measures.is_empty() {
            return Err(ControlError::conflict(
                "no_measures",
                format!("the dagger `{name}` writes no numbers, so there is nothing to draw"),
            )
            .with_hint("select a number as well, for example `count(1) AS n`"));
        }
        Ok(Board {
            dagger: name.clone(),
            group: resource.metadata.group.clone(),
            measurement,
            step_ms: plan.windows.last().and_then(|window| step_ms(window.spec.kind())),
            tags: config.layout.tags.into_iter().map(|(_, tag)| tag).collect(),
            measures,
        })
    }
}

/// How far apart the ends of windows are.
fn step_ms(kind: WindowKind) -> Option<i64> {
    match kind {
        WindowKind::Tumble { size_ms } => Some(size_ms),
        WindowKind::Hop { slide_ms, .. } => Some(slide_ms),
        WindowKind::Cumulate { step_ms, .. } => Some(step_ms),
        WindowKind::Session { .. } => None,
    }
}

/// `None` is no number.
fn measure_kind(data_type: &DataType) -> Option<MeasureKind> {
    match data_type {
        DataType::Decimal128(_, 0) | DataType::Decimal256(_, 0) => Some(MeasureKind::Count),
        other if other.is_integer() => Some(MeasureKind::Count),
        other if other.is_numeric() => Some(MeasureKind::Level),
        _ => None,
    }
}
