//! Columns of numbers as few bytes that are read fast, any stretch of them without the rest.
//!
//! Integers: a constant; a line (equal steps, such as regular times); or blocks of 256, each with the bits that its widest
//! value needs above the block's least (frame of reference), of the values themselves or of their differences, whichever
//! is smaller. Floats: as integers times a power of ten where that is exact (the idea of ALP, Afroozeh and Boncz, 2023),
//! with the few that are not kept beside; else by their bits in the order of their values.
//!
//! How many numbers there are is known to whoever reads them. Readers return `None` for bytes that are no such column.

use std::ops::Range;

use crate::varint::{put_varint, take_varint, unzigzag, zigzag};

const BLOCK: usize = 256;

const CONSTANT: u8 = 0;
const LINE: u8 = 1;
const PLAIN: u8 = 2;
const DIFFERENCES: u8 = 3;

const DECIMAL: u8 = 0;
const ORDERED_BITS: u8 = 1;

/// Ten to this power is the finest decimal that is tried.
const DECIMALS_MAX: usize = 15;
const POWERS_OF_TEN: [f64; DECIMALS_MAX + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15];
/// Adding and taking it off again rounds a float to an integer.
const ROUNDING: f64 = 6_755_399_441_055_744.0;
/// Integers up to here are exact while they are rounded that way.
const ROUNDED_MAX: f64 = 2_251_799_813_685_248.0;
const FLOATS_SAMPLED: usize = 256;

/// Bits that are needed for all of a block, and its least value.
#[derive(Clone, Copy)]
struct Frame {
    least: i64,
    width: u32,
}

fn frame(values: impl Iterator<Item = i64>) -> Frame {
    let (mut least, mut most) = (i64::MAX, i64::MIN);
    for value in values {
        least = least.min(value);
        most = most.max(value);
    }
    if least > most {
        return Frame { least: 0, width: 0 };
    }
    Frame { least, width: 64 - (most.wrapping_sub(least) as u64).leading_zeros() }
}

fn differences(block: &[i64]) -> impl Iterator<Item = i64> {
    block.windows(2).map(|pair| pair[1].wrapping_sub(pair[0]))
}

/// Bits that a column takes, heads of blocks included, in each of the two ways.
fn bits_plain(values: &[i64]) -> usize {
    values.chunks(BLOCK).map(|block| 40 + frame(block.iter().copied()).width as usize * block.len()).sum()
}

fn bits_of_differences(values: &[i64]) -> usize {
    values.chunks(BLOCK).map(|block| 72 + frame(differences(block)).width as usize * block.len()).sum()
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
        .map(|block| if plain { frame(block.iter().copied()) } else { frame(differences(block)) })
        .collect();
    for (block, frame) in values.chunks(BLOCK).zip(&frames) {
        out.push(frame.width as u8);
        put_varint(out, zigzag(frame.least));
        if !plain {
            put_varint(out, zigzag(block.first().copied().unwrap_or(0)));
        }
    }
    for (block, frame) in values.chunks(BLOCK).zip(&frames) {
        let above = |value: i64| value.wrapping_sub(frame.least) as u64;
        if plain {
            pack(out, frame.width, block.iter().map(|value| above(*value)));
        } else {
            pack(out, frame.width, differences(block).map(above));
        }
    }
}

fn pack(out: &mut Vec<u8>, width: u32, values: impl Iterator<Item = u64>) {
    if width == 0 {
        return;
    }
    let (mut gathered, mut bits) = (0u128, 0);
    for value in values {
        gathered |= u128::from(value) << bits;
        bits += width;
        if bits >= 64 {
            out.extend_from_slice(&(gathered as u64).to_le_bytes());
            gathered >>= 64;
            bits -= 64;
        }
    }
    out.extend_from_slice(&(gathered as u64).to_le_bytes()[..(bits as usize).div_ceil(8)]);
}

/// Number `index` of what [`pack`] has put into `bytes`; what is missing at the end is zero.
#[inline(always)]
fn unpack(bytes: &[u8], width: u32, index: usize) -> u64 {
    let bit = index * width as usize;
    let (byte, shift) = (bit / 8, bit % 8);
    if width <= 56
        && let Some(word) = bytes.get(byte..byte + 8)
    {
        let word = u64::from_le_bytes([word[0], word[1], word[2], word[3], word[4], word[5], word[6], word[7]]);
        return (word >> shift) & ((1 << width) - 1);
    }
    let mut word = [0; 16];
    let rest = bytes.get(byte..).unwrap_or_default();
    let length = rest.len().min(16);
    word[..length].copy_from_slice(&rest[..length]);
    (u128::from_le_bytes(word) >> shift) as u64 & (u64::MAX >> (64 - width))
}

