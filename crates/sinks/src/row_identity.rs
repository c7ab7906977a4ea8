//! What tells a row from all others, the same whenever it is written, so that a receiver can know it again.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::RowOrigin;

/// Where rows come from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowIdentities<'a> {
    /// Of the dagger or firehose.
    pub owner: &'a str,
    pub origin: Option<RowOrigin<'a>>,
}

impl RowIdentities<'_> {
    /// `TOPIC/PARTITION/OFFSET` for a row that stands for a record, with `/NAME` where the record has several rows. A row of
    /// another query is known by what it says: `content` is all of it.
    pub fn path(&self, row: usize, content: &[u8]) -> String {
        match self.place(row) {
            Some((origin, offset, None)) => format!("{}/{}/{offset}", origin.topic, origin.partition),
            Some((origin, offset, Some(name))) => format!("{}/{}/{offset}/{name}", origin.topic, origin.partition),
            None => hash(&[self.owner.as_bytes(), content])[..32].to_owned(),
        }
    }

    /// The same in at most 36 letters, digits and dashes: `TOPIC-PARTITION-OFFSET` where that fits, and else a hash.
    pub fn short(&self, row: usize, content: &[u8]) -> String {
        if let Some((origin, offset, None)) = self.place(row) {
            let plain = format!("{}-{}-{offset}", origin.topic, origin.partition);
            if offset >= 0
                && plain.len() <= 36
                && plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            {
                return plain;
            }
        }
        hash(&[self.path(row, content).as_bytes()])[..36].to_owned()
    }

    fn place(&self, row: usize) -> Option<(RowOrigin<'_>, i64, Option<&str>)> {
        let origin = self.origin?;
        Some((origin, *origin.offsets.get(row)?, origin.row_names.get(row)?.as_deref()))
    }
}

/// SHA-256 of parts, none of which can become a part of another, in hexadecimal.
pub(crate) fn hash(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut text = String::with_capacity(64);
    for byte in hash.finalize() {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_row_has_the_same_identity() {
        let names = [None, Some("1".to_owned())];
        let of = |topic: &'static str| RowIdentities {
            owner: "f",
            origin: Some(RowOrigin { topic, partition: 3, offsets: &[17, 17], row_names: &names }),
        };
        assert_eq!(
            (of("orders").path(0, b"x"), of("orders").path(1, b"x")),
            ("orders/3/17".into(), "orders/3/17/1".into())
        );
        assert_eq!(of("orders").short(0, b"x"), "orders-3-17");
        for (identities, row) in [(of("orders"), 1), (of("or.ders"), 0), (of("a-topic-with-a-name-of-many-letters"), 0)]
        {
            let short = identities.short(row, b"x");
            assert!(short.len() == 36 && short.bytes().all(|byte| byte.is_ascii_hexdigit()), "{short}");
        }
        assert_ne!(of("or.ders").short(0, b""), of("or_ders").short(0, b""));
        let query = RowIdentities { owner: "d", origin: None };
        assert_eq!(query.path(0, b"row"), query.path(9, b"row"));
        assert_ne!(query.path(0, b"row"), query.path(0, b"other"));
        assert_eq!(query.short(0, b"row").len(), 36);
    }
}
