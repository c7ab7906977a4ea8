//! Random message types as `.proto` text: nested, repeated, maps, oneofs, enums, groups, well-known types, recursion.

use std::fmt::Write;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

const SCALARS: [&str; 15] = [
    "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
    "sfixed64", "bool", "string", "bytes",
];
const KEYS: [&str; 12] = [
    "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32", "sfixed64", "bool",
    "string",
];
const WELL_KNOWN: [&str; 15] = [
    "Timestamp",
    "Duration",
    "Any",
    "Struct",
    "Value",
    "ListValue",
    "DoubleValue",
    "FloatValue",
    "Int64Value",
    "UInt64Value",
    "Int32Value",
    "UInt32Value",
    "BoolValue",
    "StringValue",
    "BytesValue",
];
const MESSAGES: usize = 4;

/// A file of package `t` with the messages `M0` to `M3` and the enum `Color`.
pub fn source(random: &mut ChaCha8Rng, proto2: bool) -> String {
    let mut text = format!("syntax = \"proto{}\";\npackage t;\n", if proto2 { 2 } else { 3 });
    for file in ["timestamp", "duration", "any", "struct", "wrappers"] {
        let _ = writeln!(text, "import \"google/protobuf/{file}.proto\";");
    }
    text.push_str("enum Color { BLACK = 0; RED = 1; GREEN = 2; FAR = 70000; BELOW = -3; }\n");
    for index in 0..MESSAGES {
        let _ = writeln!(text, "message M{index} {{");
        fields(random, proto2, index, &mut text);
        text.push_str("}\n");
    }
    text
}

fn fields(random: &mut ChaCha8Rng, proto2: bool, message: usize, text: &mut String) {
    let mut number = 0;
    let mut next_number = |random: &mut ChaCha8Rng| {
        number += if random.random_bool(0.15) { random.random_range(1..400) } else { 1 };
        // Numbers that are reserved for protobuf itself.
        if (19_000..20_000).contains(&number) {
            number = 20_000;
        }
        number
    };
    let mut in_oneof = 0;
    for index in 0..random.random_range(1..14) {
        if in_oneof == 0 && random.random_bool(0.12) {
            in_oneof = random.random_range(1..4);
            let _ = writeln!(text, "  oneof choice{index} {{");
        }
        let number = next_number(random);
        let name = format!("f{index}");
        if in_oneof > 0 {
            let _ = writeln!(text, "    {} {name} = {number};", value_type(random, message));
            in_oneof -= 1;
            if in_oneof == 0 {
                text.push_str("  }\n");
            }
            continue;
        }
        match random.random_range(0..10) {
            0 | 1 => {
                let packed = ["", " [packed = true]", " [packed = false]"][random.random_range(0..3usize)];
                let kind = value_type(random, message);
                let packable =
                    kind == "Color" || (SCALARS.contains(&kind.as_str()) && kind != "string" && kind != "bytes");
                let _ = writeln!(text, "  repeated {kind} {name} = {number}{};", if packable { packed } else { "" });
            }
            2 => {
                let key = KEYS[random.random_range(0..KEYS.len())];
                let _ = writeln!(text, "  map<{key}, {}> {name} = {number};", value_type(random, message));
            }
            3 if proto2 => {
                let label = ["optional", "repeated"][random.random_range(0..2usize)];
                let _ = writeln!(
                    text,
                    "  {label} group G{message}x{index} = {number} {{ optional int32 a = 1; optional string b = 2; }}"
                );
            }
            4 if proto2 => {
                let default = [
                    "int32 NAME = NUMBER [default = -7]",
                    "string NAME = NUMBER [default = \"a rather long default text\"]",
                    "Color NAME = NUMBER [default = GREEN]",
                    "bool NAME = NUMBER [default = true]",
                    "double NAME = NUMBER [default = 1.5]",
                    "uint64 NAME = NUMBER [default = 18446744073709551615]",
                    "bytes NAME = NUMBER [default = \"\\001\\002\"]",
                ][random.random_range(0..7usize)];
                let _ = writeln!(
                    text,
                    "  optional {};",
                    default.replace("NAME", &name).replace("NUMBER", &number.to_string())
                );
            }
            kind => {
                let label = if proto2 || kind == 5 { "optional " } else { "" };
                let _ = writeln!(text, "  {label}{} {name} = {number};", value_type(random, message));
            }
        }
    }
    if in_oneof > 0 {
        let _ = writeln!(text, "    int32 last = {};", next_number(random));
        text.push_str("  }\n");
    }
}

fn value_type(random: &mut ChaCha8Rng, message: usize) -> String {
    match random.random_range(0..20) {
        0..=10 => SCALARS[random.random_range(0..SCALARS.len())].to_owned(),
        11 | 12 => "Color".to_owned(),
        13..=15 => format!("google.protobuf.{}", WELL_KNOWN[random.random_range(0..WELL_KNOWN.len())]),
        // Mostly to later messages; now and then to itself or back, which is recursion.
        16..=18 if message + 1 < MESSAGES => format!("M{}", random.random_range(message + 1..MESSAGES)),
        19 => format!("M{}", random.random_range(0..MESSAGES)),
        _ => "int64".to_owned(),
    }
}
