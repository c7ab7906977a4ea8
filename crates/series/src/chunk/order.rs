//! Integers of a field, always in the order of the rows (time, then series): as they are; as what is above the least of
//! their series; or as the first of each series and steps from the one before of the same series. What takes the fewest
//! bits is kept.

use std::ops::Range;

use super::rows::Rows;
use crate::numbers::{numbers_bits, put_numbers, take_numbers, take_numbers_at};

const AS_THEY_ARE: u8 = 0;
const LEVELS: u8 = 1;
const STEPS: u8 = 2;

/// What is not as they are takes longer to read, so it has to save an eighth.
const SAVED_MIN: usize = 8;

/// Which series each row is of.
#[derive(Clone, Copy)]
pub(super) struct RowSeries<'a> {
    /// Where in the list of series that of each row is; `None` if all series have all times, one after the other.
    pub series: Option<&'a [u32]>,
    pub listed: usize,
}

/// Puts integers, those of rows that `present` does not have as any. `series` is `None` where it is not worth trying.
pub(super) fn put_ordered(
    out: &mut Vec<u8>,
    values: &[i64],
    present: Option<&[bool]>,
    series: Option<(&[u32], usize)>,
) {
    let as_they_are = numbers_bits(values);
    let Some((series, listed)) = series.filter(|_| as_they_are > values.len()) else {
        out.push(AS_THEY_ARE);
        return put_numbers(out, values);
    };
    let rows = || (0..values.len()).map(|row| (series[row] as usize, values[row], present.is_none_or(|has| has[row])));
    let (firsts, steps) = steps(rows(), listed);
    let (least, above) = levels(rows(), listed);
    let bits_of_steps = numbers_bits(&firsts) + numbers_bits(&steps);
    let bits_above = numbers_bits(&least) + numbers_bits(&above);
    let worth_it = |bits: usize| bits * SAVED_MIN < as_they_are * (SAVED_MIN - 1);
    if worth_it(bits_above) && bits_above <= bits_of_steps {
        out.push(LEVELS);
        put_numbers(out, &least);
        put_numbers(out, &above);
    } else if worth_it(bits_of_steps) {
        out.push(STEPS);
        put_numbers(out, &firsts);
        put_numbers(out, &steps);
    } else {
        out.push(AS_THEY_ARE);
        put_numbers(out, values);
    }
}

/// The first value of each series, and a step for each of its rows but the first.
fn steps(rows: impl Iterator<Item = (usize, i64, bool)>, listed: usize) -> (Vec<i64>, Vec<i64>) {
    let mut firsts: Vec<Option<i64>> = vec![None; listed];
    let (mut seen, mut last, mut steps) = (vec![false; listed], vec![0i64; listed], Vec::new());
    for (series, value, has) in rows {
        let first = has && firsts[series].is_none();
        if first {
            firsts[series] = Some(value);
        }
        if seen[series] {
            steps.push(if has && !first { value.wrapping_sub(last[series]) } else { 0 });
        }
        seen[series] = true;
        if has {
            last[series] = value;
        }
    }
    (firsts.into_iter().map(Option::unwrap_or_default).collect(), steps)
}

/// The least value of each series, and how much above it each row is.
fn levels(rows: impl Iterator<Item = (usize, i64, bool)> + Clone, listed: usize) -> (Vec<i64>, Vec<i64>) {
    let mut least: Vec<Option<i64>> = vec![None; listed];
    for (series, value, has) in rows.clone() {
        if has && least[series].is_none_or(|least| value < least) {
            least[series] = Some(value);
        }
    }
    let least: Vec<i64> = least.into_iter().map(Option::unwrap_or_default).collect();
    let above = rows.map(|(series, value, has)| if has { value.wrapping_sub(least[series]) } else { 0 });
    let above = above.collect();
    (least, above)
}

