//! Replaying dead letters: each is a new consumption, by its own dagger only. Rows that a server did not take are written to it
//! once more. Records of firehoses go their way again ([`super::firehose_replay`]).
//!
//! The records go to a topic of the dagger's own, one per stream, which only that dagger reads beside its other topics. So
//! a replayed record has coordinates, a ledger and a checkpoint like any other, and one that fails again is a dead letter
//! again.

use super::Platform;
use super::dead_letters::{DeadLetterQuery, EditedValue, owner_of};
use crate::access::{Caller, Permission, Subject};
use crate::error::ControlError;
use crate::resource::Kind;
use crate::sinks::external::is_of_sink;
use crate::supervisor::Phase;
use bytes::Bytes;
use delivery::{DeadLetter, DeliveryError};
use flow::ORIGIN_HEADER;
use log::{LogError, NewRecord, TopicConfig, TopicLog};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// Topics of this prefix are the server's own: they are in no listing.
const REPLAY_PREFIX: &str = "_replay.";
const LETTERS_PER_ROUND: usize = 1_000;
/// One request replays at most so many; ask again for more.
pub const REPLAY_LETTERS_MAX: usize = 100_000;

pub(super) fn replay_topic(dagger: &str, table: &str) -> String {
    let table: String =
        table.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') { c } else { '-' }).collect();
    format!("{REPLAY_PREFIX}{dagger}.{table}")
}

pub(super) fn is_replay_topic(topic: &str) -> bool {
    topic.starts_with(REPLAY_PREFIX)
}

/// Whose replay topic it is; tables have no dots in it.
pub(super) fn dagger_of(topic: &str) -> Option<&str> {
    topic.strip_prefix(REPLAY_PREFIX)?.rsplit_once('.').map(|(dagger, _)| dagger)
}

impl Platform {
    /// Gives one dead letter, or all kept ones that match, to their daggers again. Returns how many.
    pub async fn replay_dead_letters(
        &self,
        caller: &Caller,
        id: Option<&str>,
        query: &DeadLetterQuery,
    ) -> Result<usize, ControlError> {
        let letters = match id {
            Some(id) => vec![self.find_dead_letter(id).await?],
            None => self.matching_letters(query).await?,
        };
        self.replay_letters(caller, letters, false).await
    }

    /// The same with one that somebody has mended. What is kept of it stays as it was.
    pub async fn replay_edited_letter(
        &self,
        caller: &Caller,
        id: &str,
        value: EditedValue,
    ) -> Result<usize, ControlError> {
        let letter = self.edited(self.find_dead_letter(id).await?, value).await?;
        self.replay_letters(caller, vec![letter], true).await
    }

    async fn replay_letters(
        &self,
        caller: &Caller,
        letters: Vec<DeadLetter>,
        is_edited: bool,
    ) -> Result<usize, ControlError> {
        let (of_firehoses, letters): (Vec<_>, Vec<_>) =
            letters.into_iter().partition(|letter| owner_of(letter).0 == Kind::Firehose);
        let mut by_firehose: BTreeMap<String, Vec<DeadLetter>> = BTreeMap::new();
        for letter in of_firehoses {
            by_firehose.entry(owner_of(&letter).1.to_owned()).or_default().push(letter);
        }
        for firehose in by_firehose.keys() {
            caller.require(Permission::ReplayDeadLetters, &self.group_of(Kind::Firehose, firehose).await?)?;
        }
        let (of_sinks, letters): (Vec<_>, Vec<_>) = letters.into_iter().partition(is_of_sink);
        let mut by_stream: BTreeMap<(String, String), Vec<DeadLetter>> = BTreeMap::new();
        for letter in letters {
            by_stream.entry((letter.key.owner.clone(), letter.key.stream.clone())).or_default().push(letter);
        }
        for (dagger, _) in by_stream.keys() {
            let resource = self.dagger_resource(dagger).await?;
            caller.require(Permission::ReplayDeadLetters, &resource.metadata.group)?;
        }
        let mut by_dagger: BTreeMap<String, Vec<DeadLetter>> = BTreeMap::new();
        for letter in of_sinks {
            by_dagger.entry(letter.key.owner.clone()).or_default().push(letter);
        }
        for dagger in by_dagger.keys() {
            caller.require(Permission::ReplayDeadLetters, &self.group_of(Kind::Dagger, dagger).await?)?;
        }
        let mut replayed = 0;
        for (firehose, letters) in by_firehose {
            let sent = self.send_letters_again(&firehose, letters).await?;
            let group = self.group_of(Kind::Firehose, &firehose).await?;
            let subject = Subject { kind: Kind::Firehose.as_str(), name: &firehose, group: &group };
            let after = json!({ "records": sent, "edited": is_edited });
            self.access.record(caller, "replay", subject, None, Some(&after)).await?;
            replayed += sent;
        }
        for (dagger, letters) in by_dagger {
            let written = self.write_again(&dagger, letters).await?;
            let group = self.group_of(Kind::Dagger, &dagger).await?;
            let subject = Subject { kind: Kind::Dagger.as_str(), name: &dagger, group: &group };
            self.access.record(caller, "replay", subject, None, Some(&json!({ "rows": written }))).await?;
            replayed += written;
        }
        self.restart_with_replay_topics(by_stream.keys()).await?;
        for ((dagger, table), letters) in by_stream {
            let replayed_here = self.replay_into(&replay_topic(&dagger, &table), letters).await?;
            let group = self.group_of(Kind::Dagger, &dagger).await?;
            let subject = Subject { kind: Kind::Dagger.as_str(), name: &dagger, group: &group };
            let after = json!({ "stream": table, "records": replayed_here, "edited": is_edited });
            self.access.record(caller, "replay", subject, None, Some(&after)).await?;
            replayed += replayed_here;
        }
        Ok(replayed)
    }

