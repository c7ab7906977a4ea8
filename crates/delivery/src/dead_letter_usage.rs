//! How many dead letters there are, by owner and kind: changed in the same step as the letters, so that neither opening
//! the store nor asking reads them all.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use storage::{Batch, Storage};

use crate::error::{read_error, storage_error};
use crate::{DeadLetterKind, DeadLetterState, DeliveryError};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub kept: u64,
    pub replayed: u64,
    /// Of keys and values of both.
    pub bytes: u64,
}

pub(crate) type Kinds = BTreeMap<DeadLetterKind, Usage>;

/// All owners.
#[derive(Debug, Default)]
pub(crate) struct Usages {
    owners: BTreeMap<String, Kinds>,
}

/// Owners whose letters are about to change, as they will be.
#[derive(Debug, Default)]
pub(crate) struct Changed {
    owners: BTreeMap<String, Kinds>,
}

impl Usages {
    pub(crate) fn load(storage: &Storage, space: usize) -> Result<Self, DeliveryError> {
        let mut owners = BTreeMap::new();
        for guard in storage.scan::<&[u8]>(space, ..).map_err(storage_error)? {
            let (owner, kinds) = guard.into_inner().map_err(|error| read_error(&error))?;
            let corrupt =
                |reason: String| DeliveryError::Corrupt { reason: format!("the count of one owner: {reason}") };
            let owner = String::from_utf8(owner.to_vec()).map_err(|error| corrupt(error.to_string()))?;
            owners.insert(owner, serde_json::from_slice(&kinds).map_err(|error| corrupt(error.to_string()))?);
        }
        Ok(Self { owners })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Kinds)> {
        self.owners.iter()
    }

    pub(crate) fn apply(&mut self, changed: Changed) {
        for (owner, kinds) in changed.owners {
            if kinds.is_empty() {
                self.owners.remove(&owner);
            } else {
                self.owners.insert(owner, kinds);
            }
        }
    }
}

impl Changed {
    fn kinds_mut(&mut self, before: &Usages, owner: &str) -> &mut Kinds {
        if !self.owners.contains_key(owner) {
            let kinds = before.owners.get(owner).cloned().unwrap_or_default();
            self.owners.insert(owner.to_owned(), kinds);
        }
        self.owners.entry(owner.to_owned()).or_default()
    }

    /// Letters and bytes of an owner.
    pub(crate) fn totals(&mut self, before: &Usages, owner: &str) -> (u64, u64) {
        let kinds = self.kinds_mut(before, owner);
        kinds
            .values()
            .fold((0, 0), |(letters, bytes), usage| (letters + usage.kept + usage.replayed, bytes + usage.bytes))
    }

    pub(crate) fn add(
        &mut self,
        before: &Usages,
        owner: &str,
        kind: DeadLetterKind,
        state: DeadLetterState,
        bytes: u64,
    ) {
        let usage = self.kinds_mut(before, owner).entry(kind).or_default();
        match state {
            DeadLetterState::Kept => usage.kept += 1,
            DeadLetterState::Replayed => usage.replayed += 1,
        }
        usage.bytes += bytes;
    }

    pub(crate) fn subtract(
        &mut self,
        before: &Usages,
        owner: &str,
        kind: DeadLetterKind,
        state: DeadLetterState,
        bytes: u64,
    ) {
        let kinds = self.kinds_mut(before, owner);
        let usage = kinds.entry(kind).or_default();
        let letters = match state {
            DeadLetterState::Kept => &mut usage.kept,
            DeadLetterState::Replayed => &mut usage.replayed,
        };
        *letters = letters.saturating_sub(1);
        usage.bytes = usage.bytes.saturating_sub(bytes);
        if usage.kept == 0 && usage.replayed == 0 {
            kinds.remove(&kind);
        }
    }

    pub(crate) fn put(&self, batch: &mut Batch<'_>, space: usize) -> Result<(), DeliveryError> {
        for (owner, kinds) in &self.owners {
            if kinds.is_empty() {
                batch.delete(space, owner.as_bytes());
            } else {
                let json =
                    serde_json::to_vec(kinds).map_err(|error| DeliveryError::Corrupt { reason: error.to_string() })?;
                batch.put(space, owner.as_bytes(), &json);
            }
        }
        Ok(())
    }
}
