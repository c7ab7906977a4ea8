//! Everything one server has, opened together and closed together.

mod ad_hoc_sql;
mod backup;
mod clusters;
mod daggers;
mod dead_letters;
mod demo;
mod diff;
mod external_sinks;
mod firehose_plan;
mod firehose_replay;
mod firehose_trial;
mod firehoses;
mod fork;
mod grafana;
mod idempotency;
mod influx;
mod kafka_clusters;
mod launch;
mod measurement_tables;
mod measurements;
mod people;
mod preview;
mod rate;
mod reading;
mod replay;
mod results;
mod revisions;
mod schemas;
mod secrets;
mod sink_services;
mod state;
mod tags;
mod tail;
mod topics;
mod validate;

pub use ad_hoc_sql::QueryResult;
pub use clusters::ClusterSpec;
pub use daggers::Applied;
pub use dead_letters::{DeadLetterQuery, DeadLetters, EditedValue};
pub use demo::DemoOptions;
pub use diff::{ColumnsDiff, DaggerDiff, SettingChange};
pub use firehose_trial::RecordPlace;
pub use firehoses::RunningFirehose;
pub(crate) use firehoses::SinkOfFirehose;
pub use fork::PublishTo;
pub use grafana::{GrafanaExport, SkippedDagger};
pub use idempotency::{Answer, FirstAnswer, IdempotencyKey, idempotency_key};
pub use influx::{InfluxRefusal, InfluxWriter};
pub use launch::{RunningDagger, SinkStatus};
pub use people::{GroupSpec, Invited};
pub use preview::Preview;
pub use rate::RecordRate;
pub use revisions::Revision;
pub use schemas::SchemaPush;
pub use tail::{Follow, ScanEnd, ScanProgress, Shows, TailFilter, TailFrom, TailLine, TailRequest};
pub use topics::{ProducedRecords, TopicStatus};
pub use validate::Validation;

use crate::access::{AccessDb, Actor};
use crate::data_directory::DataDirectory;
use crate::database::Database;
use crate::error::ControlError;
use crate::events::Events;
use crate::firehose_manager::FirehoseManager;
use crate::platform::clusters::Clusters;
use crate::platform::kafka_clusters::KafkaClusters;
use crate::platform::people::Logins;
use crate::platform::secrets::Seal;
use crate::resource::{GROUP_DEFAULT, Kind, Metadata};
use crate::resource_db::ResourceDb;
use crate::supervisor::{History, Supervisor};
use crate::topic_router::TopicRouter;
use ::sinks::AddressPolicy;
use delivery::{DeadLetterLimits, DeadLetterStore};
use flow::AcceptedLoss;
use log::{EmbeddedLog, EmbeddedLogOptions};
use schema::SchemaSet;
use series::{SeriesOptions, SeriesStore};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, RwLock, Weak};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often points beyond their retention are looked for.
const EXPIRE_INTERVAL: Duration = Duration::from_secs(60);

/// How often the memory of dagger clusters is looked at.
const MEMORY_INTERVAL: Duration = Duration::from_secs(1);

pub struct PlatformOptions {
    pub data_dir: PathBuf,
    /// A PostgreSQL database for the resources, instead of SQLite in the data directory.
    pub database_url: Option<String>,
    /// Becomes a token of the first admin.
    pub admin_token: Option<String>,
    /// Address of the Grafana that people use.
    pub grafana_url: Option<String>,
    /// Where sinks may connect to besides public addresses.
    pub sink_addresses: AddressPolicy,
}

impl PlatformOptions {
    /// Embedded defaults in a directory.
    pub fn in_directory(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            database_url: None,
            admin_token: None,
            grafana_url: None,
            sink_addresses: AddressPolicy::default(),
        }
    }
}

