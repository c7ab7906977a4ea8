//! Secrets that prove who someone is: random, shown once, kept as a hash.

use crate::error::ControlError;
use base64::Engine;
use sha2::{Digest, Sha256};

/// So that scanners find one that was committed by mistake.
const PREFIX: &str = "mlr_";
const BYTES: usize = 32;

/// A new secret of 256 random bits.
pub fn generate() -> Result<String, ControlError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| ControlError::internal(format!("no randomness: {error}")))?;
    Ok(format!("{PREFIX}{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)))
}

/// What is kept of a secret. It has 256 random bits, so a plain hash is enough.
pub fn hash(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
