//! The next slab of any partition that may be read.

use std::time::Duration;

use futures::future::{FutureExt, select_all};
use log::{LogError, Slab, TopicLog};

use crate::partition::Partition;

const SLAB_BYTES_MAX: usize = 1 << 20;
const SLAB_BYTES_MIN: usize = 16 << 10;
/// A slab takes up to so many times its bytes before it is settled, with its index and what is made of it.
const SLAB_GROWTH: usize = 4;
const WAIT: Duration = Duration::from_secs(5);

/// Of which topic, and how much.
pub(crate) struct Intake<'a> {
    pub log: &'a dyn TopicLog,
    pub topic: &'a str,
    pub held_bytes_max: usize,
    /// Which partition is asked first.
    pub turn: usize,
}

impl Intake<'_> {
    /// Waits for ever while none may be read. Dropping the future loses nothing.
    pub async fn next(&self, partitions: &mut [Partition]) -> Result<(usize, Slab), LogError> {
        let held: usize = partitions.iter().map(Partition::held_bytes).sum();
        let free = self.held_bytes_max.saturating_sub(held);
        let may_be_read = |partition: &Partition| !partition.has_reached_limit() && partition.has_room(free);
        let bytes = (free / (2 * SLAB_GROWTH)).clamp(SLAB_BYTES_MIN, SLAB_BYTES_MAX);
        loop {
            let count = partitions.len();
            for index in (0..count).map(|place| (self.turn + place) % count) {
                let partition = &mut partitions[index];
                if !may_be_read(partition) {
                    continue;
                }
                let reader = match &mut partition.reader {
                    Some(reader) => reader,
                    none => none.insert(self.log.open(self.topic, partition.number, partition.read_position).await?),
                };
                let slab = reader.poll(bytes, Duration::ZERO).await?;
                partition.end = slab.end_offset;
                if !slab.is_empty() || slab.next_offset > partition.read_position {
                    return Ok((index, slab));
                }
            }
            let waiting = partitions.iter_mut().enumerate().filter_map(|(index, partition)| {
                let may_be_read = may_be_read(partition);
                let (read_position, reader) = (partition.read_position, partition.reader.as_mut()?);
                let slab = async move {
                    let slab = reader.poll(bytes, WAIT).await?;
                    Ok::<_, LogError>((index, slab.next_offset > read_position, slab))
                };
                may_be_read.then(|| slab.boxed())
            });
            let waiting: Vec<_> = waiting.collect();
            if waiting.is_empty() {
                return std::future::pending().await;
            }
            let (first, _, _) = select_all(waiting).await;
            let (index, has_moved, slab) = first?;
            if has_moved {
                return Ok((index, slab));
            }
        }
    }
}