pub struct Platform {
    directory: DataDirectory,
    database: Database,
    db: ResourceDb,
    access: AccessDb,
    logins: Logins,
    seal: Seal,
    sink_addresses: AddressPolicy,
    clusters: Clusters,
    log: Arc<TopicRouter>,
    kafka_clusters: KafkaClusters,
    series: SeriesStore,
    dead_letters: DeadLetterStore,
    /// The current set; readers take the `Arc` and go on with it.
    schemas: RwLock<Arc<SchemaSet>>,
    /// One change of desired state at a time: what is checked still holds when it is written.
    changes: tokio::sync::Mutex<()>,
    supervisor: Supervisor,
    firehoses: FirehoseManager,
    /// What somebody decided about records that a dagger has lost, for its next start.
    accepted_losses: Mutex<HashMap<String, AcceptedLoss>>,
    events: Events,
    grafana_url: Option<String>,
    /// Turns for ad hoc queries.
    queries: tokio::sync::Semaphore,
    /// Turns for what comes by InfluxDB's API.
    influx: influx::Turns,
    /// The turn of a backup.
    backups: tokio::sync::Semaphore,
    /// Turns for searching topics.
    scans: Arc<tokio::sync::Semaphore>,
    /// What runs beside requests until the server ends.
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Platform {
    /// Opens everything in the data directory, which is made if it is missing. Refused while another process has it.
    pub async fn open(options: PlatformOptions) -> Result<Arc<Self>, ControlError> {
        let directory = DataDirectory::open(&options.data_dir)?;
        let seal = Seal::open(&directory)?;
        let database = match &options.database_url {
            None => Database::open_file(&directory.resources()).await?,
            Some(url) => Database::open_url(url).await?,
        };
        let events = Events::default();
        let db = ResourceDb::new(database.clone(), events.clone());
        let (log_dir, series_dir, letters_dir) = (directory.log(), directory.series(), directory.dead_letters());
        let (log, series, dead_letters) = tokio::task::spawn_blocking(move || {
            let log = EmbeddedLog::open(&log_dir, EmbeddedLogOptions::default())?;
            let series =
                SeriesStore::open(&series_dir, SeriesOptions { retention: Duration::MAX, ..SeriesOptions::default() })?;
            let dead_letters = DeadLetterStore::open(&letters_dir, DeadLetterLimits::default())?;
            Ok::<_, ControlError>((log, series, dead_letters))
        })
        .await??;
        if series.points_left_out() > 0 {
            tracing::warn!(
                points = series.points_left_out(),
                "left out points of an earlier version whose time is before 1677 or after 2262: times are kept in nanoseconds"
            );
        }
        for cut in log.tails_cut() {
            tracing::warn!(
                topic = %cut.topic, partition = cut.partition, offset = cut.offset, bytes = cut.bytes,
                "cut an unfinished write off the end of a partition"
            );
        }
        let schemas = match db.schema_set().await? {
            Some(bytes) => SchemaSet::from_descriptor_set(&bytes)?,
            None => SchemaSet::empty(),
        };
        let history = History::start(database.clone(), events.clone());
        let platform = Arc::new(Self {
            directory,
            grafana_url: options.grafana_url.map(|url| url.trim_end_matches('/').to_owned()),
            accepted_losses: Mutex::default(),
            supervisor: Supervisor::new(history.clone()),
            firehoses: FirehoseManager::new(history),
            events,
            access: AccessDb::new(database.clone()),
            logins: Logins::new()?,
            seal,
            sink_addresses: options.sink_addresses,
            clusters: Clusters::default(),
            kafka_clusters: KafkaClusters::default(),
            database,
            db,
            log: Arc::new(TopicRouter::new(log)),
            series,
            dead_letters,
            schemas: RwLock::new(Arc::new(schemas)),
            changes: tokio::sync::Mutex::new(()),
            queries: tokio::sync::Semaphore::new(ad_hoc_sql::QUERIES_AT_ONCE_MAX),
            influx: influx::Turns::default(),
            backups: tokio::sync::Semaphore::new(1),
            scans: Arc::new(tokio::sync::Semaphore::new(tail::SCANS_AT_ONCE_MAX)),
            tasks: Mutex::new(Vec::new()),
        });
        platform.make_defaults().await?;
        platform.prepare_access(options.admin_token.as_deref()).await?;
        platform.forget_unfinished_requests().await?;
        platform.connect_kafka_clusters().await?;
        platform.reconcile_topics().await?;
        platform.remove_leftovers().await?;
        platform.adopt_measurements().await?;
        platform.finish_move().await?;
        platform.supervise_all().await?;
        platform.start_firehoses().await?;
        let keeping_house =
            [tokio::spawn(expire(platform.series.clone())), tokio::spawn(watch_memory(Arc::downgrade(&platform)))];
        platform.tasks.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).extend(keeping_house);
        Ok(platform)
    }

