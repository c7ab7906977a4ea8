//! DDSketch: values counted in bins whose bounds grow by a constant factor, so that a quantile errs by at
//! most 1 % of its value. Masson, Rim, Lee: "DDSketch: a fast and fully-mergeable quantile sketch with
//! relative-error guarantees", PVLDB 12(12), 2019.
//!
//! The bin of a value depends on nothing else and counts are whole numbers, so the result is the same for
//! any batches and any order of merging. Bins are never collapsed: the range of a double has at most
//! 72,000 of them, and data of one kind fills some hundreds.

/// Largest relative error of a quantile.
pub(super) const RELATIVE_ERROR: f64 = 0.01;
const GROWTH: f64 = (1.0 + RELATIVE_ERROR) / (1.0 - RELATIVE_ERROR);
/// Values nearer to zero count as zero.
const LEAST: f64 = 1e-300;
/// Makes every bin of a positive value positive; ln(1e-300) / ln(GROWTH) is -34,537.
const OFFSET: i32 = 40_000;
/// The bins of the infinities; ln(f64::MAX) / ln(GROWTH) is 35,487.
const INFINITE: i32 = 100_000;

/// The bin of a value; bins are ordered as their values are. NaN has none.
pub(super) fn bin(value: f64) -> Option<i32> {
    if value.is_nan() {
        return None;
    }
    let size = value.abs();
    let bin = if size < LEAST {
        0
    } else if size.is_infinite() {
        INFINITE
    } else {
        (size.ln() * (1.0 / GROWTH.ln())).ceil() as i32 + OFFSET
    };
    Some(if value < 0.0 { -bin } else { bin })
}

/// What a bin stands for: the value that errs least against everything in it.
pub(super) fn value(bin: i32) -> f64 {
    let size = match bin.abs() {
        0 => return 0.0,
        INFINITE => f64::INFINITY,
        bin => {
            let power = (f64::from(bin - OFFSET) * GROWTH.ln()).exp();
            // At the end of the range the upper bound of the bin overflows before its middle does.
            (power * (2.0 / (GROWTH + 1.0))).min(f64::MAX)
        }
    };
    if bin < 0 { -size } else { size }
}

/// The value at a quantile (0 to 1) of bins in ascending order with their counts; `None` of nothing.
pub(super) fn quantile(bins: &[(i32, u64)], quantile: f64) -> Option<f64> {
    let total: u64 = bins.iter().map(|&(_, count)| count).sum();
    if total == 0 {
        return None;
    }
    let rank = (quantile * (total - 1) as f64).floor() as u64;
    let mut below = 0;
    for &(bin, count) in bins {
        below += count;
        if below > rank {
            return Some(value(bin));
        }
    }
    bins.last().map(|&(bin, _)| value(bin))
}
