//! The rules, without I/O.

use serde::{Deserialize, Serialize};

/// Where one part of the state lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartLocation {
    /// Name of the part, unique in a checkpoint.
    pub id: String,
    /// The data file.
    pub file: String,
    pub offset: u64,
    pub length: u64,
    /// CRC32C of the bytes.
    pub crc: u32,
}

/// The record of an epoch: it makes the checkpoint valid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochRecord {
    pub epoch: u64,
    /// Who wrote it; a number that grows with each take-over.
    pub generation: u64,
    /// Small state: offsets, watermarks, ledgers. Opaque here.
    pub header: serde_json::Value,
    pub parts: Vec<PartLocation>,
}

/// The record with which a process takes over what it found, if anything.
pub fn take_over(latest: Option<&EpochRecord>) -> EpochRecord {
    match latest {
        None => EpochRecord { epoch: 1, generation: 1, header: serde_json::Value::Null, parts: Vec::new() },
        Some(latest) => EpochRecord { epoch: latest.epoch + 1, generation: latest.generation + 1, ..latest.clone() },
    }
}

/// The record after `own`.
pub fn next(own: &EpochRecord, header: serde_json::Value, parts: Vec<PartLocation>) -> EpochRecord {
    EpochRecord { epoch: own.epoch + 1, generation: own.generation, header, parts }
}

/// What may be deleted once `newest` is valid: records of older epochs but the one before, and files that neither names.
pub fn garbage<'a>(
    newest: &EpochRecord,
    before: Option<&EpochRecord>,
    epochs: &[u64],
    files: &'a [String],
) -> (Vec<u64>, Vec<&'a str>) {
    let kept_epoch = before.map_or(newest.epoch, |before| before.epoch);
    let old = epochs.iter().copied().filter(|epoch| *epoch < kept_epoch).collect();
    let named = |file: &str| {
        let names = |record: &EpochRecord| record.parts.iter().any(|part| part.file == file);
        names(newest) || before.is_some_and(names)
    };
    // Files of an epoch that is still being written have a higher number than the newest record.
    let finished = |file: &str| file_epoch(file).is_some_and(|epoch| epoch <= newest.epoch);
    (old, files.iter().map(String::as_str).filter(|file| finished(file) && !named(file)).collect())
}

/// Name of the data file of an epoch.
pub fn file_name(epoch: u64, generation: u64) -> String {
    format!("{epoch:020}-{generation}.state")
}

fn file_epoch(file: &str) -> Option<u64> {
    file.split_once('-')?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(file: &str) -> PartLocation {
        PartLocation { id: "p".into(), file: file.into(), offset: 0, length: 1, crc: 0 }
    }

    #[test]
    fn a_take_over_owns_the_next_epoch_and_keeps_the_state() {
        let first = take_over(None);
        let second = next(&first, serde_json::json!({"at": 5}), vec![part(&file_name(2, 1))]);
        let taken = take_over(Some(&second));
        assert_eq!((taken.epoch, taken.generation), (3, 2));
        assert_eq!((taken.header, taken.parts), (second.header, second.parts));
    }

    #[test]
    fn garbage_is_what_the_last_two_records_do_not_name() {
        let before = EpochRecord {
            epoch: 4,
            generation: 1,
            header: serde_json::Value::Null,
            parts: vec![part(&file_name(3, 1))],
        };
        let newest = next(&before, serde_json::Value::Null, vec![part(&file_name(3, 1)), part(&file_name(5, 1))]);
        let files: Vec<String> =
            [(2, 1), (3, 1), (4, 1), (5, 1), (6, 2)].map(|(epoch, generation)| file_name(epoch, generation)).into();
        let (epochs, garbage_files) = garbage(&newest, Some(&before), &[2, 3, 4, 5], &files);
        assert_eq!(epochs, [2, 3]);
        assert_eq!(garbage_files, [file_name(2, 1), file_name(4, 1)]);
    }
}
