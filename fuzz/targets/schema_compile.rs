//! Any text as a `.proto` file, any bytes as a descriptor set: an error or a set that can be listed, written and read again.
#![no_main]

use codec::{DecodeOptions, DecodeProgram, Limits, Projection};
use libfuzzer_sys::fuzz_target;
use schema::{SchemaSet, SourceFile};

fn look_at(set: &SchemaSet) {
    let listed = set.messages();
    let again = SchemaSet::from_descriptor_set(&set.to_descriptor_set()).expect("what was written is read");
    assert_eq!(listed, again.messages());
    for summary in listed.iter().take(8) {
        let message = set.message(&summary.full_name).expect("what is listed is found");
        let schema = codec::arrow_schema(&message, &Limits::default());
        let program =
            DecodeProgram::compile(&message, &Projection::all(), &DecodeOptions::default()).expect("compiles");
        assert_eq!(program.schema(), &schema);
    }
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first() else { return };
    let set = if choice & 1 == 0 {
        let Ok(text) = std::str::from_utf8(rest) else { return };
        SchemaSet::from_sources(&[SourceFile { path: "fuzz.proto".to_owned(), text: text.to_owned() }])
    } else {
        SchemaSet::from_descriptor_set(rest)
    };
    match set {
        Ok(set) => look_at(&set),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
