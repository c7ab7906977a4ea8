//! How far firehoses are, in the resource database: a position and a ledger for each partition, in one row.
//!
//! Who runs a firehose takes it over first and gets an epoch; whoever had it before is refused from then on.

use crate::database::Database;
use crate::error::{ControlError, ErrorKind};
use crate::time_text::now_ms;
use async_trait::async_trait;
use firehose::{PartitionPosition, PositionError, PositionStore, Positions, PositionsTaken};
use sqlx::{AnyConnection, Row};

/// The positions of one firehose in one topic. Those in another topic are forgotten when it is taken over.
#[derive(Clone)]
pub struct FirehosePositions {
    database: Database,
    firehose: String,
    topic: String,
}

struct Owner {
    epoch: u64,
    incarnation: String,
    topic: String,
    topic_id: Option<String>,
    generation: u64,
}

impl FirehosePositions {
    pub fn new(database: Database, firehose: &str, topic: &str) -> Self {
        Self { database, firehose: firehose.to_owned(), topic: topic.to_owned() }
    }

    /// Tells the firehose from an earlier one of the same name. Made when it is asked for first.
    pub async fn incarnation(&self) -> Result<String, ControlError> {
        let mut transaction = self.database.begin().await?;
        if let Some(owner) = self.owner(&mut transaction).await? {
            return Ok(owner.incarnation);
        }
        let owner = self.new_owner()?;
        self.put_owner(&mut transaction, &owner).await?;
        transaction.commit().await?;
        Ok(owner.incarnation)
    }

    /// The same, without making one: empty before it ran.
    pub async fn known_incarnation(&self) -> Result<String, ControlError> {
        let mut connection = self.database.pool.acquire().await?;
        Ok(self.owner(&mut connection).await?.map(|owner| owner.incarnation).unwrap_or_default())
    }

    /// As of the last commit, for those who look at a firehose that does not run.
    pub async fn read(&self) -> Result<Positions, ControlError> {
        let mut connection = self.database.pool.acquire().await?;
        match self.owner(&mut connection).await? {
            Some(owner) if owner.topic == self.topic => Ok(Positions {
                topic_id: owner.topic_id,
                generation: owner.generation,
                partitions: self.partitions(&mut connection).await?,
            }),
            _ => Ok(Positions::default()),
        }
    }

    /// Forgets all of a firehose that is gone.
    pub async fn delete(&self) -> Result<(), ControlError> {
        let mut transaction = self.database.begin().await?;
        self.delete_partitions(&mut transaction).await?;
        sqlx::query("DELETE FROM firehose_owners WHERE firehose = $1")
            .bind(&self.firehose)
            .execute(&mut *transaction)
            .await?;
        Ok(transaction.commit().await?)
    }

    async fn take(&self) -> Result<PositionsTaken, ControlError> {
        let mut transaction = self.database.begin().await?;
        let before = match self.owner(&mut transaction).await? {
            Some(owner) => owner,
            None => self.new_owner()?,
        };
        let owner = match before.topic == self.topic {
            true => Owner { epoch: before.epoch + 1, ..before },
            false => {
                self.delete_partitions(&mut transaction).await?;
                let (epoch, generation) = (before.epoch + 1, before.generation + 1);
                Owner { epoch, generation, topic: self.topic.clone(), topic_id: None, ..before }
            }
        };
        self.put_owner(&mut transaction, &owner).await?;
        let partitions = self.partitions(&mut transaction).await?;
        transaction.commit().await?;
        let positions = Positions { topic_id: owner.topic_id, generation: owner.generation, partitions };
        Ok(PositionsTaken { epoch: owner.epoch, positions })
    }

    /// `false` if somebody else has taken over.
    async fn write(&self, epoch: u64, positions: &Positions) -> Result<bool, ControlError> {
        let mut transaction = self.database.begin().await?;
        let Some(owner) = self.owner(&mut transaction).await?.filter(|owner| owner.epoch == epoch) else {
            return Ok(false);
        };
        if (owner.generation, &owner.topic_id) != (positions.generation, &positions.topic_id) {
            let (topic_id, generation) = (positions.topic_id.clone(), positions.generation);
            self.put_owner(&mut transaction, &Owner { topic_id, generation, ..owner }).await?;
        }
        for position in &positions.partitions {
            self.put_partition(&mut transaction, position).await?;
        }
        transaction.commit().await?;
        Ok(true)
    }

