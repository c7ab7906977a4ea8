//! What was decoded can be encoded, and means the same when it is decoded again.
#![no_main]

mod programs;

use std::sync::OnceLock;

use bytes::Bytes;
use codec::{DecodeOptions, DecodeProgram, EncodeProgram, Limits, Projection};
use libfuzzer_sys::fuzz_target;

fn pairs() -> &'static [(DecodeProgram, EncodeProgram)] {
    static PAIRS: OnceLock<Vec<(DecodeProgram, EncodeProgram)>> = OnceLock::new();
    PAIRS.get_or_init(|| {
        let limits = Limits { recursion_depth_max: 2, ..Limits::default() };
        let options = DecodeOptions { limits, keep_unknown: true, declared_defaults: false };
        let pair = |message| {
            let decode = DecodeProgram::compile(message, &Projection::all(), &options).expect("compiles");
            let encode = EncodeProgram::compile(message, decode.schema()).expect("compiles");
            (decode, encode)
        };
        programs::messages().iter().map(pair).collect()
    })
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first() else { return };
    let (decode, encode) = &pairs()[usize::from(choice & 1)];
    let data = Bytes::copy_from_slice(rest);
    let first = decode.decoder().decode(&data, &programs::spans(rest));
    let encoded = encode.encode(&first.batch).expect("fits in a slab");
    // Bytes that are kept unread may turn out to be no fields; nothing else may be refused.
    for error in &encoded.errors {
        assert!(matches!(error.kind, codec::EncodeErrorKind::Message(_)), "{error}");
    }
    if !encoded.errors.is_empty() {
        return;
    }
    let second = decode.decoder().decode(&encoded.data, &encoded.spans);
    assert!(second.errors.is_empty(), "{:?}", second.errors);
    assert_eq!(format!("{:?}", first.batch), format!("{:?}", second.batch));
});
