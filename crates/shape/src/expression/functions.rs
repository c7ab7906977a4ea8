//! The functions of CEL's standard library, and what each of them gives.
//! <https://github.com/google/cel-spec/blob/master/doc/langdef.md#list-of-standard-definitions>

use super::types::Type;
use crate::path::nearest;

/// Name and types: of what it is called on or its first argument, and of what it gives; `None` for any.
struct Function {
    name: &'static str,
    takes: &'static [Kind],
    gives: Kind,
    /// `text.size()`.
    on_value: bool,
    /// `size(text)`.
    alone: bool,
    /// Besides what it is called on.
    arguments: std::ops::RangeInclusive<usize>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Timestamp,
    Duration,
    List,
    Map,
    Any,
    Called,
}

const fn conversion(name: &'static str, takes: &'static [Kind], gives: Kind) -> Function {
    Function { name, takes, gives, on_value: false, alone: true, arguments: 0..=0 }
}

const fn on_text(name: &'static str) -> Function {
    Function { name, takes: &[Kind::String], gives: Kind::Bool, on_value: true, alone: false, arguments: 1..=1 }
}

const fn of_time(name: &'static str) -> Function {
    Function { name, takes: &[Kind::Timestamp], gives: Kind::Int, on_value: true, alone: false, arguments: 0..=1 }
}

const fn of_time_or_span(name: &'static str) -> Function {
    let takes = &[Kind::Timestamp, Kind::Duration];
    Function { name, takes, gives: Kind::Int, on_value: true, alone: false, arguments: 0..=1 }
}

const FUNCTIONS: &[Function] = &[
    Function {
        name: "size",
        takes: &[Kind::String, Kind::Bytes, Kind::List, Kind::Map],
        gives: Kind::Int,
        on_value: true,
        alone: true,
        arguments: 0..=0,
    },
    on_text("contains"),
    on_text("startsWith"),
    on_text("endsWith"),
    Function {
        name: "matches",
        takes: &[Kind::String],
        gives: Kind::Bool,
        on_value: true,
        alone: true,
        arguments: 1..=1,
    },
    conversion("bool", &[Kind::Bool, Kind::String], Kind::Bool),
    conversion("int", &[Kind::Int, Kind::Uint, Kind::Double, Kind::String, Kind::Timestamp], Kind::Int),
    conversion("uint", &[Kind::Int, Kind::Uint, Kind::Double, Kind::String], Kind::Uint),
    conversion("double", &[Kind::Int, Kind::Uint, Kind::Double, Kind::String], Kind::Double),
    conversion(
        "string",
        &[Kind::Bool, Kind::Int, Kind::Uint, Kind::Double, Kind::String, Kind::Bytes, Kind::Timestamp, Kind::Duration],
        Kind::String,
    ),
    conversion("bytes", &[Kind::Bytes, Kind::String], Kind::Bytes),
    conversion("timestamp", &[Kind::Timestamp, Kind::String, Kind::Int], Kind::Timestamp),
    conversion("duration", &[Kind::Duration, Kind::String], Kind::Duration),
    conversion("type", &[Kind::Any], Kind::Called),
    conversion("dyn", &[Kind::Any], Kind::Any),
    of_time("getFullYear"),
    of_time("getMonth"),
    of_time("getDayOfYear"),
    of_time("getDayOfMonth"),
    of_time("getDate"),
    of_time("getDayOfWeek"),
    of_time_or_span("getHours"),
    of_time_or_span("getMinutes"),
    of_time_or_span("getSeconds"),
    of_time_or_span("getMilliseconds"),
];

/// For hints; they are read as what they stand for before functions are looked up.
const MACROS: [&str; 6] = ["has", "all", "exists", "exists_one", "map", "filter"];

/// What a call gives, or what is wrong with it, and what to do.
pub(super) fn call(name: &str, on: Option<&Type>, arguments: &[Type]) -> Result<Type, (String, String)> {
    let of_name: Vec<&Function> = FUNCTIONS.iter().filter(|function| function.name == name).collect();
    let Some(function) = of_name.first() else {
        let names = FUNCTIONS.iter().map(|function| function.name).chain(MACROS);
        let hint = match nearest(name, names.clone()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", names.collect::<Vec<_>>().join(", ")),
        };
        return Err((format!("there is no function `{name}`"), hint));
    };
    let (first, count) = match on {
        Some(on) => (Some(on), arguments.len()),
        None => (arguments.first(), arguments.len().saturating_sub(1)),
    };
    let is_fit = if on.is_some() { function.on_value } else { function.alone && first.is_some() };
    if !is_fit || !function.arguments.contains(&count) {
        let form = match (function.on_value, function.arguments.end()) {
            (true, 0) => format!("write `x.{name}()`"),
            (true, _) => format!("write `x.{name}(y)`"),
            (false, _) => format!("write `{name}(x)`"),
        };
        return Err((format!("`{name}` is not called like this"), form));
    }
    let Some(first) = first.filter(|first| !first.is_open()) else { return Ok(function.gives.into_type()) };
    if !function.takes.iter().any(|kind| kind.takes(first)) {
        let takes: Vec<String> = function.takes.iter().map(|kind| kind.into_type().to_string()).collect();
        return Err((format!("`{name}` takes no {first}"), format!("it takes {}", takes.join(", "))));
    }
    if name == "dyn" {
        return Ok(Type::Dynamic);
    }
    Ok(function.gives.into_type())
}

impl Kind {
    fn takes(self, given: &Type) -> bool {
        match (self, given) {
            (Kind::Any, _) => true,
            (Kind::List, Type::List(_)) | (Kind::Map, Type::Map(..) | Type::Message(_)) => true,
            (kind, given) => kind.into_type() == *given,
        }
    }

    fn into_type(self) -> Type {
        match self {
            Kind::Bool => Type::Bool,
            Kind::Int => Type::Int,
            Kind::Uint => Type::Uint,
            Kind::Double => Type::Double,
            Kind::String => Type::String,
            Kind::Bytes => Type::Bytes,
            Kind::Timestamp => Type::Timestamp,
            Kind::Duration => Type::Duration,
            Kind::List => Type::List(Box::new(Type::Dynamic)),
            Kind::Map => Type::Map(Box::new(Type::Dynamic), Box::new(Type::Dynamic)),
            Kind::Any => Type::Dynamic,
            Kind::Called => Type::Called,
        }
    }
}