    fn new_owner(&self) -> Result<Owner, ControlError> {
        let incarnation = new_incarnation()?;
        Ok(Owner { epoch: 0, incarnation, topic: self.topic.clone(), topic_id: None, generation: 0 })
    }

    async fn owner(&self, connection: &mut AnyConnection) -> Result<Option<Owner>, ControlError> {
        let row = sqlx::query(
            "SELECT epoch, incarnation, topic, topic_id, generation FROM firehose_owners WHERE firehose = $1",
        )
        .bind(&self.firehose)
        .fetch_optional(connection)
        .await?;
        row.map(|row| {
            Ok(Owner {
                epoch: unsigned(row.try_get("epoch")?),
                incarnation: row.try_get("incarnation")?,
                topic: row.try_get("topic")?,
                topic_id: row.try_get("topic_id")?,
                generation: unsigned(row.try_get("generation")?),
            })
        })
        .transpose()
    }

    async fn put_owner(&self, connection: &mut AnyConnection, owner: &Owner) -> Result<(), ControlError> {
        sqlx::query(
            "INSERT INTO firehose_owners (firehose, epoch, incarnation, topic, topic_id, generation) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (firehose) DO UPDATE SET epoch = $2, incarnation = $3, topic = $4, \
             topic_id = $5, generation = $6",
        )
        .bind(&self.firehose)
        .bind(signed(owner.epoch))
        .bind(&owner.incarnation)
        .bind(&owner.topic)
        .bind(owner.topic_id.as_deref())
        .bind(signed(owner.generation))
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn partitions(&self, connection: &mut AnyConnection) -> Result<Vec<PartitionPosition>, ControlError> {
        let rows = sqlx::query(
            "SELECT partition_id, next_offset, lost_unread, ledger FROM firehose_positions WHERE firehose = $1 \
             ORDER BY partition_id",
        )
        .bind(&self.firehose)
        .fetch_all(connection)
        .await?;
        rows.iter()
            .map(|row| {
                let broken =
                    |what: &str| ControlError::internal(format!("the resource database holds a broken {what}"));
                let ledger: String = row.try_get("ledger")?;
                Ok(PartitionPosition {
                    partition: u32::try_from(row.try_get::<i64, _>("partition_id")?)
                        .map_err(|_| broken("partition of a firehose"))?,
                    next_offset: row.try_get("next_offset")?,
                    ledger: serde_json::from_str(&ledger).map_err(|_| broken("ledger"))?,
                    lost_unread: row.try_get("lost_unread")?,
                })
            })
            .collect()
    }

    async fn put_partition(
        &self,
        connection: &mut AnyConnection,
        position: &PartitionPosition,
    ) -> Result<(), ControlError> {
        let ledger = serde_json::to_string(&position.ledger)
            .map_err(|error| ControlError::internal(format!("cannot write JSON: {error}")))?;
        sqlx::query(
            "INSERT INTO firehose_positions (firehose, partition_id, next_offset, lost_unread, ledger, updated_ms) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (firehose, partition_id) \
             DO UPDATE SET next_offset = $3, lost_unread = $4, ledger = $5, updated_ms = $6",
        )
        .bind(&self.firehose)
        .bind(i64::from(position.partition))
        .bind(position.next_offset)
        .bind(position.lost_unread)
        .bind(ledger)
        .bind(now_ms())
        .execute(connection)
        .await?;
        Ok(())
    }

    async fn delete_partitions(&self, connection: &mut AnyConnection) -> Result<(), ControlError> {
        sqlx::query("DELETE FROM firehose_positions WHERE firehose = $1")
            .bind(&self.firehose)
            .execute(connection)
            .await?;
        Ok(())
    }
}

#[async_trait]
impl PositionStore for FirehosePositions {
    async fn take_over(&self) -> Result<PositionsTaken, PositionError> {
        self.take().await.map_err(position_error)
    }

