//! Where a run goes on. What is gone unread is never skipped in silence: either somebody has decided to go on without it, or
//! the run ends and says so.

use delivery::Ledger;
use log::{LogError, TopicDescription, TopicLog};

use crate::{AcceptedLoss, FirehoseConfig, FirehoseError, PartitionPosition, Positions, SeekTo, StartPosition};

/// Positions for every partition of the topic, from those that were committed.
pub(crate) async fn positions(
    config: &FirehoseConfig,
    log: &dyn TopicLog,
    topic: &TopicDescription,
    before: &Positions,
) -> Result<Positions, FirehoseError> {
    let mut positions = Positions { topic_id: topic.id.clone(), generation: before.generation, partitions: Vec::new() };
    let is_first = before.partitions.is_empty();
    let is_other_topic = before.topic_id.is_some() && before.topic_id != topic.id;
    let (mut moved_back, mut committed) = (false, before.partitions.iter().peekable());
    for standing in &topic.partitions {
        let known = committed.next_if(|known| known.partition == standing.partition);
        let Some(known) = known else {
            let next_offset = match config.start {
                StartPosition::Latest if is_first => standing.end_offset,
                StartPosition::Timestamp(ms) if is_first => log.offset_at(&topic.name, standing.partition, ms).await?,
                // All of a partition that was added is new.
                _ => standing.start_offset,
            };
            positions.partitions.push(at(standing.partition, next_offset));
            continue;
        };
        let (requested, partition) = (known.next_offset, standing.partition);
        let problem = if is_other_topic {
            Some(LogError::TopicRecreated { topic: topic.name.clone() })
        } else if requested < standing.start_offset {
            Some(LogError::OffsetGone { topic: topic.name.clone(), partition, requested, start: standing.start_offset })
        } else if requested > standing.end_offset {
            Some(LogError::OffsetBeyondEnd {
                topic: topic.name.clone(),
                partition,
                requested,
                end: standing.end_offset,
            })
        } else {
            None
        };
        positions.partitions.push(match (problem, config.accepted_loss) {
            (None, _) => known.clone(),
            (Some(problem), None) => return Err(problem.into()),
            (Some(problem), Some(accepted)) => {
                tracing::warn!(firehose = config.name, %problem, ?accepted, "going on without records, as was decided");
                let next_offset = match accepted {
                    AcceptedLoss::Earliest => standing.start_offset,
                    AcceptedLoss::Latest => standing.end_offset,
                };
                // What a sink has noted of the old records must not stand for new ones with the same offsets.
                moved_back |= is_other_topic || next_offset < requested;
                let lost = if is_other_topic { 0 } else { (next_offset - requested).max(0) };
                PartitionPosition { next_offset, lost_unread: known.lost_unread + lost, ..known.clone() }
            }
        });
    }
    if let Some(missing) = committed.next() {
        let (topic, partitions) = (topic.name.clone(), topic.partitions.len() as u32);
        return Err(LogError::UnknownPartition { topic, partition: missing.partition, partitions }.into());
    }
    positions.generation += u64::from(moved_back);
    Ok(positions)
}

pub(crate) fn at(partition: u32, next_offset: i64) -> PartitionPosition {
    PartitionPosition { partition, next_offset, ledger: Ledger::default(), lost_unread: 0 }
}

/// Where somebody wants a partition to go on; `None`: where it is.
pub(crate) async fn sought(
    to: &SeekTo,
    log: &dyn TopicLog,
    topic: &TopicDescription,
) -> Result<Vec<(u32, i64)>, FirehoseError> {
    let mut sought = Vec::with_capacity(topic.partitions.len());
    for standing in &topic.partitions {
        let offset = match to {
            SeekTo::Earliest => standing.start_offset,
            SeekTo::Latest => standing.end_offset,
            SeekTo::Timestamp(ms) => log.offset_at(&topic.name, standing.partition, *ms).await?,
            SeekTo::Offsets(_) => continue,
        };
        sought.push((standing.partition, offset));
    }
    let SeekTo::Offsets(offsets) = to else { return Ok(sought) };
    for (partition, offset) in offsets {
        let (partition, requested) = (*partition, *offset);
        let Some(standing) = topic.partitions.iter().find(|standing| standing.partition == partition) else {
            let (topic, partitions) = (topic.name.clone(), topic.partitions.len() as u32);
            return Err(LogError::UnknownPartition { topic, partition, partitions }.into());
        };
        if requested < standing.start_offset {
            let (topic, start) = (topic.name.clone(), standing.start_offset);
            return Err(LogError::OffsetGone { topic, partition, requested, start }.into());
        }
        if requested > standing.end_offset {
            let (topic, end) = (topic.name.clone(), standing.end_offset);
            return Err(LogError::OffsetBeyondEnd { topic, partition, requested, end }.into());
        }
        sought.push((partition, requested));
    }
    Ok(sought)
}

/// The next record is not there any more, or is of another topic.
pub(crate) fn is_gone(error: &FirehoseError) -> bool {
    let FirehoseError::Log(error) = error else { return false };
    matches!(error, LogError::OffsetGone { .. } | LogError::OffsetBeyondEnd { .. } | LogError::TopicRecreated { .. })
}

/// Positions of which some are moved, in a new generation. In another topic than before all have to be.
pub(crate) fn moved(
    topic: &TopicDescription,
    before: &Positions,
    sought: &[(u32, i64)],
) -> Result<Positions, FirehoseError> {
    let is_other_topic = before.topic_id.is_some() && before.topic_id != topic.id;
    let mut partitions = Vec::with_capacity(topic.partitions.len());
    for standing in &topic.partitions {
        let known = before.partitions.iter().find(|known| known.partition == standing.partition).cloned();
        let mut position = known.unwrap_or_else(|| at(standing.partition, standing.start_offset));
        match sought.iter().find(|(partition, _)| *partition == standing.partition) {
            Some((_, offset)) => position.next_offset = *offset,
            None if is_other_topic => return Err(LogError::TopicRecreated { topic: topic.name.clone() }.into()),
            None => {}
        }
        partitions.push(position);
    }
    Ok(Positions { topic_id: topic.id.clone(), generation: before.generation + 1, partitions })
}
