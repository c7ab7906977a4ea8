//! Field numbers of a type that is made from a query stay as they are while the query is edited, so that what its topic
//! holds already can still be read: a field keeps its number as long as it has its name and form, and a number that was
//! used once is never used for something else.

use prost_reflect::prost_types::descriptor_proto::ReservedRange;
use prost_reflect::prost_types::{DescriptorProto, FieldDescriptorProto};
use std::collections::BTreeSet;

/// Protobuf keeps these for itself.
const RESERVED_FROM: i32 = 19_000;
const RESERVED_UNTIL: i32 = 20_000;

/// Gives the fields of `after` the numbers that they had in `before`, and new ones to the others.
pub fn keep_numbers(before: &DescriptorProto, after: &mut DescriptorProto) {
    let mut used: BTreeSet<i32> = before.field.iter().map(|field| field.number()).collect();
    for range in &before.reserved_range {
        used.extend(range.start()..range.end());
    }
    let mut next = used.last().map_or(1, |last| last + 1);
    let numbers: Vec<i32> = after
        .field
        .iter()
        .map(|field| match before.field.iter().find(|old| is_same(old, before, field, after)) {
            Some(old) => old.number(),
            None => {
                if (RESERVED_FROM..RESERVED_UNTIL).contains(&next) {
                    next = RESERVED_UNTIL;
                }
                next += 1;
                next - 1
            }
        })
        .collect();
    for (field, number) in after.field.iter_mut().zip(numbers) {
        field.number = Some(number);
        used.remove(&number);
    }
    after.reserved_range =
        used.into_iter().map(|number| ReservedRange { start: Some(number), end: Some(number + 1) }).collect();
    for nested in after.nested_type.iter_mut().filter(|nested| !is_map_entry(nested)) {
        if let Some(old) = nested_named(before, nested.name()) {
            keep_numbers(old, nested);
        }
    }
}

fn is_same(
    old: &FieldDescriptorProto,
    before: &DescriptorProto,
    new: &FieldDescriptorProto,
    after: &DescriptorProto,
) -> bool {
    let form = |field: &FieldDescriptorProto| (field.r#type, field.label, field.type_name.clone());
    old.name() == new.name() && form(old) == form(new) && map_form(old, before) == map_form(new, after)
}

/// What the keys and values of a map field are; they are not in the field itself.
fn map_form(field: &FieldDescriptorProto, of: &DescriptorProto) -> Option<Vec<(Option<i32>, Option<String>)>> {
    let name = field.type_name().rsplit('.').next().unwrap_or_default();
    let entry = nested_named(of, name).filter(|nested| is_map_entry(nested))?;
    Some(entry.field.iter().map(|field| (field.r#type, field.type_name.clone())).collect())
}

fn nested_named<'a>(message: &'a DescriptorProto, name: &str) -> Option<&'a DescriptorProto> {
    message.nested_type.iter().find(|nested| nested.name() == name)
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(|options| options.map_entry())
}

#[cfg(test)]
mod tests {
    use super::keep_numbers;
    use arrow::datatypes::{DataType, Field, Schema};
    use prost_reflect::prost_types::DescriptorProto;

    fn message(columns: &[(&str, DataType)]) -> DescriptorProto {
        let fields: Vec<Field> = columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect();
        codec::message_from_columns("a.B", &Schema::new(fields)).unwrap().message_type.remove(0)
    }

    fn numbers(message: &DescriptorProto) -> Vec<(&str, i32)> {
        message.field.iter().map(|field| (field.name(), field.number())).collect()
    }

    #[test]
    fn a_number_never_means_something_else() {
        use DataType::{Float64, Int64, Utf8};
        let first = message(&[("city", Utf8), ("count", Int64), ("sum", Float64)]);
        assert_eq!(numbers(&first), [("city", 1), ("count", 2), ("sum", 3)]);
        let mut second = message(&[("sum", Float64), ("most", Float64), ("city", Utf8)]);
        keep_numbers(&first, &mut second);
        assert_eq!(numbers(&second), [("sum", 3), ("most", 4), ("city", 1)]);
        // `count` comes back, and `sum` becomes a whole number.
        let mut third = message(&[("count", Int64), ("sum", Int64), ("city", Utf8)]);
        keep_numbers(&second, &mut third);
        assert_eq!(numbers(&third), [("count", 5), ("sum", 6), ("city", 1)]);
        let mut again = third.clone();
        keep_numbers(&third, &mut again);
        assert_eq!(again, third);
    }

    #[test]
    fn fields_within_fields_keep_theirs_too() {
        let row = |names: &[&str]| {
            DataType::Struct(names.iter().map(|name| Field::new(*name, DataType::Int64, true)).collect())
        };
        let map = |value: DataType| {
            let parts = vec![Field::new("key", DataType::Utf8, false), Field::new("value", value, true)];
            let entries = Field::new("entries", DataType::Struct(parts.into()), false);
            DataType::Map(entries.into(), false)
        };
        let first = message(&[("m", map(DataType::Int64)), ("at", row(&["x", "y"]))]);
        let mut second = message(&[("at", row(&["y", "z"])), ("m", map(DataType::Utf8))]);
        keep_numbers(&first, &mut second);
        assert_eq!(numbers(&second), [("at", 2), ("m", 3)]);
        let at = second.nested_type.iter().find(|nested| nested.name() == "At").unwrap();
        assert_eq!(numbers(at), [("y", 2), ("z", 3)]);
    }
}
