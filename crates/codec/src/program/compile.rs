//! From the shape of a message type to its program.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Fields};
use prost_reflect::{EnumDescriptor, FieldDescriptor, Value};

use super::{
    DIRECT_TAGS, Defaults, EnumTable, ListPlan, NONE, Node, OneofMember, Op, OpKind, Output, Program, Source,
    StampPlan, ViewDefault, WIDE_TAGS_END,
};
use crate::columns::ColumnRef;
use crate::error::CompileError;
use crate::limits::COLUMNS_MAX;
use crate::schema;
use crate::shape::{self, FieldShape, MessageShape, Plurality, Scalar, TimestampParts, ValueShape};
use crate::wire;

impl Program {
    pub(crate) fn compile(shape: &MessageShape, unknown: bool, declared_defaults: bool) -> Result<Self, CompileError> {
        let fields = schema::message_fields(shape, unknown);
        let mut compiler = Compiler {
            program: Program {
                nodes: Vec::new(),
                domains: vec![Vec::new()],
                lists: Vec::new(),
                stamps: Vec::new(),
                stamp_paths: Vec::new(),
                wrappers: Vec::new(),
                jsons: Vec::new(),
                oneofs: Vec::new(),
                members: Vec::new(),
                enums: Vec::new(),
                defaults: Defaults::default(),
                outputs: Vec::new(),
                schema: Arc::new(arrow::datatypes::Schema::new(fields)),
            },
            enums: HashMap::new(),
            names: Vec::new(),
            unknown,
            declared_defaults,
        };
        let (_, outputs) = compiler.message(shape, 0)?;
        compiler.program.outputs = outputs;
        Ok(compiler.program)
    }
}

struct Compiler {
    program: Program,
    enums: HashMap<String, u16>,
    /// Field names from the root to here.
    names: Vec<String>,
    unknown: bool,
    declared_defaults: bool,
}

fn slot(len: usize) -> Result<u16, CompileError> {
    match u16::try_from(len) {
        Ok(slot) if slot != NONE => Ok(slot),
        _ => Err(CompileError::TooManyColumns { what: "the projection".to_owned(), max: COLUMNS_MAX }),
    }
}

macro_rules! add_column {
    ($self:expr, $pool:ident, $column:ident, $domain:expr, $default:expr) => {{
        let slot = slot($self.program.defaults.$pool.len())?;
        $self.program.defaults.$pool.push($default);
        $self.program.domains[$domain as usize].push(ColumnRef::$column(slot));
        slot
    }};
}

impl Compiler {
    fn message(&mut self, shape: &MessageShape, domain: u16) -> Result<(u16, Vec<Output>), CompileError> {
        let node = slot(self.program.nodes.len())?;
        // The place is taken before the children's, so that the root is the first.
        self.program.nodes.push(Node::build(Vec::new(), NONE, HashMap::new()));
        let mut ops: Vec<(u32, Op)> = Vec::new();
        let mut outputs = Vec::new();
        let mut oneofs: HashMap<String, u16> = HashMap::new();
        for field in &shape.fields {
            let oneof = self.oneof(&field.descriptor, &mut oneofs)?;
            let first_column = self.program.domains[domain as usize].len();
            self.names.push(field.descriptor.name().to_owned());
            let (field_ops, field_outputs, valid) = self.field(field, domain)?;
            self.names.pop();
            for (tag, op) in field_ops {
                ops.push((tag, if oneof == NONE { op } else { self.member(op, oneof)? }));
            }
            outputs.extend(field_outputs);
            if oneof != NONE {
                let columns = self.program.domains[domain as usize][first_column..].to_vec();
                self.program.oneofs[oneof as usize].push(OneofMember { valid, columns });
            }
        }
        self.unselected(shape, &oneofs, &mut ops);
        let unknown = if self.unknown { self.byte_column(domain)? } else { NONE };
        if unknown != NONE {
            outputs.push(Output { source: Source::Unknown(unknown), valid: NONE });
        }
        let names = shape.descriptor.fields().map(|field| (field.number(), field.name().to_owned())).collect();
        self.program.nodes[node as usize] = Node::build(ops, unknown, names);
        Ok((node, outputs))
    }

