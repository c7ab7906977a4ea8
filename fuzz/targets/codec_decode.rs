//! Any bytes: no panic, valid arrays, no trace of broken records in the good ones, the same verdict on framing for every
//! projection.
#![no_main]

mod programs;

use std::cell::RefCell;

use arrow::array::Array;
use bytes::Bytes;
use codec::{DecodeOptions, DecodeProgram, Decoded, Decoder, Limits, Projection};
use libfuzzer_sys::fuzz_target;

/// Decoders of everything, of some fields, of none.
struct Decoders {
    all: Decoder,
    few: Decoder,
    none: Decoder,
}

fn decoders() -> Vec<Decoders> {
    // One level of the recursive type suffices, and is ten times as fast as two.
    let make = |message, recursion_depth_max, paths: &[&str]| {
        let limits = Limits { recursion_depth_max, elements_max: 200, ..Limits::default() };
        let options = DecodeOptions { limits, keep_unknown: true, ..DecodeOptions::default() };
        let decoder = |projection: &Projection| {
            DecodeProgram::compile(message, projection, &options).expect("compiles").decoder()
        };
        Decoders {
            all: decoder(&Projection::all()),
            few: decoder(&Projection::paths(paths)),
            none: decoder(&Projection::paths::<_, &str>([])),
        }
    };
    let messages = programs::messages();
    vec![
        make(&messages[0], 1, &["f1", "f3", "f14", "f17.b", "f20", "f28", "f28.nanos", "f36", "f38.at"]),
        make(&messages[1], 2, &["f1", "f3", "f5", "f9", "g7.a"]),
    ]
}

thread_local! {
    static DECODERS: RefCell<Vec<Decoders>> = RefCell::new(decoders());
}

fn decode(decoder: &mut Decoder, data: &Bytes, spans: &[(u32, u32)]) -> Decoded {
    let decoded = decoder.decode(data, spans);
    assert_eq!(decoded.batch.num_rows() + decoded.errors.len(), spans.len());
    for column in decoded.batch.columns() {
        column.to_data().validate_full().expect("a valid array");
    }
    decoded
}

fn check(decoders: &mut Decoders, bytes: &[u8]) {
    let data = Bytes::copy_from_slice(bytes);
    let spans = programs::spans(bytes);
    let all = decode(&mut decoders.all, &data, &spans);
    let few = decode(&mut decoders.few, &data, &spans);
    let none = decode(&mut decoders.none, &data, &spans);
    // What is broken for a projection is broken for a wider one.
    for error in &none.errors {
        assert!(few.errors.iter().any(|wider| wider.index == error.index), "{error}");
    }
    for error in &few.errors {
        assert!(all.errors.iter().any(|wider| wider.index == error.index), "{error}");
    }
    // Good records alone give the same columns.
    if let Some(rows) = &all.rows {
        let good: Vec<(u32, u32)> = rows.iter().map(|index| spans[*index as usize]).collect();
        let alone = decode(&mut decoders.all, &data, &good);
        assert!(alone.errors.is_empty());
        programs::assert_same(&alone.batch, &all.batch);
    }
}

fuzz_target!(|input: &[u8]| {
    if let Some((choice, rest)) = input.split_first() {
        DECODERS.with_borrow_mut(|decoders| check(&mut decoders[usize::from(choice & 1)], rest));
    }
});
