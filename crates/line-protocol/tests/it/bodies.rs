//! Bodies that are right, as the batches that they become.

use arrow::util::pretty::pretty_format_batches;
use line_protocol::{ParseLimits, ParseOptions, Points, Precision, parse};
use series::{FieldInfo, FieldType, MeasurementInfo, PointLayout};
use std::time::Duration;

fn read(body: &str) -> Points {
    parse(body.as_bytes(), &ParseOptions { now_nanos: 1_700_000_000_123_456_789, ..ParseOptions::default() }, &|_| None)
        .unwrap()
}

fn known(name: &str) -> MeasurementInfo {
    MeasurementInfo {
        name: name.to_owned(),
        tags: vec!["host".to_owned()],
        fields: vec![FieldInfo { name: "x".to_owned(), field_type: FieldType::Int64 }],
        points_estimate: 1,
        series: 1,
        last_write_nanos: None,
        retention: Duration::from_secs(60),
        sequence: 1,
    }
}

#[track_caller]
fn check(points: &Points, at: usize, name: &str, table: &[&str]) {
    let measurement = &points.measurements[at];
    assert_eq!(measurement.measurement, name);
    let shown = pretty_format_batches(std::slice::from_ref(&measurement.batch)).unwrap().to_string();
    assert_eq!(shown.lines().map(str::trim_end).collect::<Vec<_>>(), table);
}

#[test]
fn lines_of_several_measurements_with_different_columns() {
    let points = read(
        "cpu,host=a,region=eu value=1.5 1\n\
         mem,host=a free=12i,ok=t 2\n\
         cpu,region=us value=-2 3\n\
         cpu text=\"a, b=\\\"c\\\"\",value=3 4\n\
         mem free=7i 5\n",
    );
    assert_eq!((points.rows, points.malformed, points.refused, points.measurements.len()), (5, 0, 0, 2));
    check(
        &points,
        0,
        "cpu",
        &[
            "+-------------------------------+------+--------+-------+----------+",
            "| time                          | host | region | value | text     |",
            "+-------------------------------+------+--------+-------+----------+",
            "| 1970-01-01T00:00:00.000000001 | a    | eu     | 1.5   |          |",
            "| 1970-01-01T00:00:00.000000003 |      | us     | -2.0  |          |",
            "| 1970-01-01T00:00:00.000000004 |      |        | 3.0   | a, b=\"c\" |",
            "+-------------------------------+------+--------+-------+----------+",
        ],
    );
    let layout = PointLayout {
        time: 0,
        tags: vec![(1, "host".to_owned())],
        fields: vec![(2, "free".to_owned()), (3, "ok".to_owned())],
    };
    assert_eq!(points.measurements[1].layout, layout);
    assert_eq!(points.measurements[1].line_start(1), 117);
}

#[test]
fn times_have_their_units_and_may_be_long_ago_or_far_away() {
    let micros = |unit: &str, time: &str| {
        let body = format!("m v=1{time}");
        let precision = Precision::parse(unit).unwrap();
        let options = ParseOptions { precision, now_nanos: 1_700_000_000_123_456_789, ..ParseOptions::default() };
        let points = parse(body.as_bytes(), &options, &|_| None).unwrap();
        let times = arrow::compute::cast(points.measurements[0].batch.column(0), &arrow::datatypes::DataType::Int64);
        arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(&times.unwrap()).value(0)
    };
    for (unit, time, nanos) in [
        ("n", " 5", 5),
        ("", " -5", -5),
        ("u", " 5", 5_000),
        ("ms", " 5", 5_000_000),
        ("s", " -86400", -86_400_000_000_000),
        ("m", " 5", 300_000_000_000),
        ("h", " 5", 18_000_000_000_000),
        // 2261, and 1678.
        ("s", " 9183110399", 9_183_110_399_000_000_000),
        ("s", " -9214560000", -9_214_560_000_000_000_000),
        ("n", "", 1_700_000_000_123_456_789),
        ("ms", "", 1_700_000_000_123_000_000),
        ("h", "", 1_699_999_200_000_000_000),
    ] {
        assert_eq!(micros(unit, time), nanos, "{unit}{time}");
    }
    assert_eq!(Precision::parse("d"), None);
}