fn packed_bytes(count: usize, width: u32) -> usize {
    (count * width as usize).div_ceil(8)
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
            let mut blocks = Vec::with_capacity(rows.div_ceil(BLOCK).min(bytes.len()));
            for _ in 0..rows.div_ceil(BLOCK) {
                let (width, rest) = bytes.split_first()?;
                *bytes = rest;
                let frame = Frame { width: u32::from(*width), least: unzigzag(take_varint(bytes)?) };
                if frame.width > 64 {
                    return None;
                }
                blocks.push((frame, if plain { 0 } else { unzigzag(take_varint(bytes)?) }));
            }
            for (number, (frame, first)) in blocks.into_iter().enumerate() {
                let start = number * BLOCK;
                let length = BLOCK.min(rows - start);
                let size = packed_bytes(if plain { length } else { length - 1 }, frame.width);
                if size > bytes.len() {
                    return None;
                }
                let from = wanted.start.clamp(start, start + length) - start;
                let until = wanted.end.clamp(start, start + length) - start;
                if from < until {
                    if plain {
                        take_plain(bytes, frame, from..until, out, &convert);
                    } else {
                        take_differences(bytes, frame, first, from..until, out, &convert);
                    }
                }
                *bytes = &bytes[size..];
            }
        }
        _ => return None,
    }
    Some(())
}

fn take_plain<T>(bytes: &[u8], frame: Frame, wanted: Range<usize>, out: &mut Vec<T>, convert: &impl Fn(i64) -> T) {
    let Frame { least, width } = frame;
    if width == 0 {
        out.extend(wanted.map(|_| convert(least)));
    } else {
        out.extend(wanted.map(|index| convert(least.wrapping_add(unpack(bytes, width, index) as i64))));
    }
}

fn take_differences<T>(
    bytes: &[u8],
    frame: Frame,
    first: i64,
    wanted: Range<usize>,
    out: &mut Vec<T>,
    convert: &impl Fn(i64) -> T,
) {
    let step = |index: usize| {
        let above = if frame.width == 0 { 0 } else { unpack(bytes, frame.width, index) as i64 };
        frame.least.wrapping_add(above)
    };
    let mut value = first;
    for index in 0..wanted.start {
        value = value.wrapping_add(step(index));
    }
    out.push(convert(value));
    for index in wanted.start..wanted.end - 1 {
        value = value.wrapping_add(step(index));
        out.push(convert(value));
    }
}

/// A float as an integer times ten to the power of minus `decimals`; `None` if that is not exact.
#[inline(always)]
fn decimal(value: f64, decimals: usize) -> Option<i64> {
    let scaled = value * POWERS_OF_TEN[decimals];
    let rounded = (scaled + ROUNDING) - ROUNDING;
    let exact = rounded.abs() < ROUNDED_MAX && (rounded / POWERS_OF_TEN[decimals]).to_bits() == value.to_bits();
    exact.then_some(rounded as i64)
}

/// Whether a number of decimals is exact for nearly all values, judged by some of them.
fn fits(values: &[f64], decimals: usize) -> bool {
    let step = values.len().div_ceil(FLOATS_SAMPLED).max(1);
    let sampled = values.len().div_ceil(step);
    let odd = values.iter().step_by(step).filter(|value| decimal(**value, decimals).is_none()).count();
    odd * 16 <= sampled
}

/// Floats brought to integers, and how.
pub(crate) enum Floats {
    Decimal { decimals: usize, integers: Vec<i64>, exceptions: Vec<(usize, u64)> },
    OrderedBits(Vec<i64>),
}

impl Floats {
    pub(crate) fn new(values: &[f64]) -> Self {
        for decimals in (0..=DECIMALS_MAX).filter(|decimals| fits(values, *decimals)) {
            let (mut integers, mut exceptions) = (Vec::with_capacity(values.len()), Vec::new());
            let mut last = 0;
            for (row, value) in values.iter().enumerate() {
                match decimal(*value, decimals) {
                    Some(integer) => last = integer,
                    None => exceptions.push((row, value.to_bits())),
                }
                integers.push(last);
                if exceptions.len() * 8 > values.len() {
                    break;
                }
            }
            if exceptions.len() * 8 <= values.len() {
                return Self::Decimal { decimals, integers, exceptions };
            }
        }
        Self::OrderedBits(values.iter().map(|value| ordered_bits(*value)).collect())
    }

