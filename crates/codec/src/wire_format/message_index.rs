//! Which message of a schema's file a record is: the path of indexes from the file to the type, as varints.

use prost_reflect::MessageDescriptor;

use crate::wire;

/// The expected message index with its encodings, so that a record is compared and not parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageIndex {
    path: Vec<u32>,
    /// As clients write it today: the length and the indexes as zig-zag varints; `[0]` also as one 0x00.
    current: Vec<Vec<u8>>,
    /// As they once did: the same without zig-zag.
    legacy: Vec<Vec<u8>>,
}

/// Deeper than any type is nested.
const INDEXES_MAX: u64 = 64;

impl MessageIndex {
    /// Where the type is in its own file, or where a setting says that it is in the registered schema.
    pub fn of(message: &MessageDescriptor, set: Option<&[u32]>) -> Self {
        let path = match set {
            Some(path) => path.to_vec(),
            None => path_of(message, NestedTypes::All),
        };
        // Some clients count the nested types of map fields, some do not.
        let other = match set {
            Some(_) => path.clone(),
            None => path_of(message, NestedTypes::Declared),
        };
        let (mut current, mut legacy) = (vec![canonical(&path)], Vec::new());
        for path in if other == path { vec![&path] } else { vec![&path, &other] } {
            for (encodings, encoding) in
                [(&mut current, varints(path, zigzag)), (&mut legacy, varints(path, u64::from))]
            {
                if !encodings.contains(&encoding) {
                    encodings.push(encoding);
                }
            }
        }
        Self { path, current, legacy }
    }

    pub fn path(&self) -> &[u32] {
        &self.path
    }

    /// The bytes that are written.
    pub(super) fn canonical(&self) -> &[u8] {
        &self.current[0]
    }

    /// The length of the index at the start of `bytes` if it is this one. The old encoding counts only where the bytes
    /// cannot be today's.
    #[inline]
    pub(super) fn matches(&self, bytes: &[u8]) -> Option<usize> {
        match self.current.iter().find(|encoding| bytes.starts_with(encoding)) {
            Some(encoding) => Some(encoding.len()),
            None => self.matches_legacy(bytes),
        }
    }

    #[cold]
    fn matches_legacy(&self, bytes: &[u8]) -> Option<usize> {
        let is_current = read(bytes).is_some_and(|(path, end)| {
            path.iter().all(|index| *index >= 0) && (end == bytes.len() || wire::tag(bytes, end, bytes.len()).is_ok())
        });
        if is_current {
            return None;
        }
        self.legacy.iter().find(|encoding| bytes.starts_with(encoding)).map(Vec::len)
    }
}

/// The index at the start of `bytes`, with where it ends.
pub(super) fn read(bytes: &[u8]) -> Option<(Vec<i64>, usize)> {
    let (length, mut at) = wire::varint(bytes, 0, bytes.len()).ok()?;
    let length = u64::try_from(wire::zigzag64(length)).ok().filter(|length| *length <= INDEXES_MAX)?;
    if length == 0 {
        return Some((vec![0], at));
    }
    let mut path = Vec::new();
    for _ in 0..length {
        let (index, next) = wire::varint(bytes, at, bytes.len()).ok()?;
        path.push(wire::zigzag64(index));
        at = next;
    }
    Some((path, at))
}

fn canonical(path: &[u32]) -> Vec<u8> {
    match path {
        [0] => vec![0],
        path => varints(path, zigzag),
    }
}

fn zigzag(number: u32) -> u64 {
    u64::from(number) << 1
}

fn varints(path: &[u32], form: impl Fn(u32) -> u64) -> Vec<u8> {
    let mut out = Vec::new();
    wire::put_varint(&mut out, form(path.len() as u32));
    for index in path {
        wire::put_varint(&mut out, form(*index));
    }
    out
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum NestedTypes {
    /// As the descriptor has them: with those that map fields make.
    All,
    /// As they are written in the file.
    Declared,
}

fn path_of(message: &MessageDescriptor, counted: NestedTypes) -> Vec<u32> {
    let mut path = Vec::new();
    let mut current = message.clone();
    while let Some(parent) = current.parent_message() {
        let before = parent.child_messages().take_while(|sibling| *sibling != current);
        path.push(before.filter(|sibling| counted == NestedTypes::All || !sibling.is_map_entry()).count() as u32);
        current = parent;
    }
    path.push(current.parent_file().messages().take_while(|sibling| *sibling != current).count() as u32);
    path.reverse();
    path
}