#[test]
fn a_field_keeps_the_type_that_it_has_first() {
    let points = read("m x=1i,y=1 1\nm x=1,z=2 2\nm x=2i 3\nm z=\"text\" 4");
    assert_eq!((points.rows, points.refused), (3, 1));
    assert_eq!(
        points.refusal.as_deref(),
        Some(
            "field type conflict: input field \"x\" on measurement \"m\" is type float, already exists as type integer"
        )
    );
    // What the refused line brought is not there: `z` is text.
    assert_eq!(points.measurements[0].layout.fields, [(1, "x".into()), (2, "y".into()), (3, "z".into())]);
    check(
        &points,
        0,
        "m",
        &[
            "+-------------------------------+---+-----+------+",
            "| time                          | x | y   | z    |",
            "+-------------------------------+---+-----+------+",
            "| 1970-01-01T00:00:00.000000001 | 1 | 1.0 |      |",
            "| 1970-01-01T00:00:00.000000003 | 2 |     |      |",
            "| 1970-01-01T00:00:00.000000004 |   |     | text |",
            "+-------------------------------+---+-----+------+",
        ],
    );
}

#[test]
fn what_is_stored_decides() {
    let stored = |name: &str| (name == "m").then(|| known(name));
    let refusal = |body: &str| {
        let points = parse(body.as_bytes(), &ParseOptions::default(), &stored).unwrap();
        assert!(points.measurements.is_empty() && points.refused == 1, "{body}");
        points.refusal.unwrap()
    };
    assert_eq!(
        refusal("m x=1.5"),
        "field type conflict: input field \"x\" on measurement \"m\" is type float, already exists as type integer"
    );
    assert_eq!(refusal("m host=\"a\""), "\"host\" of measurement \"m\" is a tag already and cannot be a field as well");
    assert_eq!(refusal("m,x=1 y=1"), "\"x\" of measurement \"m\" is a field already and cannot be a tag as well");
    assert_eq!(refusal("m,a=1 a=1"), "\"a\" of measurement \"m\" is a tag already and cannot be a field as well");
    let points = parse(b"m x=1i\nother x=1.5", &ParseOptions::default(), &stored).unwrap();
    assert_eq!((points.rows, points.refused), (2, 0));
}

#[test]
fn time_is_no_column() {
    let points = read("m time=5,v=1 1\nm time=5 2\nm,time=5 v=1 3");
    assert_eq!((points.rows, points.refused), (1, 2));
    assert_eq!(
        points.refusal.as_deref(),
        Some("invalid field name: input field \"time\" on measurement \"m\" is invalid")
    );
    assert_eq!(points.measurements[0].layout.fields, [(1, "v".to_owned())]);
    let points = read("m,time=5 v=1 3");
    assert_eq!(points.refusal.as_deref(), Some("invalid tag key: input tag \"time\" on measurement \"m\" is invalid"));
}

#[test]
fn a_name_written_in_two_ways_is_one() {
    let points = read("a\\ b,t\\ x=1 f\\=y=1 1\na\\ b f\\=y=2,v=1,v=3 2\nq\"r \"f\"=1 3\nq\\\"r \\\"f\"=2 4");
    assert_eq!((points.measurements.len(), points.rows, points.malformed), (2, 4, 0));
    check(
        &points,
        0,
        "a b",
        &[
            "+-------------------------------+-----+-----+-----+",
            "| time                          | t x | f=y | v   |",
            "+-------------------------------+-----+-----+-----+",
            "| 1970-01-01T00:00:00.000000001 | 1   | 1.0 |     |",
            "| 1970-01-01T00:00:00.000000002 |     | 2.0 | 3.0 |",
            "+-------------------------------+-----+-----+-----+",
        ],
    );
    assert_eq!(points.measurements[1].measurement, "q\"r");
    assert_eq!(points.measurements[1].layout.fields.len(), 1);
}