    pub(crate) fn integers(&self) -> &[i64] {
        match self {
            Self::Decimal { integers, .. } | Self::OrderedBits(integers) => integers,
        }
    }

    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Decimal { decimals, exceptions, .. } => {
                out.extend_from_slice(&[DECIMAL, *decimals as u8]);
                put_varint(out, exceptions.len() as u64);
                for (row, bits) in exceptions {
                    put_varint(out, *row as u64);
                    out.extend_from_slice(&bits.to_le_bytes());
                }
            }
            Self::OrderedBits(_) => out.push(ORDERED_BITS),
        }
        put_numbers(out, self.integers());
    }
}

pub(crate) fn take_floats(bytes: &mut &[u8], rows: usize, wanted: Range<usize>, out: &mut Vec<f64>) -> Option<()> {
    let (kind, rest) = bytes.split_first()?;
    *bytes = rest;
    match *kind {
        DECIMAL => {
            let (decimals, rest) = bytes.split_first()?;
            *bytes = rest;
            let power = *POWERS_OF_TEN.get(usize::from(*decimals))?;
            let mut exceptions = Vec::new();
            for _ in 0..take_varint(bytes)? {
                let row = usize::try_from(take_varint(bytes)?).ok()?;
                let (bits, rest) = bytes.split_first_chunk::<8>()?;
                *bytes = rest;
                exceptions.push((row, f64::from_le_bytes(*bits)));
            }
            let start = out.len();
            take_numbers(bytes, rows, wanted.clone(), out, |integer| integer as f64 / power)?;
            for (row, value) in exceptions {
                if wanted.contains(&row) {
                    *out.get_mut(start + row - wanted.start)? = value;
                }
            }
            Some(())
        }
        ORDERED_BITS => take_numbers(bytes, rows, wanted, out, from_ordered_bits),
        _ => None,
    }
}

/// Bits whose order as integers is the order of the floats.
fn ordered_bits(value: f64) -> i64 {
    let bits = value.to_bits() as i64;
    bits ^ (((bits >> 63) as u64) >> 1) as i64
}

fn from_ordered_bits(ordered: i64) -> f64 {
    f64::from_bits((ordered ^ (((ordered >> 63) as u64) >> 1) as i64) as u64)
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
        assert_eq!(found, &values[wanted]);
        assert_eq!(left, b"rest");
        size
    }

    fn check_floats(values: &[f64]) -> usize {
        let mut bytes = Vec::new();
        Floats::new(values).put(&mut bytes);
        for wanted in [0..values.len(), values.len() / 3..values.len() / 2] {
            let mut found = Vec::new();
            take_floats(&mut bytes.as_slice(), values.len(), wanted.clone(), &mut found).expect("whole");
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&found), bits(&values[wanted]));
        }
        bytes.len()
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

    #[test]
    fn decimals_are_small_and_odd_floats_survive() {
        let prices: Vec<f64> = (0..10_000).map(|row| f64::from(row * 7_919 % 5_000) / 100.0).collect();
        assert!(check_floats(&prices) < 17_500, "13 bits each");
        let mut odd = prices;
        odd[5] = f64::NAN;
        odd[500] = -0.0;
        odd[9_999] = f64::INFINITY;
        assert!(check_floats(&odd) < 17_600);
        check_floats(&(1..1_000).map(|row| 1.0 / f64::from(row)).collect::<Vec<_>>());
        check_floats(&[f64::MIN, f64::MAX, f64::MIN_POSITIVE, -f64::NAN, 1e300]);
        check_floats(&[]);
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
                check_floats(&values.iter().map(|value| f64::from_bits(*value as u64)).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn broken_bytes_are_noticed_or_read_within_bounds() {
        for seed in 1..2_000 {
            let mut bytes: Vec<u8> = random(seed).take(200).map(|number| number as u8).collect();
            bytes[0] = (seed % 5) as u8;
            let rows = (seed * 7 % 1_000) as usize;
            let mut found = Vec::new();
            if take_numbers(&mut bytes.as_slice(), rows, 0..rows, &mut found, |value| value).is_some() {
                assert_eq!(found.len(), rows);
            }
            let mut floats = Vec::new();
            if take_floats(&mut bytes.as_slice(), rows, 0..rows, &mut floats).is_some() {
                assert_eq!(floats.len(), rows);
            }
        }
        let mut bytes = Vec::new();
        put_numbers(&mut bytes, &[1, 5, 2, 9]);
        for end in 0..bytes.len() {
            assert_eq!(take_numbers(&mut &bytes[..end], 4, 0..4, &mut Vec::new(), |value| value), None, "cut at {end}");
        }
    }
}
