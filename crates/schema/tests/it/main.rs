//! What a schema set promises: comments, imports, errors with their place, descriptor sets, pushes.

use schema::{FieldLabel, SchemaErrorKind, SchemaSet, SourceFile};

fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), text: text.to_owned() }
}

fn set(files: &[(&str, &str)]) -> SchemaSet {
    let files: Vec<SourceFile> = files.iter().map(|(path, text)| file(path, text)).collect();
    SchemaSet::from_sources(&files).unwrap_or_else(|error| panic!("{error}"))
}

fn error(path: &str, text: &str) -> String {
    SchemaSet::from_sources(&[file(path, text)]).expect_err("is not valid").to_string()
}

const BOOKING: &str = r#"syntax = "proto3";
package city;

import "city/place.proto";
import "google/protobuf/timestamp.proto";

// A ride that somebody asked for.
message Booking {
  // Unique over all products.
  string order_id = 1;
  Status status = 2; // Where it stands.
  google.protobuf.Timestamp event_timestamp = 3;
  repeated int64 drivers = 4 [packed = false, deprecated = true];
  map<string, Place> stops = 5;
  optional double fare = 6;
  oneof payment { string card = 7; bool cash = 8; }
  enum Status { UNKNOWN = 0; COMPLETED = 1; }
}
"#;

const PLACE: &str = "syntax = \"proto3\"; package city; message Place { double lat = 1; double long = 2; }";

fn city() -> SchemaSet {
    set(&[("city/booking.proto", BOOKING), ("city/place.proto", PLACE)])
}

#[test]
fn a_message_is_described_with_its_fields_and_comments() {
    let booking = city().describe("city.Booking").expect("is there");
    assert_eq!(booking.file, "city/booking.proto");
    assert_eq!(booking.comment.as_deref(), Some("A ride that somebody asked for."));
    let lines: Vec<String> = booking
        .fields
        .iter()
        .map(|field| {
            let comment = field.comment.as_deref().unwrap_or("-");
            format!("{} {} {} {:?} {comment}", field.number, field.name, field.type_name, field.label)
        })
        .collect();
    let expected = [
        "1 order_id string Implicit Unique over all products.",
        "2 status city.Booking.Status Implicit Where it stands.",
        "3 event_timestamp google.protobuf.Timestamp Optional -",
        "4 drivers int64 Repeated -",
        "5 stops map<string, city.Place> Map -",
        "6 fare double Optional -",
        "7 card string Optional -",
        "8 cash bool Optional -",
    ];
    assert_eq!(lines, expected);
    assert_eq!(booking.fields[1].enum_values, ["UNKNOWN", "COMPLETED"]);
    assert_eq!(booking.fields[4].message.as_deref(), Some("city.Place"));
    assert_eq!(booking.fields[6].oneof.as_deref(), Some("payment"));
    assert_eq!(booking.fields[5].oneof, None);
    assert!(booking.fields[3].deprecated && !booking.fields[0].deprecated);
}

#[test]
fn what_a_source_says_about_packing_is_kept() {
    let message = city().message("city.Booking").expect("is there");
    assert!(!message.get_field_by_name("drivers").expect("a field").is_packed());
}

#[test]
fn messages_are_listed_without_the_well_known_ones() {
    let names: Vec<String> = city().messages().into_iter().map(|message| message.full_name).collect();
    assert_eq!(names, ["city.Booking", "city.Place"]);
    assert!(city().describe("google.protobuf.Timestamp").is_ok());
}

#[test]
fn an_unknown_message_names_the_nearest() {
    let error = city().message("city.Boking").expect_err("is not there");
    assert_eq!(error.kind, SchemaErrorKind::NotFound);
    assert_eq!(error.to_string(), "there is no message type `city.Boking` (did you mean `city.Booking`?)");
    assert!(city().message("booking").expect_err("is not there").to_string().contains("did you mean `city.Booking`?"));
    assert!(SchemaSet::empty().message("a.B").expect_err("is empty").to_string().contains("millrace schema push"));
}

#[test]
fn errors_have_their_place() {
    let wrong_type = "syntax = \"proto3\";\nmessage M {\n  Strin name = 1;\n}\n";
    assert!(
        error("m.proto", wrong_type).starts_with("m.proto:3:3: name 'Strin' is not defined ("),
        "{}",
        error("m.proto", wrong_type)
    );
    let syntax = "syntax = \"proto3\";\nmessage M {\n  string name 1;\n}\n";
    assert!(error("m.proto", syntax).starts_with("m.proto:3:15: expected '='"), "{}", error("m.proto", syntax));
    let number = "syntax = \"proto3\";\nmessage M {\n  string a = 1;\n  string b = 1;\n}\n";
    assert!(
        error("m.proto", number).starts_with("m.proto:4:14: field number '1' is already used"),
        "{}",
        error("m.proto", number)
    );
    let import = "syntax = \"proto3\";\nimport \"other.proto\";\n";
    let text = error("m.proto", import);
    assert!(text.starts_with("m.proto:2:1: import 'other.proto' not found (push the imported file"), "{text}");
}

