//! Whether the records that a dagger goes on with are still there. What is gone is never skipped in silence: either
//! somebody has decided to go on without it, or the dagger does not start.

use log::{LogError, TopicLog};

use super::AcceptedLoss;
use crate::FlowError;
use crate::engine::Engine;

/// Checks every lane's position; with an accepted loss, moves those that cannot be read from. Returns how many records of
/// each lane are gone unread, as far as offsets tell.
pub(super) async fn fit(
    engine: &mut Engine,
    log: &dyn TopicLog,
    accepted: Option<AcceptedLoss>,
) -> Result<Vec<i64>, FlowError> {
    let restored: Vec<String> =
        engine.lanes.iter().filter(|lane| lane.was_restored).map(|lane| lane.topic.to_string()).collect();
    let mut lost = Vec::with_capacity(engine.lanes.len());
    for lane in &mut engine.lanes {
        let description = log.topic(&lane.topic).await?;
        let standing = description.partitions.iter().find(|partition| partition.partition == lane.partition);
        let Some(standing) = standing else {
            let partitions = description.partitions.len() as u32;
            let (topic, partition) = (lane.topic.to_string(), lane.partition);
            return Err(LogError::UnknownPartition { topic, partition, partitions }.into());
        };
        if !lane.was_restored {
            if restored.iter().any(|topic| **topic == *lane.topic) {
                // A partition that was added: all of it is new.
                lane.start_at(standing.start_offset);
            }
            lost.push(0);
            continue;
        }
        let (topic, partition, requested) = (lane.topic.to_string(), lane.partition, lane.next_offset);
        let problem = if lane.restored_topic_id.is_some() && lane.restored_topic_id != description.id {
            Some(LogError::TopicRecreated { topic })
        } else if requested < standing.start_offset {
            Some(LogError::OffsetGone { topic, partition, requested, start: standing.start_offset })
        } else if requested > standing.end_offset {
            Some(LogError::OffsetBeyondEnd { topic, partition, requested, end: standing.end_offset })
        } else {
            None
        };
        match (problem, accepted) {
            (None, _) => lost.push(0),
            (Some(problem), None) => return Err(problem.into()),
            (Some(problem), Some(accepted)) => {
                tracing::warn!(%problem, ?accepted, "going on without records, as was decided");
                lost.push((standing.start_offset - requested).max(0));
                lane.start_at(match accepted {
                    AcceptedLoss::Earliest => standing.start_offset,
                    AcceptedLoss::Latest => standing.end_offset,
                });
            }
        }
    }
    Ok(lost)
}