/// The integers of the rows `wanted` of all `rows`.
pub(super) fn take_ordered(bytes: &mut &[u8], rows: usize, wanted: &Rows, of: RowSeries<'_>) -> Option<Vec<i64>> {
    let (order, rest) = bytes.split_first()?;
    *bytes = rest;
    let mut values = Vec::new();
    if *order == AS_THEY_ARE {
        wanted.take(bytes, rows, &mut values, |value| value)?;
        return Some(values);
    }
    let mut of_series = Vec::new();
    match wanted {
        Rows::Stretch(_) => take_numbers(bytes, of.listed, 0..of.listed, &mut of_series, |value| value)?,
        Rows::Picked { places, .. } => take_numbers_at(bytes, of.listed, places, &mut of_series, |value| value)?,
    }
    match *order {
        LEVELS => {
            wanted.take(bytes, rows, &mut values, |value| value)?;
            match (wanted, of.series) {
                (Rows::Stretch(wanted), Some(series)) => {
                    for (value, series) in values.iter_mut().zip(&series[wanted.clone()]) {
                        *value = value.wrapping_add(of_series[*series as usize]);
                    }
                }
                (Rows::Stretch(_), None) => {
                    for line in values.chunks_mut(of.listed.max(1)) {
                        add(line, &of_series);
                    }
                }
                (Rows::Picked { series, before, .. }, _) => {
                    for (value, series) in values.iter_mut().zip(series.get(*before..)?) {
                        *value = value.wrapping_add(of_series[*series as usize]);
                    }
                }
            }
            Some(values)
        }
        STEPS => {
            let count = rows.checked_sub(of.listed)?;
            let mut steps = Vec::new();
            match (wanted, of.series) {
                (Rows::Stretch(wanted), Some(series)) => {
                    take_numbers(bytes, count, 0..count, &mut steps, |step| step)?;
                    along_series(&steps, wanted.clone(), series, of_series)
                }
                (Rows::Stretch(wanted), None) => {
                    let needed = wanted.end.saturating_sub(of.listed);
                    take_numbers(bytes, count, 0..needed, &mut steps, |step| step)?;
                    Some(along_grid(&steps, wanted.clone(), of_series))
                }
                (Rows::Picked { rows, before, series, .. }, _) => {
                    let places = step_places(rows, of);
                    let known: Vec<u32> = places.iter().flatten().copied().collect();
                    take_numbers_at(bytes, count, &known, &mut steps, |step| step)?;
                    along_picked(&steps, series, &places, *before, of_series)
                }
            }
        }
        _ => None,
    }
}

fn add(line: &mut [i64], more: &[i64]) {
    for (value, more) in line.iter_mut().zip(more) {
        *value = value.wrapping_add(*more);
    }
}

/// All series have all times: whole lines of a value of each.
fn along_grid(steps: &[i64], wanted: Range<usize>, mut line: Vec<i64>) -> Vec<i64> {
    let listed = line.len().max(1);
    let mut values = Vec::with_capacity(wanted.len());
    for number in 0..wanted.end / listed {
        if number > 0 {
            let steps = &steps[(number - 1) * listed..number * listed];
            add(&mut line, steps);
        }
        if number >= wanted.start / listed {
            values.extend_from_slice(&line);
        }
    }
    values
}

fn along_series(steps: &[i64], wanted: Range<usize>, series: &[u32], mut last: Vec<i64>) -> Option<Vec<i64>> {
    let (mut seen, mut steps) = (vec![false; last.len()], steps.iter());
    let mut values = Vec::with_capacity(wanted.len());
    for (row, series) in series.iter().enumerate().take(wanted.end) {
        let series = *series as usize;
        if seen[series] {
            last[series] = last[series].wrapping_add(*steps.next()?);
        }
        seen[series] = true;
        if row >= wanted.start {
            values.push(last[series]);
        }
    }
    Some(values)
}

/// Where among the steps those of some rows are; `None` is a series' first row, which has none.
fn step_places(rows: &[u32], of: RowSeries<'_>) -> Vec<Option<u32>> {
    let Some(series) = of.series else {
        return rows.iter().map(|row| row.checked_sub(of.listed as u32)).collect();
    };
    let (mut seen, mut firsts, mut next) = (vec![false; of.listed], 0, 0);
    let place = |row: &u32| {
        let row = *row as usize;
        let mut first = false;
        for series in &series[next..=row] {
            first = !std::mem::replace(&mut seen[*series as usize], true);
            firsts += usize::from(first);
        }
        next = row + 1;
        (!first).then(|| (row - firsts) as u32)
    };
    rows.iter().map(place).collect()
}

