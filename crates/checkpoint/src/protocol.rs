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
    /// Tells this row of checkpoints from a former one of the same name; the same from the first to the last.
    #[serde(default)]
    pub lineage: String,
    #[serde(flatten)]
    pub content: Content,
    /// Of a checkpoint that counts only if the results that belong to it were committed elsewhere: the one that counts
    /// if they were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub otherwise: Option<Box<Content>>,
}

/// What a checkpoint holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Counts the checkpoints of a lineage. A take-over is no new checkpoint.
    #[serde(default)]
    pub number: u64,
    /// Small state: offsets, watermarks, ledgers. Opaque here; null before the first checkpoint.
    pub header: serde_json::Value,
    pub parts: Vec<PartLocation>,
}

impl EpochRecord {
    /// Whether it depends on what was committed elsewhere if this is the checkpoint that counts.
    pub fn is_prepared(&self) -> bool {
        self.otherwise.is_some()
    }
}

/// The record with which a process takes over what it found, if anything. `lineage` is for a first one.
pub fn take_over(latest: Option<&EpochRecord>, lineage: &str) -> EpochRecord {
    match latest {
        None => EpochRecord {
            epoch: 1,
            generation: 1,
            lineage: lineage.to_owned(),
            content: Content::default(),
            otherwise: None,
        },
        Some(latest) => EpochRecord {
            epoch: latest.epoch + 1,
            generation: latest.generation + 1,
            lineage: if latest.lineage.is_empty() { lineage.to_owned() } else { latest.lineage.clone() },
            ..latest.clone()
        },
    }
}

/// The record after `own`: a new checkpoint.
pub fn next(own: &EpochRecord, header: serde_json::Value, parts: Vec<PartLocation>, commit: Commit) -> EpochRecord {
    let content = Content { number: own.content.number + 1, header, parts };
    let otherwise = match commit {
        Commit::AtOnce => None,
        Commit::Elsewhere => Some(Box::new(own.content.clone())),
    };
    EpochRecord { epoch: own.epoch + 1, content, otherwise, ..own.clone() }
}

/// When a checkpoint counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// Once it is written.
    AtOnce,
    /// Once the results that belong to it are committed, which is not known here.
    Elsewhere,
}

/// The record after `own` that says that it counts, whatever is found elsewhere.
pub fn settled(own: &EpochRecord) -> EpochRecord {
    EpochRecord { epoch: own.epoch + 1, otherwise: None, ..own.clone() }
}

/// What is to be restored, judged by the number of the checkpoint whose results were committed (`None`: of none of this
/// lineage). `Err` when that is none of those that are there: then this is an older copy of the state.
pub fn judge(record: &EpochRecord, committed: Option<u64>) -> Result<&Content, u64> {
    let Some(otherwise) = &record.otherwise else {
        return match committed {
            Some(number) if number > record.content.number => Err(number),
            // Fewer: in between it did not commit elsewhere.
            _ => Ok(&record.content),
        };
    };
    match committed {
        Some(number) if number == record.content.number => Ok(&record.content),
        Some(number) if number == otherwise.number => Ok(otherwise),
        // The first checkpoint comes before the first result, so nothing was to be committed.
        None if otherwise.header.is_null() => Ok(&record.content),
        Some(number) => Err(number),
        None => Err(0),
    }
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
        let names = |record: &EpochRecord| {
            let otherwise = record.otherwise.iter().flat_map(|content| &content.parts);
            record.content.parts.iter().chain(otherwise).any(|part| part.file == file)
        };
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
    use serde_json::json;

    fn part(file: &str) -> PartLocation {
        PartLocation { id: "p".into(), file: file.into(), offset: 0, length: 1, crc: 0 }
    }

    #[test]
    fn a_take_over_owns_the_next_epoch_and_keeps_the_state() {
        let first = take_over(None, "abc");
        let second = next(&first, json!({"at": 5}), vec![part(&file_name(2, 1))], Commit::AtOnce);
        let taken = take_over(Some(&second), "other");
        assert_eq!((taken.epoch, taken.generation, taken.lineage.as_str()), (3, 2, "abc"));
        assert_eq!((taken.content, taken.otherwise), (second.content, None));
    }

    #[test]
    fn a_prepared_checkpoint_counts_if_its_results_were_committed() {
        let begun = next(&take_over(None, "abc"), json!({"at": 0}), Vec::new(), Commit::AtOnce);
        let prepared = next(&begun, json!({"at": 5}), Vec::new(), Commit::Elsewhere);
        // Taking over changes nothing about it.
        let taken = take_over(Some(&prepared), "");
        assert_eq!(judge(&taken, Some(2)).map(|content| content.header.clone()), Ok(json!({"at": 5})));
        assert_eq!(judge(&taken, Some(1)).map(|content| content.header.clone()), Ok(json!({"at": 0})));
        assert_eq!((judge(&taken, Some(7)), judge(&taken, None)), (Err(7), Err(0)));
        assert_eq!(judge(&settled(&taken), Some(1)).map(|content| content.number), Ok(2));
        // A copy of a state that has gone on elsewhere.
        assert_eq!(judge(&settled(&taken), Some(3)), Err(3));
        // Before the first one nothing was written.
        let first = next(&take_over(None, "abc"), json!({"at": 0}), Vec::new(), Commit::Elsewhere);
        assert_eq!(judge(&first, None).map(|content| content.number), Ok(1));
    }

    #[test]
    fn garbage_is_what_the_last_two_records_do_not_name() {
        let named = |file: &str| Content { number: 1, header: json!(1), parts: vec![part(file)] };
        let before = EpochRecord {
            epoch: 4,
            generation: 1,
            lineage: String::new(),
            content: named(&file_name(3, 1)),
            otherwise: Some(Box::new(named(&file_name(1, 1)))),
        };
        let parts = vec![part(&file_name(3, 1)), part(&file_name(5, 1))];
        let newest = next(&before, json!(2), parts, Commit::AtOnce);
        let files: Vec<String> = [(1, 1), (2, 1), (3, 1), (4, 1), (5, 1), (6, 2)]
            .map(|(epoch, generation)| file_name(epoch, generation))
            .into();
        let (epochs, garbage_files) = garbage(&newest, Some(&before), &[2, 3, 4, 5], &files);
        assert_eq!(epochs, [2, 3]);
        assert_eq!(garbage_files, [file_name(2, 1), file_name(4, 1)]);
    }
}
