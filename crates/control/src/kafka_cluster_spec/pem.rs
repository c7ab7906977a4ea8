//! Whether a text is the PEM that belongs in its place (RFC 7468), before a client reads it and says less.

use super::invalid;
use crate::error::ControlError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";
const DASHES: &str = "-----";
const CERTIFICATE: &str = "CERTIFICATE";
const PRIVATE_KEY: &str = "PRIVATE KEY";

/// What belongs in a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Certificates,
    Key,
}

/// `what` says whose text it is; nothing of the text itself is in an error.
pub(super) fn check(what: &str, part: Part, text: &str) -> Result<(), ControlError> {
    let wrong = |how: &str| invalid(format!("{what} {how}"));
    let labels = labels(text).map_err(|how| {
        wrong(how).with_hint("copy the whole file: from `-----BEGIN` to the last `-----END ...-----`, with its lines")
    })?;
    let has_key = labels.iter().any(|label| label.ends_with(PRIVATE_KEY));
    let has_certificate = labels.contains(&CERTIFICATE);
    match part {
        Part::Certificates if has_key => Err(wrong("has a private key where only certificates belong").with_hint(
            "put the key into a secret, name that in `spec.security.key`, and make a new key: this one was shown",
        )),
        Part::Certificates if !has_certificate => Err(wrong(&format!("has no certificate but: {}", labels.join(", ")))
            .with_hint("it begins with `-----BEGIN CERTIFICATE-----`")),
        Part::Key if !has_key && has_certificate => Err(wrong("is a certificate where its private key belongs")
            .with_hint("the key begins with `-----BEGIN PRIVATE KEY-----` or `-----BEGIN ENCRYPTED PRIVATE KEY-----`")),
        Part::Key if !has_key => Err(wrong(&format!("has no private key but: {}", labels.join(", ")))),
        _ => Ok(()),
    }
}

/// The kinds of what is in a PEM text, in order.
fn labels(text: &str) -> Result<Vec<&str>, &'static str> {
    let mut labels = Vec::new();
    let mut rest = text;
    while let Some((_, begun)) = rest.split_once(BEGIN) {
        let (label, body) = begun.split_once(DASHES).ok_or("ends within a line `-----BEGIN`")?;
        let (body, ended) = body.split_once(END).ok_or("has a beginning without its `-----END` line")?;
        rest = ended.strip_prefix(label).ok_or("has an end that does not fit its beginning")?;
        // Older keys have headers such as `Proc-Type: 4,ENCRYPTED` before what is encoded.
        let encoded: String = body.lines().filter(|line| !line.contains(':')).map(str::trim).collect();
        match STANDARD.decode(encoded) {
            Ok(bytes) if !bytes.is_empty() => labels.push(label),
            _ => return Err("has something between its first and last line that is no PEM"),
        }
    }
    match labels.is_empty() {
        true => Err("is no PEM text"),
        false => Ok(labels),
    }
}
