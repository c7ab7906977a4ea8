//! What every kind of sink does: says what it needs, checks it against the columns, and opens.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use delivery::Destination;

use crate::{HttpOptions, RowEncoder, Services, SettingError, Settings, SinkDescription};

/// A kind of sink. There is one value of it, in [`crate::kinds`].
pub trait SinkKind: Send + Sync + 'static {
    fn description(&self) -> &'static SinkDescription;

    /// Checks settings and columns, without asking any server.
    fn plan(
        &self,
        settings: &Settings,
        input: &SinkInput<'_>,
        context: &SinkContext,
    ) -> Result<Box<dyn PlannedSink>, SettingError>;
}

/// The rows that a sink is going to get.
#[derive(Clone, Copy, Debug)]
pub struct SinkInput<'a> {
    pub schema: &'a SchemaRef,
    /// The columns that a query groups by, which tell its rows from each other; `None` when a row stands for a record,
    /// and the encoder is given a [`crate::RowOrigin`].
    pub key_columns: Option<&'a [usize]>,
    /// The column with the time of a row, if there is one.
    pub time_column: Option<usize>,
}

/// Who writes, and with what.
#[derive(Clone, Debug)]
pub struct SinkContext {
    /// Also says which addresses may be reached.
    pub http: HttpOptions,
    /// Name of the dagger or firehose.
    pub owner: String,
    /// Tells it from an earlier one of the same name; what a sink has noted for another one does not count.
    pub incarnation: String,
    /// Topic of the records; empty for results of a query.
    pub topic: String,
    /// Values by the names of the secrets.
    pub secrets: BTreeMap<String, String>,
    /// The platform; sinks that need it are refused without.
    pub services: Option<Arc<dyn Services>>,
}

impl SinkContext {
    pub(crate) fn services(&self) -> Result<Arc<dyn Services>, SettingError> {
        self.services.clone().ok_or_else(|| SettingError {
            key: None,
            detail: "this sink writes to the platform itself, which is not there".to_owned(),
            hint: "use it in a firehose or dagger of a server".to_owned(),
        })
    }

    /// The secret that a setting names, without the line feed that a file ends with.
    pub fn secret(&self, settings: &Settings, key: &str) -> Result<Option<String>, SettingError> {
        settings.text(key).map(|name| self.value_of(key, name)).transpose()
    }

    /// Names and secrets of a setting that names several.
    pub fn secret_map(&self, settings: &Settings, key: &str) -> Result<Vec<(String, String)>, SettingError> {
        let named = |(name, secret): (&str, &str)| Ok((name.to_owned(), self.value_of(key, secret)?));
        settings.map(key).into_iter().map(named).collect()
    }

    fn value_of(&self, key: &str, name: &str) -> Result<String, SettingError> {
        match self.secrets.get(name) {
            Some(value) => Ok(value.trim_end_matches(['\r', '\n']).to_owned()),
            None => {
                Err(SettingError::at(key, format!("there is no secret `{name}`"), "put it first, or correct the name"))
            }
        }
    }
}

/// A sink that fits its rows.
#[async_trait]
pub trait PlannedSink: Send + Sync {
    fn encoder(&self) -> Arc<dyn RowEncoder>;

    /// A client of its own; nothing is connected yet.
    fn destination(&self) -> Result<Arc<dyn Destination>, String>;

    /// What can happen to a record that is written again after a crash.
    fn guarantee(&self) -> Guarantee;

    fn order(&self) -> Order;

    /// What the sink takes in one call.
    fn limits(&self) -> CallLimits {
        CallLimits::default()
    }

    /// How rows are encoded: what was encoded in another form cannot be given to this sink.
    fn form(&self) -> String;

    /// Asks the server what it would refuse; what it does not say is let through.
    async fn check(&self) -> Result<(), SettingError> {
        Ok(())
    }

    /// What somebody who looks at the sink should know of it.
    async fn notice(&self) -> Option<String> {
        None
    }
}

/// What becomes of records that are written once more after a crash or a lost answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// The sink keeps the positions with the records, in one transaction.
    ExactlyOnce,
    /// The same record again changes nothing.
    Overwrites,
    /// They can be there twice; why.
    AtLeastOnce(&'static str),
}

/// Which records have to arrive in the order of their topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Those with the same key of the topic.
    Key,
    /// Those of a partition.
    Partition,
    /// All: one call at a time.
    All,
}

/// Of one call. A person can ask for less, not for more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallLimits {
    pub records_max: usize,
    pub bytes_max: usize,
}

impl Default for CallLimits {
    fn default() -> Self {
        Self { records_max: 100_000, bytes_max: 64 << 20 }
    }
}
