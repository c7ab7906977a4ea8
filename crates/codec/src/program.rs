//! The compiled decode program: per message position a table from tags to operations, and the columns they write.

mod compile;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{FieldRef, Fields, SchemaRef};
use prost_reflect::EnumDescriptor;

use crate::columns::ColumnRef;
use crate::shape::JsonKind;
pub(crate) use compile::scalar_wire_type;

/// "No slot": the field has no bitmap, no oneof.
pub(crate) const NONE: u16 = u16::MAX;

/// Tags below this one take one byte and are looked up directly.
pub(crate) const DIRECT_TAGS: usize = 128;
/// Tags from [`DIRECT_TAGS`] up to this one (field numbers up to 255) are looked up by an index table.
const WIDE_TAGS_END: usize = 2_048;

/// What to do with the value behind a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum OpKind {
    // Not wanted.
    SkipVarint,
    SkipFixed64,
    SkipLen,
    SkipFixed32,
    // Scalars into the column `slot`.
    Int32,
    Int64,
    Double,
    Enum,
    Text,
    Timestamp,
    Bool,
    Float,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Binary,
    // `slot`: the node.
    Message,
    Group,
    // The rare ones.
    SkipGroup,
    EnumClosed,
    /// The value of a map: an unknown number makes the whole entry unknown.
    EnumClosedEntry,
    Wrapper,
    Json,
    Opaque,
    OpaqueGroup,
    List,
    Packed,
    Map,
    /// A member of a oneof: unsets the others.
    Member,
    /// A member that is not selected.
    ClearOneof,
    Unknown,
    GroupEnd,
    BadWireType,
    BadFieldNumber,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Op {
    pub kind: OpKind,
    /// Wire type of the tag; of the items for lists.
    pub wire_type: u8,
    /// Column, node, list, wrapper, timestamp, oneof or member of one, by kind.
    pub slot: u16,
    /// Bitmap of the rows that have the value, or [`NONE`].
    pub valid: u16,
    /// The enum's table.
    pub extra: u16,
}

impl Op {
    fn plain(kind: OpKind, wire_type: u8) -> Self {
        Self { kind, wire_type, slot: NONE, valid: NONE, extra: 0 }
    }
}

/// One position of a message in the tree of columns.
#[derive(Debug)]
pub(crate) struct Node {
    /// By one-byte tag.
    pub direct: Box<[Op; DIRECT_TAGS]>,
    /// By tag - `DIRECT_TAGS`: index in `ops`, or `NONE`.
    wide: Box<[u16]>,
    /// The operations of longer tags, sorted by tag.
    ops: Vec<(u32, Op)>,
    /// By wire type: what is done with unknown fields.
    other: [Op; 8],
    /// Byte column of unknown fields, or `NONE`.
    pub unknown: u16,
    names: HashMap<u32, String>,
}

impl Node {
    /// The operation for a tag of two or more bytes.
    #[inline(always)]
    pub(crate) fn op(&self, tag: u32) -> &Op {
        match self.wide.get((tag as usize).wrapping_sub(DIRECT_TAGS)) {
            Some(&index) if index != NONE => &self.ops[index as usize].1,
            Some(_) => &self.other[(tag & 7) as usize],
            None => self.far_op(tag),
        }
    }

    #[inline(never)]
    fn far_op(&self, tag: u32) -> &Op {
        match self.ops.binary_search_by_key(&tag, |entry| entry.0) {
            Ok(index) => &self.ops[index].1,
            Err(_) if (tag as usize) < DIRECT_TAGS => &self.direct[tag as usize],
            Err(_) => &self.other[(tag & 7) as usize],
        }
    }

    pub(crate) fn name(&self, number: u32) -> String {
        self.names.get(&number).cloned().unwrap_or_else(|| number.to_string())
    }
}

