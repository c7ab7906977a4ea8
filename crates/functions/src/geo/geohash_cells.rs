//! Geohash cells as packed keys: <https://en.wikipedia.org/wiki/Geohash>.
//!
//! Longitude and latitude are halved in turns; 5 bits are one character. The key is the bits with a
//! leading one before them, so that it carries its own length.

/// Characters; 60 bits, cells of a few centimetres.
pub(super) const LENGTH_MAX: u8 = 12;

const ALPHABET: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

/// The key of the cell that holds a point, or `None` where the point is not on the globe.
pub(super) fn key(lat: f64, lon: f64, length: u8) -> Option<u64> {
    if !(lat.abs() <= 90.0 && lon.abs() <= 180.0) {
        return None;
    }
    let bits = 5 * u32::from(length.clamp(1, LENGTH_MAX));
    let lon_bits = bits.div_ceil(2);
    let lat_bits = bits / 2;
    let lon_index = halvings(lon, 180.0, lon_bits);
    let lat_index = halvings(lat, 90.0, lat_bits);
    // The last bit belongs to longitude when the number of bits is odd, to latitude when it is even.
    let path = if bits % 2 == 1 {
        spread(lon_index) | (spread(lat_index) << 1)
    } else {
        (spread(lon_index) << 1) | spread(lat_index)
    };
    Some((1 << bits) | path)
}

/// Which of 2^bits equal parts of `-limit..=limit` holds the value; the upper limit is in the last one.
fn halvings(value: f64, limit: f64, bits: u32) -> u64 {
    let parts = (1u64 << bits) as f64;
    let width = 2.0 * limit / parts;
    let mut index = ((value + limit) / width).floor().clamp(0.0, parts - 1.0);
    // The division rounds; the edges themselves are exact numbers (at most 38 bits), so they decide.
    if value < index * width - limit {
        index -= 1.0;
    } else if index + 1.0 < parts && value >= (index + 1.0) * width - limit {
        index += 1.0;
    }
    index as u64
}

/// Puts the low 32 bits at the even positions.
fn spread(bits: u64) -> u64 {
    let mut bits = bits & 0xffff_ffff;
    bits = (bits | (bits << 16)) & 0x0000_ffff_0000_ffff;
    bits = (bits | (bits << 8)) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | (bits << 4)) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | (bits << 2)) & 0x3333_3333_3333_3333;
    (bits | (bits << 1)) & 0x5555_5555_5555_5555
}

/// Appends the characters of a key; nothing for a number that is not a key.
pub(super) fn push_text(key: u64, text: &mut Vec<u8>) {
    if key == 0 {
        return;
    }
    let bits = 63 - key.leading_zeros();
    for character in (0..bits / 5).rev() {
        text.push(ALPHABET[(key >> (5 * character)) as usize & 31]);
    }
}
