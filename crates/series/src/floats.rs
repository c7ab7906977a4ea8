//! Columns of floats: as integers times a power of ten where that is exact (the idea of ALP, Afroozeh and Boncz, 2023), with
//! the few that are not kept beside; else by their bits in the order of their values. The integers are a column of their
//! own.

use crate::varint::{put_varint, take_varint};

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

    /// What is to be known besides the integers.
    pub(crate) fn put_head(&self, out: &mut Vec<u8>) {
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
    }
}

/// How integers become floats again.
pub(crate) enum FloatsHead {
    Decimal { power: f64, exceptions: Vec<(usize, f64)> },
    OrderedBits,
}

impl FloatsHead {
    pub(crate) fn take(bytes: &mut &[u8]) -> Option<Self> {
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
                Some(Self::Decimal { power, exceptions })
            }
            ORDERED_BITS => Some(Self::OrderedBits),
            _ => None,
        }
    }

    /// The floats of some rows; `place` says where among them a row is.
    pub(crate) fn floats(&self, integers: Vec<i64>, place: impl Fn(usize) -> Option<usize>) -> Option<Vec<f64>> {
        match self {
            Self::Decimal { power, exceptions } => {
                let mut values: Vec<f64> = integers.into_iter().map(|integer| integer as f64 / power).collect();
                for (row, value) in exceptions {
                    if let Some(place) = place(*row) {
                        *values.get_mut(place)? = *value;
                    }
                }
                Some(values)
            }
            Self::OrderedBits => Some(integers.into_iter().map(from_ordered_bits).collect()),
        }
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

    /// Returns how many rows are kept beside.
    fn check(values: &[f64]) -> usize {
        let floats = Floats::new(values);
        let mut bytes = Vec::new();
        floats.put_head(&mut bytes);
        for end in 0..bytes.len() {
            assert!(FloatsHead::take(&mut &bytes[..end]).is_none(), "cut at {end}");
        }
        let head = FloatsHead::take(&mut bytes.as_slice()).expect("whole");
        for wanted in [0..values.len(), values.len() / 3..values.len() / 2] {
            let found = head.floats(floats.integers()[wanted.clone()].to_vec(), |row| {
                wanted.contains(&row).then(|| row - wanted.start)
            });
            let found = found.expect("whole");
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&found), bits(&values[wanted]));
        }
        match floats {
            Floats::Decimal { exceptions, .. } => exceptions.len(),
            Floats::OrderedBits(_) => values.len(),
        }
    }

    #[test]
    fn decimals_become_integers_and_odd_floats_survive() {
        let prices: Vec<f64> = (0..10_000).map(|row| f64::from(row * 7_919 % 5_000) / 100.0).collect();
        assert_eq!(check(&prices), 0);
        assert_eq!(Floats::new(&prices).integers().iter().max(), Some(&4_999));
        let mut odd = prices;
        odd[5] = f64::NAN;
        odd[500] = -0.0;
        odd[9_999] = f64::INFINITY;
        assert_eq!(check(&odd), 3);
        let thirds: Vec<f64> = (1..1_000).map(|row| 1.0 / f64::from(row)).collect();
        assert_eq!(check(&thirds), thirds.len());
        check(&[f64::MIN, f64::MAX, f64::MIN_POSITIVE, -f64::NAN, 1e300]);
        check(&[]);
    }

    #[test]
    fn any_bits_survive() {
        let mut bits = 1u64;
        let mut random = || {
            bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            f64::from_bits(bits)
        };
        for length in [1, 2, 255, 700] {
            check(&(0..length).map(|_| random()).collect::<Vec<_>>());
        }
    }
}
