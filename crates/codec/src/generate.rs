//! A message type made from columns, so that a dagger can publish without anybody writing protobuf.

use std::collections::BTreeMap;

use arrow::datatypes::{DataType, Field, Fields, Schema};
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, FieldDescriptorProto, FileDescriptorProto, MessageOptions, OneofDescriptorProto};

use crate::error::CompileError;

const TIMESTAMP_FILE: &str = "google/protobuf/timestamp.proto";
const TIMESTAMP_TYPE: &str = ".google.protobuf.Timestamp";

/// The file of a proto3 message with one field per column. Field numbers count the columns from 1, so that a column that is
/// added at the end keeps the others. The file is named after the message (`city/Surge.proto` for `city.Surge`).
pub fn message_from_columns(full_name: &str, columns: &Schema) -> Result<FileDescriptorProto, CompileError> {
    let (package, name) = full_name.rsplit_once('.').unwrap_or(("", full_name));
    for part in full_name.split('.') {
        check_name(part, "message type")?;
    }
    let mut generator = Generator { timestamp: false };
    let message = generator.message(name, full_name, columns.fields())?;
    let path = if package.is_empty() { String::new() } else { format!("{}/", package.replace('.', "/")) };
    Ok(FileDescriptorProto {
        name: Some(format!("{path}{name}.proto")),
        package: (!package.is_empty()).then(|| package.to_owned()),
        dependency: if generator.timestamp { vec![TIMESTAMP_FILE.to_owned()] } else { Vec::new() },
        message_type: vec![message],
        syntax: Some("proto3".to_owned()),
        ..FileDescriptorProto::default()
    })
}

struct Generator {
    timestamp: bool,
}

impl Generator {
    fn message(&mut self, name: &str, full_name: &str, columns: &Fields) -> Result<DescriptorProto, CompileError> {
        let mut message = DescriptorProto { name: Some(name.to_owned()), ..DescriptorProto::default() };
        // Names that differ by case or underscores only have the same name in the JSON mapping.
        let mut taken: BTreeMap<String, &str> = BTreeMap::new();
        for (index, column) in columns.iter().enumerate() {
            check_name(column.name(), "field")?;
            if let Some(first) = taken.insert(column.name().replace('_', "").to_lowercase(), column.name()) {
                return Err(CompileError::DuplicateField {
                    first: first.to_owned(),
                    second: column.name().clone(),
                    field: column.name().clone(),
                });
            }
            let field = self.field(column, index as i32 + 1, full_name, &mut message)?;
            message.field.push(field);
        }
        // Synthetic oneofs come behind the real ones, of which there are none.
        for field in message.field.iter_mut().filter(|field| field.proto3_optional()) {
            field.oneof_index = Some(message.oneof_decl.len() as i32);
            message.oneof_decl.push(OneofDescriptorProto { name: Some(format!("_{}", field.name())), options: None });
        }
        Ok(message)
    }

    fn field(
        &mut self,
        column: &Field,
        number: i32,
        full_name: &str,
        message: &mut DescriptorProto,
    ) -> Result<FieldDescriptorProto, CompileError> {
        let nested_name = camel_case(column.name());
        let (label, kind, type_name) = match column.data_type() {
            DataType::List(item)
            | DataType::LargeList(item)
            | DataType::FixedSizeList(item, _)
            | DataType::ListView(item)
            | DataType::LargeListView(item) => {
                let (kind, type_name) = self.value(column, item.data_type(), &nested_name, full_name, message)?;
                (Label::Repeated, kind, type_name)
            }
            DataType::Map(entries, _) => {
                let DataType::Struct(parts) = entries.data_type() else { return Err(no_counterpart(column)) };
                let entry = self.entry(column, parts, full_name, message)?;
                (Label::Repeated, Type::Message, Some(entry))
            }
            single => {
                let (kind, type_name) = self.value(column, single, &nested_name, full_name, message)?;
                (Label::Optional, kind, type_name)
            }
        };
        let optional = column.is_nullable() && label == Label::Optional && kind != Type::Message;
        Ok(FieldDescriptorProto {
            name: Some(column.name().clone()),
            number: Some(number),
            label: Some(label as i32),
            r#type: Some(kind as i32),
            type_name,
            proto3_optional: optional.then_some(true),
            ..FieldDescriptorProto::default()
        })
    }

