//! Reading what is in a topic already, wherever it is.

use crate::error::ControlError;
use log::{PartitionReader, Slab};
use std::time::Duration;

/// Longest wait for records that are there. The embedded log has them at once, a cluster has to send them.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The next records of a partition that is not read to its end; an empty slab says that the end is reached.
pub(super) async fn next_there(reader: &mut dyn PartitionReader, max_bytes: usize) -> Result<Slab, ControlError> {
    let slab = reader.poll(max_bytes, WAIT_MAX).await?;
    if slab.is_empty() && !slab.at_end() {
        let detail = format!("{}/{} did not answer within {WAIT_MAX:?}", slab.topic, slab.partition);
        return Err(
            ControlError::unavailable("log_unavailable", detail).with_hint("see the state of its Kafka cluster")
        );
    }
    Ok(slab)
}
