//! Record headers in the encoding of Kafka's record format (v2), so that a slab read from either log has them as
//! they came: a count, then per header the length and bytes of its key and of its value, all lengths zigzag varints.
//!
//! Source: Kafka protocol, "Record Batch", section "Record Header".

/// Appends the encoding of `headers`; nothing at all when there are none.
pub fn encode_headers<'a>(out: &mut Vec<u8>, headers: impl ExactSizeIterator<Item = (&'a str, &'a [u8])>) {
    if headers.len() == 0 {
        return;
    }
    put_length(out, headers.len());
    for (key, value) in headers {
        put_length(out, key.len());
        out.extend_from_slice(key.as_bytes());
        put_length(out, value.len());
        out.extend_from_slice(value);
    }
}

fn put_length(out: &mut Vec<u8>, length: usize) {
    let mut rest = (length as u64) << 1; // zigzag of a number that is not negative
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// The headers of one record. Ends early at bytes that are no headers; a null value reads as empty.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Headers<'a> {
    pub fn new(encoded: &'a [u8]) -> Self {
        let mut rest = encoded;
        let left = take_length(&mut rest).flatten().unwrap_or(0);
        Self { rest, left }
    }

    fn take(&mut self) -> Option<(&'a str, &'a [u8])> {
        let key_length = take_length(&mut self.rest)??;
        let key = take_bytes(&mut self.rest, key_length)?;
        let value = match take_length(&mut self.rest)? {
            Some(length) => take_bytes(&mut self.rest, length)?,
            None => &[],
        };
        Some((std::str::from_utf8(key).ok()?, value))
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let header = self.take();
        if header.is_none() {
            self.left = 0;
        }
        header
    }
}

/// `Some(None)` is the length -1: null.
fn take_length(bytes: &mut &[u8]) -> Option<Option<usize>> {
    let mut zigzag = 0u64;
    for place in 0..5 {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        zigzag |= u64::from(byte & 0x7f) << (7 * place);
        if byte < 0x80 {
            return match zigzag {
                1 => Some(None),
                _ if zigzag & 1 == 1 => None,
                _ => Some(usize::try_from(zigzag >> 1).ok()),
            };
        }
    }
    None
}

fn take_bytes<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(headers: &[(&str, &[u8])]) -> Vec<u8> {
        let mut out = Vec::new();
        encode_headers(&mut out, headers.iter().copied());
        out
    }

    #[test]
    fn headers_come_back() {
        let long = vec![7u8; 300];
        let headers: [(&str, &[u8]); 4] = [("trace", b"abc"), ("", b""), ("größe", &long), ("trace", b"again")];
        assert_eq!(Headers::new(&encoded(&headers)).collect::<Vec<_>>(), headers);
        assert!(encoded(&[]).is_empty());
    }

    #[test]
    fn a_kafka_null_value_reads_as_empty() {
        // one header, key of one byte, value of length -1
        assert_eq!(Headers::new(&[2, 2, b'k', 1]).collect::<Vec<_>>(), [("k", &b""[..])]);
    }

    #[test]
    fn broken_bytes_end_the_headers() {
        let good = encoded(&[("a", b"1"), ("b", b"2")]);
        for cut in 0..good.len() {
            assert!(Headers::new(&good[..cut]).count() < 2);
        }
        assert_eq!(Headers::new(&[2, 2, 0xff, 0]).count(), 0); // key is not UTF-8
        assert_eq!(Headers::new(&[0xff; 20]).count(), 0);
    }
}
