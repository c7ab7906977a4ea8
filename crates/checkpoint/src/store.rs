//! Reading and writing checkpoints of one dagger.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use crate::protocol::{self, Commit, Content, EpochRecord, PartLocation};

/// Why a checkpoint could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    #[error("{action} {path}: {source}")]
    Storage { action: &'static str, path: String, source: std::io::Error },
    #[error("{path} is damaged: {reason}")]
    Damaged { path: String, reason: String },
    #[error("another process has taken over (it owns epoch {epoch}); this one must stop")]
    Fenced { epoch: u64 },
    #[error(
        "the results of checkpoint {committed} were committed last, and the last one here is {latest}: this is an older copy \
         of the state, and going on from it would write results twice; put back the newest copy, or delete the dagger and \
         apply it again under another name and topic"
    )]
    Undecided { committed: u64, latest: u64 },
}

impl CheckpointError {
    /// Whether the disk is full, so that waiting may help.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::Storage { source, .. } if source.kind() == std::io::ErrorKind::StorageFull)
    }
}

/// Where checkpoints lie: named objects, of which some must be created by exactly one writer. After a call returns, its
/// effect survives a crash.
pub trait Storage: Send + Sync + 'static {
    /// Creates an object; false when it exists.
    fn create(&self, path: &str, bytes: &[u8]) -> Result<bool, CheckpointError>;
    fn read(&self, path: &str) -> Result<Vec<u8>, CheckpointError>;
    /// Names in a folder.
    fn list(&self, folder: &str) -> Result<Vec<String>, CheckpointError>;
    fn delete(&self, path: &str) -> Result<(), CheckpointError>;
}

/// A part of the state to write.
pub enum PartRef {
    /// New bytes.
    New(Vec<u8>),
    /// As it was in the checkpoint before.
    Unchanged,
}

/// A named part.
pub struct Part {
    pub id: String,
    pub content: PartRef,
}

/// What a checkpoint held.
pub struct Restored {
    pub header: serde_json::Value,
    pub parts: Vec<(String, Vec<u8>)>,
}

/// The checkpoints of one dagger, owned by this process until somebody takes over.
pub struct CheckpointStore {
    storage: Arc<dyn Storage>,
    folder: String,
    own: EpochRecord,
    before: Option<EpochRecord>,
}

impl CheckpointStore {
    /// Takes over the checkpoints in a folder. From then on nobody else can write there who had them before.
    pub fn take_over(storage: Arc<dyn Storage>, folder: &str) -> Result<Self, CheckpointError> {
        let lineage = format!("{:016x}", RandomState::new().hash_one(std::process::id()));
        loop {
            let latest = match epochs(storage.as_ref(), folder)?.last() {
                Some(epoch) => Some(read_record(storage.as_ref(), folder, *epoch)?),
                None => None,
            };
            let own = protocol::take_over(latest.as_ref(), &lineage);
            if storage.create(&record_path(folder, own.epoch), &encode(&own))? {
                return Ok(CheckpointStore { storage, folder: folder.into(), own, before: latest });
            }
        }
    }

    /// Which row of checkpoints this is, and the number that the next one will have.
    pub fn next_checkpoint(&self) -> (&str, u64) {
        (&self.own.lineage, self.own.content.number + 1)
    }

    /// What the checkpoint that counts holds, if there is one. `committed` is the number of the checkpoint whose results
    /// were committed, if this lineage has any.
    pub fn restore(&mut self, committed: Option<u64>) -> Result<Option<Restored>, CheckpointError> {
        let judged = protocol::judge(&self.own, committed).cloned();
        let latest = self.own.content.number;
        let content = judged.map_err(|committed| CheckpointError::Undecided { committed, latest })?;
        // The record on disk still names both, and stays until the next one is there.
        self.before = Some(self.own.clone());
        self.own.content = content;
        self.own.otherwise = None;
        match self.own.content.header.is_null() {
            true => Ok(None),
            false => Ok(Some(read_parts(self.storage.as_ref(), &self.folder, &self.own.content)?)),
        }
    }