    async fn commit(&self, epoch: u64, positions: &Positions) -> Result<(), PositionError> {
        match self.write(epoch, positions).await.map_err(position_error)? {
            true => Ok(()),
            false => Err(PositionError::Fenced),
        }
    }
}

/// The firehoses that something is kept of.
pub async fn firehoses_with_positions(database: &Database) -> Result<Vec<String>, ControlError> {
    let rows = sqlx::query("SELECT firehose FROM firehose_owners").fetch_all(&database.pool).await?;
    rows.iter().map(|row| Ok(row.try_get("firehose")?)).collect()
}

/// A database that does not answer may answer later; what is broken in it stays so.
fn position_error(error: ControlError) -> PositionError {
    match error.kind {
        ErrorKind::Unavailable | ErrorKind::Internal => PositionError::Unavailable(error.detail),
        _ => PositionError::Broken(error.detail),
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// Never the same twice, also after a deletion and with a clock that was set back.
fn new_incarnation() -> Result<String, ControlError> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).map_err(|error| ControlError::internal(format!("no randomness: {error}")))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use delivery::Ledger;

    fn at(partition: u32, next_offset: i64, delivered: u64) -> PartitionPosition {
        let ledger = Ledger { consumed: delivered, delivered, ..Ledger::default() };
        PartitionPosition { partition, next_offset, ledger, lost_unread: 0 }
    }

    fn positions(generation: u64, partitions: &[PartitionPosition]) -> Positions {
        Positions { topic_id: Some("id".to_owned()), generation, partitions: partitions.to_vec() }
    }

    #[tokio::test]
    async fn only_who_took_over_last_may_write_and_all_is_written_or_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open_for_test(directory.path()).await;
        let store = FirehosePositions::new(database.clone(), "f", "t");
        let incarnation = store.incarnation().await.unwrap();
        let first = store.take_over().await.unwrap();
        assert_eq!(first, PositionsTaken { epoch: 1, positions: Positions::default() });
        store.commit(1, &positions(0, &[at(1, 5, 5), at(0, 7, 7)])).await.unwrap();
        let second = store.take_over().await.unwrap();
        assert_eq!(second, PositionsTaken { epoch: 2, positions: positions(0, &[at(0, 7, 7), at(1, 5, 5)]) });
        assert_eq!(store.commit(1, &positions(0, &[at(0, 9, 9)])).await, Err(PositionError::Fenced));
        assert_eq!(store.read().await.unwrap(), second.positions);
        // Moved, with what it has counted.
        store.commit(2, &positions(1, &[at(0, 2, 7), at(2, 4, 0)])).await.unwrap();
        assert_eq!(store.read().await.unwrap(), positions(1, &[at(0, 2, 7), at(1, 5, 5), at(2, 4, 0)]));
        // Another topic begins with nothing, and what a sink has noted for the first one does not count.
        let other = FirehosePositions::new(database.clone(), "f", "other");
        assert_eq!(other.read().await.unwrap(), Positions::default());
        let expected = Positions { generation: 2, ..Positions::default() };
        assert_eq!(other.take_over().await.unwrap(), PositionsTaken { epoch: 3, positions: expected });
        assert_eq!(store.commit(2, &positions(1, &[])).await, Err(PositionError::Fenced));
        assert_eq!(store.incarnation().await.unwrap(), incarnation);
        // One that is deleted is refused, and a new one of the name is another.
        assert_eq!(firehoses_with_positions(&database).await.unwrap(), ["f"]);
        other.delete().await.unwrap();
        assert_eq!(other.commit(3, &positions(2, &[at(0, 9, 9)])).await, Err(PositionError::Fenced));
        assert_eq!(store.read().await.unwrap(), Positions::default());
        assert_ne!(store.incarnation().await.unwrap(), incarnation);
        database.close().await;
    }
}
