//! The series dictionary: the tag set of a series to its number and back.
//!
//! `t` measurement tags -> number; `i` measurement number -> tags. Tags are encoded as in [`crate::point::put_tag`].

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::RangeInclusive;

use storage::{Batch, Storage};

use crate::error::{read_error, storage_error};
use crate::point::take_tag;
use crate::series_cache::SeriesCache;
use crate::shape::Shape;
use crate::{SeriesError, space};

const BY_TAGS: u8 = b't';
const BY_NUMBER: u8 = b'i';

/// Looks series up, in memory first.
pub(crate) struct Dictionary<'a> {
    pub storage: &'a Storage,
    pub cache: &'a SeriesCache,
}

impl Dictionary<'_> {
    /// `key`: as made by [`tags_key`].
    pub(crate) fn number(&self, key: &[u8]) -> Result<Option<u64>, SeriesError> {
        if let Some(series) = self.cache.number(&key[1..]) {
            return Ok(Some(series));
        }
        let Some(value) = self.storage.get(space::SERIES, key).map_err(storage_error)? else { return Ok(None) };
        let series = read_number(&value)?;
        self.cache.put_number(&key[1..], series);
        Ok(Some(series))
    }

    /// Calls `each` with the number and the tags of every series of a measurement.
    pub(crate) fn for_each(&self, measurement: u32, each: impl FnMut(u64, &[u8])) -> Result<(), SeriesError> {
        self.for_each_from(measurement, 0, each)
    }

    /// The same from a number on, in the order of numbers.
    pub(crate) fn for_each_from(
        &self,
        measurement: u32,
        first: u64,
        mut each: impl FnMut(u64, &[u8]),
    ) -> Result<(), SeriesError> {
        let range = number_key(measurement, first)..=number_key(measurement, u64::MAX);
        for guard in self.storage.scan(space::SERIES, range).map_err(storage_error)? {
            let (key, tags) = guard.into_inner().map_err(|error| read_error(&error))?;
            each(read_number(key.get(5..).unwrap_or_default())?, &tags);
        }
        Ok(())
    }

    /// Which tag has the most values, for whoever has to get rid of some. Linear counting (Whang and others, 1990): a few
    /// percent off, in a fixed amount of memory.
    pub(crate) fn describe_largest_tag(&self, measurement: u32, shape: &Shape) -> Result<String, SeriesError> {
        const BITS: usize = 1 << 21;
        let hasher = RandomState::new();
        let mut seen: HashMap<u32, Vec<u64>> = HashMap::new();
        self.for_each(measurement, |_, mut tags| {
            while let Some((tag, value)) = take_tag(&mut tags) {
                let bit = hasher.hash_one(value) as usize % BITS;
                seen.entry(tag).or_insert_with(|| vec![0; BITS / 64])[bit / 64] |= 1 << (bit % 64);
            }
        })?;
        let largest = seen
            .iter()
            .map(|(tag, bits)| {
                let zeros: u64 = bits.iter().map(|word| u64::from(word.count_zeros())).sum();
                let zero_share = zeros.max(1) as f64 / BITS as f64;
                ((-(BITS as f64) * zero_share.ln()).round() as u64, *tag)
            })
            .max();
        Ok(match largest {
            Some((values, tag)) => {
                let name = shape.tags.get(tag as usize).map_or("?", String::as_str);
                format!("tag `{name}` has the most values, about {values}")
            }
            None => "it has no tags".to_owned(),
        })
    }
}

/// Starts `key` as the dictionary's key of a tag set; the encoded tags follow.
pub(crate) fn start_tags_key(key: &mut Vec<u8>, measurement: u32) {
    key.clear();
    key.push(BY_TAGS);
    key.extend_from_slice(&measurement.to_be_bytes());
}

/// Bytes of a dictionary key before the tags.
const TAGS_KEY_HEAD_BYTES: usize = 5;

fn number_key(measurement: u32, series: u64) -> [u8; 13] {
    let mut key = [BY_NUMBER; 13];
    key[1..5].copy_from_slice(&measurement.to_be_bytes());
    key[5..].copy_from_slice(&series.to_be_bytes());
    key
}

/// The keys of a measurement's series by number; the values are their tags.
pub(crate) fn number_range(measurement: u32) -> RangeInclusive<[u8; 13]> {
    number_key(measurement, 0)..=number_key(measurement, u64::MAX)
}

fn read_number(bytes: &[u8]) -> Result<u64, SeriesError> {
    let number = bytes.try_into().map(u64::from_be_bytes);
    number.map_err(|_| SeriesError::Corrupt {
        what: "the series dictionary",
        reason: "a number is not 8 bytes long".into(),
    })
}

pub(crate) fn put_series(batch: &mut Batch<'_>, measurement: u32, series: u64, tags_key: &[u8]) {
    batch.put(space::SERIES, tags_key, &series.to_be_bytes());
    batch.put(space::SERIES, &number_key(measurement, series), &tags_key[TAGS_KEY_HEAD_BYTES..]);
}

pub(crate) fn delete_series(batch: &mut Batch<'_>, measurement: u32, series: u64, tags_key: &[u8]) {
    batch.delete(space::SERIES, tags_key);
    batch.delete(space::SERIES, &number_key(measurement, series));
}

/// The two stretches of keys that one measurement has in the dictionary: first and first after.
pub(crate) fn measurement_ranges(measurement: u32) -> [(Vec<u8>, Vec<u8>); 2] {
    [BY_TAGS, BY_NUMBER].map(|kind| {
        let prefix = |measurement: u32| [&[kind][..], &measurement.to_be_bytes()].concat();
        let end = measurement.checked_add(1).map_or_else(|| vec![kind + 1], prefix);
        (prefix(measurement), end)
    })
}