    /// Writes a checkpoint. When it returns, it is valid, or prepared if it is committed elsewhere.
    pub fn write(
        &mut self,
        header: serde_json::Value,
        parts: Vec<Part>,
        commit: Commit,
    ) -> Result<u64, CheckpointError> {
        let known: HashMap<&str, &PartLocation> =
            self.own.content.parts.iter().map(|part| (part.id.as_str(), part)).collect();
        let file = protocol::file_name(self.own.epoch + 1, self.own.generation);
        let mut bytes = Vec::new();
        let mut locations = Vec::with_capacity(parts.len());
        for part in parts {
            match part.content {
                PartRef::New(content) => {
                    locations.push(PartLocation {
                        id: part.id,
                        file: file.clone(),
                        offset: bytes.len() as u64,
                        length: content.len() as u64,
                        crc: crc32c::crc32c(&content),
                    });
                    bytes.extend(content);
                }
                PartRef::Unchanged => match known.get(part.id.as_str()) {
                    Some(location) => locations.push((*location).clone()),
                    None => {
                        let reason = format!("part {} is said to be unchanged but is not there", part.id);
                        return Err(CheckpointError::Damaged { path: self.folder.clone(), reason });
                    }
                },
            }
        }
        let path = format!("{}/data/{file}", self.folder);
        if !bytes.is_empty() && !self.storage.create(&path, &bytes)? {
            // Left behind by a try of this same process that failed before its record.
            self.storage.delete(&path)?;
            self.storage.create(&path, &bytes)?;
        }
        self.put(protocol::next(&self.own, header, locations, commit))
    }

    /// Says that the checkpoint that was prepared counts.
    pub fn settle(&mut self) -> Result<u64, CheckpointError> {
        self.put(protocol::settled(&self.own))
    }

    fn put(&mut self, record: EpochRecord) -> Result<u64, CheckpointError> {
        if !self.storage.create(&record_path(&self.folder, record.epoch), &encode(&record))? {
            return Err(CheckpointError::Fenced { epoch: record.epoch });
        }
        self.before = Some(std::mem::replace(&mut self.own, record));
        // What is left over is harmless; the next checkpoint tries again.
        let _ = self.collect_garbage();
        Ok(self.own.epoch)
    }

    fn collect_garbage(&self) -> Result<(), CheckpointError> {
        let files = self.storage.list(&format!("{}/data", self.folder))?;
        let epochs = epochs(self.storage.as_ref(), &self.folder)?;
        let (old_epochs, old_files) = protocol::garbage(&self.own, self.before.as_ref(), &epochs, &files);
        for epoch in old_epochs {
            self.storage.delete(&record_path(&self.folder, epoch))?;
        }
        for file in old_files {
            self.storage.delete(&format!("{}/data/{file}", self.folder))?;
        }
        Ok(())
    }
}

fn record_path(folder: &str, epoch: u64) -> String {
    format!("{folder}/epochs/{epoch:020}.json")
}

fn epochs(storage: &dyn Storage, folder: &str) -> Result<Vec<u64>, CheckpointError> {
    let mut epochs: Vec<u64> = storage
        .list(&format!("{folder}/epochs"))?
        .iter()
        .filter_map(|name| name.strip_suffix(".json")?.parse().ok())
        .collect();
    epochs.sort_unstable();
    Ok(epochs)
}

/// A record with its own checksum in front, in hex.
fn encode(record: &EpochRecord) -> Vec<u8> {
    let json = serde_json::to_vec(record).unwrap_or_default();
    let mut bytes = format!("{:08x}\n", crc32c::crc32c(&json)).into_bytes();
    bytes.extend(json);
    bytes
}

fn read_record(storage: &dyn Storage, folder: &str, epoch: u64) -> Result<EpochRecord, CheckpointError> {
    let path = record_path(folder, epoch);
    let bytes = storage.read(&path)?;
    let damaged = |reason: String| CheckpointError::Damaged { path: path.clone(), reason };
    let (crc, json) = bytes.split_at_checked(9).ok_or_else(|| damaged("too short".into()))?;
    if crc != format!("{:08x}\n", crc32c::crc32c(json)).as_bytes() {
        return Err(damaged("its checksum does not match".into()));
    }
    let record: EpochRecord = serde_json::from_slice(json).map_err(|error| damaged(error.to_string()))?;
    if record.epoch != epoch {
        return Err(damaged(format!("it says it is epoch {}", record.epoch)));
    }
    Ok(record)
}

fn read_parts(storage: &dyn Storage, folder: &str, content: &Content) -> Result<Restored, CheckpointError> {
    let mut files: HashMap<&str, Vec<u8>> = HashMap::new();
    let mut parts = Vec::with_capacity(content.parts.len());
    for part in &content.parts {
        let path = format!("{folder}/data/{}", part.file);
        if !files.contains_key(part.file.as_str()) {
            files.insert(&part.file, storage.read(&path)?);
        }
        let bytes = files
            .get(part.file.as_str())
            .and_then(|file| file.get(part.offset as usize..(part.offset + part.length) as usize));
        let damaged = |reason: &str| CheckpointError::Damaged {
            path: path.clone(),
            reason: format!("part {} {reason}", part.id),
        };
        let bytes = bytes.ok_or_else(|| damaged("is cut off"))?;
        if crc32c::crc32c(bytes) != part.crc {
            return Err(damaged("does not match its checksum"));
        }
        parts.push((part.id.clone(), bytes.to_vec()));
    }
    Ok(Restored { header: content.header.clone(), parts })
}
