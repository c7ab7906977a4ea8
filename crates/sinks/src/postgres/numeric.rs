//! Numbers in the binary form of `numeric`: digits to the base of 10,000, aligned at the point.

/// Appends `value / 10^scale` with its length before it.
pub(super) fn write(value: i128, scale: i8, out: &mut Vec<u8>) {
    const NEGATIVE: u16 = 0x4000;
    const BASE: u128 = 10_000;
    // At most 10 before the point and 10 behind it, least first.
    let mut digits = [0u16; 24];
    let mut count = 0;
    let mut push = |digit: u128| {
        digits[count] = digit as u16;
        count += 1;
    };
    let scale = u32::from(scale.unsigned_abs()).min(38);
    let magnitude = value.unsigned_abs();
    let (mut whole, mut fraction) = match scale {
        0 => (magnitude, 0),
        _ => (magnitude / 10u128.pow(scale), magnitude % 10u128.pow(scale)),
    };
    let partial = scale % 4;
    if partial > 0 {
        push(fraction % 10u128.pow(partial) * 10u128.pow(4 - partial));
        fraction /= 10u128.pow(partial);
    }
    for _ in 0..scale / 4 {
        push(fraction % BASE);
        fraction /= BASE;
    }
    let fraction_digits = scale.div_ceil(4) as usize;
    while whole > 0 {
        push(whole % BASE);
        whole /= BASE;
    }
    let digits = &digits[..count];
    let first = digits.iter().rposition(|digit| *digit != 0);
    let last = digits.iter().position(|digit| *digit != 0);
    let (digits, weight) = match (last, first) {
        (Some(last), Some(first)) => (&digits[last..=first], first as i16 - fraction_digits as i16),
        _ => (&digits[..0], 0),
    };
    let sign = if value < 0 { NEGATIVE } else { 0 };
    out.extend_from_slice(&(8 + 2 * digits.len() as i32).to_be_bytes());
    out.extend_from_slice(&(digits.len() as u16).to_be_bytes());
    out.extend_from_slice(&weight.to_be_bytes());
    out.extend_from_slice(&sign.to_be_bytes());
    out.extend_from_slice(&(scale as u16).to_be_bytes());
    for digit in digits.iter().rev() {
        out.extend_from_slice(&digit.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::write;

    fn digits(value: i128, scale: i8) -> (i16, u16, u16, Vec<u16>) {
        let mut out = Vec::new();
        write(value, scale, &mut out);
        let number = |at: usize| u16::from_be_bytes([out[at], out[at + 1]]);
        let count = number(4) as usize;
        assert_eq!((out.len(), out[3] as usize), (12 + 2 * count, 8 + 2 * count));
        let digits = (0..count).map(|digit| number(12 + 2 * digit)).collect();
        (number(6) as i16, number(8), number(10), digits)
    }

    #[test]
    fn digits_are_aligned_at_the_point() {
        assert_eq!(digits(0, 0), (0, 0, 0, vec![]));
        assert_eq!(digits(0, 5), (0, 0, 5, vec![]));
        assert_eq!(digits(1, 0), (0, 0, 0, vec![1]));
        assert_eq!(digits(-10_000, 0), (1, 0x4000, 0, vec![1]));
        assert_eq!(digits(i128::from(u64::MAX), 0), (4, 0, 0, vec![1844, 6744, 737, 955, 1615]));
        // 123.45, 0.0001, 0.00001, 100000000.1
        assert_eq!(digits(12_345, 2), (0, 0, 2, vec![123, 4_500]));
        assert_eq!(digits(1, 4), (-1, 0, 4, vec![1]));
        assert_eq!(digits(1, 5), (-2, 0, 5, vec![1_000]));
        assert_eq!(digits(1_000_000_001, 1), (2, 0, 1, vec![1, 0, 0, 1_000]));
        assert_eq!(digits(i128::MIN, 38).0, 0);
        assert_eq!(digits(i128::MAX, 0).3.len(), 10);
    }
}