/// `series` and `places` are of each row the series it is of and where its step is; `last` is the first value of each series.
fn along_picked(
    steps: &[i64],
    series: &[u32],
    places: &[Option<u32>],
    before: usize,
    mut last: Vec<i64>,
) -> Option<Vec<i64>> {
    let (mut steps, mut values) = (steps.iter(), Vec::with_capacity(series.len().saturating_sub(before)));
    for (number, (series, place)) in series.iter().zip(places).enumerate() {
        let last = &mut last[*series as usize];
        if place.is_some() {
            *last = last.wrapping_add(*steps.next()?);
        }
        if number >= before {
            values.push(*last);
        }
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which order was chosen, and bytes.
    fn check(values: &[i64], present: Option<&[bool]>, series: &[u32], listed: usize) -> (u8, usize) {
        let mut bytes = Vec::new();
        put_ordered(&mut bytes, values, present, Some((series, listed)));
        let grid = series.iter().enumerate().all(|(row, series)| row % listed == *series as usize);
        let line = if grid { listed } else { 1 };
        for rows in [0..values.len(), 2 * line..3 * line, 3 * line..7 * line, values.len() - line..values.len()] {
            for series in [Some(series), None] {
                if series.is_none() && !grid {
                    continue;
                }
                let mut left = bytes.as_slice();
                let of = RowSeries { series, listed };
                let found = take_ordered(&mut left, values.len(), &Rows::Stretch(rows.clone()), of).expect("whole");
                assert_eq!(found.len(), rows.len());
                let check = |row: usize, found: i64| {
                    if present.is_none_or(|present| present[row]) {
                        assert_eq!(found, values[row], "row {row}");
                    }
                };
                rows.clone().zip(found).for_each(|(row, found)| check(row, found));
                // Two series.
                let of_row = |row: usize| of.series.map_or_else(|| row % listed, |series| series[row] as usize);
                let places: Vec<u32> =
                    (0..listed as u32).filter(|place| place % listed.div_ceil(2) as u32 == 1).collect();
                let place = |row: &u32| places.iter().position(|place| *place as usize == of_row(*row as usize));
                let picked: Vec<u32> = (0..rows.end as u32).filter(|row| place(row).is_some()).collect();
                let before = picked.partition_point(|row| (*row as usize) < rows.start);
                let series = picked.iter().filter_map(place).map(|place| place as u32).collect();
                let some = Rows::Picked { rows: picked.clone(), before, series, places: places.clone() };
                let found = take_ordered(&mut bytes.as_slice(), values.len(), &some, of).expect("whole");
                assert_eq!(found.len(), picked.len() - before);
                picked[before..].iter().zip(found).for_each(|(row, found)| check(*row as usize, found));
                for end in [0, 1, bytes.len() / 2, bytes.len() - 1] {
                    let all = Rows::Stretch(0..values.len());
                    assert_eq!(take_ordered(&mut &bytes[..end], values.len(), &all, of), None);
                    assert_eq!(take_ordered(&mut &bytes[..end], values.len(), &some, of), None);
                }
            }
        }
        (bytes[0], bytes.len())
    }

    fn random(row: usize) -> i64 {
        let mixed = (row as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        ((mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB) >> 32) as i64
    }

    #[test]
    fn the_order_with_the_fewest_bits_is_chosen() {
        const LISTED: usize = 1_000;
        const TIMES: usize = 20;
        let series: Vec<u32> = (0..LISTED * TIMES).map(|row| (row % LISTED) as u32).collect();
        let noise: Vec<i64> = (0..series.len()).map(|row| random(row) % 97).collect();
        assert_eq!(check(&noise, None, &series, LISTED).0, AS_THEY_ARE);
        let levels: Vec<i64> =
            noise.iter().zip(&series).map(|(value, series)| value + random(*series as usize)).collect();
        let (order, bytes) = check(&levels, None, &series, LISTED);
        assert!(order == LEVELS && bytes < series.len() + LISTED * 5, "{order}: {bytes} bytes");
        let mut last: Vec<i64> = (0..LISTED).map(random).collect();
        let walks: Vec<i64> = (0..series.len())
            .map(|row| {
                last[row % LISTED] += random(row) % 97 + 1_000;
                last[row % LISTED]
            })
            .collect();
        let (order, bytes) = check(&walks, None, &series, LISTED);
        assert!(order == STEPS && bytes < series.len() + LISTED * 5, "{order}: {bytes} bytes");
        // Not all series have all times, and not all rows a value.
        let rows: Vec<usize> = (0..series.len()).filter(|row| row % 7 > 0).collect();
        let some_series: Vec<u32> = rows.iter().map(|row| series[*row]).collect();
        let present: Vec<bool> = rows.iter().map(|row| row % 11 > 0).collect();
        for (values, expected) in [(&levels, LEVELS), (&walks, STEPS)] {
            let mut values: Vec<i64> = rows.iter().map(|row| values[*row]).collect();
            assert_eq!(check(&values, None, &some_series, LISTED).0, expected);
            values.iter_mut().zip(&present).filter(|(_, has)| !**has).for_each(|(value, _)| *value = i64::MIN);
            assert_eq!(check(&values, Some(&present), &some_series, LISTED).0, expected);
        }
        let wild: Vec<i64> = (0..series.len()).map(|row| random(row).wrapping_mul(0x1234_5678_9ABC_DEF1)).collect();
        check(&wild, None, &series, LISTED);
    }
}
