//! Numbers as the bits that the widest of a block needs above the block's least (frame of reference).

use std::ops::Range;

/// Bits that are needed for all of a block, and its least value.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    pub least: i64,
    pub width: u32,
}

impl Frame {
    pub(crate) fn of(values: impl Iterator<Item = i64>) -> Self {
        let (mut least, mut most) = (i64::MAX, i64::MIN);
        for value in values {
            least = least.min(value);
            most = most.max(value);
        }
        if least > most {
            return Self { least: 0, width: 0 };
        }
        Self { least, width: 64 - (most.wrapping_sub(least) as u64).leading_zeros() }
    }

    /// Bytes of a block of so many.
    pub(crate) fn packed_bytes(self, count: usize) -> usize {
        (count * self.width as usize).div_ceil(8)
    }

    pub(crate) fn pack(self, out: &mut Vec<u8>, values: impl Iterator<Item = i64>) {
        if self.width == 0 {
            return;
        }
        let (mut gathered, mut bits) = (0u128, 0);
        for value in values {
            gathered |= u128::from(value.wrapping_sub(self.least) as u64) << bits;
            bits += self.width;
            if bits >= 64 {
                out.extend_from_slice(&(gathered as u64).to_le_bytes());
                gathered >>= 64;
                bits -= 64;
            }
        }
        out.extend_from_slice(&(gathered as u64).to_le_bytes()[..(bits as usize).div_ceil(8)]);
    }

    /// Some of the values of a packed block; what is missing at the end is the least.
    #[inline(always)]
    pub(crate) fn unpack(self, bytes: &[u8], wanted: Range<usize>) -> impl Iterator<Item = i64> {
        wanted.map(move |index| match self.width {
            0 => self.least,
            width => self.least.wrapping_add(bits(bytes, width, index) as i64),
        })
    }
}

#[inline(always)]
fn bits(bytes: &[u8], width: u32, index: usize) -> u64 {
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
