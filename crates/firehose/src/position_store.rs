//! How far a firehose is, kept so that nothing is lost or counted twice after a crash.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use delivery::Ledger;

/// One partition as of a commit: all before `next_offset` is settled, and `ledger` counts just that (`held` is 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionPosition {
    pub partition: u32,
    pub next_offset: i64,
    pub ledger: Ledger,
    /// Records that were gone before they were read, and that somebody decided to go on without.
    pub lost_unread: i64,
}

/// What is kept of a firehose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// Tells the topic from another of the same name.
    pub topic_id: Option<String>,
    /// How often somebody has moved the positions. What a sink has noted for another generation does not count.
    pub generation: u64,
    /// By partition. Empty before the first commit.
    pub partitions: Vec<PartitionPosition>,
}

/// The right to commit, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PositionsTaken {
    pub epoch: u64,
    pub positions: Positions,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PositionError {
    /// Somebody else has taken over: this run must end, and has committed nothing that counts since.
    #[error("another run of this firehose has taken over")]
    Fenced,
    /// The same call may work later.
    #[error("positions cannot be kept: {0}")]
    Unavailable(String),
    /// It does not get better by itself.
    #[error("positions cannot be kept: {0}")]
    Broken(String),
}

/// Keeps the positions of one firehose.
#[async_trait]
pub trait PositionStore: Send + Sync + 'static {
    /// Takes over from whoever ran before: commits with earlier epochs are refused from now on.
    async fn take_over(&self) -> Result<PositionsTaken, PositionError>;

    /// Keeps topic, generation and the partitions that are named (others stay as they are), all or nothing, durably, and only
    /// if nobody has taken over since. Values are absolute: the same commit again changes nothing.
    async fn commit(&self, epoch: u64, positions: &Positions) -> Result<(), PositionError>;
}

/// Positions in memory, which are gone with the process: for previews, benchmarks and tests. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryPositions {
    state: Arc<Mutex<PositionsTaken>>,
}

impl MemoryPositions {
    /// As of the last commit.
    pub fn committed(&self) -> Positions {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).positions.clone()
    }
}

#[async_trait]
impl PositionStore for MemoryPositions {
    async fn take_over(&self) -> Result<PositionsTaken, PositionError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.epoch += 1;
        Ok(state.clone())
    }

    async fn commit(&self, epoch: u64, positions: &Positions) -> Result<(), PositionError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.epoch != epoch {
            return Err(PositionError::Fenced);
        }
        let before = std::mem::take(&mut state.positions.partitions);
        let all = before.into_iter().chain(positions.partitions.iter().cloned());
        let by_number: BTreeMap<u32, PartitionPosition> = all.map(|one| (one.partition, one)).collect();
        state.positions = Positions { partitions: by_number.into_values().collect(), ..positions.clone() };
        Ok(())
    }
}
