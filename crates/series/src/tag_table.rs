//! The tags of all series of a measurement in memory, column by column: conditions and groups are judged by values, of
//! which there are few, and not by points.
//!
//! Made of the series dictionary when it is first needed, and kept while there is room. Series are told by their position
//! in the order of their numbers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hashbrown::HashMap;

use crate::SeriesError;
use crate::dictionary::Dictionary;
use crate::point::take_tag;
use crate::tag_condition::TagCondition;

/// Bytes of the tables that are kept, of all measurements together.
const KEPT_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Series are looked for by so many values of a tag; by more, all are judged.
const NAMED_VALUES_MAX: usize = 16;

/// One tag.
#[derive(Clone, Default)]
struct TagColumn {
    values: Vec<Box<str>>,
    numbers: HashMap<Box<str>, u32>,
    /// Of each series, 0 if it has no such tag, else the value's index plus one; what is missing at the end is 0.
    of_series: Vec<u32>,
}

impl TagColumn {
    fn of(&self, position: u32) -> u32 {
        self.of_series.get(position as usize).copied().unwrap_or(0)
    }

    fn value(&self, number: u32) -> Option<&str> {
        self.values.get((number as usize).checked_sub(1)?).map(AsRef::as_ref)
    }
}

#[derive(Clone, Default)]
pub(crate) struct TagTable {
    /// The numbers of the series, ascending.
    series: Vec<u64>,
    /// By the tags' numbers.
    tags: Vec<TagColumn>,
    bytes: usize,
}

/// A table that is kept; whoever drops it gives its bytes back.
pub(crate) struct KeptTable {
    table: Arc<TagTable>,
    bytes: usize,
    used: Arc<AtomicUsize>,
}

