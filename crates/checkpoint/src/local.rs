//! Checkpoints in a local folder.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::store::{CheckpointError, Storage};

/// A folder of the local file system.
pub struct LocalStorage {
    root: PathBuf,
}

impl LocalStorage {
    /// Objects lie under `root`, which is created when needed.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        LocalStorage { root: root.into() }
    }

    fn failed(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> CheckpointError {
        let path = path.display().to_string();
        move |source| CheckpointError::Storage { action, path: path.clone(), source }
    }
}

impl Storage for LocalStorage {
    /// Writes a temporary file, syncs it and links it to its name: the object is there whole or not at all, and the link
    /// fails when the name exists.
    fn create(&self, path: &str, bytes: &[u8]) -> Result<bool, CheckpointError> {
        let target = self.root.join(path);
        let failed = Self::failed("writing", &target);
        let folder = target.parent().unwrap_or(&self.root).to_path_buf();
        fs::create_dir_all(&folder).map_err(&failed)?;
        let temporary = target.with_extension(format!("{}.tmp", std::process::id()));
        let written = (|| {
            let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(&temporary)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            match fs::hard_link(&temporary, &target) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
                Err(error) => Err(error),
            }
        })();
        let removed = fs::remove_file(&temporary);
        let created = written.map_err(&failed)?;
        removed.map_err(&failed)?;
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(&failed)?;
        Ok(created)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, CheckpointError> {
        let target = self.root.join(path);
        fs::read(&target).map_err(Self::failed("reading", &target))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, CheckpointError> {
        let target = self.root.join(folder);
        let failed = Self::failed("listing", &target);
        let entries = match fs::read_dir(&target) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(&failed)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry.map_err(&failed)?.file_name().to_string_lossy().into_owned());
        }
        names.retain(|name| !name.ends_with(".tmp"));
        Ok(names)
    }

    fn delete(&self, path: &str) -> Result<(), CheckpointError> {
        let target = self.root.join(path);
        match fs::remove_file(&target) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(Self::failed("deleting", &target)(error)),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::Commit::{AtOnce, Elsewhere};
    use crate::{CheckpointStore, Part, PartRef};

    fn part(id: &str, bytes: &[u8]) -> Part {
        Part { id: id.into(), content: PartRef::New(bytes.to_vec()) }
    }

    fn unchanged(id: &str) -> Part {
        Part { id: id.into(), content: PartRef::Unchanged }
    }

    #[test]
    fn what_was_written_is_restored_and_unchanged_parts_are_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Arc::new(LocalStorage::new(folder.path()));
        let mut store = CheckpointStore::take_over(storage.clone(), "d").unwrap();
        assert!(store.restore(None).unwrap().is_none());
        store.write(serde_json::json!(1), vec![part("a", b"aaa"), part("b", b"b")], AtOnce).unwrap();
        for round in 2..10 {
            store.write(serde_json::json!(round), vec![unchanged("a"), part("b", &[round as u8])], AtOnce).unwrap();
        }
        let restored = CheckpointStore::take_over(storage.clone(), "d").unwrap().restore(None).unwrap();
        let restored = restored.unwrap();
        assert_eq!(restored.header, 9);
        assert_eq!(restored.parts, vec![("a".to_string(), b"aaa".to_vec()), ("b".to_string(), vec![9])]);
        assert!(storage.list("d/epochs").unwrap().len() <= 3, "old records are deleted");
        assert!(storage.list("d/data").unwrap().len() <= 3, "old files are deleted");
    }

    #[test]
    fn a_former_owner_is_fenced() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Arc::new(LocalStorage::new(folder.path()));
        let mut former = CheckpointStore::take_over(storage.clone(), "d").unwrap();
        former.write(serde_json::json!("former"), vec![], AtOnce).unwrap();
        let mut owner = CheckpointStore::take_over(storage.clone(), "d").unwrap();
        assert!(matches!(
            former.write(serde_json::json!("zombie"), vec![], AtOnce),
            Err(CheckpointError::Fenced { .. })
        ));
        owner.write(serde_json::json!("owner"), vec![], AtOnce).unwrap();
        assert!(matches!(
            former.write(serde_json::json!("zombie"), vec![], AtOnce),
            Err(CheckpointError::Fenced { .. })
        ));
        let restored = CheckpointStore::take_over(storage, "d").unwrap().restore(None).unwrap();
        assert_eq!(restored.unwrap().header, "owner");
    }

    #[test]
    fn damage_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Arc::new(LocalStorage::new(folder.path()));
        let mut store = CheckpointStore::take_over(storage.clone(), "d").unwrap();
        store.write(serde_json::json!(1), vec![part("a", b"some state")], AtOnce).unwrap();
        let file = folder.path().join("d/data").join(&storage.list("d/data").unwrap()[0]);
        let mut bytes = fs::read(&file).unwrap();
        bytes[3] ^= 1;
        fs::write(&file, bytes).unwrap();
        let restored = CheckpointStore::take_over(storage, "d").unwrap().restore(None);
        assert!(matches!(restored, Err(CheckpointError::Damaged { .. })));
    }

    #[test]
    fn until_it_is_settled_a_checkpoint_and_the_one_before_it_can_be_restored() {
        let folder = tempfile::tempdir().unwrap();
        let storage = Arc::new(LocalStorage::new(folder.path()));
        let mut store = CheckpointStore::take_over(storage.clone(), "d").unwrap();
        for round in 1..=3 {
            store.write(serde_json::json!(round), vec![part("a", &[round])], Elsewhere).unwrap();
            store.settle().unwrap();
        }
        store.write(serde_json::json!(4), vec![part("a", &[4])], Elsewhere).unwrap();
        let restored = |committed| {
            let mut store = CheckpointStore::take_over(storage.clone(), "d").unwrap();
            let restored = store.restore(committed);
            restored.map(|restored| restored.map(|restored| (restored.header, restored.parts[0].1[0], store)))
        };
        // However often a process takes over and ends before its own checkpoint.
        for _ in 0..3 {
            let (header, byte, _) = restored(Some(4)).unwrap().unwrap();
            assert_eq!((header, byte), (serde_json::json!(4), 4));
            let (header, byte, store) = restored(Some(3)).unwrap().unwrap();
            assert_eq!((header, byte, store.next_checkpoint().1), (serde_json::json!(3), 3, 4));
        }
        assert!(matches!(restored(Some(2)), Err(CheckpointError::Undecided { committed: 2, .. })));
        // Going on from the one before: the other is replaced, under the same number.
        let (_, _, mut store) = restored(Some(3)).unwrap().unwrap();
        store.write(serde_json::json!(40), vec![unchanged("a")], Elsewhere).unwrap();
        assert_eq!(restored(Some(4)).unwrap().unwrap().1, 3);
        let (header, _, mut store) = restored(Some(4)).unwrap().unwrap();
        assert_eq!(header, 40);
        store.settle().unwrap();
        assert_eq!(restored(None).unwrap().unwrap().0, 40);
    }
}
