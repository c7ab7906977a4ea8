//! The spaces of the store on disk.

use storage::Space;

/// Points one by one, as earlier versions kept them, see [`crate::migration`].
pub(crate) const POINTS: usize = 0;
/// The series dictionary, see [`crate::dictionary`].
pub(crate) const SERIES: usize = 1;
/// Measurements, see [`crate::catalog`].
pub(crate) const CATALOG: usize = 2;

/// Heads of chunks, see [`crate::chunk`].
pub(crate) const HEADS: usize = 3;
/// Chunks of points.
pub(crate) const CHUNKS: usize = 4;

pub(crate) const ALL: &[Space] = &[
    Space { name: "points", memtable_bytes: 4 * 1024 * 1024, block_bytes: 16 * 1024 },
    Space { name: "series", memtable_bytes: 8 * 1024 * 1024, block_bytes: 4 * 1024 },
    Space { name: "catalog", memtable_bytes: 4 * 1024 * 1024, block_bytes: 4 * 1024 },
    Space { name: "heads", memtable_bytes: 4 * 1024 * 1024, block_bytes: 4 * 1024 },
    Space { name: "chunks", memtable_bytes: 32 * 1024 * 1024, block_bytes: 64 * 1024 },
];