    /// Ends everything in order: daggers with a checkpoint, firehoses with a commit, then what they write to, so that what was acknowledged is on
    /// disk.
    pub async fn close(&self) -> Result<(), ControlError> {
        for task in self.tasks.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).drain(..) {
            task.abort();
        }
        tokio::join!(self.supervisor.end_all(), self.firehoses.end_all());
        self.log.embedded().close().await;
        let (series, dead_letters) = (self.series.clone(), self.dead_letters.clone());
        tokio::task::spawn_blocking(move || {
            series.sync(series.sync_point())?;
            dead_letters.sync(dead_letters.sync_point())?;
            Ok::<_, ControlError>(())
        })
        .await??;
        self.clusters.close();
        self.database.close().await;
        Ok(())
    }

    /// What happens from now on.
    pub fn events(&self) -> &Events {
        &self.events
    }

    pub fn directory(&self) -> &DataDirectory {
        &self.directory
    }

    /// The group and the clusters that are there from the beginning.
    async fn make_defaults(&self) -> Result<(), ControlError> {
        let server = Actor::server();
        if self.db.get(Kind::Group, GROUP_DEFAULT).await?.is_none() {
            let spec = people::GroupSpec { description: None, open_records: true }.to_json();
            self.db.put(&server, Kind::Group, &Metadata::named(GROUP_DEFAULT), &spec).await?;
        }
        self.prepare_kafka_clusters(&server).await?;
        self.prepare_clusters(&server).await
    }

    /// A resource may only be in a group that exists.
    async fn check_group(&self, metadata: &Metadata) -> Result<(), ControlError> {
        if self.db.get(Kind::Group, &metadata.group).await?.is_some() {
            return Ok(());
        }
        Err(ControlError::not_found("group_not_found", format!("there is no group `{}`", metadata.group))
            .with_hint(format!("leave it out, or write `{GROUP_DEFAULT}`")))
    }

    /// "There is no X called Y", with the nearest name that there is.
    async fn not_found(&self, kind: Kind, name: &str) -> ControlError {
        let known = self.db.by_name(kind).await.unwrap_or_default();
        let names = known.keys().map(String::as_str);
        let hint = match crate::error::nearest(name, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("`millrace {} list` shows what there is", kind.word()),
        };
        ControlError::not_found(kind.not_found_code(), format!("there is no {} `{name}`", kind.word())).with_hint(hint)
    }
}

async fn watch_memory(platform: Weak<Platform>) {
    let mut ticks = tokio::time::interval(MEMORY_INTERVAL);
    loop {
        ticks.tick().await;
        let Some(platform) = platform.upgrade() else { return };
        if let Err(error) = platform.keep_clusters_in_memory().await {
            tracing::warn!(%error, "the memory of the dagger clusters cannot be looked at");
        }
    }
}

async fn expire(series: SeriesStore) {
    let mut ticks = tokio::time::interval(EXPIRE_INTERVAL);
    loop {
        ticks.tick().await;
        let store = series.clone();
        match tokio::task::spawn_blocking(move || store.expire()).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "old points cannot be removed"),
            Err(error) => tracing::error!(%error, "removing old points ended unexpectedly"),
        }
    }
}
