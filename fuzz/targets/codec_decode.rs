//! Any bytes: no panic, valid arrays, no trace of broken records in the good ones, the same verdict on framing for every
//! projection.
#![no_main]

mod programs;

use std::sync::OnceLock;

use arrow::array::Array;
use bytes::Bytes;
use codec::{DecodeOptions, DecodeProgram, Decoded, Limits, Projection};
use libfuzzer_sys::fuzz_target;

struct Pair {
    all: DecodeProgram,
    few: DecodeProgram,
    none: DecodeProgram,
}

fn pairs() -> &'static [Pair] {
    static PAIRS: OnceLock<Vec<Pair>> = OnceLock::new();
    PAIRS.get_or_init(|| {
        let limits = Limits { recursion_depth_max: 2, elements_max: 200, ..Limits::default() };
        let options = DecodeOptions { limits, keep_unknown: true, ..DecodeOptions::default() };
        let pair = |message, paths: &[&str]| Pair {
            all: DecodeProgram::compile(message, &Projection::all(), &options).expect("compiles"),
            few: DecodeProgram::compile(message, &Projection::paths(paths), &options).expect("compiles"),
            none: DecodeProgram::compile(message, &Projection::paths::<_, &str>([]), &options).expect("compiles"),
        };
        let messages = programs::messages();
        vec![
            pair(&messages[0], &["f1", "f3", "f14", "f17.b", "f20", "f28", "f28.nanos", "f36", "f38.at"]),
            pair(&messages[1], &["f1", "f3", "f5", "f9", "g7.a"]),
        ]
    })
}

fn decode(program: &DecodeProgram, data: &Bytes, spans: &[(u32, u32)]) -> Decoded {
    let decoded = program.decoder().decode(data, spans);
    assert_eq!(decoded.batch.num_rows() + decoded.errors.len(), spans.len());
    for column in decoded.batch.columns() {
        column.to_data().validate_full().expect("a valid array");
    }
    decoded
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first() else { return };
    let pair = &pairs()[usize::from(choice & 1)];
    let data = Bytes::copy_from_slice(rest);
    let spans = programs::spans(rest);
    let all = decode(&pair.all, &data, &spans);
    let few = decode(&pair.few, &data, &spans);
    let none = decode(&pair.none, &data, &spans);
    // What is broken for a projection is broken for a wider one.
    for error in &none.errors {
        assert!(few.errors.iter().any(|wider| wider.index == error.index), "{error}");
    }
    for error in &few.errors {
        assert!(all.errors.iter().any(|wider| wider.index == error.index), "{error}");
    }
    // Good records alone give the same columns.
    let good: Vec<(u32, u32)> = match &all.rows {
        Some(rows) => rows.iter().map(|index| spans[*index as usize]).collect(),
        None => return,
    };
    let alone = decode(&pair.all, &data, &good);
    assert!(alone.errors.is_empty());
    assert_eq!(format!("{:?}", alone.batch), format!("{:?}", all.batch));
});
