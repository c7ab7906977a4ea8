//! Columns of integers as few bytes that are read fast, any stretch of them without the rest.
//!
//! A constant; a line (equal steps, such as regular times); or blocks of 256, each with the bits that its widest value needs
//! above the block's least, of the values themselves or of their differences, whichever is smaller. Times have their
//! greatest common divisor taken out, so that a finer unit than they are in costs nothing.
//!
//! How many numbers there are is known to whoever reads them. Readers return `None` for bytes that are no such column.

use std::ops::Range;

use crate::bit_packing::Frame;
use crate::varint::{put_varint, take_varint, unzigzag, zigzag};

const BLOCK: usize = 256;

const CONSTANT: u8 = 0;
const LINE: u8 = 1;
const PLAIN: u8 = 2;
const DIFFERENCES: u8 = 3;
/// Only of times: first, divisor, and a column of how many times the divisor each is after the first.
const DIVIDED: u8 = 4;

fn differences(block: &[i64]) -> impl Iterator<Item = i64> {
    block.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]))
}

/// Bits that a column takes, heads of blocks included, in each of the two ways.
fn bits_plain(values: &[i64]) -> usize {
    values.chunks(BLOCK).map(|block| 40 + Frame::of(block.iter().copied()).width as usize * block.len()).sum()
}

fn bits_of_differences(values: &[i64]) -> usize {
    values.chunks(BLOCK).map(|block| 72 + Frame::of(differences(block)).width as usize * block.len()).sum()
}

/// Bits that [`put_numbers`] takes, about.
pub(crate) fn numbers_bits(values: &[i64]) -> usize {
    if line(values).is_some() { 80 } else { bits_plain(values).min(bits_of_differences(values)) }
}

/// First value and step, if all steps are equal.
fn line(values: &[i64]) -> Option<(i64, i64)> {
    let first = values.first().copied().unwrap_or(0);
    let step = values.get(1).map_or(0, |second| second.wrapping_sub(first));
    differences(values).all(|difference| difference == step).then_some((first, step))
}

pub(crate) fn put_numbers(out: &mut Vec<u8>, values: &[i64]) {
    if let Some((first, step)) = line(values) {
        out.push(if step == 0 { CONSTANT } else { LINE });
        put_varint(out, zigzag(first));
        if step != 0 {
            put_varint(out, zigzag(step));
        }
        return;
    }
    let plain = bits_plain(values) <= bits_of_differences(values);
    out.push(if plain { PLAIN } else { DIFFERENCES });
    let frames: Vec<Frame> = values
        .chunks(BLOCK)
        .map(|block| if plain { Frame::of(block.iter().copied()) } else { Frame::of(differences(block)) })
        .collect();
    for (block, frame) in values.chunks(BLOCK).zip(&frames) {
        out.push(frame.width as u8);
        put_varint(out, zigzag(frame.least));
        if !plain {
            put_varint(out, zigzag(block.first().copied().unwrap_or(0)));
        }
    }
    for (block, frame) in values.chunks(BLOCK).zip(&frames) {
        if plain {
            frame.pack(out, block.iter().copied());
        } else {
            frame.pack(out, differences(block));
        }
    }
}

/// Appends the numbers `wanted` of a column of `rows` to `out`, made into what is stored there by `convert`. Takes the
/// whole column off `bytes`.
pub(crate) fn take_numbers<T>(
    bytes: &mut &[u8],
    rows: usize,
    wanted: Range<usize>,
    out: &mut Vec<T>,
    convert: impl Fn(i64) -> T,
) -> Option<()> {
    if wanted.start > wanted.end || wanted.end > rows {
        return None;
    }
    let (kind, rest) = bytes.split_first()?;
    *bytes = rest;
    out.reserve(wanted.len());
    match *kind {
        CONSTANT => {
            let value = unzigzag(take_varint(bytes)?);
            out.extend(wanted.map(|_| convert(value)));
        }
        LINE => {
            let (first, step) = (unzigzag(take_varint(bytes)?), unzigzag(take_varint(bytes)?));
            out.extend(wanted.map(|row| convert(first.wrapping_add(step.wrapping_mul(row as i64)))));
        }
        PLAIN | DIFFERENCES => {
            let plain = *kind == PLAIN;
            take_blocks(bytes, rows, plain, |start, length, block| {
                let from = wanted.start.clamp(start, start + length) - start;
                let until = wanted.end.clamp(start, start + length) - start;
                if from < until {
                    if plain {
                        out.extend(block.frame.unpack(block.bytes, from..until).map(&convert));
                    } else {
                        take_differences(block, from..until, out, &convert);
                    }
                }
            })?;
        }
        _ => return None,
    }
    Some(())
}