    /// A dagger finds its replay topic, and the message types as they are now, when it starts. So it starts anew before there
    /// is anything to read: one that still reads by the old type would refuse the records once more.
    async fn restart_with_replay_topics(
        &self,
        streams: impl Iterator<Item = &(String, String)> + Clone,
    ) -> Result<(), ControlError> {
        let daggers: BTreeSet<&str> = streams.clone().map(|(dagger, _)| dagger.as_str()).collect();
        loop {
            for (dagger, table) in streams.clone() {
                self.make_replay_topic(&replay_topic(dagger, table)).await?;
            }
            for dagger in &daggers {
                self.supervisor.restart(dagger, "its dead letters are replayed");
            }
            for dagger in &daggers {
                self.supervisor.wait(dagger, |phase| phase != Phase::Deploying).await;
            }
            // One whose state did not fit the mended types has dropped its replays with it; it has started anew now.
            let mut is_complete = true;
            for (dagger, table) in streams.clone() {
                is_complete &= self.log.topic(&replay_topic(dagger, table)).await.is_ok();
            }
            if is_complete {
                return Ok(());
            }
        }
    }

    async fn matching_letters(&self, query: &DeadLetterQuery) -> Result<Vec<DeadLetter>, ControlError> {
        let (store, filter) = (self.dead_letters.clone(), self.dead_letter_filter(query).await?);
        tokio::task::spawn_blocking(move || {
            let mut letters = Vec::new();
            let mut cursor: Option<String> = None;
            loop {
                let page = store.list(&filter, cursor.as_deref(), LETTERS_PER_ROUND)?;
                letters.extend(page.letters);
                cursor = page.next_cursor;
                if cursor.is_none() || letters.len() >= REPLAY_LETTERS_MAX {
                    letters.truncate(REPLAY_LETTERS_MAX);
                    return Ok(letters);
                }
            }
        })
        .await?
    }

    async fn make_replay_topic(&self, topic: &str) -> Result<(), ControlError> {
        match self.log.create_topic(topic, TopicConfig::with_partitions(1)).await {
            Ok(()) | Err(LogError::TopicExists { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    async fn replay_into(&self, topic: &str, letters: Vec<DeadLetter>) -> Result<usize, ControlError> {
        let mut replayed = 0;
        for chunk in letters.chunks(LETTERS_PER_ROUND) {
            let (store, keys) =
                (self.dead_letters.clone(), chunk.iter().map(|letter| letter.key.clone()).collect::<Vec<_>>());
            let is_kept = tokio::task::spawn_blocking(move || {
                keys.iter().map(|key| Ok(store.get(key)?.is_some())).collect::<Result<Vec<_>, DeliveryError>>()
            })
            .await??;
            // Those that are gone are read again from their own topic, as the dagger starts anew without its state.
            let records: Vec<NewRecord> =
                chunk.iter().zip(is_kept).filter(|(_, is_kept)| *is_kept).map(|(letter, _)| record(letter)).collect();
            if !records.is_empty() {
                self.log.produce(topic, records).await?;
            }
            let (store, keys) =
                (self.dead_letters.clone(), chunk.iter().map(|letter| letter.key.clone()).collect::<Vec<_>>());
            replayed += keys.len();
            tokio::task::spawn_blocking(move || {
                let point = store.sync_point();
                for key in &keys {
                    store.mark_replayed(key)?;
                }
                store.sync(point)
            })
            .await??;
        }
        Ok(replayed)
    }
}

/// The topic that a letter's record came from first, which says what is around its message.
pub(super) fn origin_of(letter: &DeadLetter) -> &str {
    let origin = letter.headers.iter().rev().find(|(name, _)| name == ORIGIN_HEADER);
    match origin {
        Some((_, topic)) if is_replay_topic(&letter.key.topic) => {
            std::str::from_utf8(topic).unwrap_or(&letter.key.topic)
        }
        _ => &letter.key.topic,
    }
}

/// As it was, and with the topic that it came from.
fn record(letter: &DeadLetter) -> NewRecord {
    let kept = letter.headers.iter().filter(|(name, _)| name != ORIGIN_HEADER);
    let mut headers: Vec<(String, Bytes)> = kept.map(|(name, value)| (name.clone(), value.clone().into())).collect();
    headers.push((ORIGIN_HEADER.to_owned(), Bytes::copy_from_slice(origin_of(letter).as_bytes())));
    NewRecord {
        partition: None,
        key: letter.record_key.clone().map(Into::into),
        value: letter.value.clone().map(Into::into),
        headers,
        timestamp_ms: (letter.timestamp_ms >= 0).then_some(letter.timestamp_ms),
    }
}