    /// The group of a real oneof; one bit suffices for proto3's `optional`.
    fn oneof(&mut self, field: &FieldDescriptor, known: &mut HashMap<String, u16>) -> Result<u16, CompileError> {
        let Some(oneof) = field.containing_oneof().filter(|oneof| !oneof.is_synthetic()) else { return Ok(NONE) };
        if let Some(group) = known.get(oneof.name()) {
            return Ok(*group);
        }
        let group = slot(self.program.oneofs.len())?;
        self.program.oneofs.push(Vec::new());
        known.insert(oneof.name().to_owned(), group);
        Ok(group)
    }

    fn member(&mut self, op: Op, oneof: u16) -> Result<Op, CompileError> {
        let slot = slot(self.program.members.len())?;
        self.program.members.push((op, oneof));
        Ok(Op { kind: OpKind::Member, slot, ..op })
    }

    /// Fields of the type that are not selected are known all the same: they unset the other members of their oneof, and
    /// they are no unknown fields.
    fn unselected(&self, shape: &MessageShape, oneofs: &HashMap<String, u16>, ops: &mut Vec<(u32, Op)>) {
        for field in shape.descriptor.fields() {
            if shape.fields.iter().any(|selected| selected.descriptor.number() == field.number()) {
                continue;
            }
            let wire_type = wire_type(&field);
            let group = field.containing_oneof().and_then(|oneof| oneofs.get(oneof.name()).copied());
            let op = match group {
                Some(slot) => Op { slot, ..Op::plain(OpKind::ClearOneof, wire_type) },
                None => skip_op(wire_type),
            };
            ops.push((tag(&field, wire_type), op));
            if is_packable(&field) {
                ops.push((tag(&field, wire::LEN), skip_op(wire::LEN)));
            }
        }
    }

    #[allow(clippy::type_complexity)]
    fn field(&mut self, field: &FieldShape, domain: u16) -> Result<(Vec<(u32, Op)>, Vec<Output>, u16), CompileError> {
        let descriptor = &field.descriptor;
        match field.plurality {
            Plurality::Single { nullable } => {
                let valid = if nullable { self.bit_column(domain)? } else { NONE };
                let (op, outputs) = self.value(&field.value, descriptor, domain, valid)?;
                Ok((vec![(tag(descriptor, op.wire_type), op)], outputs, valid))
            }
            Plurality::List => {
                let child = self.domain()?;
                let (item, mut outputs) = self.value(&field.value, descriptor, child, NONE)?;
                let list = self.list(domain, child, item)?;
                let arrow = Arc::new(arrow::datatypes::Field::new(
                    "item",
                    schema::value_type(&field.value, self.unknown),
                    false,
                ));
                let source = Source::List { list, field: arrow, item: Box::new(outputs.remove(0)) };
                let one = Op { kind: OpKind::List, slot: list, ..item };
                let mut ops = vec![(tag(descriptor, item.wire_type), one)];
                if is_packable(descriptor) {
                    ops.push((tag(descriptor, wire::LEN), Op { kind: OpKind::Packed, ..one }));
                }
                Ok((ops, vec![Output { source, valid: NONE }], NONE))
            }
            Plurality::Map { key } => {
                let (op, output) = self.map(field, key, domain)?;
                Ok((vec![(tag(descriptor, wire::LEN), op)], vec![output], NONE))
            }
        }
    }

    fn map(&mut self, field: &FieldShape, key: Scalar, domain: u16) -> Result<(Op, Output), CompileError> {
        let child = self.domain()?;
        let prost_reflect::Kind::Message(entry) = field.descriptor.kind() else {
            return Err(CompileError::TooManyColumns { what: "a map".to_owned(), max: COLUMNS_MAX });
        };
        let (key_field, value_field) = (entry.map_entry_key_field(), entry.map_entry_value_field());
        let (key_op, mut key_outputs) = self.value(&ValueShape::Scalar(key), &key_field, child, NONE)?;
        let (mut value_op, mut value_outputs) = self.value(&field.value, &value_field, child, NONE)?;
        if value_op.kind == OpKind::EnumClosed {
            value_op.kind = OpKind::EnumClosedEntry;
        }
        let node = slot(self.program.nodes.len())?;
        let ops = vec![(tag(&key_field, key_op.wire_type), key_op), (tag(&value_field, value_op.wire_type), value_op)];
        let names = HashMap::from([(1, "key".to_owned()), (2, "value".to_owned())]);
        self.program.nodes.push(Node::build(ops, NONE, names));
        let item = Op { slot: node, ..Op::plain(OpKind::Message, wire::LEN) };
        let list = self.list(domain, child, item)?;
        let fields = Fields::from(vec![
            arrow::datatypes::Field::new("key", schema::scalar_type(key), false),
            arrow::datatypes::Field::new("value", schema::value_type(&field.value, self.unknown), false),
        ]);
        let entries = Arc::new(arrow::datatypes::Field::new("entries", DataType::Struct(fields.clone()), false));
        let source = Source::Map {
            list,
            entries,
            fields,
            key: Box::new(key_outputs.remove(0)),
            value: Box::new(value_outputs.remove(0)),
        };
        Ok((Op { slot: list, ..Op::plain(OpKind::Map, wire::LEN) }, Output { source, valid: NONE }))
    }

