//! Where decoded values are kept until the batch is finished: one typed vector per column.
//!
//! Columns belong to a *domain*: the records, or the items of one list. All columns of a domain are as long as it has room
//! and hold their default, so that a value is written in place, the last one wins by itself, and nothing is done for absent
//! fields. Only the last row of a domain is ever written.

use crate::program::Program;

/// A column in its typed vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColumnRef {
    I32(u16),
    I64(u16),
    F32(u16),
    F64(u16),
    I128(u16),
    View(u16),
    Bits(u16),
    Bytes(u16),
    List(u16),
    /// Not a column: what was last read of a timestamp.
    Stamp(u16),
}

#[derive(Debug)]
pub(crate) struct Fixed<T> {
    pub values: Vec<T>,
}

/// A bitmap, one bit a row: booleans, and which rows are set.
#[derive(Debug, Default)]
pub(crate) struct Bits {
    pub bytes: Vec<u8>,
}

impl Bits {
    #[inline(always)]
    pub(crate) fn set(&mut self, row: usize) {
        self.bytes[row >> 3] |= 1 << (row & 7);
    }

    #[inline(always)]
    pub(crate) fn put(&mut self, row: usize, value: bool) {
        let byte = &mut self.bytes[row >> 3];
        *byte = *byte & !(1 << (row & 7)) | u8::from(value) << (row & 7);
    }

    pub(crate) fn get(&self, row: usize) -> bool {
        self.bytes[row >> 3] >> (row & 7) & 1 == 1
    }
}

/// Bytes of any length per row. Rows that were not touched have no offset yet; they are empty.
#[derive(Debug, Default)]
pub(crate) struct ByteColumn {
    pub offsets: Vec<i32>,
    pub data: Vec<u8>,
}

impl ByteColumn {
    /// Appends to the value of the last row; false when the column is full.
    pub(crate) fn append(&mut self, row: usize, bytes: &[u8]) -> bool {
        if self.data.len() + bytes.len() > i32::MAX as usize {
            return false;
        }
        self.touch(row);
        self.data.extend_from_slice(bytes);
        true
    }

    pub(crate) fn touch(&mut self, row: usize) {
        if self.offsets.len() <= row {
            self.offsets.resize(row + 1, self.data.len() as i32);
        }
    }

    fn truncate(&mut self, rows: usize) {
        if self.offsets.len() > rows {
            self.data.truncate(self.offsets[rows] as usize);
            self.offsets.truncate(rows);
        }
    }
}

/// First item of every touched row; the items are the rows of another domain.
#[derive(Debug, Default)]
pub(crate) struct ListColumn {
    pub offsets: Vec<i32>,
}

/// The last timestamp that was read into a column, to merge a second occurrence in the same row into it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    pub row: usize,
    pub seconds: i64,
    pub nanos: i32,
}

impl Stamp {
    pub(crate) const NEVER: Stamp = Stamp { row: usize::MAX, seconds: 0, nanos: 0 };
}

#[derive(Debug, Default)]
pub(crate) struct Domain {
    pub rows: usize,
    pub room: usize,
    /// Rows of the previous batch, as a guess for the next one.
    room_before: usize,
}

/// All columns of a decoder.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    pub i32s: Vec<Fixed<i32>>,
    pub i64s: Vec<Fixed<i64>>,
    pub f32s: Vec<Fixed<f32>>,
    pub f64s: Vec<Fixed<f64>>,
    pub i128s: Vec<Fixed<i128>>,
    pub views: Vec<Fixed<u128>>,
    pub bits: Vec<Bits>,
    pub bytes: Vec<ByteColumn>,
    pub lists: Vec<ListColumn>,
    pub stamps: Vec<Stamp>,
    pub domains: Vec<Domain>,
}

fn fixed<T>(count: usize) -> Vec<Fixed<T>> {
    (0..count).map(|_| Fixed { values: Vec::new() }).collect()
}

impl Columns {
    pub(crate) fn new(program: &Program) -> Self {
        let defaults = &program.defaults;
        Self {
            i32s: fixed(defaults.i32s.len()),
            i64s: fixed(defaults.i64s.len()),
            f32s: fixed(defaults.f32s.len()),
            f64s: fixed(defaults.f64s.len()),
            i128s: fixed(defaults.i128s.len()),
            views: fixed(defaults.views.len()),
            bits: (0..defaults.bits.len()).map(|_| Bits::default()).collect(),
            bytes: (0..defaults.bytes).map(|_| ByteColumn::default()).collect(),
            lists: (0..program.lists.len()).map(|_| ListColumn::default()).collect(),
            stamps: vec![Stamp::NEVER; program.stamps.len()],
            domains: (0..program.domains.len()).map(|_| Domain::default()).collect(),
        }
    }

    /// Prepares for a batch of at most `records` rows; all columns are empty (new, or taken by the last batch).
    pub(crate) fn begin(&mut self, program: &Program, records: usize) {
        for index in 0..self.domains.len() {
            let domain = &mut self.domains[index];
            domain.rows = 0;
            let room = if index == 0 { records } else { domain.room_before };
            self.set_room(program, index, room);
        }
    }

    fn set_room(&mut self, program: &Program, domain: usize, room: usize) {
        self.domains[domain].room = room;
        for column in &program.domains[domain] {
            resize(self, program, *column, room);
        }
    }

