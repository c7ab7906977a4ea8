//! Sets of (group, value) in one table for all groups.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// Values of up to 64 bits.
#[derive(Debug, Clone, Default)]
pub(super) struct WordTable {
    table: HashTable<(u32, u64)>,
}

fn hash_word(group: u32, word: u64) -> u64 {
    // Folded multiplication (as in wyhash): both halves of the product carry into every bit.
    let product =
        u128::from(word ^ 0x9e37_79b9_7f4a_7c15).wrapping_mul(u128::from(u64::from(group) ^ 0xa076_1d64_78bd_642f));
    let folded = (product as u64) ^ ((product >> 64) as u64);
    folded.wrapping_mul(0xe703_7ed1_a0b4_28db)
}

impl WordTable {
    /// Whether the value is new to the group.
    #[inline]
    pub fn insert(&mut self, group: u32, word: u64) -> bool {
        let hash = hash_word(group, word);
        let entry = self.table.entry(hash, |&known| known == (group, word), |&(group, word)| hash_word(group, word));
        match entry {
            hashbrown::hash_table::Entry::Occupied(_) => false,
            hashbrown::hash_table::Entry::Vacant(vacant) => {
                vacant.insert((group, word));
                true
            }
        }
    }

    /// Removes the values of the groups below `first`, with their groups; the others move down by `first`.
    pub fn take_first(&mut self, first: u32) -> Vec<(u32, u64)> {
        let mut taken = Vec::new();
        for (group, word) in std::mem::take(&mut self.table) {
            match group.checked_sub(first) {
                None => taken.push((group, word)),
                Some(group) => {
                    self.insert(group, word);
                }
            }
        }
        taken
    }

    pub fn bytes(&self) -> usize {
        self.table.allocation_size()
    }
}

/// Values of any length, each copied once per group.
#[derive(Debug, Clone, Default)]
pub(super) struct BytesTable {
    table: HashTable<Slot>,
    bytes: Vec<u8>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: u64,
    start: usize,
    length: u32,
    group: u32,
}

impl BytesTable {
    pub fn hash(value: &[u8]) -> u64 {
        FixedState::default().hash_one(value)
    }

    /// Whether the value is new to the group. `hash` is [`BytesTable::hash`] of the value.
    #[inline]
    pub fn insert(&mut self, group: u32, hash: u64, value: &[u8]) -> bool {
        let hash = hash_word(group, hash);
        let bytes = &self.bytes;
        let known = |slot: &Slot| {
            slot.hash == hash && slot.group == group && bytes[slot.start..slot.start + slot.length as usize] == *value
        };
        match self.table.entry(hash, known, |slot| slot.hash) {
            hashbrown::hash_table::Entry::Occupied(_) => false,
            hashbrown::hash_table::Entry::Vacant(vacant) => {
                vacant.insert(Slot { hash, start: bytes.len(), length: value.len() as u32, group });
                self.bytes.extend_from_slice(value);
                true
            }
        }
    }

    /// Removes the values of the groups below `first` and hands them out with their groups; the others move
    /// down by `first`.
    pub fn take_first(&mut self, first: u32, mut each: impl FnMut(u32, &[u8])) {
        let before = std::mem::take(self);
        for slot in before.table {
            let value = &before.bytes[slot.start..slot.start + slot.length as usize];
            match slot.group.checked_sub(first) {
                None => each(slot.group, value),
                Some(group) => {
                    self.insert(group, Self::hash(value), value);
                }
            }
        }
    }

    pub fn bytes(&self) -> usize {
        self.table.allocation_size() + self.bytes.capacity()
    }
}
