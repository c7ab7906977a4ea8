//! Every way of being wrong, with InfluxDB 1.6's words (taken from its answers) and the place.

use line_protocol::{ParseOptions, parse};

#[track_caller]
fn check(body: &[u8], reason: &str, line: usize, column: usize) {
    let points = parse(body, &ParseOptions::default(), &|_| None).unwrap();
    let shown = String::from_utf8_lossy(body);
    assert_eq!(points.malformed, 1, "{shown}");
    let told = &points.malformed_told[0];
    assert_eq!((told.reason.as_str(), told.line, told.column), (reason, line, column), "{shown}");
}

#[test]
fn each_has_its_words_and_its_place() {
    for (line, reason, column) in [
        ("cpu value=", "missing field value", 11),
        ("cpu value=,b=1", "missing field value", 11),
        ("cpu", "missing fields", 4),
        ("cpu,host=a", "missing fields", 11),
        ("cpu ", "invalid field format", 5),
        (",host=a value=1", "missing measurement", 1),
        ("cpu, value=1", "missing tag key", 5),
        ("cpu,=a value=1", "missing tag key", 5),
        ("cpu,host value=1", "missing tag value", 9),
        ("cpu,host= value=1", "missing tag value", 10),
        ("cpu,host=a=b value=1", "invalid tag format", 11),
        ("cpu,host=a,host=b value=1", "duplicate tags", 5),
        ("cpu,b=1,host=a,b=2 value=1", "duplicate tags", 5),
        ("cpu =1", "missing field key", 5),
        ("cpu a=1,=2", "missing field key", 9),
        ("cpu a=1,b", "invalid field format", 5),
        ("cpu a", "invalid field format", 5),
        ("cpu a=1 b=2", "bad timestamp", 9),
        ("cpu a=NaN", "invalid number", 7),
        ("cpu a=nan", "invalid number", 7),
        ("cpu a=-Inf", "invalid number", 8),
        ("cpu a=Inf", "invalid boolean", 7),
        ("cpu a=1.2.3", "invalid number", 10),
        ("cpu a=1.5i", "invalid number", 7),
        ("cpu a=1u", "invalid number", 7),
        ("cpu a=1i2", "invalid number", 7),
        ("cpu a=--1", "invalid number", 8),
        ("cpu a=1e", "invalid float", 7),
        ("cpu a=1e999", "invalid float", 7),
        ("cpu a=yes", "invalid boolean", 7),
        ("cpu a=tRUE", "invalid boolean", 7),
        ("cpu a=\"open", "unbalanced quotes", 7),
        ("cpu a=\"x\"y", "text behind a closing quote", 10),
        ("cpu a=\"x \\\" y\"9,b=1 12", "text behind a closing quote", 15),
        ("cpu a=1,b=\"x\"y\"z\"9 12", "text behind a closing quote", 14),
        ("cpu a=1 12x", "bad timestamp", 11),
        ("cpu a=1 1.5", "bad timestamp", 10),
        ("cpu a=1 1\r", "bad timestamp", 10),
        ("cpu a=1 1 2", "point is invalid", 11),
        ("cpu a=1 -", "strconv.ParseInt: parsing \"-\": invalid syntax", 9),
        ("cpu a=1 9223372036854775808", "strconv.ParseInt: parsing \"9223372036854775808\": value out of range", 9),
        ("cpu a=1 9223372036854775807", "time outside range -9223372036854775806 - 9223372036854775806", 9),
        (
            "cpu a=9223372036854775808i",
            "unable to parse integer 9223372036854775808: strconv.ParseInt: parsing \"9223372036854775808\": value out of \
             range",
            7,
        ),
    ] {
        check(line.as_bytes(), reason, 1, column);
        // The others are taken, and the place is the line's own.
        let body = format!("good,host=a value=1 1\n# a comment\n\n  {line}\n");
        let column = column + 2;
        let is_open = reason == "unbalanced quotes";
        check(body.as_bytes(), reason, 4, column);
        let body = format!("{body}good value=2 2\n");
        let points = parse(body.as_bytes(), &ParseOptions::default(), &|_| None).unwrap();
        assert_eq!(points.rows, if is_open { 1 } else { 2 }, "{body}");
    }
}

#[test]
fn bytes_that_are_no_text_are_told() {
    check(b"cpu,host=\xff\xfe value=1", "invalid UTF-8", 1, 10);
    check(b"ok value=1\nb\xc3\xbccher value=\"\xe4\"", "invalid UTF-8", 2, 15);
}

#[test]
fn long_keys_are_told_as_influxdb_does_and_shown_cut() {
    let line = format!("cpu,host={} value=1", "x".repeat(65_530));
    let points = parse(line.as_bytes(), &ParseOptions::default(), &|_| None).unwrap();
    let told = &points.malformed_told[0];
    assert_eq!(told.reason, "max key length exceeded: 65539 > 65535");
    assert!(told.text.len() < 1_100 && told.text.ends_with("..."), "{}", told.text.len());
    // With the field's name it is too long only then.
    let line = format!("cpu,host={} value=1", "x".repeat(65_525));
    check(line.as_bytes(), "max key length exceeded: 65543 > 65535", 1, 65_536);
}

#[test]
fn the_text_is_influxdbs_with_the_place_behind_it() {
    let points = parse(b"cpu value=\ncpu value=1\n\xc3\xbc", &ParseOptions::default(), &|_| None).unwrap();
    assert_eq!(
        points.malformed_text().unwrap(),
        "unable to parse 'cpu value=': missing field value (line 1, column 11)\n\
         unable to parse '\u{fc}': missing fields (line 3, column 2)"
    );
    let many = parse(&b"x\n".repeat(130), &ParseOptions::default(), &|_| None).unwrap();
    assert_eq!(many.malformed, 130);
    assert!(many.malformed_text().unwrap().ends_with("(line 100, column 2)\nand 30 more lines"));
}

#[test]
fn a_newline_in_a_text_does_not_end_its_line() {
    check(b"a t=\"one\ntwo\" 1x\nb v=1", "bad timestamp", 2, 7);
    check(b"a t=\"one\ntwo\" 1\nb v=", "missing field value", 3, 5);
}

#[test]
fn a_newline_behind_a_backslash_belongs_to_its_line_unless_it_is_the_last_of_it() {
    let told = |body: &[u8]| {
        let points = parse(body, &ParseOptions::default(), &|_| None).unwrap();
        points.malformed_told.iter().map(|line| (line.text.clone(), line.line)).collect::<Vec<_>>()
    };
    assert_eq!(told(b" a comment\\\n\nb"), [("a comment\\".to_owned(), 1), ("b".to_owned(), 3)]);
    assert_eq!(told(b"a\\\nb"), [("a\\\nb".to_owned(), 2)]);
}
