//! Appends records, and says what became of them.

use std::sync::Arc;

use async_trait::async_trait;
use delivery::{Answer, CallError, Destination, EncodedBatch, ErrorClass, RecordError};
use log::{LogError, NewRecord};
use prost::Message;

use super::record::WaitingRecord;
use crate::Services;

pub(super) struct TopicDestination {
    name: String,
    topic: String,
    services: Arc<dyn Services>,
}

impl TopicDestination {
    pub fn new(topic: &str, services: Arc<dyn Services>) -> Self {
        Self { name: format!("the topic `{topic}`"), topic: topic.to_owned(), services }
    }
}

#[async_trait]
impl Destination for TopicDestination {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, batch: &EncodedBatch) -> Result<Answer, CallError> {
        let mut errors = Vec::new();
        // What is to be written, the next one last.
        let mut left: Vec<Vec<usize>> = vec![(0..batch.len()).collect()];
        while let Some(indexes) = left.pop() {
            let Err(error) = self.services.produce(&self.topic, records(batch, &indexes)?).await else { continue };
            let (class, reason) = (class(&error), reason(&error));
            let mut missing: Vec<usize> = match &error {
                LogError::PartlyWritten { acks, .. } => {
                    indexes.into_iter().zip(acks).filter(|(_, ack)| ack.is_none()).map(|(index, _)| index).collect()
                }
                _ => indexes,
            };
            if class == ErrorClass::Refused && missing.len() > 1 {
                // It need not be said which one it is, or those beside it were not taken either.
                let second = missing.split_off(missing.len() / 2);
                left.extend([second, missing]);
                continue;
            }
            if class != ErrorClass::Refused {
                // Nor will the others be taken.
                missing.extend(left.drain(..).flatten());
                if missing.len() == batch.len() {
                    return Err(CallError::new(class, reason));
                }
            }
            errors.extend(missing.into_iter().map(|index| RecordError { index, class, reason: reason.clone() }));
        }
        errors.sort_by_key(|error| error.index);
        Ok(Answer { errors, retry_after: None })
    }
}

/// Keys and values share the batch's buffer.
fn records(batch: &EncodedBatch, indexes: &[usize]) -> Result<Vec<NewRecord>, CallError> {
    let record = |index: &usize| {
        let record = batch.part(*index..index + 1).bytes();
        WaitingRecord::decode(record).map(NewRecord::from).map_err(|error| {
            CallError::new(ErrorClass::BadRecord, format!("it is not a record as this sink encodes it: {error}"))
        })
    };
    indexes.iter().map(record).collect()
}

/// What a record can be the reason of is refused; what somebody can mend without touching the records is an outage.
fn class(error: &LogError) -> ErrorClass {
    match error {
        LogError::BadRecord { .. } | LogError::OverLimit { .. } => ErrorClass::Refused,
        LogError::PartlyWritten { source, .. } => class(source),
        _ => ErrorClass::Down,
    }
}

/// Without the words about the others of its call.
fn reason(error: &LogError) -> String {
    match error {
        LogError::PartlyWritten { source, .. } => reason(source),
        LogError::BadRecord { reason, .. } => reason.clone(),
        error => error.to_string(),
    }
}