#[test]
fn limits_refuse_lines_and_no_more() {
    let limits = ParseLimits {
        measurement_bytes_max: 8,
        name_bytes_max: 8,
        tags_max: 2,
        fields_max: 2,
        measurements_max: 2,
        ..ParseLimits::default()
    };
    let options = ParseOptions { limits, ..ParseOptions::default() };
    let stored = |name: &str| (name == "m").then(|| known(name));
    for (body, rows, words) in [
        ("m,host=a,b=1 x=1i\nm,c=1 x=1i", 1, "measurement \"m\" would have 3 tags with \"c\", the limit is 2"),
        ("m y=1\nm z=1\nm x=1i", 2, "measurement \"m\" would have 3 fields with \"z\", the limit is 2"),
        ("measurement x=1\nm x=1i", 1, "the name of measurement \"measurement\" has 11 bytes, the limit is 8"),
        (
            "m,long_name=1 x=1i\nm x=1i",
            1,
            "the name of tag \"long_name\" of measurement \"m\" has 9 bytes, the limit is 8",
        ),
        (
            "a x=1\nb x=1\nc x=1\na x=2",
            3,
            "\"c\" would be one more than 2 measurements in one request; send them in several",
        ),
    ] {
        let points = parse(body.as_bytes(), &options, &stored).unwrap();
        assert_eq!((points.rows, points.refused, points.refusal.as_deref()), (rows, 1, Some(words)), "{body}");
    }
}

#[test]
fn quotes_inside_of_quotes_are_text_as_in_influxdb() {
    let points = read("m a=\"say \"hi\" now\",b=1i 1\nm a=\"x\"\\\",b=2i 2\n");
    check(
        &points,
        0,
        "m",
        &[
            "+-------------------------------+--------------+---+",
            "| time                          | a            | b |",
            "+-------------------------------+--------------+---+",
            "| 1970-01-01T00:00:00.000000001 | say \"hi\" now | 1 |",
            "| 1970-01-01T00:00:00.000000002 | x\"\\          | 2 |",
            "+-------------------------------+--------------+---+",
        ],
    );
}

#[test]
fn bodies_with_many_columns_are_handed_over_in_parts() {
    let body: String = (0..20_000).map(|line| format!("sparse,host=a f{}={line} {line}\n", line % 1_000)).collect();
    let limits = ParseLimits { cells_max: 100_000, ..ParseLimits::default() };
    let options = ParseOptions { limits, ..ParseOptions::default() };
    let (mut rows, mut sum, mut cells_max) = (0, 0.0, 0);
    let points = line_protocol::parse_in_parts(body.as_bytes(), &options, &|_| None, &mut |part| {
        let starts = part.line_start(0);
        assert_eq!(&body.as_bytes()[starts..starts + 6], b"sparse");
        rows += part.batch.num_rows();
        cells_max = cells_max.max(part.batch.num_rows() * part.batch.num_columns());
        for (column, _) in &part.layout.fields {
            let values = part.batch.column(*column);
            let values = arrow::array::AsArray::as_primitive::<arrow::datatypes::Float64Type>(values);
            sum += arrow::compute::sum(values).unwrap_or(0.0);
        }
        Ok::<_, arrow::error::ArrowError>(())
    })
    .unwrap();
    assert_eq!((points.rows, points.refused, rows, sum), (20_000, 0, 20_000, 19_999.0 * 10_000.0));
    assert!(cells_max < 102_000, "{cells_max}");
}

/// A type that an earlier part has brought counts for the later ones.
#[test]
fn a_field_keeps_its_type_from_part_to_part() {
    let limits = ParseLimits { cells_max: 1, ..ParseLimits::default() };
    let options = ParseOptions { limits, ..ParseOptions::default() };
    let points = parse(b"m,a=1 x=1i 1\nm x=2 2\nm a=5 3\nm,b=1 x=3i 4\nm x\\\"=1,y=1 5", &options, &|_| None).unwrap();
    assert_eq!((points.rows, points.refused, points.measurements.len()), (3, 2, 3));
    let names: Vec<_> =
        points.measurements.iter().map(|part| part.layout.fields.len() + part.layout.tags.len()).collect();
    assert_eq!(names, [2, 2, 2]);
}

#[test]
fn many_lines_can_be_refused() {
    let all: Vec<String> = (0..1_024).map(|field| format!("f{field}=1")).collect();
    let mut body = format!("m {}\n", all.join(","));
    for line in 0..100_000 {
        body += &format!("m new{line}=1,f1=1\n");
    }
    let points = parse(body.as_bytes(), &ParseOptions::default(), &|_| None).unwrap();
    assert_eq!((points.rows, points.refused), (1, 100_000));
    assert!(points.refusal.unwrap().ends_with("would have 1025 fields with \"new0\", the limit is 1024"));
}
