//! Of the tuples with the same keys in a batch only the last is sent.

use std::collections::HashSet;
use std::ops::Range;

use delivery::EncodedBatch;

/// The records of these ranges that none with the same keys follows. `keys` are places of columns, ascending.
pub(super) fn last_of_keys(batch: &EncodedBatch, ranges: &[Range<usize>], keys: &[usize]) -> Vec<Range<usize>> {
    let mut seen: HashSet<Vec<u8>> = HashSet::with_capacity(batch.len());
    let mut kept: Vec<Range<usize>> = Vec::new();
    for index in ranges.iter().rev().flat_map(|range| range.clone().rev()) {
        // What cannot be read is for the server to refuse.
        if keys_of(batch.record(index), keys).is_some_and(|keys| !seen.insert(keys)) {
            continue;
        }
        match kept.last_mut() {
            Some(last) if last.start == index + 1 => last.start = index,
            _ => kept.push(index..index + 1),
        }
    }
    kept.reverse();
    kept
}

/// The fields in these places, each with its length before it.
fn keys_of(tuple: &[u8], keys: &[usize]) -> Option<Vec<u8>> {
    let mut found = Vec::with_capacity(24 * keys.len());
    let (mut rest, mut place) = (tuple.get(2..)?, 0);
    for key in keys {
        loop {
            let (length, _) = rest.split_first_chunk::<4>()?;
            // NULL has the length -1, and nothing behind it.
            let end = 4 + usize::try_from(i32::from_be_bytes(*length)).unwrap_or(0);
            let field = rest.get(..end)?;
            rest = rest.get(end..)?;
            place += 1;
            if place == *key + 1 {
                found.extend_from_slice(field);
                break;
            }
        }
    }
    Some(found)
}

#[cfg(test)]
#[allow(clippy::single_range_in_vec_init)]
mod tests {
    use super::*;
    use delivery::EncodedBatchBuilder;

    fn tuple(fields: &[Option<&str>]) -> Vec<u8> {
        let mut tuple = (fields.len() as i16).to_be_bytes().to_vec();
        for field in fields {
            let length = field.map_or(-1, |field| field.len() as i32);
            tuple.extend_from_slice(&length.to_be_bytes());
            tuple.extend_from_slice(field.unwrap_or_default().as_bytes());
        }
        tuple
    }

    #[test]
    fn the_last_tuple_of_each_key_is_kept() {
        let mut builder = EncodedBatchBuilder::default();
        for (a, b, c) in
            [("x", None, "1"), ("y", Some("long"), "1"), ("x", Some(""), "2"), ("y", None, "1"), ("x", None, "3")]
        {
            builder.push(&tuple(&[Some(a), b, Some(c)]));
        }
        builder.push(b"\0\x03cut");
        let batch = builder.finish();
        let last = |ranges: &[Range<usize>], keys: &[usize]| last_of_keys(&batch, ranges, keys);
        assert_eq!(last(&[0..6], &[0]), [3..6]);
        assert_eq!(last(&[0..6], &[0, 2]), [0..1, 2..6]);
        assert_eq!(last(&[0..3, 4..5], &[0]), [1..2, 4..5]);
        assert_eq!(last(&[0..6], &[2]), [2..6]);
    }
}