    fn list(&mut self, domain: u16, child: u16, item: Op) -> Result<u16, CompileError> {
        let list = slot(self.program.lists.len())?;
        self.program.lists.push(ListPlan { domain: child, item });
        self.program.domains[domain as usize].push(ColumnRef::List(list));
        Ok(list)
    }

    fn domain(&mut self) -> Result<u16, CompileError> {
        let domain = slot(self.program.domains.len())?;
        self.program.domains.push(Vec::new());
        Ok(domain)
    }

    fn bit_column(&mut self, domain: u16) -> Result<u16, CompileError> {
        Ok(add_column!(self, bits, Bits, domain, false))
    }

    fn byte_column(&mut self, domain: u16) -> Result<u16, CompileError> {
        let slot = slot(self.program.defaults.bytes)?;
        self.program.defaults.bytes += 1;
        self.program.domains[domain as usize].push(ColumnRef::Bytes(slot));
        Ok(slot)
    }

    /// The operation that writes one value into a row of `domain`, and the columns that it becomes.
    fn value(
        &mut self,
        value: &ValueShape,
        field: &FieldDescriptor,
        domain: u16,
        valid: u16,
    ) -> Result<(Op, Vec<Output>), CompileError> {
        let wire_type = wire_type(field);
        let op = |kind, slot| Op { kind, slot, valid, ..Op::plain(kind, wire_type) };
        let one = |source| vec![Output { source, valid }];
        Ok(match value {
            ValueShape::Scalar(scalar) => {
                let default =
                    (self.declared_defaults && shape::has_declared_default(field)).then(|| field.default_value());
                let (kind, slot, source) = self.scalar(*scalar, domain, default)?;
                (op(kind, slot), one(source))
            }
            ValueShape::Enum(descriptor) => {
                let table = self.enum_table(descriptor)?;
                let number = match field.default_value() {
                    Value::EnumNumber(number) => number,
                    _ => descriptor.default_value().number(),
                };
                let key = self.program.enums[table as usize].key(number).unwrap_or(0);
                let keys = add_column!(self, i32s, I32, domain, key);
                let kind = if shape::is_closed(descriptor) { OpKind::EnumClosed } else { OpKind::Enum };
                (Op { extra: table, ..op(kind, keys) }, one(Source::Enum { keys, table }))
            }
            ValueShape::Timestamp(parts) => {
                let (stamp, outputs) = self.timestamp(*parts, domain, valid)?;
                (op(OpKind::Timestamp, stamp), outputs)
            }
            ValueShape::Wrapper(scalar) => {
                let (kind, column, source) = self.scalar(*scalar, domain, None)?;
                let inner = Op { slot: column, ..Op::plain(kind, scalar_wire_type(*scalar)) };
                let wrapper = slot(self.program.wrappers.len())?;
                self.program.wrappers.push(inner);
                (op(OpKind::Wrapper, wrapper), one(source))
            }
            ValueShape::Json(kind) => {
                let bytes = self.byte_column(domain)?;
                let json = slot(self.program.jsons.len())?;
                self.program.jsons.push((bytes, *kind));
                (op(OpKind::Json, json), one(Source::Json { bytes, kind: *kind }))
            }
            ValueShape::Opaque => {
                let bytes = self.byte_column(domain)?;
                let kind = if field.is_group() { OpKind::OpaqueGroup } else { OpKind::Opaque };
                (op(kind, bytes), one(Source::Opaque(bytes)))
            }
            ValueShape::Message(shape) => {
                let (node, children) = self.message(shape, domain)?;
                let fields = schema::message_fields(shape, self.unknown);
                let kind = if field.is_group() { OpKind::Group } else { OpKind::Message };
                (op(kind, node), one(Source::Struct { fields, children }))
            }
        })
    }

