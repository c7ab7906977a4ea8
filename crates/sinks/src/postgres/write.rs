//! One call: a transaction that writes records, and notes that it has.

use std::ops::Range;
use std::pin::pin;

use bytes::Bytes;
use delivery::{Answer, CallError, EncodedBatch, ErrorClass, RecordError};
use futures::SinkExt;
use futures::future::{join, join_all, join4};
use tokio_postgres::{Error, Row};

use super::answer::{Judged, judge};
use super::last_of_keys::last_of_keys;
use super::positions::{self, Noted, NotedPartitions};
use super::session::{Positions, Session, outage};

/// Whose positions are noted.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub name: String,
    pub incarnation: String,
    pub topic: String,
}

/// The head of COPY's binary form: signature, flags, no extension.
const HEAD: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: &[u8] = &[0xff, 0xff];
/// Sent at once, so that the server reads while we send.
const CHUNK_BYTES: usize = 128 << 10;
/// So many refused records are found within a call; with more of them the courier goes on by halves.
const FOUND_MAX: usize = 200;
const SAVE: &str = "SAVEPOINT millrace";
const SAVE_AGAIN: &str = "RELEASE SAVEPOINT millrace; SAVEPOINT millrace";
const BACK: &str = "ROLLBACK TO SAVEPOINT millrace";

/// Writes a batch. After an error nothing of it is written, and the session is of no more use unless the error is of a record.
pub(super) async fn write(session: &Session, owner: &Owner, batch: &EncodedBatch) -> Result<Answer, CallError> {
    let written = write_in_transaction(session, owner, batch).await;
    if written.as_ref().is_err_and(|error| error.class.is_of_a_record()) {
        session.connection.client.batch_execute("ROLLBACK").await.map_err(|error| judge(&error).error)?;
    }
    written
}

async fn write_in_transaction(session: &Session, owner: &Owner, batch: &EncodedBatch) -> Result<Answer, CallError> {
    let client = &session.connection.client;
    let known = match (&session.positions, positions::partitions(batch)) {
        (Some(statements), Some(partitions)) => Some((statements, partitions)),
        _ => None,
    };
    let locking = async {
        match &known {
            Some((statements, partitions)) => lock(session, statements, owner, partitions).await.map(Some),
            None => Ok(None),
        }
    };
    // Sent in this order, and answered in one go.
    let (begun, probed, locked, saved) = join4(
        client.batch_execute("BEGIN ISOLATION LEVEL READ COMMITTED"),
        client.query(&session.probe, &[]),
        locking,
        client.batch_execute(SAVE),
    )
    .await;
    begun.map_err(failed)?;
    probed.map_err(|error| about_the_table(&error))?;
    let mut noted = locked?;
    saved.map_err(failed)?;
    if let (Some((statements, partitions)), Some(noted)) = (&known, &mut noted) {
        let new: Vec<u32> = partitions.iter().copied().filter(|partition| !noted.contains_key(partition)).collect();
        if !new.is_empty() {
            add(session, statements, owner, &new).await?;
            *noted = lock(session, statements, owner, partitions).await?;
            client.batch_execute(SAVE_AGAIN).await.map_err(failed)?;
        }
    }
    let ranges = match &noted {
        Some(noted) => positions::to_write(batch, noted),
        None => std::iter::once(0..batch.len()).collect(),
    };
    let ranges = match &session.keys {
        Some(keys) => last_of_keys(batch, &ranges, keys),
        None => ranges,
    };
    let wanted: usize = ranges.iter().map(Range::len).sum();
    let errors = copy_all(session, batch, ranges).await?;
    if let Some(merge) = &session.merge
        && errors.len() < wanted
    {
        client.execute(merge, &[]).await.map_err(|error| session.judge(&error).error)?;
    }
    let after = noted.map(|noted| positions::after(batch, &noted, &errors)).unwrap_or_default();
    let note = async {
        match &known {
            Some((statements, _)) => note(session, statements, owner, &after).await,
            None => Ok(()),
        }
    };
    let (noted, committed) = join(note, client.batch_execute("COMMIT")).await;
    noted?;
    // A constraint may have been left for the end.
    committed.map_err(|error| session.judge(&error).error)?;
    Ok(Answer { errors, retry_after: None })
}

/// Copies records; those that the server names are left out, and returned.
async fn copy_all(
    session: &Session,
    batch: &EncodedBatch,
    records: Vec<Range<usize>>,
) -> Result<Vec<RecordError>, CallError> {
    let client = &session.connection.client;
    let mut errors: Vec<RecordError> = Vec::new();
    // What is left, the first one last.
    let mut left = vec![records];
    while let Some(part) = left.pop() {
        if part.is_empty() {
            continue;
        }
        let Err(error) = copy(session, batch, &part).await else {
            if !left.is_empty() {
                client.batch_execute(SAVE_AGAIN).await.map_err(failed)?;
            }
            continue;
        };
        let Judged { error, row, .. } = session.judge(&error);
        // Left out, a record would give its place to one with the same keys that was not sent: halves are tried instead.
        let is_last_of_keys = session.keys.is_some();
        if error.class != ErrorClass::Refused || errors.len() >= FOUND_MAX || is_last_of_keys {
            return Err(error);
        }
        client.batch_execute(BACK).await.map_err(failed)?;
        // Values are looked at when they are read, and keys some rows later: there may be another one before it.
        match (part.as_slice(), row.and_then(|row| split_at(&part, row))) {
            ([only], _) if only.len() == 1 => {
                errors.push(RecordError { index: only.start, class: error.class, reason: error.reason });
            }
            (_, Some((before, index, after))) => {
                left.extend([after, std::iter::once(index..index + 1).collect(), before])
            }
            (_, None) => return Err(error),
        }
    }
    Ok(errors)
}

