//! The resources of each kind as the database has them, in memory: what is looked up for every request is not read anew.
//!
//! Only this process writes resources, and every change goes through here. A kind's list is taken away before a change is
//! committed and put back with the change in it; a change that is broken off half-way leaves none, and the next reader reads
//! the database.

use crate::resource::{Kind, Resource};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};

/// By name.
pub(crate) type ResourceList = Arc<BTreeMap<String, Arc<Resource>>>;

#[derive(Default)]
pub(crate) struct ResourceLists {
    /// Held by whoever changes a resource or reads a list from the database.
    pub turn: tokio::sync::Mutex<()>,
    lists: Mutex<HashMap<Kind, ResourceList>>,
}

impl ResourceLists {
    pub fn get(&self, kind: Kind) -> Option<ResourceList> {
        self.lock().get(&kind).cloned()
    }

    /// Until it is put back, readers wait for their turn.
    pub fn take(&self, kind: Kind) -> Option<ResourceList> {
        self.lock().remove(&kind)
    }

    pub fn put(&self, kind: Kind, list: ResourceList) {
        self.lock().insert(kind, list);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Kind, ResourceList>> {
        // Held for map operations only, so a poisoned one is still whole.
        self.lists.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