impl Drop for KeptTable {
    fn drop(&mut self) {
        self.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The table of a measurement with all series below `end`. What is kept is brought up to date.
pub(crate) fn up_to_date(
    kept: &mut Option<KeptTable>,
    dictionary: &Dictionary<'_>,
    measurement: u32,
    end: u64,
    used: &Arc<AtomicUsize>,
) -> Result<Arc<TagTable>, SeriesError> {
    let mut table = match kept.take() {
        Some(found) if found.table.end() >= end => {
            let table = found.table.clone();
            *kept = Some(found);
            return Ok(table);
        }
        Some(found) => found.table.clone(),
        None => Arc::default(),
    };
    let known_until = table.end();
    let growing = Arc::make_mut(&mut table);
    dictionary.for_each_from(measurement, known_until, |series, tags| growing.push(series, tags))?;
    let bytes = table.bytes;
    if used.fetch_add(bytes, Ordering::Relaxed) + bytes <= KEPT_BYTES_MAX {
        *kept = Some(KeptTable { table: table.clone(), bytes, used: used.clone() });
    } else {
        used.fetch_sub(bytes, Ordering::Relaxed);
    }
    Ok(table)
}

impl TagTable {
    /// One more than the last series there is.
    fn end(&self) -> u64 {
        self.series.last().map_or(0, |last| last + 1)
    }

    fn push(&mut self, series: u64, mut tags: &[u8]) {
        let position = self.series.len();
        self.series.push(series);
        self.bytes += size_of::<u64>();
        while let Some((tag, value)) = take_tag(&mut tags) {
            if self.tags.len() <= tag as usize {
                self.tags.resize_with(tag as usize + 1, TagColumn::default);
            }
            let column = &mut self.tags[tag as usize];
            let number = match column.numbers.get(value) {
                Some(number) => *number,
                None => {
                    column.values.push(value.into());
                    let number = column.values.len() as u32;
                    column.numbers.insert(value.into(), number);
                    self.bytes += 2 * (value.len() + 32);
                    number
                }
            };
            self.bytes += (position + 1 - column.of_series.len()) * size_of::<u32>();
            column.of_series.resize(position + 1, 0);
            column.of_series[position] = number;
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.series.len()
    }

    /// Where each of some series is, which are in ascending order; `None` for one that there is not (any more).
    pub(crate) fn positions(&self, series: &[u64]) -> Vec<Option<u32>> {
        let mut next = 0;
        let position = |number: &u64| {
            // They are neighbours as a rule.
            if self.series.get(next).is_none_or(|found| found < number) {
                next += self.series[next.min(self.len())..].partition_point(|found| found < number);
            }
            let found = self.series.get(next) == Some(number);
            let position = found.then_some(next as u32);
            next += usize::from(found);
            position
        };
        series.iter().map(position).collect()
    }

    pub(crate) fn value(&self, position: u32, tag: u32) -> Option<&str> {
        let column = self.tags.get(tag as usize)?;
        column.value(column.of(position))
    }

    /// The distinct values of a tag, sorted.
    pub(crate) fn values(&self, tag: u32) -> Vec<String> {
        let values = self.tags.get(tag as usize).map_or(&[][..], |column| &column.values);
        let mut values: Vec<String> = values.iter().map(|value| value.to_string()).collect();
        values.sort_unstable();
        values
    }

    /// Which series all conditions hold for, by position.
    pub(crate) fn judge(&self, conditions: &[TagCondition]) -> Vec<bool> {
        let mut wanted = vec![true; self.len()];
        for condition in conditions {
            let absent = condition.holds_for(None);
            let Some(column) = self.tags.get(condition.tag as usize) else {
                wanted.iter_mut().for_each(|wanted| *wanted &= absent);
                continue;
            };
            let verdicts: Vec<bool> = std::iter::once(absent)
                .chain(column.values.iter().map(|value| condition.holds_for(Some(value))))
                .collect();
            for (position, wanted) in wanted.iter_mut().enumerate() {
                *wanted &= verdicts[column.of(position as u32) as usize];
            }
        }
        wanted
    }

    pub(crate) fn number(&self, position: u32) -> u64 {
        self.series.get(position as usize).copied().unwrap_or(u64::MAX)
    }

    /// The positions of the series that all conditions hold for. Where one of them names few values, only the series with
    /// these are judged by the others.
    pub(crate) fn wanted(&self, conditions: &[TagCondition]) -> Vec<u32> {
        let named = conditions.iter().filter_map(|condition| Some((condition, condition.one_of()?)));
        let fewest =
            named.min_by_key(|(_, values)| values.len()).filter(|(_, values)| values.len() <= NAMED_VALUES_MAX);
        let Some((named, values)) = fewest else {
            let judged = (0u32..).zip(self.judge(conditions));
            return judged.filter(|(_, wanted)| *wanted).map(|(position, _)| position).collect();
        };
        let Some(column) = self.tags.get(named.tag as usize) else { return Vec::new() };
        let numbers: Vec<u32> = values.iter().filter_map(|value| column.numbers.get(value.as_str()).copied()).collect();
        let with_value = (0u32..).zip(&column.of_series).filter(|(_, number)| numbers.contains(number));
        let others: Vec<&TagCondition> = conditions.iter().filter(|other| !std::ptr::eq(*other, named)).collect();
        let holds = |position: &u32| others.iter().all(|other| other.holds_for(self.value(*position, other.tag)));
        with_value.map(|(position, _)| position).filter(holds).collect()
    }

    /// The group of each of some series by the values of some tags; and the series that each group began with. Series are
    /// told by their positions.
    pub(crate) fn group(&self, tags: &[u32], positions: &[u32]) -> (Vec<u32>, Vec<u32>) {
        let mut groups = vec![0; positions.len()];
        let mut first: Vec<u32> = positions.first().copied().into_iter().collect();
        for tag in tags {
            // Each tag splits the groups there are.
            let column = self.tags.get(*tag as usize);
            let mut split: HashMap<(u32, u32), u32> = HashMap::new();
            first.clear();
            for (position, group) in positions.iter().zip(&mut groups) {
                let value = column.map_or(0, |column| column.of(*position));
                *group = *split.entry((*group, value)).or_insert_with(|| {
                    first.push(*position);
                    first.len() as u32 - 1
                });
            }
        }
        (groups, first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TagTest;
    use crate::point::put_tag;

    fn table(series: &[(u64, &[(u32, &str)])]) -> TagTable {
        let mut table = TagTable::default();
        for (number, tags) in series {
            let mut encoded = Vec::new();
            tags.iter().for_each(|(tag, value)| put_tag(&mut encoded, *tag, value));
            table.push(*number, &encoded);
        }
        table
    }

    #[test]
    fn series_are_judged_and_grouped_by_values() {
        let table = table(&[(3, &[(0, "a")]), (5, &[(0, "b"), (2, "x")]), (6, &[]), (900, &[(0, "a"), (2, "x")])]);
        assert_eq!(table.positions(&[3, 4, 6, 900, 901]), [Some(0), None, Some(2), Some(3), None]);
        assert_eq!(table.positions(&[900]), [Some(3)]);
        assert_eq!((table.value(1, 2), table.value(2, 0), table.value(0, 7)), (Some("x"), None, None));
        assert_eq!(table.values(0), ["a", "b"]);
        assert_eq!([0, 3].map(|position| table.number(position)), [3, 900]);
        let judged = |tag, test| table.judge(&[TagCondition::new(tag, &test)]);
        assert_eq!(judged(0, TagTest::OneOf(vec!["a".into()])), [true, false, false, true]);
        assert_eq!(judged(2, TagTest::Absent), [true, false, true, false]);
        assert_eq!(judged(7, TagTest::Absent), [true; 4]);
        assert_eq!(judged(7, TagTest::Present), [false; 4]);
        let wanted = |tests: &[(u32, TagTest)]| {
            let conditions: Vec<TagCondition> = tests.iter().map(|(tag, test)| TagCondition::new(*tag, test)).collect();
            let judged = table.judge(&conditions);
            let positions = table.wanted(&conditions);
            assert_eq!(positions, (0..4).filter(|position| judged[*position as usize]).collect::<Vec<u32>>());
            positions
        };
        let one_of = |values: &[&str]| TagTest::OneOf(values.iter().map(|value| value.to_string()).collect());
        assert_eq!(wanted(&[]), [0, 1, 2, 3]);
        assert_eq!(wanted(&[(0, one_of(&["a"]))]), [0, 3]);
        assert_eq!(wanted(&[(0, one_of(&["a", "b", "c"])), (2, one_of(&["x"]))]), [1, 3]);
        assert_eq!(wanted(&[(2, TagTest::Absent), (0, one_of(&["a"]))]), [0]);
        assert!(wanted(&[(0, one_of(&["c"]))]).is_empty());
        assert!(wanted(&[(7, one_of(&["a"]))]).is_empty());
        let many: Vec<String> =
            (0..NAMED_VALUES_MAX).map(|number| number.to_string()).chain(["b".to_owned()]).collect();
        assert_eq!(wanted(&[(0, TagTest::OneOf(many))]), [1]);
        let check = |tags: &[u32], positions: &[u32], groups: &[u32], first: &[u32]| {
            assert_eq!(table.group(tags, positions), (groups.to_vec(), first.to_vec()), "{tags:?}");
        };
        let all = [0, 1, 2, 3];
        check(&[], &all, &[0; 4], &[0]);
        check(&[], &[], &[], &[]);
        check(&[0], &all, &[0, 1, 2, 0], &[0, 1, 2]);
        check(&[0], &[2, 3], &[0, 1], &[2, 3]);
        check(&[0, 2], &all, &[0, 1, 2, 3], &all);
        check(&[7], &all, &[0; 4], &[0]);
    }
}
