//! What was decoded can be encoded, and means the same when it is decoded again.
#![no_main]

mod programs;

use std::cell::RefCell;

use bytes::Bytes;
use codec::{DecodeOptions, DecodeProgram, Decoder, EncodeProgram, Limits, Projection};
use libfuzzer_sys::fuzz_target;

fn pairs() -> Vec<(Decoder, EncodeProgram)> {
    let pair = |(message, recursion_depth_max)| {
        let limits = Limits { recursion_depth_max, ..Limits::default() };
        let options = DecodeOptions { limits, keep_unknown: true, declared_defaults: false };
        let decode = DecodeProgram::compile(message, &Projection::all(), &options).expect("compiles");
        let encode = EncodeProgram::compile(message, decode.schema()).expect("compiles");
        (decode.decoder(), encode)
    };
    programs::messages().iter().zip([1, 2]).map(pair).collect()
}

thread_local! {
    static PAIRS: RefCell<Vec<(Decoder, EncodeProgram)>> = RefCell::new(pairs());
}

fn check((decoder, encode): &mut (Decoder, EncodeProgram), bytes: &[u8]) {
    let data = Bytes::copy_from_slice(bytes);
    let first = decoder.decode(&data, &programs::spans(bytes));
    let encoded = encode.encode(&first.batch).expect("fits in a slab");
    // Bytes that are kept unread may turn out to be no fields; nothing else may be refused.
    for error in &encoded.errors {
        assert!(matches!(error.kind, codec::EncodeErrorKind::Message(_)), "{error}");
    }
    if !encoded.errors.is_empty() {
        return;
    }
    let second = decoder.decode(&encoded.data, &encoded.spans);
    assert!(second.errors.is_empty(), "{:?}", second.errors);
    programs::assert_same(&first.batch, &second.batch);
}

fuzz_target!(|input: &[u8]| {
    if let Some((choice, rest)) = input.split_first() {
        PAIRS.with_borrow_mut(|pairs| check(&mut pairs[usize::from(choice & 1)], rest));
    }
});