    fn timestamp(
        &mut self,
        parts: TimestampParts,
        domain: u16,
        valid: u16,
    ) -> Result<(u16, Vec<Output>), CompileError> {
        let mut plan = StampPlan { domain, micros: NONE, seconds: NONE, nanos: NONE };
        let mut outputs = Vec::new();
        if parts.micros {
            plan.micros = add_column!(self, i64s, I64, domain, 0);
            outputs.push(Output { source: Source::Micros(plan.micros), valid });
        }
        if parts.seconds {
            plan.seconds = add_column!(self, i64s, I64, domain, 0);
            outputs.push(Output { source: Source::I64(plan.seconds), valid });
        }
        if parts.nanos {
            plan.nanos = add_column!(self, i32s, I32, domain, 0);
            outputs.push(Output { source: Source::I32(plan.nanos), valid });
        }
        let stamp = slot(self.program.stamps.len())?;
        self.program.stamps.push(plan);
        self.program.stamp_paths.push(self.names.join("."));
        self.program.domains[domain as usize].push(ColumnRef::Stamp(stamp));
        Ok((stamp, outputs))
    }

    fn scalar(
        &mut self,
        scalar: Scalar,
        domain: u16,
        default: Option<Value>,
    ) -> Result<(OpKind, u16, Source), CompileError> {
        let int = match &default {
            Some(Value::I32(value)) => i64::from(*value),
            Some(Value::I64(value)) => *value,
            Some(Value::U32(value)) => i64::from(*value),
            _ => 0,
        };
        Ok(match scalar {
            Scalar::Int32 | Scalar::Sint32 | Scalar::Sfixed32 => {
                let slot = add_column!(self, i32s, I32, domain, int as i32);
                (scalar_kind(scalar), slot, Source::I32(slot))
            }
            Scalar::Int64 | Scalar::Sint64 | Scalar::Sfixed64 | Scalar::Uint32 | Scalar::Fixed32 => {
                let slot = add_column!(self, i64s, I64, domain, int);
                (scalar_kind(scalar), slot, Source::I64(slot))
            }
            Scalar::Uint64 | Scalar::Fixed64 => {
                let default = if let Some(Value::U64(value)) = default { i128::from(value) } else { 0 };
                let slot = add_column!(self, i128s, I128, domain, default);
                (scalar_kind(scalar), slot, Source::Decimal(slot))
            }
            Scalar::Double => {
                let default = if let Some(Value::F64(value)) = default { value } else { 0.0 };
                let slot = add_column!(self, f64s, F64, domain, default);
                (OpKind::Double, slot, Source::F64(slot))
            }
            Scalar::Float => {
                let default = if let Some(Value::F32(value)) = default { value } else { 0.0 };
                let slot = add_column!(self, f32s, F32, domain, default);
                (OpKind::Float, slot, Source::F32(slot))
            }
            Scalar::Bool => {
                let slot = add_column!(self, bits, Bits, domain, matches!(default, Some(Value::Bool(true))));
                (OpKind::Bool, slot, Source::Bool(slot))
            }
            Scalar::String => {
                let text = if let Some(Value::String(text)) = default { text.into_bytes() } else { Vec::new() };
                let slot = add_column!(self, views, View, domain, view_default(text));
                (OpKind::Text, slot, Source::Text(slot))
            }
            Scalar::Bytes => {
                let bytes = if let Some(Value::Bytes(bytes)) = default { bytes.to_vec() } else { Vec::new() };
                let slot = add_column!(self, views, View, domain, view_default(bytes));
                (OpKind::Binary, slot, Source::Binary(slot))
            }
        })
    }

    fn enum_table(&mut self, kind: &EnumDescriptor) -> Result<u16, CompileError> {
        if let Some(table) = self.enums.get(kind.full_name()) {
            return Ok(*table);
        }
        let table = slot(self.program.enums.len())?;
        self.program.enums.push(EnumTable::new(kind));
        self.enums.insert(kind.full_name().to_owned(), table);
        Ok(table)
    }
}

