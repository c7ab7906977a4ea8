//! The measurements as tables of SQL: each group is a schema, and a bare name finds its measurement as long as only one of
//! the groups that may be read has it.

use crate::access::{Caller, Permission};
use crate::error::{ControlError, ErrorKind, nearest};
use crate::measurement_name::{split, stored};
use async_trait::async_trait;
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use series::SeriesStore;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The schema of bare names. No group can have this name.
const BARE: &str = "bare names";

/// What one caller sees.
#[derive(Debug)]
pub(super) struct MeasurementTables {
    /// Groups by measurement, of those that may be read.
    groups: BTreeMap<String, Vec<String>>,
    /// Measurements that only other groups have.
    hidden: Vec<String>,
}

impl MeasurementTables {
    pub fn of(caller: &Caller, store: &SeriesStore) -> Self {
        let mut tables = Self { groups: BTreeMap::new(), hidden: Vec::new() };
        for known in store.measurements() {
            let Some((group, measurement)) = split(&known.name) else { continue };
            match caller.may(Permission::ReadRecords, group) {
                true => tables.groups.entry(measurement.to_owned()).or_default().push(group.to_owned()),
                false => tables.hidden.push(measurement.to_owned()),
            }
        }
        tables
    }

    pub fn register(self: &Arc<Self>, store: &SeriesStore, context: &SessionContext) -> Result<(), ControlError> {
        let name = context.state().config_options().catalog.default_catalog.clone();
        let Some(catalog) = context.catalog(&name) else {
            return Err(ControlError::internal(format!("the catalog `{name}` is not there")));
        };
        let mut by_group: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (measurement, groups) in &self.groups {
            for group in groups {
                by_group.entry(group).or_default().push(measurement.clone());
            }
        }
        for (group, measurements) in by_group {
            let schema = GroupSchema { store: store.clone(), group: group.to_owned(), measurements };
            catalog
                .register_schema(group, Arc::new(schema))
                .map_err(|error| ControlError::internal(error.to_string()))?;
        }
        let bare = BareNames { store: store.clone(), tables: Arc::clone(self) };
        catalog.register_schema(BARE, Arc::new(bare)).map_err(|error| ControlError::internal(error.to_string()))?;
        context.state_ref().write().config_mut().options_mut().catalog.default_schema = BARE.to_owned();
        Ok(())
    }

    /// Why a table of this name is not there. `name` is as DataFusion tells it: catalog, schema, table.
    pub fn explain_missing(&self, name: &str) -> ControlError {
        let mut parts = name.splitn(3, '.');
        let (_, schema, table) = (parts.next(), parts.next(), parts.next());
        let (Some(schema), Some(table)) = (schema, table) else {
            return ControlError::invalid("sql_invalid", format!("there is no measurement `{name}`"));
        };
        let groups = self.groups.get(table);
        if schema == BARE
            && let Some(groups) = groups
        {
            let all: Vec<String> = groups.iter().map(|group| format!("\"{group}\".\"{table}\"")).collect();
            return ControlError::invalid(
                "sql_invalid",
                format!("{} groups have a measurement `{table}`", groups.len()),
            )
            .with_hint(format!("write which one: {}", all.join(" or ")));
        }
        if groups.is_none() && self.hidden.iter().any(|hidden| hidden == table) {
            return ControlError::new(
                ErrorKind::Forbidden,
                "forbidden",
                format!("you have no right to read the measurement `{table}`"),
            )
            .with_hint("an admin of the group that it belongs to can make you its viewer");
        }
        let hint = match (groups, nearest(table, self.groups.keys().map(String::as_str))) {
            (Some(groups), _) => format!("did you mean \"{}\".\"{table}\"?", groups.join("\" or \"")),
            (None, Some(near)) => format!("did you mean `{near}`?"),
            (None, None) if self.groups.is_empty() => "nothing has been written yet".to_owned(),
            (None, None) => "SHOW TABLES lists the measurements".to_owned(),
        };
        let place = if schema == BARE { String::new() } else { format!(" in the group `{schema}`") };
        ControlError::invalid("sql_invalid", format!("there is no measurement `{table}`{place}")).with_hint(hint)
    }
}

fn open(store: &SeriesStore, group: &str, measurement: &str) -> Result<Arc<dyn TableProvider>, DataFusionError> {
    store.table_provider(&stored(group, measurement)).map_err(|error| DataFusionError::External(Box::new(error)))
}

struct GroupSchema {
    store: SeriesStore,
    group: String,
    /// In their order.
    measurements: Vec<String>,
}

impl std::fmt::Debug for GroupSchema {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("GroupSchema").field("group", &self.group).finish_non_exhaustive()
    }
}

#[async_trait]
impl SchemaProvider for GroupSchema {
    fn table_names(&self) -> Vec<String> {
        self.measurements.clone()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        match self.table_exist(name) {
            true => open(&self.store, &self.group, name).map(Some),
            false => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        self.measurements.binary_search_by(|known| known.as_str().cmp(name)).is_ok()
    }
}

/// Finds what the groups list.
struct BareNames {
    store: SeriesStore,
    tables: Arc<MeasurementTables>,
}

impl std::fmt::Debug for BareNames {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("BareNames")
    }
}

#[async_trait]
impl SchemaProvider for BareNames {
    fn table_names(&self) -> Vec<String> {
        Vec::new()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        match self.tables.groups.get(name).map(Vec::as_slice) {
            Some([group]) => open(&self.store, group, name).map(Some),
            _ => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        matches!(self.tables.groups.get(name).map(Vec::as_slice), Some([_]))
    }
}
