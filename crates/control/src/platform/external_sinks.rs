//! Sinks that are servers of somebody else's: with whose secret, what the server says before anything is deployed, and
//! writing once more what it has refused.

use super::Platform;
use super::launch::PlannedSink;
use crate::dagger_plan::{self, FutureCheck, PlannedDagger};
use crate::dagger_spec::{DaggerSpec, ExternalSinkSpec, SinkSpec};
use crate::error::ControlError;
use crate::resource::{Kind, Metadata};
use crate::sink_settings::{SinkSettings, setting_error};
use crate::sinks::RecordMarks;
use crate::sinks::external::{ExternalSinkConfig, Query, check_with_server, has_form, has_line, is_of};
use ::sinks::{HttpOptions, SinkContext, SinkInput};
use arrow::datatypes::{DataType, Schema};
use async_trait::async_trait;
use delivery::{
    Courier, DeadLetter, DeliveryError, EncodedBatchBuilder, KeepError, KeepUndelivered, Parcel, Undelivered,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How long writing once more waits for the server.
const WRITE_AGAIN_TIME_MAX: Duration = Duration::from_secs(30);
const WRITE_AGAIN_ROWS: usize = 1_000;

impl Platform {
    /// Checks a sink against the query and makes it ready, without asking its server.
    pub(super) async fn plan_external_sink(
        &self,
        of: &Metadata,
        index: usize,
        spec: &ExternalSinkSpec,
        planned: &PlannedDagger,
        marks: RecordMarks,
    ) -> Result<ExternalSinkConfig, ControlError> {
        let secret = match &spec.secret {
            Some(name) => Some(self.secret_value(name, &of.group).await?),
            None => None,
        };
        let query = Query { schema: &planned.plan.schema, key_columns: planned.plan.key_columns.as_deref(), marks };
        ExternalSinkConfig::new(spec, &place(index), &query, secret, HttpOptions::reaching(self.sink_addresses.clone()))
    }

    /// The same for every other kind of sink.
    pub(super) async fn plan_kind_sink(
        &self,
        of: &Metadata,
        index: usize,
        sink: &SinkSettings,
        planned: &PlannedDagger,
    ) -> Result<ExternalSinkConfig, ControlError> {
        let secrets = self.secret_values(sink.secrets().into_iter(), &of.group).await?;
        let context = self.sink_context(of, String::new(), String::new(), secrets).await?;
        let schema = &planned.plan.schema;
        let key_columns = planned.plan.key_columns.as_deref();
        let input = SinkInput { schema, key_columns, time_column: time_column(schema) };
        let sink_planned = sink.kind.plan(&sink.settings, &input, &context);
        let sink_planned = sink_planned.map_err(|error| setting_error(&place(index), error))?;
        Ok(ExternalSinkConfig::of_kind(sink.name(), sink_planned, context.http))
    }

    /// Who writes, and with what.
    pub(super) async fn sink_context(
        &self,
        of: &Metadata,
        incarnation: String,
        topic: String,
        secrets: BTreeMap<String, String>,
    ) -> Result<SinkContext, ControlError> {
        Ok(SinkContext {
            http: HttpOptions::reaching(self.sink_addresses.clone()),
            owner: of.name.clone(),
            incarnation,
            topic,
            secrets,
            services: Some(self.sink_services(&of.group).await?),
        })
    }

    /// Values of secrets by their names, for what the group runs.
    pub(super) async fn secret_values(
        &self,
        names: impl Iterator<Item = &str>,
        group: &str,
    ) -> Result<BTreeMap<String, String>, ControlError> {
        let mut values = BTreeMap::new();
        for name in names {
            values.insert(name.to_owned(), self.secret_value(name, group).await?);
        }
        Ok(values)
    }

    /// Asks the servers of a dagger's sinks what they would refuse. Only for who may deploy it: the secret goes there.
    pub(super) async fn check_external_sinks(
        &self,
        of: &Metadata,
        spec: &DaggerSpec,
        planned: &PlannedDagger,
    ) -> Result<(), ControlError> {
        for (index, sink) in self.plan_sinks(of, spec, planned).await?.iter().enumerate() {
            if let PlannedSink::External(config) = sink {
                check_with_server(config, &place(index)).await?;
            }
        }
        Ok(())
    }

    /// Gives rows that its servers did not take to them once more. Returns how many they have now; the others stay.
    pub(super) async fn write_again(&self, dagger: &str, letters: Vec<DeadLetter>) -> Result<usize, ControlError> {
        let resource = self.dagger_resource(dagger).await?;
        let mut spec = DaggerSpec::from_json(dagger, &resource.spec)?;
        let planned = dagger_plan::plan(&mut spec, &self.schema_set(), FutureCheck::AppendTime)?;
        let mut by_sink: BTreeMap<u32, Vec<DeadLetter>> = BTreeMap::new();
        for letter in letters {
            by_sink.entry(letter.key.partition).or_default().push(letter);
        }
        let marks = RecordMarks::of(&spec, &planned.plan);
        let (mut written, mut still_refused) = (0, None);
        for (index, letters) in by_sink {
            let index = index as usize;
            let of = &resource.metadata;
            let config = match spec.sinks.get(index) {
                Some(SinkSpec::External(sink)) => self.plan_external_sink(of, index, sink, &planned, marks).await?,
                Some(SinkSpec::Kind(sink)) => self.plan_kind_sink(of, index, sink, &planned).await?,
                _ => return Err(no_such_sink(dagger, index)),
            };
            if !letters.iter().all(|letter| is_of(letter, &config)) {
                return Err(no_such_sink(dagger, index));
            }
            let form = config.form();
            if letters.iter().any(|letter| has_line(letter) && !has_form(letter, &form)) {
                return Err(other_form(dagger, index, &form));
            }
            let (of_sink, reason) = self.write_rows_again(&config, letters).await?;
            written += of_sink;
            still_refused = still_refused.or(reason);
        }
        match still_refused {
            Some(reason) if written == 0 => {
                Err(ControlError::conflict("dead_letter_still_refused", format!("it is refused again: {reason}"))
                    .with_hint("mend what the reason says first"))
            }
            _ => Ok(written),
        }
    }

    /// The number of rows that are there now, and why another one is not.
    async fn write_rows_again(
        &self,
        config: &ExternalSinkConfig,
        letters: Vec<DeadLetter>,
    ) -> Result<(usize, Option<String>), ControlError> {
        let (letters, unsayable): (Vec<_>, Vec<_>) = letters.into_iter().partition(has_line);
        let refusals = Arc::new(Refusals::default());
        let keeper = Arc::clone(&refusals) as Arc<dyn KeepUndelivered<usize>>;
        let courier = Courier::start(config.destination()?, keeper, config.courier_options());
        let give = async {
            for (number, letters) in letters.chunks(WRITE_AGAIN_ROWS).enumerate() {
                let mut records = EncodedBatchBuilder::default();
                letters.iter().for_each(|letter| records.push(letter.value.as_deref().unwrap_or_default()));
                let origin = Arc::new(number * WRITE_AGAIN_ROWS);
                courier.push(Parcel { records: records.finish(), keys: None, origin }).await?;
            }
            courier.flush().await
        };
        let unavailable = |detail| ControlError::unavailable("external_sink_unavailable", detail);
        match tokio::time::timeout(WRITE_AGAIN_TIME_MAX, give).await {
            Ok(given) => given.map_err(|failure| unavailable(failure.to_string()))?,
            Err(_) => {
                let problem =
                    courier.problem().map_or_else(|| "the server takes too long".to_owned(), |problem| problem.message);
                return Err(unavailable(problem).with_hint("nothing is lost; replay again when the server is back"));
            }
        }
        let refused = std::mem::take(&mut *refusals.0.lock().unwrap_or_else(PoisonError::into_inner));
        let first = refused.values().next().cloned();
        let first = first.or_else(|| unsayable.first().map(|letter| letter.error.clone()));
        let store = self.dead_letters.clone();
        let written = tokio::task::spawn_blocking(move || {
            let written = letters.iter().enumerate().filter(|(index, _)| !refused.contains_key(index));
            let point = store.sync_point();
            let mut count = 0;
            for (_, letter) in written {
                store.mark_replayed(&letter.key)?;
                count += 1;
            }
            store.sync(point)?;
            Ok::<_, DeliveryError>(count)
        })
        .await??;
        Ok((written, first))
    }

    /// Running daggers have the former value.
    pub(super) async fn restart_sinks_with(&self, secret: &str) -> Result<(), ControlError> {
        for resource in self.db.list(Kind::Dagger).await? {
            let name = &resource.metadata.name;
            let Ok(spec) = DaggerSpec::from_json(name, &resource.spec) else { continue };
            if spec.sinks.iter().any(|sink| sink.secrets().contains(&secret)) {
                self.supervisor.restart(name, &format!("the secret `{secret}` has changed"));
            }
        }
        Ok(())
    }
}

/// What is refused once more, by its place among the letters, and why.
#[derive(Default)]
struct Refusals(Mutex<BTreeMap<usize, String>>);

#[async_trait]
impl KeepUndelivered<usize> for Refusals {
    async fn keep(&self, records: &[Undelivered<'_, usize>]) -> Result<(), KeepError> {
        let refused = records.iter().map(|record| (record.origin + record.index, record.reason.to_owned()));
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(refused);
        Ok(())
    }
}

fn no_such_sink(dagger: &str, index: usize) -> ControlError {
    let detail = format!("the dagger `{dagger}` no longer has the sink `{}` that the row was for", place(index));
    ControlError::conflict("external_sink_gone", detail).with_hint("add it again, or delete the dead letters")
}

fn other_form(dagger: &str, index: usize, form: &str) -> ControlError {
    let detail = format!(
        "the sink `{}` of the dagger `{dagger}` writes {form} now, and the row was written for what it was before",
        place(index)
    );
    ControlError::conflict("external_sink_gone", detail)
        .with_hint("make the dagger what it was, or delete the dead letters and let it read its topics again")
}

fn place(index: usize) -> String {
    format!("spec.sinks[{index}]")
}

/// The column with the time of a row: one that is called so, else the first time.
pub(super) fn time_column(schema: &Schema) -> Option<usize> {
    let is_time = |index: &usize| matches!(schema.field(*index).data_type(), DataType::Timestamp(..));
    let named = ["window_timestamp", "event_timestamp", "rowtime"].into_iter();
    let mut named = named.filter_map(|name| schema.index_of(name).ok()).filter(is_time);
    named.next().or_else(|| (0..schema.fields().len()).find(is_time))
}