/// The same for some rows here and there, in ascending order.
pub(crate) fn take_numbers_at<T>(
    bytes: &mut &[u8],
    rows: usize,
    wanted: &[u32],
    out: &mut Vec<T>,
    convert: impl Fn(i64) -> T,
) -> Option<()> {
    let (kind, rest) = bytes.split_first()?;
    *bytes = rest;
    let end = out.len() + wanted.len();
    out.reserve(wanted.len());
    let mut wanted = wanted.iter().map(|row| *row as usize).take_while(|row| *row < rows).peekable();
    match *kind {
        CONSTANT => {
            let value = unzigzag(take_varint(bytes)?);
            out.extend(wanted.map(|_| convert(value)));
        }
        LINE => {
            let (first, step) = (unzigzag(take_varint(bytes)?), unzigzag(take_varint(bytes)?));
            out.extend(wanted.map(|row| convert(first.wrapping_add(step.wrapping_mul(row as i64)))));
        }
        PLAIN | DIFFERENCES => {
            let plain = *kind == PLAIN;
            take_blocks(bytes, rows, plain, |start, length, block| {
                let (mut known, mut value) = (0, block.first);
                while let Some(row) = wanted.next_if(|row| *row < start + length) {
                    let index = row - start;
                    if plain {
                        out.extend(block.frame.unpack(block.bytes, index..index + 1).map(&convert));
                        continue;
                    }
                    value = block.frame.unpack(block.bytes, known..index).fold(value, i64::wrapping_add);
                    known = index;
                    out.push(convert(value));
                }
            })?;
        }
        _ => return None,
    }
    (out.len() == end).then_some(())
}

/// Where in a column of ascending numbers, of `rows`, those of some are that it has; the first column of `bytes`, which is not
/// taken off. Of each that is found, its row and which of `wanted` it is, which are ascending as well.
pub(crate) fn find_numbers(bytes: &[u8], rows: usize, wanted: impl Iterator<Item = i64>) -> Option<Vec<(u32, usize)>> {
    let (kind, mut rest) = bytes.split_first()?;
    let found = |row: u64, number: usize| (row < rows as u64).then_some((row as u32, number));
    Some(match *kind {
        LINE => {
            let (first, step) = (unzigzag(take_varint(&mut rest)?), unzigzag(take_varint(&mut rest)?));
            // Rising steps of more than half of all numbers would not be ascending.
            let step = u64::try_from(step).ok().filter(|step| *step > 0)?;
            let row = |(number, value): (usize, i64)| {
                let above = value.checked_sub(first).and_then(|above| u64::try_from(above).ok())?;
                found(above / step, number).filter(|_| above % step == 0)
            };
            wanted.enumerate().filter_map(row).collect()
        }
        _ => {
            let mut all = Vec::new();
            take_numbers(&mut &bytes[..], rows, 0..rows, &mut all, |number| number)?;
            let row = |(number, value): (usize, i64)| found(all.binary_search(&value).ok()? as u64, number);
            wanted.enumerate().filter_map(row).collect()
        }
    })
}

/// Up to 256 numbers.
#[derive(Clone, Copy)]
struct Block<'a> {
    frame: Frame,
    /// The first number, where the frame is of differences.
    first: i64,
    bytes: &'a [u8],
}

/// Calls `each` with the row of a block's first number, how many it has, and the block; takes all of them off `bytes`.
fn take_blocks<'a>(
    bytes: &mut &'a [u8],
    rows: usize,
    plain: bool,
    mut each: impl FnMut(usize, usize, Block<'a>),
) -> Option<()> {
    let mut heads = Vec::with_capacity(rows.div_ceil(BLOCK).min(bytes.len()));
    for _ in 0..rows.div_ceil(BLOCK) {
        let (width, rest) = bytes.split_first()?;
        *bytes = rest;
        let frame = Frame { width: u32::from(*width), least: unzigzag(take_varint(bytes)?) };
        if frame.width > 64 {
            return None;
        }
        heads.push((frame, if plain { 0 } else { unzigzag(take_varint(bytes)?) }));
    }
    for (number, (frame, first)) in heads.into_iter().enumerate() {
        let start = number * BLOCK;
        let length = BLOCK.min(rows - start);
        let (block, rest) = bytes.split_at_checked(frame.packed_bytes(if plain { length } else { length - 1 }))?;
        *bytes = rest;
        each(start, length, Block { frame, first, bytes: block });
    }
    Some(())
}