/// Records of a batch, in their order.
type Ranges = Vec<Range<usize>>;

/// The records before the one in this place, that one, and those after it.
#[allow(clippy::single_range_in_vec_init)]
fn split_at(ranges: &[Range<usize>], place: usize) -> Option<(Ranges, usize, Ranges)> {
    let (mut before, mut after, mut found, mut passed) = (Vec::new(), Vec::new(), None, 0);
    for range in ranges {
        match place.checked_sub(passed).filter(|within| *within < range.len()) {
            Some(within) if found.is_none() => {
                let index = range.start + within;
                found = Some(index);
                before.extend(Some(range.start..index).filter(|range| !range.is_empty()));
                after.extend(Some(index + 1..range.end).filter(|range| !range.is_empty()));
            }
            _ if found.is_some() => after.push(range.clone()),
            _ => before.push(range.clone()),
        }
        passed += range.len();
    }
    found.map(|index| (before, index, after))
}

async fn copy(session: &Session, batch: &EncodedBatch, ranges: &[Range<usize>]) -> Result<(), Error> {
    let mut sink = pin!(session.connection.client.copy_in::<_, Bytes>(&session.copy).await?);
    // Small pieces are put together by the sink.
    sink.feed(Bytes::from_static(HEAD)).await?;
    for range in ranges {
        let mut bytes = batch.part(range.clone()).bytes();
        while !bytes.is_empty() {
            sink.feed(bytes.split_to(bytes.len().min(CHUNK_BYTES))).await?;
        }
    }
    sink.feed(Bytes::from_static(END)).await?;
    sink.finish().await.map(drop)
}

async fn lock(
    session: &Session,
    statements: &Positions,
    owner: &Owner,
    partitions: &[u32],
) -> Result<NotedPartitions, CallError> {
    let partitions = signed(partitions)?;
    let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&owner.name, &owner.incarnation, &owner.topic, &partitions];
    let rows = session.connection.client.query(&statements.lock, &parameters).await.map_err(failed)?;
    rows.iter().map(read_noted).collect::<Result<_, _>>().map_err(failed)
}

fn read_noted(row: &Row) -> Result<(u32, Noted), Error> {
    let partition: i32 = row.try_get(0)?;
    Ok((partition.cast_unsigned(), Noted { next_offset: row.try_get(1)?, refused: row.try_get(2)? }))
}

fn signed(partitions: &[u32]) -> Result<Vec<i32>, CallError> {
    let signed = partitions.iter().map(|partition| i32::try_from(*partition)).collect::<Result<_, _>>();
    signed.map_err(|_| CallError::new(ErrorClass::Ours, "a partition has a number beyond 2147483647"))
}

async fn add(session: &Session, statements: &Positions, owner: &Owner, partitions: &[u32]) -> Result<(), CallError> {
    let partitions = signed(partitions)?;
    let client = &session.connection.client;
    let added = client.execute(&statements.add, &[&owner.name, &owner.incarnation, &owner.topic, &partitions]).await;
    added.map(drop).map_err(failed)
}

async fn note(
    session: &Session,
    statements: &Positions,
    owner: &Owner,
    after: &NotedPartitions,
) -> Result<(), CallError> {
    let partitions = signed(&after.keys().copied().collect::<Vec<_>>())?;
    let notes = partitions.iter().zip(after.values()).map(|(partition, noted)| async move {
        let client = &session.connection.client;
        let Owner { name, incarnation, topic } = owner;
        let Noted { next_offset, refused } = noted;
        client.execute(&statements.note, &[name, incarnation, topic, partition, next_offset, refused]).await
    });
    for noted in join_all(notes).await {
        if noted.map_err(failed)? != 1 {
            return Err(CallError::new(ErrorClass::Down, "the positions were taken away while they were written"));
        }
    }
    Ok(())
}

/// What fails before or after the records themselves is no record's fault.
fn failed(error: Error) -> CallError {
    outage(judge(&error).error)
}

fn about_the_table(error: &Error) -> CallError {
    match error.code().map(|code| code.code()) {
        Some("0A000") => CallError::new(ErrorClass::Down, "the table has been changed; it is looked at anew"),
        _ => outage(judge(error).error),
    }
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)]
mod tests {
    use super::*;

    #[test]
    fn records_are_found_in_parts_of_a_batch() {
        let ranges = [2..5, 9..10, 20..22];
        assert_eq!(split_at(&ranges, 0), Some((vec![], 2, vec![3..5, 9..10, 20..22])));
        assert_eq!(split_at(&ranges, 2), Some((vec![2..4], 4, vec![9..10, 20..22])));
        assert_eq!(split_at(&ranges, 3), Some((vec![2..5], 9, vec![20..22])));
        assert_eq!(split_at(&ranges, 5), Some((vec![2..5, 9..10, 20..21], 21, vec![])));
        assert_eq!(split_at(&ranges, 6), None);
    }
}