fn view_default(literal: Vec<u8>) -> ViewDefault {
    let view = crate::decode::view(&literal, 0, literal.len(), 1);
    ViewDefault { view, literal }
}

impl Node {
    fn build(ops: Vec<(u32, Op)>, unknown: u16, names: HashMap<u32, String>) -> Self {
        let mut other = [Op::plain(OpKind::BadWireType, 0); 8];
        for wire_type in [wire::VARINT, wire::FIXED64, wire::LEN, wire::GROUP, wire::FIXED32] {
            other[wire_type as usize] =
                if unknown == NONE { skip_op(wire_type) } else { Op::plain(OpKind::Unknown, wire_type) };
        }
        other[wire::GROUP_END as usize] = Op::plain(OpKind::GroupEnd, wire::GROUP_END);
        let mut direct = Box::new([Op::plain(OpKind::BadFieldNumber, 0); DIRECT_TAGS]);
        for tag in 8..DIRECT_TAGS {
            direct[tag] = other[tag & 7];
        }
        let (short, mut long): (Vec<_>, Vec<_>) = ops.into_iter().partition(|(tag, _)| (*tag as usize) < DIRECT_TAGS);
        for (tag, op) in short {
            direct[tag as usize] = op;
        }
        long.sort_by_key(|(tag, _)| *tag);
        let in_table = |tag: u32| (tag as usize) < WIDE_TAGS_END;
        let end =
            long.iter().rev().find(|(tag, _)| in_table(*tag)).map_or(0, |(tag, _)| *tag as usize - DIRECT_TAGS + 1);
        let mut wide = vec![NONE; end].into_boxed_slice();
        for (index, (tag, _)) in long.iter().enumerate().filter(|(_, (tag, _))| in_table(*tag)) {
            wide[*tag as usize - DIRECT_TAGS] = index as u16;
        }
        Self { direct, wide, ops: long, other, unknown, names }
    }
}

fn tag(field: &FieldDescriptor, wire_type: u8) -> u32 {
    field.number() << 3 | u32::from(wire_type)
}

fn wire_type(field: &FieldDescriptor) -> u8 {
    match Scalar::of(&field.kind()) {
        Some(scalar) => scalar_wire_type(scalar),
        None if field.is_group() => wire::GROUP,
        None if field.kind().as_message().is_some() => wire::LEN,
        None => wire::VARINT,
    }
}

fn is_packable(field: &FieldDescriptor) -> bool {
    field.is_list() && !matches!(wire_type(field), wire::LEN | wire::GROUP)
}

fn skip_op(wire_type: u8) -> Op {
    let kind = match wire_type {
        wire::VARINT => OpKind::SkipVarint,
        wire::FIXED64 => OpKind::SkipFixed64,
        wire::LEN => OpKind::SkipLen,
        wire::GROUP => OpKind::SkipGroup,
        _ => OpKind::SkipFixed32,
    };
    Op::plain(kind, wire_type)
}

pub(crate) fn scalar_wire_type(scalar: Scalar) -> u8 {
    match scalar {
        Scalar::Double | Scalar::Fixed64 | Scalar::Sfixed64 => wire::FIXED64,
        Scalar::Float | Scalar::Fixed32 | Scalar::Sfixed32 => wire::FIXED32,
        Scalar::String | Scalar::Bytes => wire::LEN,
        _ => wire::VARINT,
    }
}

fn scalar_kind(scalar: Scalar) -> OpKind {
    match scalar {
        Scalar::Double => OpKind::Double,
        Scalar::Float => OpKind::Float,
        Scalar::Int32 => OpKind::Int32,
        Scalar::Int64 => OpKind::Int64,
        Scalar::Uint32 => OpKind::Uint32,
        Scalar::Uint64 => OpKind::Uint64,
        Scalar::Sint32 => OpKind::Sint32,
        Scalar::Sint64 => OpKind::Sint64,
        Scalar::Fixed32 => OpKind::Fixed32,
        Scalar::Fixed64 => OpKind::Fixed64,
        Scalar::Sfixed32 => OpKind::Sfixed32,
        Scalar::Sfixed64 => OpKind::Sfixed64,
        Scalar::Bool => OpKind::Bool,
        Scalar::String => OpKind::Text,
        Scalar::Bytes => OpKind::Binary,
    }
}
