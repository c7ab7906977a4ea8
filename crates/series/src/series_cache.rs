//! The series in use, in memory: tag set to number.
//!
//! Two generations: when the young one is full it becomes the old one, and the old one is forgotten. What is in use
//! moves to the young one, so nothing is scanned or counted to decide what goes.

use std::borrow::Borrow;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use hashbrown::HashMap;

struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    entries_max: usize,
}

impl<K: Hash + Eq, V: Clone> Generations<K, V> {
    fn new(entries_max: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), entries_max: entries_max.max(2) }
    }

    fn get<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.insert(key, value.clone());
        Some(value)
    }

    fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.entries_max / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        self.young.remove(key);
        self.old.remove(key);
    }
}

pub(crate) struct SeriesCache {
    /// Measurement (big-endian) and encoded tags to number.
    numbers: Mutex<Generations<Box<[u8]>, u64>>,
}

impl SeriesCache {
    pub(crate) fn new(entries_max: usize) -> Self {
        Self { numbers: Mutex::new(Generations::new(entries_max)) }
    }

    /// `measurement_and_tags`: as in the dictionary's key.
    pub(crate) fn number(&self, measurement_and_tags: &[u8]) -> Option<u64> {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).get(measurement_and_tags)
    }

    pub(crate) fn put_number(&self, measurement_and_tags: &[u8], series: u64) {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).insert(measurement_and_tags.into(), series);
    }

    pub(crate) fn forget(&self, measurement_and_tags: &[u8]) {
        self.numbers.lock().unwrap_or_else(PoisonError::into_inner).remove(measurement_and_tags);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stays_within_its_bound_and_keeps_what_is_in_use() {
        let mut cache = Generations::new(100);
        for number in 0..1_000u64 {
            cache.insert(number, number);
            assert_eq!(cache.get(&0), Some(0), "in use all the time");
        }
        assert!(cache.young.len() + cache.old.len() <= 100);
        assert_eq!(cache.get(&500), None);
        cache.remove(&0);
        assert_eq!(cache.get(&0), None);
    }
}