#[test]
fn all_files_are_looked_at_before_giving_up() {
    let files = [
        file("a.proto", "syntax = \"proto3\"; message A { X x = 1; }"),
        file("b.proto", "syntax = \"proto3\"; mesage B {}"),
    ];
    let error = SchemaSet::from_sources(&files).expect_err("both are wrong");
    let places: Vec<Option<String>> = error.diagnostics().into_iter().map(|finding| finding.file).collect();
    assert_eq!(places, [Some("a.proto".to_owned()), Some("b.proto".to_owned())]);
    assert_eq!(error.to_string().lines().count(), 2);
}

#[test]
fn editions_in_sources_are_explained() {
    let text = error("m.proto", "edition = \"2023\";\nmessage M {}\n");
    assert!(text.contains("syntax = \"proto3\""), "{text}");
}

#[test]
fn paths_and_sizes_are_limited() {
    for path in ["", "/m.proto", "../m.proto", "a//m.proto", "a\\m.proto"] {
        let error = SchemaSet::from_sources(&[file(path, "syntax = \"proto3\";")]).expect_err("no import path");
        assert_eq!(error.kind, SchemaErrorKind::Invalid, "{path}");
    }
    let large = "/".repeat(schema::SOURCE_BYTES_MAX + 1);
    assert_eq!(
        SchemaSet::from_sources(&[file("m.proto", &large)]).expect_err("too large").kind,
        SchemaErrorKind::TooLarge
    );
    let deep = format!("syntax = \"proto3\"; {}{}", "message M {".repeat(1_000), "}".repeat(1_000));
    let error = SchemaSet::from_sources(&[file("m.proto", &deep)]).expect_err("too deep");
    assert_eq!((error.kind, error.line), (SchemaErrorKind::TooLarge, Some(1)));
    let twice = [file("m.proto", "syntax = \"proto3\";"), file("m.proto", "syntax = \"proto3\";")];
    assert!(SchemaSet::from_sources(&twice).is_err());
}

#[test]
fn a_descriptor_set_keeps_everything() {
    let before = city();
    let after = SchemaSet::from_descriptor_set(&before.to_descriptor_set()).expect("is read");
    assert_eq!(before.messages(), after.messages());
    let proto2 = set(&[(
        "m.proto",
        "syntax = \"proto2\"; message M { required int32 a = 1; optional string b = 2 [default = \"x\"]; }",
    )]);
    let message =
        SchemaSet::from_descriptor_set(&proto2.to_descriptor_set()).expect("is read").describe("M").expect("is there");
    assert_eq!(message.fields[0].label, FieldLabel::Required);
    assert_eq!(message.fields[1].default.as_deref(), Some("\"x\""));
}

#[test]
fn a_descriptor_set_that_is_none_is_refused() {
    let error = SchemaSet::from_descriptor_set(b"no descriptor set").expect_err("is none");
    assert!(error.to_string().contains("--include_imports"), "{error}");
    assert!(SchemaSet::from_descriptor_set(&[]).expect("an empty set").messages().is_empty());
}

#[test]
fn a_push_replaces_files_and_keeps_the_others() {
    let newer = set(&[(
        "city/place.proto",
        "syntax = \"proto3\"; package city; message Place { double lat = 1; double long = 2; string name = 3; }",
    )]);
    let merged = city().merge(&newer).expect("fits");
    assert_eq!(merged.describe("city.Place").expect("is there").fields.len(), 3);
    let booking = merged.message("city.Booking").expect("is there");
    let stops = booking.get_field_by_name("stops").expect("a field");
    let place = stops.kind().as_message().and_then(|entry| entry.map_entry_value_field().kind().as_message().cloned());
    assert_eq!(place.expect("a message").fields().len(), 3, "the old file sees the new type");
}

#[test]
fn a_push_that_breaks_others_is_a_conflict() {
    let without = set(&[("city/place.proto", "syntax = \"proto3\"; package city; message Spot { double lat = 1; }")]);
    let error = city().merge(&without).expect_err("Booking needs Place");
    assert_eq!(error.kind, SchemaErrorKind::Conflict);
    assert!(error.to_string().contains("Place"), "{error}");
}