    /// Opens a row at the end of a domain other than the records.
    #[inline(always)]
    pub(crate) fn open_row(&mut self, program: &Program, domain: u16) -> usize {
        let at = domain as usize;
        let row = self.domains[at].rows;
        if row == self.domains[at].room {
            self.grow(program, at);
        }
        self.domains[at].rows = row + 1;
        row
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, program: &Program, domain: usize) {
        let room = (self.domains[domain].room * 2).max(16);
        self.set_room(program, domain, room);
    }

    /// Takes rows from the end of a domain: as if they had never been opened.
    #[cold]
    #[inline(never)]
    pub(crate) fn truncate(&mut self, program: &Program, domain: u16, rows: usize) {
        let opened = self.domains[domain as usize].rows;
        for column in &program.domains[domain as usize] {
            self.reset(program, *column, rows, opened);
        }
        self.domains[domain as usize].rows = rows;
    }

    /// Gives the rows from `from` up to `to`, which are the last ones of their domain, their defaults again.
    pub(crate) fn reset(&mut self, program: &Program, column: ColumnRef, from: usize, to: usize) {
        let defaults = &program.defaults;
        match column {
            ColumnRef::I32(slot) => self.i32s[slot as usize].values[from..to].fill(defaults.i32s[slot as usize]),
            ColumnRef::I64(slot) => self.i64s[slot as usize].values[from..to].fill(defaults.i64s[slot as usize]),
            ColumnRef::F32(slot) => self.f32s[slot as usize].values[from..to].fill(defaults.f32s[slot as usize]),
            ColumnRef::F64(slot) => self.f64s[slot as usize].values[from..to].fill(defaults.f64s[slot as usize]),
            ColumnRef::I128(slot) => self.i128s[slot as usize].values[from..to].fill(defaults.i128s[slot as usize]),
            ColumnRef::View(slot) => {
                self.views[slot as usize].values[from..to].fill(defaults.views[slot as usize].view)
            }
            ColumnRef::Bits(slot) => {
                let value = defaults.bits[slot as usize];
                (from..to).for_each(|row| self.bits[slot as usize].put(row, value));
            }
            ColumnRef::Bytes(slot) => self.bytes[slot as usize].truncate(from),
            ColumnRef::List(slot) => self.truncate_list(program, slot, from),
            ColumnRef::Stamp(slot) => self.stamps[slot as usize] = Stamp::NEVER,
        }
    }

    fn truncate_list(&mut self, program: &Program, list: u16, rows: usize) {
        let offsets = &mut self.lists[list as usize].offsets;
        if offsets.len() > rows {
            let items = offsets[rows] as usize;
            offsets.truncate(rows);
            self.truncate(program, program.lists[list as usize].domain, items);
        }
    }

    /// Opens an item of a list in its last row `row`; the item's row.
    #[inline(always)]
    pub(crate) fn open_item(&mut self, program: &Program, list: u16, row: usize) -> usize {
        let domain = program.lists[list as usize].domain;
        let item = self.open_row(program, domain);
        let offsets = &mut self.lists[list as usize].offsets;
        if offsets.len() <= row {
            offsets.resize(row + 1, item as i32);
        }
        item
    }

    /// The columns are empty again, their vectors went into the batch.
    pub(crate) fn end(&mut self) {
        self.stamps.fill(Stamp::NEVER);
        // The batch has copies of the bitmaps of presence.
        self.bits.iter_mut().for_each(|bits| bits.bytes.clear());
        for domain in &mut self.domains {
            // Half of a rare peak is let go with every batch.
            domain.room_before = domain.rows.max(domain.room_before / 2);
        }
    }
}

fn resize(columns: &mut Columns, program: &Program, column: ColumnRef, room: usize) {
    let defaults = &program.defaults;
    match column {
        ColumnRef::I32(slot) => fill(&mut columns.i32s[slot as usize].values, room, defaults.i32s[slot as usize]),
        ColumnRef::I64(slot) => fill(&mut columns.i64s[slot as usize].values, room, defaults.i64s[slot as usize]),
        ColumnRef::F32(slot) => fill(&mut columns.f32s[slot as usize].values, room, defaults.f32s[slot as usize]),
        ColumnRef::F64(slot) => fill(&mut columns.f64s[slot as usize].values, room, defaults.f64s[slot as usize]),
        ColumnRef::I128(slot) => fill(&mut columns.i128s[slot as usize].values, room, defaults.i128s[slot as usize]),
        ColumnRef::View(slot) => {
            fill(&mut columns.views[slot as usize].values, room, defaults.views[slot as usize].view)
        }
        ColumnRef::Bits(slot) => {
            let byte = if defaults.bits[slot as usize] { 0xff } else { 0 };
            fill(&mut columns.bits[slot as usize].bytes, room.div_ceil(8), byte);
        }
        ColumnRef::Bytes(_) | ColumnRef::List(_) | ColumnRef::Stamp(_) => {}
    }
}

fn fill<T: Clone>(values: &mut Vec<T>, room: usize, default: T) {
    if values.is_empty() {
        // A vector of zeros comes zeroed from the system.
        *values = vec![default; room];
    } else {
        values.resize(room, default);
    }
}
