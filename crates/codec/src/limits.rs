//! Bounds on what one record may cost.

/// The length of a span that has no value: `(start, NULL_SPAN)` is a tombstone, which is no row and no error.
pub const NULL_SPAN: u32 = u32::MAX;

/// Upper bound of the Arrow columns of one program, nested ones counted. Types that would need more (wide recursive ones)
/// are unrolled less deeply, see [`Limits::recursion_depth_max`].
pub const COLUMNS_MAX: usize = 16_384;

/// Bounds per record. What exceeds them is an error of that record only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How deep messages and groups may nest on the wire.
    pub depth_max: u32,
    /// Size of one record in bytes.
    pub record_bytes_max: usize,
    /// List items and map entries of one record, all fields together.
    pub elements_max: usize,
    /// How often a recursive message type is unrolled in the Arrow type; what is deeper is kept as its wire bytes.
    pub recursion_depth_max: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth_max: 100, record_bytes_max: 16 * 1024 * 1024, elements_max: 1_000_000, recursion_depth_max: 3 }
    }
}
