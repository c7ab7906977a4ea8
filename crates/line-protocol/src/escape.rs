//! Taking the backslashes away.

use std::borrow::Cow;

use memchr::memchr;

/// Of measurements and field keys.
pub(crate) fn unescape_name(written: &[u8]) -> Cow<'_, [u8]> {
    unescape(written, b",\" =")
}

/// Of tag keys and tag values.
pub(crate) fn unescape_tag(written: &[u8]) -> Cow<'_, [u8]> {
    unescape(written, b", =")
}

/// Of text fields.
pub(crate) fn unescape_text(written: &[u8]) -> Cow<'_, [u8]> {
    unescape(written, b"\"\\")
}

/// A backslash before one of `signs` goes; any other stays.
fn unescape<'a>(written: &'a [u8], signs: &[u8]) -> Cow<'a, [u8]> {
    let Some(first) = memchr(b'\\', written) else { return Cow::Borrowed(written) };
    let mut plain = Vec::with_capacity(written.len());
    plain.extend_from_slice(&written[..first]);
    let mut i = first;
    while let Some(&byte) = written.get(i) {
        match written.get(i + 1) {
            Some(next) if byte == b'\\' && signs.contains(next) => {
                plain.push(*next);
                i += 2;
            }
            _ => {
                plain.push(byte);
                i += 1;
            }
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_had_to_be_escaped_loses_its_backslash() {
        let text = |bytes: Cow<'_, [u8]>| String::from_utf8(bytes.into_owned()).unwrap();
        assert_eq!(text(unescape_tag(br"a\ b\,c\=d\e\\f\")), r"a b,c=d\e\\f\");
        assert_eq!(text(unescape_tag(br#"a\"b"#)), r#"a\"b"#);
        assert_eq!(text(unescape_name(br#"a\"b\ c"#)), r#"a"b c"#);
        assert_eq!(text(unescape_name(br"a\\,b")), r"a\,b");
        assert_eq!(text(unescape_text(br#"a\"b\\c\nd"#)), r#"a"b\c\nd"#);
    }
}