#[derive(Debug)]
pub(crate) struct ListPlan {
    pub domain: u16,
    /// Writes one item into its row.
    pub item: Op,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct StampPlan {
    pub domain: u16,
    pub micros: u16,
    pub seconds: u16,
    pub nanos: u16,
}

#[derive(Debug)]
pub(crate) struct OneofMember {
    pub valid: u16,
    pub columns: Vec<ColumnRef>,
}

/// An enum's numbers as dictionary keys.
#[derive(Debug)]
pub(crate) struct EnumTable {
    /// By number, for the small ones; -1 where there is none.
    direct: Vec<i32>,
    others: HashMap<i32, i32>,
    /// Names by key. Shared by all batches that have no unknown number.
    pub names: ArrayRef,
}

/// Enum numbers up to this one are looked up directly.
const ENUM_DIRECT_MAX: usize = 1_024;

impl EnumTable {
    fn new(kind: &EnumDescriptor) -> Self {
        let (mut direct, mut others, mut names) = (Vec::new(), HashMap::new(), Vec::new());
        for value in kind.values() {
            // The first name of a number counts; further ones are aliases.
            let key = names.len() as i32;
            match usize::try_from(value.number()) {
                Ok(number) if number < ENUM_DIRECT_MAX => {
                    if direct.len() <= number {
                        direct.resize(number + 1, -1);
                    }
                    if direct[number] >= 0 {
                        continue;
                    }
                    direct[number] = key;
                }
                _ => {
                    if others.contains_key(&value.number()) {
                        continue;
                    }
                    others.insert(value.number(), key);
                }
            }
            names.push(value.name().to_owned());
        }
        Self { direct, others, names: Arc::new(StringArray::from(names)) }
    }

    #[inline(always)]
    pub(crate) fn key(&self, number: i32) -> Option<i32> {
        match self.direct.get(number as usize) {
            Some(&key) if key >= 0 => Some(key),
            _ if self.others.is_empty() => None,
            _ => self.others.get(&number).copied(),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct ViewDefault {
    pub view: u128,
    /// The text that a long view points into, as buffer 1.
    pub literal: Vec<u8>,
}

#[derive(Debug, Default)]
pub(crate) struct Defaults {
    pub i32s: Vec<i32>,
    pub i64s: Vec<i64>,
    pub f32s: Vec<f32>,
    pub f64s: Vec<f64>,
    pub i128s: Vec<i128>,
    pub views: Vec<ViewDefault>,
    pub bits: Vec<bool>,
    pub bytes: usize,
}

/// How a column of the batch is made of the columns of the decoder.
#[derive(Debug)]
pub(crate) struct Output {
    pub source: Source,
    pub valid: u16,
}

#[derive(Debug)]
pub(crate) enum Source {
    I32(u16),
    I64(u16),
    F32(u16),
    F64(u16),
    Decimal(u16),
    Bool(u16),
    Text(u16),
    Binary(u16),
    Enum { keys: u16, table: u16 },
    Micros(u16),
    Json { bytes: u16, kind: JsonKind },
    Opaque(u16),
    Unknown(u16),
    Struct { fields: Fields, children: Vec<Output> },
    List { list: u16, field: FieldRef, item: Box<Output> },
    Map { list: u16, entries: FieldRef, fields: Fields, key: Box<Output>, value: Box<Output> },
}

#[derive(Debug)]
pub(crate) struct Program {
    /// The root is the first.
    pub nodes: Vec<Node>,
    pub domains: Vec<Vec<ColumnRef>>,
    pub lists: Vec<ListPlan>,
    pub stamps: Vec<StampPlan>,
    /// Dotted paths of the timestamps, for errors.
    pub stamp_paths: Vec<String>,
    pub wrappers: Vec<Op>,
    pub jsons: Vec<(u16, JsonKind)>,
    pub oneofs: Vec<Vec<OneofMember>>,
    /// What the members of oneofs do, and their oneof.
    pub members: Vec<(Op, u16)>,
    pub enums: Vec<EnumTable>,
    pub defaults: Defaults,
    pub outputs: Vec<Output>,
    pub schema: SchemaRef,
}
