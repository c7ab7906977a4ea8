//! What can go wrong with the store of dead letters.

use storage::StorageError;

#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    #[error("the dead letter{what} is {found} bytes long, the limit is {max}")]
    TooLong { what: &'static str, found: usize, max: usize },

    #[error("`{cursor}` is not a cursor of a page of dead letters; start again without one")]
    InvalidCursor { cursor: String },

    #[error("the store of dead letters is in use by another process; stop it, or choose another data directory")]
    InUse,

    #[error("the disk of the dead letters is full; they can be kept again when there is room")]
    DiskFull,

    #[error("the store of dead letters could not {action}: {reason}")]
    Storage { action: &'static str, reason: String },

    #[error("a dead letter cannot be read back: {reason}")]
    Corrupt { reason: String },
}

impl DeliveryError {
    /// Whether the same call can succeed later: the store reopens itself.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::DiskFull | Self::Storage { .. } | Self::InUse)
    }
}

pub(crate) fn storage_error(error: StorageError) -> DeliveryError {
    match error {
        StorageError::InUse => DeliveryError::InUse,
        StorageError::DiskFull => DeliveryError::DiskFull,
        StorageError::Failed { action, reason } => DeliveryError::Storage { action, reason },
    }
}

/// The storage engine failed while an iterator was pulled.
pub(crate) fn read_error(error: &impl std::fmt::Display) -> DeliveryError {
    DeliveryError::Storage { action: "read", reason: error.to_string() }
}