    /// The type of one value; a nested message is added to `message`.
    fn value(
        &mut self,
        column: &Field,
        found: &DataType,
        nested_name: &str,
        full_name: &str,
        message: &mut DescriptorProto,
    ) -> Result<(Type, Option<String>), CompileError> {
        let kind = match found {
            DataType::Float64 => Type::Double,
            DataType::Float32 => Type::Float,
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => Type::Int32,
            DataType::Int64 => Type::Int64,
            DataType::UInt32 => Type::Uint32,
            DataType::UInt64 => Type::Uint64,
            DataType::Decimal128(precision, 0) if *precision <= 20 => Type::Uint64,
            DataType::Boolean => Type::Bool,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Type::String,
            DataType::Dictionary(_, values) => {
                return self.value(column, values, nested_name, full_name, message);
            }
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Type::Bytes
            }
            DataType::Timestamp(..) => {
                self.timestamp = true;
                return Ok((Type::Message, Some(TIMESTAMP_TYPE.to_owned())));
            }
            DataType::Struct(children) => {
                let nested_full_name = format!("{full_name}.{nested_name}");
                let nested = self.message(nested_name, &nested_full_name, children)?;
                message.nested_type.push(nested);
                return Ok((Type::Message, Some(format!(".{nested_full_name}"))));
            }
            _ => return Err(no_counterpart(column)),
        };
        Ok((kind, None))
    }

    /// The entry message of a map.
    fn entry(
        &mut self,
        column: &Field,
        parts: &Fields,
        full_name: &str,
        message: &mut DescriptorProto,
    ) -> Result<String, CompileError> {
        let [key, value] = parts.as_ref() else { return Err(no_counterpart(column)) };
        let name = format!("{}Entry", camel_case(column.name()));
        let (key_kind, _) = self.value(column, key.data_type(), "", full_name, message)?;
        if matches!(key_kind, Type::Double | Type::Float | Type::Bytes | Type::Message) {
            return Err(no_counterpart(column));
        }
        let value_name = format!("{}Value", camel_case(column.name()));
        let (value_kind, value_type) = self.value(column, value.data_type(), &value_name, full_name, message)?;
        let field = |name: &str, number, kind: Type, type_name| FieldDescriptorProto {
            name: Some(name.to_owned()),
            number: Some(number),
            label: Some(Label::Optional as i32),
            r#type: Some(kind as i32),
            type_name,
            ..FieldDescriptorProto::default()
        };
        message.nested_type.push(DescriptorProto {
            name: Some(name.clone()),
            field: vec![field("key", 1, key_kind, None), field("value", 2, value_kind, value_type)],
            options: Some(MessageOptions { map_entry: Some(true), ..MessageOptions::default() }),
            ..DescriptorProto::default()
        });
        Ok(format!(".{full_name}.{name}"))
    }
}

fn no_counterpart(column: &Field) -> CompileError {
    CompileError::NoCounterpart { column: column.name().clone(), found: column.data_type().to_string() }
}

fn check_name(name: &str, what: &'static str) -> Result<(), CompileError> {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    if starts_well && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(());
    }
    Err(CompileError::BadName { name: name.to_owned(), what })
}

/// `num_of_bookings` as `NumOfBookings`, as protoc names the entries of maps.
fn camel_case(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut upper = true;
    for c in name.chars() {
        if c == '_' {
            upper = true;
        } else {
            out.push(if upper { c.to_ascii_uppercase() } else { c });
            upper = false;
        }
    }
    out
}
