//! The lines that nearly all senders write: nothing escaped, one blank between the parts, plain numbers.

use crate::line::{KEY_BYTES_MAX, Line, Value};
use crate::number::{parse_boolean, parse_float};
use crate::precision::Precision;

/// A number of so many signs is in range.
const NUMBER_SIGNS_MAX: usize = 18;

/// Fills `line` as [`crate::exact::parse`] does; `None` for a line that is wrong or not as simple.
pub(crate) fn parse<'a>(bytes: &'a [u8], precision: Precision, line: &mut Line<'a>) -> Option<()> {
    line.clear();
    let mut i = until(bytes, 0, |byte| matches!(byte, b',' | b' '))?;
    line.measurement = &bytes[..i];
    while bytes[i] == b',' {
        let key_end = until(bytes, i + 1, |byte| matches!(byte, b'=' | b',' | b' '))?;
        let value_end = until(bytes, key_end + 1, |byte| matches!(byte, b',' | b' ' | b'='))?;
        if bytes[key_end] != b'=' || bytes[value_end] == b'=' {
            return None;
        }
        line.tags.push((&bytes[i + 1..key_end], &bytes[key_end + 1..value_end]));
        i = value_end;
    }
    // With room for a field's key: `exact` says which one is too long.
    if i > KEY_BYTES_MAX / 2 || line.has_duplicate_tags() {
        return None;
    }
    loop {
        let key_end = until(bytes, i + 1, |byte| matches!(byte, b'=' | b',' | b' ' | b'"' | b'\t' | 0))?;
        if bytes[key_end] != b'=' || key_end - i > KEY_BYTES_MAX / 4 {
            return None;
        }
        let (value, end) = value(bytes, key_end + 1)?;
        line.fields.push((&bytes[i + 1..key_end], value));
        i = end;
        match bytes.get(i) {
            Some(b',') => {}
            Some(b' ') => break,
            None => return Some(()),
            Some(_) => return None,
        }
    }
    line.time = Some(precision.to_nanos(integer(&bytes[i + 1..])?)?);
    Some(())
}

/// The first place from `start` on where `is_end` is true; there is something before it, and no backslash.
#[inline(always)]
fn until(bytes: &[u8], start: usize, is_end: impl Fn(u8) -> bool) -> Option<usize> {
    let mut i = start;
    loop {
        match bytes.get(i) {
            Some(byte) if is_end(*byte) => return (i > start).then_some(i),
            Some(b'\\') | None => return None,
            Some(_) => i += 1,
        }
    }
}

#[inline(always)]
fn value(bytes: &[u8], start: usize) -> Option<(Value<'_>, usize)> {
    if bytes.get(start) == Some(&b'"') {
        let text = &bytes[start + 1..];
        let length = memchr::memchr2(b'"', b'\\', text).filter(|at| text[*at] == b'"')?;
        return Some((Value::Text(&text[..length]), start + length + 2));
    }
    let rest = &bytes[start..];
    let length = rest.iter().position(|byte| matches!(byte, b',' | b' ')).unwrap_or(rest.len());
    let written = &rest[..length];
    let value = match written {
        [digits @ .., b'i'] => Value::Integer(integer(digits)?),
        [b'0'..=b'9' | b'-' | b'.', ..] => Value::Float(float(written)?),
        _ => Value::Boolean(parse_boolean(written)?),
    };
    Some((value, start + length))
}

/// Digits with or without a minus before them.
#[inline(always)]
fn integer(written: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match written {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    let mut value: u64 = 0;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // 19 digits fit 64 unsigned bits.
        value = value * 10 + u64::from(digit);
    }
    let value = i64::try_from(value).ok()?;
    Some(if is_negative { -value } else { value })
}

#[inline(always)]
fn float(written: &[u8]) -> Option<f64> {
    if written.len() > NUMBER_SIGNS_MAX {
        let is_plain = written.len() < 25 && written[1..].iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.'));
        return is_plain.then(|| parse_float(written)).flatten();
    }
    let (is_negative, digits) = match written {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    let (mut mantissa, mut decimals, mut has_point, mut count) = (0_u64, 0_usize, false, 0);
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        match digit {
            0..=9 => {
                mantissa = mantissa * 10 + u64::from(digit);
                decimals += usize::from(has_point);
                count += 1;
            }
            _ if *byte == b'.' && !has_point => has_point = true,
            _ => return None,
        }
    }
    if count == 0 {
        return None;
    }
    // Both are exact, so their quotient is the nearest number (Clinger, "How to read floating point numbers accurately").
    if mantissa >= 1 << 53 {
        return parse_float(written);
    }
    let value = mantissa as f64 / POWERS_OF_TEN[decimals];
    Some(if is_negative { -value } else { value })
}

const POWERS_OF_TEN: [f64; NUMBER_SIGNS_MAX + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact;
    use proptest::prelude::*;

    const LINES: [&str; 12] = [
        "cpu,host=a,region=eu value=1.5 1465839830100400200",
        "cpu,region=eu,host=a usage_idle=99.1,usage_user=-0.25,n=17i 1465839830",
        "weather,city=Jakarta text=\"rain, heavy = true\",ok=t,cold=False 0",
        "m value=1",
        "m value=-12.75,other=0.1 -5",
        "m a=9223372036854775807i,b=-9223372036854775808i,c=1e3,d=.5,e=5. 12",
        "m,a=1,a=2 value=1 1",
        r#"m\ x,t\,ag=va\=lue f\ ield="quo\"ted\\" 7"#,
        "m a=\"\",b=TRUE,c=123456789012345678901234567890 1",
        "m a=0.30000000000000004,b=179769313486231570000,c=4.35,d=-0 1",
        "cpu,host=\u{fc}ber,x=\u{1f680} text=\"\u{e9}\" 99",
        "m  value=1  12  ",
    ];

    fn mutated() -> impl Strategy<Value = Vec<u8>> {
        let edit =
            (any::<prop::sample::Index>(), 0..3_u8, prop::sample::select(b", =\"\\-.ieutTfN0159\t\n\0\xff#".to_vec()));
        (prop::sample::select(&LINES[..]), prop::collection::vec(edit, 0..5)).prop_map(|(line, edits)| {
            let mut bytes = line.as_bytes().to_vec();
            for (at, kind, byte) in edits {
                if bytes.is_empty() {
                    break;
                }
                let at = at.index(bytes.len());
                match kind {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => drop(bytes.remove(at)),
                }
            }
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn what_the_fast_way_takes_it_reads_as_the_exact_one(line in mutated(), precision in 0..6_usize) {
            let units = ["n", "u", "ms", "s", "m", "h"];
            let precision = Precision::parse(units[precision]).unwrap();
            let (mut fast, mut whole) = (Line::default(), Line::default());
            let exact = exact::parse(&line, precision, &mut whole);
            if parse(&line, precision, &mut fast).is_some() {
                prop_assert_eq!(exact, Ok(()));
                prop_assert_eq!(fast, whole);
            }
        }
    }

    #[test]
    fn simple_lines_go_the_fast_way() {
        for line in &LINES[..5] {
            assert_eq!(parse(line.as_bytes(), Precision::Nanosecond, &mut Line::default()), Some(()), "{line}");
        }
    }
}
