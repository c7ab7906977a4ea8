//! Everything one server has, opened together and closed together.

mod ad_hoc_sql;
mod dead_letters;
mod schemas;
mod tail;
mod topics;

pub use ad_hoc_sql::QueryResult;
pub use dead_letters::{DeadLetterQuery, DeadLetters};
pub use schemas::SchemaPush;
pub use tail::{Follow, TailFrom, TailRequest};
pub use topics::{ProducedRecords, TopicStatus};

use crate::data_directory::DataDirectory;
use crate::error::ControlError;
use crate::resource::{GROUP_DEFAULT, Kind, Metadata};
use crate::resource_db::ResourceDb;
use delivery::{DeadLetterLimits, DeadLetterStore};
use log::{EmbeddedLog, EmbeddedLogOptions};
use schema::SchemaSet;
use series::{SeriesOptions, SeriesStore};
use std::path::PathBuf;
use std::sync::{Arc, RwLock};

pub struct PlatformOptions {
    pub data_dir: PathBuf,
}

pub struct Platform {
    directory: DataDirectory,
    db: ResourceDb,
    log: Arc<EmbeddedLog>,
    series: SeriesStore,
    dead_letters: DeadLetterStore,
    /// The current set; readers take the `Arc` and go on with it.
    schemas: RwLock<Arc<SchemaSet>>,
    /// One change of desired state at a time: what is checked still holds when it is written.
    changes: tokio::sync::Mutex<()>,
}

impl Platform {
    /// Opens everything in the data directory, which is made if it is missing. Refused while another process has it.
    pub async fn open(options: PlatformOptions) -> Result<Arc<Self>, ControlError> {
        let directory = DataDirectory::open(&options.data_dir)?;
        let db = ResourceDb::open(&directory.resources()).await?;
        let (log_dir, series_dir, letters_dir) = (directory.log(), directory.series(), directory.dead_letters());
        let (log, series, dead_letters) = tokio::task::spawn_blocking(move || {
            let log = EmbeddedLog::open(&log_dir, EmbeddedLogOptions::default())?;
            let series = SeriesStore::open(&series_dir, SeriesOptions::default())?;
            let dead_letters = DeadLetterStore::open(&letters_dir, DeadLetterLimits::default())?;
            Ok::<_, ControlError>((log, series, dead_letters))
        })
        .await??;
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
        let platform = Arc::new(Self {
            directory,
            db,
            log: Arc::new(log),
            series,
            dead_letters,
            schemas: RwLock::new(Arc::new(schemas)),
            changes: tokio::sync::Mutex::new(()),
        });
        platform.make_default_group().await?;
        platform.reconcile_topics().await?;
        Ok(platform)
    }

    /// Ends everything in order, so that what was acknowledged is on disk.
    pub async fn close(&self) -> Result<(), ControlError> {
        self.log.close().await;
        let (series, dead_letters) = (self.series.clone(), self.dead_letters.clone());
        tokio::task::spawn_blocking(move || {
            series.sync()?;
            dead_letters.sync()?;
            Ok::<_, ControlError>(())
        })
        .await??;
        self.db.close().await;
        Ok(())
    }

    pub fn directory(&self) -> &DataDirectory {
        &self.directory
    }

    async fn make_default_group(&self) -> Result<(), ControlError> {
        if self.db.get(Kind::Group, GROUP_DEFAULT).await?.is_none() {
            self.db.put(Kind::Group, &Metadata::named(GROUP_DEFAULT), &serde_json::json!({})).await?;
        }
        Ok(())
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
        let known = self.db.list(kind).await.unwrap_or_default();
        let names = known.iter().map(|resource| resource.metadata.name.as_str());
        let hint = match crate::error::nearest(name, names) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("`millrace {} list` shows what there is", kind.word()),
        };
        ControlError::not_found(kind.not_found_code(), format!("there is no {} `{name}`", kind.word())).with_hint(hint)
    }
}