fn take_differences<T>(block: Block<'_>, wanted: Range<usize>, out: &mut Vec<T>, convert: &impl Fn(i64) -> T) {
    let Block { frame, first, bytes } = block;
    let mut value = frame.unpack(bytes, 0..wanted.start).fold(first, i64::wrapping_add);
    out.push(convert(value));
    for step in frame.unpack(bytes, wanted.start..wanted.end - 1) {
        value = value.wrapping_add(step);
        out.push(convert(value));
    }
}

/// Ascending times.
pub(crate) fn put_times(out: &mut Vec<u8>, times: &[i64]) {
    let first = times.first().copied().unwrap_or(0);
    let after_first = |time: &i64| time.wrapping_sub(first) as u64;
    let mut divisor = 0;
    for time in times {
        divisor = greatest_common_divisor(after_first(time), divisor);
        if divisor == 1 {
            break;
        }
    }
    if divisor <= 1 {
        return put_numbers(out, times);
    }
    out.push(DIVIDED);
    put_varint(out, zigzag(first));
    put_varint(out, divisor);
    put_numbers(out, &times.iter().map(|time| (after_first(time) / divisor) as i64).collect::<Vec<_>>());
}

/// All times of a column of `rows`.
pub(crate) fn take_times(bytes: &mut &[u8], rows: usize) -> Option<Vec<i64>> {
    let mut times = Vec::new();
    match bytes.split_first()? {
        (&DIVIDED, rest) => {
            *bytes = rest;
            let (first, divisor) = (unzigzag(take_varint(bytes)?), take_varint(bytes)? as i64);
            take_numbers(bytes, rows, 0..rows, &mut times, |count| first.wrapping_add(divisor.wrapping_mul(count)))?;
        }
        _ => take_numbers(bytes, rows, 0..rows, &mut times, |time| time)?,
    }
    Some(times)
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b > 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[i64], wanted: Range<usize>) -> usize {
        let mut bytes = Vec::new();
        put_numbers(&mut bytes, values);
        let size = bytes.len();
        bytes.extend_from_slice(b"rest");
        let (mut left, mut found) = (bytes.as_slice(), Vec::new());
        take_numbers(&mut left, values.len(), wanted.clone(), &mut found, |value| value).expect("whole");
        assert_eq!(found, &values[wanted.clone()]);
        assert_eq!(left, b"rest");
        for step in [1, 3, 300] {
            let some: Vec<u32> = wanted.clone().step_by(step).map(|row| row as u32).collect();
            let (mut left, mut found) = (bytes.as_slice(), Vec::new());
            take_numbers_at(&mut left, values.len(), &some, &mut found, |value| value).expect("whole");
            assert_eq!(found, some.iter().map(|row| values[*row as usize]).collect::<Vec<_>>());
            assert_eq!(left, b"rest");
        }
        size
    }

    #[test]
    fn numbers_are_found_in_an_ascending_column() {
        let columns: [Vec<i64>; 5] = [
            (100..5_000).collect(),
            (0..700).map(|row| row * 3 + 7).collect(),
            (0..700).map(|row| row * row + 7).collect(),
            vec![9],
            vec![],
        ];
        for values in columns {
            let mut bytes = Vec::new();
            put_numbers(&mut bytes, &values);
            let wanted = [i64::MIN, -1, 0, 7, 8, 9, 10, 103, 2_104, 4_999, 5_000, 488_608, i64::MAX];
            let found = find_numbers(&bytes, values.len(), wanted.into_iter()).expect("whole");
            let expected = wanted
                .iter()
                .enumerate()
                .filter_map(|(number, value)| values.binary_search(value).ok().map(|row| (row as u32, number)));
            assert_eq!(found, expected.collect::<Vec<_>>());
            for end in 0..bytes.len() {
                assert_eq!(find_numbers(&bytes[..end], values.len(), wanted.into_iter()), None, "cut at {end}");
            }
        }
    }

    #[test]
    fn regular_numbers_cost_nothing() {
        let regular: Vec<i64> = (0..10_000).map(|row| 1_704_067_200_000_000 + row * 60_000_000).collect();
        assert!(check(&regular, 17..9_000) < 20);
        assert!(check(&[7; 1_000], 0..1_000) < 5);
        assert!(check(&[i64::MIN, i64::MAX, 0, -1], 1..3) > 0);
        check(&[], 0..0);
        let small: Vec<i64> = (0..10_000).map(|row| 5_000_000 + row * 7_919 % 100).collect();
        assert!(check(&small, 0..10_000) < 10_000, "seven bits each");
    }

    fn check_times(times: &[i64]) -> usize {
        let mut bytes = Vec::new();
        put_times(&mut bytes, times);
        let mut left = bytes.as_slice();
        assert_eq!(take_times(&mut left, times.len()).as_deref(), Some(times));
        assert!(left.is_empty());
        bytes.len()
    }

    #[test]
    fn a_finer_unit_costs_nothing() {
        let jitter = |row: i64| row * 60_000 + row * 7_919 % 100;
        let of_unit = |nanos: i64| check_times(&(0..10_000).map(|row| 17 + jitter(row) * nanos).collect::<Vec<_>>());
        let millis = of_unit(1);
        assert!(of_unit(1_000_000) < millis + 20, "{} bytes, {millis} without zeros", of_unit(1_000_000));
        check_times(&[]);
        check_times(&[5]);
        check_times(&[5, 5, 5]);
        check_times(&[i64::MIN + 2, -7, 0, i64::MAX - 1]);
        check_times(&[i64::MIN, i64::MIN + 2, i64::MAX - 1]);
        check_times(&[i64::MIN, i64::MIN + 2, i64::MAX - 1, i64::MAX]);
    }

    /// Numbers that look random and are the same each time (xorshift).
    fn random(seed: u64) -> impl Iterator<Item = i64> {
        std::iter::successors(Some(seed), |last| {
            let mut next = *last;
            next ^= next << 13;
            next ^= next >> 7;
            next ^= next << 17;
            Some(next)
        })
        .map(|number| number as i64)
    }

    #[test]
    fn any_numbers_survive() {
        for width in 0..64 {
            for length in [1, 2, 255, 256, 257, 700] {
                let values: Vec<i64> = random(width + 1).take(length).map(|value| value >> width).collect();
                let sums: Vec<i64> = values
                    .iter()
                    .scan(0i64, |sum, value| {
                        *sum = sum.wrapping_add(*value >> 20);
                        Some(*sum)
                    })
                    .collect();
                for (start, end) in [(0, length), (length / 2, length), (length / 3, length / 2), (length - 1, length)]
                {
                    check(&values, start..end);
                    check(&sums, start..end);
                }
            }
        }
    }

    #[test]
    fn broken_bytes_are_noticed_or_read_within_bounds() {
        for seed in 1..2_000 {
            let mut bytes: Vec<u8> = random(seed).take(200).map(|number| number as u8).collect();
            bytes[0] = (seed % 6) as u8;
            let rows = (seed * 7 % 1_000) as usize;
            let mut found = Vec::new();
            if take_numbers(&mut bytes.as_slice(), rows, 0..rows, &mut found, |value| value).is_some() {
                assert_eq!(found.len(), rows);
            }
            let (mut found, some) = (Vec::new(), (0..rows as u32).step_by(7).collect::<Vec<_>>());
            if take_numbers_at(&mut bytes.as_slice(), rows, &some, &mut found, |value| value).is_some() {
                assert_eq!(found.len(), some.len());
            }
            if let Some(times) = take_times(&mut bytes.as_slice(), rows) {
                assert_eq!(times.len(), rows);
            }
        }
        let mut bytes = Vec::new();
        put_numbers(&mut bytes, &[1, 5, 2, 9]);
        for end in 0..bytes.len() {
            assert_eq!(take_numbers(&mut &bytes[..end], 4, 0..4, &mut Vec::new(), |value| value), None, "cut at {end}");
        }
    }
}