#[test]
fn a_type_that_moves_to_another_file_takes_the_old_files_place() {
    let old = set(&[("old.proto", "syntax = \"proto3\"; package t; message M { int32 a = 1; }")]);
    let moved = set(&[("new.proto", "syntax = \"proto3\"; package t; message M { int32 a = 1; int32 b = 2; }")]);
    let merged = old.merge(&moved).expect("fits");
    assert_eq!(merged.describe("t.M").expect("is there").file, "new.proto");
    let two =
        set(&[("old.proto", "syntax = \"proto3\"; package t; message M { int32 a = 1; } message N { int32 a = 1; }")]);
    let error = two.merge(&moved).expect_err("N would go");
    assert_eq!(error.kind, SchemaErrorKind::Conflict);
    assert!(error.to_string().contains("`t.M` is already defined in `old.proto`"), "{error}");
}

/// A descriptor set with one file, from the text form of its descriptor.
fn descriptor_set(file: &str) -> Vec<u8> {
    let pool = prost_reflect::DescriptorPool::global();
    let descriptor = pool.get_message_by_name("google.protobuf.FileDescriptorSet").expect("is well-known");
    let text = format!("file {{ {file} }}");
    let set = prost_reflect::DynamicMessage::parse_text_format(descriptor, &text)
        .unwrap_or_else(|error| panic!("{error}\n{text}"));
    prost::Message::encode_to_vec(&set)
}

/// A file of edition 2023 with these features and an enum that begins with this number.
fn edition_file(features: &str, first_number: i32) -> Vec<u8> {
    let field = |name: &str, number: i32, kind: &str, label: &str, features: &str| {
        format!(
            "field {{ name: '{name}' number: {number} label: LABEL_{label} {kind} options {{ features {{ {features} }} }} }}\n"
        )
    };
    let int = "type: TYPE_INT32";
    let implicit = field("implicit", 2, int, "OPTIONAL", "field_presence: IMPLICIT");
    let fields = [
        field("explicit", 1, int, "OPTIONAL", ""),
        field("must", 3, "type: TYPE_STRING", "OPTIONAL", "field_presence: LEGACY_REQUIRED"),
        field("packed", 4, int, "REPEATED", ""),
        field("expanded", 5, int, "REPEATED", "repeated_field_encoding: EXPANDED"),
        field("part", 6, "type: TYPE_MESSAGE type_name: '.t.M'", "OPTIONAL", "message_encoding: DELIMITED"),
        if first_number == 0 { implicit } else { String::new() },
    ];
    descriptor_set(&format!(
        "name: 'm.proto' package: 't' syntax: 'editions' edition: EDITION_2023 options {{ features {{ {features} }} }}
         message_type {{ name: 'M' {} }}
         enum_type {{ name: 'E' value {{ name: 'FIRST' number: {first_number} }} }}",
        fields.concat()
    ))
}

#[test]
fn a_descriptor_set_of_an_edition_keeps_its_meaning() {
    let set = SchemaSet::from_descriptor_set(&edition_file("", 0)).expect("is read");
    let message = set.message("t.M").expect("is there");
    let field = |name: &str| message.get_field_by_name(name).expect("a field");
    assert!(field("explicit").supports_presence() && !field("implicit").supports_presence());
    assert!(field("must").is_required() && field("must").supports_presence());
    assert!(field("packed").is_packed() && !field("expanded").is_packed());
    assert!(field("part").is_group());
    let labels: Vec<FieldLabel> =
        set.describe("t.M").expect("is there").fields.iter().map(|field| field.label).collect();
    let (optional, repeated) = (FieldLabel::Optional, FieldLabel::Repeated);
    assert_eq!(labels, [optional, FieldLabel::Required, repeated, repeated, optional, FieldLabel::Implicit]);
    let again = SchemaSet::from_descriptor_set(&set.to_descriptor_set()).expect("is read");
    assert_eq!(again.messages(), set.messages());
}

#[test]
fn features_of_a_file_hold_for_what_is_in_it() {
    let features = "field_presence: IMPLICIT enum_type: CLOSED";
    let set = SchemaSet::from_descriptor_set(&edition_file(features, 0)).expect("is read");
    assert!(!set.message("t.M").expect("is there").get_field_by_name("explicit").expect("a field").supports_presence());
}

#[test]
fn what_of_an_edition_has_no_counterpart_is_explained() {
    assert!(SchemaSet::from_descriptor_set(&edition_file("enum_type: CLOSED", 5)).is_ok(), "proto2 takes it");
    let both = "enum_type: CLOSED field_presence: IMPLICIT";
    let error = SchemaSet::from_descriptor_set(&edition_file(both, 5)).expect_err("has no counterpart");
    assert_eq!(error.kind, SchemaErrorKind::Unsupported);
    assert!(error.to_string().contains("enum `E`"), "{error}");
    let unknown = descriptor_set("name: 'm.proto' syntax: 'editions' edition: EDITION_99999_TEST_ONLY");
    let error = SchemaSet::from_descriptor_set(&unknown).expect_err("is not known");
    assert_eq!(error.kind, SchemaErrorKind::Unsupported);
}
