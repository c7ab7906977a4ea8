//! Which group and which window each point belongs to.

use std::sync::Arc;

use arrow::array::Array;
use hashbrown::{HashMap, HashSet};

use super::input::Block;
use super::level::Level;

/// The mark of points that belong to no group.
pub const NONE: u32 = u32::MAX;

/// Points with the same name and the same values of the tags that are grouped by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub name: Arc<str>,
    /// Parallel to [`Level::group_by`]; absent tags are empty.
    pub tags: Vec<String>,
}

#[derive(Default)]
pub struct Groups {
    by_key: HashMap<Vec<u8>, u32>,
    pub list: Vec<Group>,
}

impl Groups {
    /// The group of each row. `allowed` are the values of the dimensions that are wanted.
    pub fn assign(&mut self, block: &Block, level: &Level, allowed: Option<&HashSet<Vec<String>>>) -> Vec<u32> {
        let rows = block.times.len();
        if block.tags.iter().all(Option::is_none) && rows > 0 {
            let id = self.find(block, 0, &mut Vec::new(), level, allowed);
            return vec![id; rows];
        }
        let mut ids = Vec::with_capacity(rows);
        let mut key = Vec::new();
        for row in 0..rows {
            if row > 0 && same_tags(block, row - 1, row) {
                ids.push(ids[row - 1]);
            } else {
                ids.push(self.find(block, row, &mut key, level, allowed));
            }
        }
        ids
    }

    fn find(
        &mut self,
        block: &Block,
        row: usize,
        key: &mut Vec<u8>,
        level: &Level,
        allowed: Option<&HashSet<Vec<String>>>,
    ) -> u32 {
        key.clear();
        put_text(key, &block.name);
        for tag in 0..block.tags.len() {
            put_text(key, value(block, tag, row));
        }
        if let Some(id) = self.by_key.get(key.as_slice()) {
            return *id;
        }
        let tags: Vec<String> = (0..block.tags.len()).map(|tag| value(block, tag, row).to_owned()).collect();
        let id = match allowed {
            Some(allowed) if !allowed.contains(&project(&tags, &level.group_by, &level.dimensions)) => NONE,
            _ => {
                self.list.push(Group { name: block.name.clone(), tags });
                u32::try_from(self.list.len() - 1).unwrap_or(NONE)
            }
        };
        self.by_key.insert(key.clone(), id);
        id
    }

    /// The group of a name and tag values.
    pub fn get_or_insert(&mut self, group: Group) -> u32 {
        let mut key = Vec::new();
        put_text(&mut key, &group.name);
        group.tags.iter().for_each(|tag| put_text(&mut key, tag));
        if let Some(id) = self.by_key.get(&key) {
            return *id;
        }
        self.list.push(group);
        let id = u32::try_from(self.list.len() - 1).unwrap_or(NONE);
        self.by_key.insert(key, id);
        id
    }
}

/// With its length, since it may have any characters.
fn put_text(key: &mut Vec<u8>, text: &str) {
    key.extend_from_slice(&text.len().to_le_bytes());
    key.extend_from_slice(text.as_bytes());
}

/// Values of some tags out of those of more.
pub fn project(values: &[String], from: &[String], to: &[String]) -> Vec<String> {
    let value = |name: &String| from.iter().position(|known| known == name).map(|place| values[place].clone());
    to.iter().map(|name| value(name).unwrap_or_default()).collect()
}

fn value(block: &Block, tag: usize, row: usize) -> &str {
    match &block.tags[tag] {
        Some(values) if values.is_valid(row) => values.value(row),
        _ => "",
    }
}

fn same_tags(block: &Block, before: usize, row: usize) -> bool {
    (0..block.tags.len()).all(|tag| value(block, tag, before) == value(block, tag, row))
}

/// Groups by window: where aggregates are kept.
#[derive(Default)]
pub struct Cells {
    index: HashMap<(u32, i64), u32>,
    /// The last window of each group.
    current: Vec<Option<(i64, u32)>>,
    /// Group and start of the window.
    pub list: Vec<(u32, i64)>,
}

impl Cells {
    pub fn assign(&mut self, level: &Level, groups: &[u32], times: &[i64]) -> Vec<u32> {
        let mut window = (1, 0);
        let mut cells = Vec::with_capacity(groups.len());
        for (group, time) in groups.iter().zip(times) {
            if *group == NONE {
                cells.push(NONE);
                continue;
            }
            if *time < window.0 || *time >= window.1 {
                window = level.window(*time);
            }
            cells.push(self.cell(*group, window.0));
        }
        cells
    }

    fn cell(&mut self, group: u32, start: i64) -> u32 {
        let place = group as usize;
        if place >= self.current.len() {
            self.current.resize(place + 1, None);
        }
        if let Some((known, cell)) = self.current[place]
            && known == start
        {
            return cell;
        }
        let list = &mut self.list;
        let cell = *self.index.entry((group, start)).or_insert_with(|| {
            list.push((group, start));
            u32::try_from(list.len() - 1).unwrap_or(NONE)
        });
        self.current[place] = Some((start, cell));
        cell
    }

    /// The cells of each group, in the order of their windows.
    pub fn by_group(&self, groups: usize, ascending: bool) -> Vec<Vec<u32>> {
        let mut by_group = vec![Vec::new(); groups];
        for (cell, (group, _)) in self.list.iter().enumerate() {
            by_group[*group as usize].push(cell as u32);
        }
        for cells in &mut by_group {
            cells.sort_by_key(|cell| self.list[*cell as usize].1);
            if !ascending {
                cells.reverse();
            }
        }
        by_group
    }
}
