//! S2, geohash, H3, distances, areas. Expected values come from Dagger's tests, from geohash.org, from the
//! `s2`, `geohash` and `h3o` crates, and from geometry.

use datafusion::arrow::array::{Array, AsArray, Float64Array, UInt64Array};
use datafusion::arrow::datatypes::UInt64Type;
use geohash::Coord;
use h3o::{LatLng, Resolution};
use s2::{cellid::CellID, latlng};

use crate::query::{check, check_errors, check_rows, run};

fn s2_cell(lat: f64, lon: f64, level: u64) -> CellID {
    CellID::from(latlng::LatLng::from_degrees(lat, lon)).parent(level)
}

#[test]
fn cells_of_known_places() {
    let jakarta = s2_cell(-6.17, 106.82, 13);
    let santiago = s2_cell(-33.45, -70.66, 13);
    assert!(santiago.0 > i64::MAX as u64, "a face whose ids need all 64 bits");
    let h3 = LatLng::new(-6.17, 106.82).unwrap().to_cell(Resolution::Eight).to_string();
    check(&[
        ("S2Id(-6.17, 106.82, 13)", &jakarta.0.to_string()),
        ("S2Id(-33.45, -70.66, 13)", &santiago.0.to_string()),
        ("S2Token(-6.17, 106.82, 13)", &jakarta.to_token()),
        ("S2Id(-6.17, 106.82, 0)", &s2_cell(-6.17, 106.82, 0).0.to_string()),
        ("S2Token(-6.17, 106.82, 30)", &s2_cell(-6.17, 106.82, 30).to_token()),
        ("S2Id(CAST(-6 AS INT), CAST(106 AS BIGINT), 13)", &s2_cell(-6.0, 106.0, 13).0.to_string()),
        (
            "S2Id(CAST(-6.5 AS DECIMAL(10, 2)), CAST(106.5 AS REAL), CAST(13 AS DECIMAL(20, 0)))",
            &s2_cell(-6.5, 106.5, 13).0.to_string(),
        ),
        ("H3Id(-6.17, 106.82, 8)", &h3),
        // Dagger's tests: the central monument of Jakarta.
        ("S2Id(-6.170024, 106.8243203, 13)", "3344474489181175808"),
        ("GeoHash(-6.170024, 106.8243203, 6)", "qqguyu"),
        // The example of the Wikipedia article.
        ("GeoHash(57.64911, 10.40744, 11)", "u4pruydqqvj"),
        ("GeoHash(90.0, 180.0, 12)", "zzzzzzzzzzzz"),
        ("GeoHash(-90.0, -180.0, 12)", "000000000000"),
    ]);
}

#[test]
fn places_off_the_globe_and_nulls_have_no_cell() {
    let jakarta = s2_cell(-6.17, 106.82, 13).0.to_string();
    let h3 = LatLng::new(-6.17, 106.82).unwrap().to_cell(Resolution::Zero).to_string();
    let null = "NULL";
    check_rows(&[
        ("S2Id(lat, lon, 13)", [&jakarta, null, null, null]),
        ("s2id(lat, lon, n + 12)", [&jakarta, null, null, null]),
        ("S2_CELL_KEY(lat, lon, 13)", [&jakarta, null, null, null]),
        ("S2_Key_Id(S2_Cell_Key(lat, lon, 13))", [&jakarta, null, null, null]),
        ("S2Id(-6.17, lon, 13) IS NULL", ["false", "false", "false", "false"]),
        ("S2Id(lat, lon, NULL)", [null; 4]),
        ("GeoHash(lat, lon, 2)", ["qq", null, null, null]),
        ("H3Id(lat, lon, 0)", [&h3, null, null, null]),
        ("Distance(lat, lon, lat, lon)", ["0.0", null, null, null]),
    ]);
}

#[test]
fn depths_out_of_range_are_errors() {
    check_errors(&[
        ("S2Id(lat, lon, 31)", &["S2Id: level is 31", "0 to 30"]),
        ("S2Id(lat, lon, n - 2)", &["S2Id: level is -1", "0 to 30"]),
        ("GeoHash(lat, lon, 0)", &["GeoHash: length is 0", "1 to 12"]),
        ("GeoHash(lat, lon, 13)", &["GeoHash: length is 13"]),
        ("H3Id(lat, lon, 16)", &["H3Id: resolution is 16", "0 to 15"]),
        ("S2Id(lat, lon)", &["S2Id takes S2Id(lat DOUBLE, lon DOUBLE, level INT)", "2 arguments"]),
        ("S2Id(s, lon, 13)", &["S2Id: argument 1 (lat) must be a number"]),
        ("S2Id(lat, lon, 1.5)", &["S2Id: argument 3 (level) must be a whole number"]),
        ("S2AreaInKm2('8')", &["S2AreaInKm2: s2id is '8'", "decimal id of an S2 cell"]),
        ("S2AreaInKm2(s)", &["'alpha'"]),
    ]);
}

fn number(sql: &str) -> f64 {
    run(&format!("SELECT {sql}")).unwrap()[0].parse().unwrap()
}

#[test]
fn distances_and_areas() {
    // Dagger's rule is the haversine with 6371 km; a quarter of a great circle is then 10,007.543 km.
    let quarter = 6371.0 * std::f64::consts::FRAC_PI_2;
    for (sql, expected) in [
        ("Distance(0, 0, 0, 90)", quarter),
        ("Distance(0, 0, 90, 0)", quarter),
        ("Distance(0, 0, 0, 180)", 2.0 * quarter),
        ("Distance(89.9, 0, -89.9, 180)", 2.0 * quarter),
    ] {
        let found = number(sql);
        assert!((found - expected).abs() < 1e-3, "{sql} is {found}, expected {expected}");
    }
    // Dagger's tests.
    for (sql, expected) in [
        ("Distance(48.8566, 2.3522, 51.5074, 0.1278)", 334.5761379805),
        ("Distance(12.9716, 77.5946, 6.1751, 106.8650)", 3294.208197583382),
    ] {
        let found = number(sql);
        assert!((found - expected).abs() < 1e-10, "{sql} is {found}, expected {expected}");
    }
    // The six faces of the cube cover the earth.
    let faces: f64 = (0..6u64).map(|face| number(&format!("S2AreaInKm2('{}')", (face << 61) | (1 << 60)))).sum();
    assert!((faces - 510_072_000.0).abs() < 1.0, "{faces}");
    // Dagger's test.
    let area = number("S2AreaInKm2('3267730965564227584')");
    assert!((area - 909.97058).abs() < 1e-4, "{area}");
    // Signed, as Dagger writes it, and unsigned are one cell.
    let cell = s2_cell(-33.45, -70.66, 13).0;
    assert_eq!(number(&format!("S2AreaInKm2('{cell}')")), number(&format!("S2AreaInKm2('{}')", cell as i64)));
    assert_eq!(run("SELECT S2AreaInKm2(NULL)"), Ok(vec!["NULL".to_owned()]));
}

/// Points from Knuth's MMIX generator.
fn points(count: usize) -> Vec<(f64, f64)> {
    let mut state = 7u64;
    let mut unit = || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..count).map(|_| (180.0 * unit() - 90.0, 360.0 * unit() - 180.0)).collect()
}

/// Calls a function over columns without SQL.
fn call(
    function: &datafusion::logical_expr::ScalarUDF,
    columns: Vec<datafusion::arrow::array::ArrayRef>,
) -> datafusion::arrow::array::ArrayRef {
    use datafusion::arrow::datatypes::Field;
    use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs};
    use std::sync::Arc;
    let rows = columns[0].len();
    let arg_fields: Vec<_> =
        columns.iter().map(|column| Arc::new(Field::new("a", column.data_type().clone(), true))).collect();
    let literals = vec![None; columns.len()];
    let return_field = function
        .return_field_from_args(ReturnFieldArgs { arg_fields: &arg_fields, scalar_arguments: &literals })
        .unwrap();
    let args = ScalarFunctionArgs {
        args: columns.into_iter().map(ColumnarValue::Array).collect(),
        arg_fields,
        number_rows: rows,
        return_field,
        config_options: Arc::default(),
    };
    function.invoke_with_args(args).unwrap().into_array(rows).unwrap()
}

#[test]
fn key_forms_give_the_text_of_the_function() {
    use std::sync::Arc;
    let points = points(5000);
    let lat = Arc::new(Float64Array::from_iter_values(points.iter().map(|point| point.0)));
    let lon = Arc::new(Float64Array::from_iter_values(points.iter().map(|point| point.1)));
    assert!(functions::key_form("Distance").is_none());
    for (name, depths) in [("S2Id", 0..31), ("S2TOKEN", 0..31), ("geohash", 1..13), ("h3id", 0..16)] {
        let form = functions::key_form(name).unwrap();
        let scalars = functions::scalar_functions();
        let original = scalars.iter().find(|function| function.name().eq_ignore_ascii_case(name)).unwrap();
        for depth in depths {
            let level = Arc::new(datafusion::arrow::array::Int64Array::from(vec![depth; points.len()]));
            let key = call(&form.key, vec![lat.clone(), lon.clone(), level.clone()]);
            let text = call(&form.text, vec![key.clone()]);
            let expected = call(original, vec![lat.clone(), lon.clone(), level]);
            assert_eq!(&text, &expected, "{name} {depth}");
            assert_injective(key.as_primitive::<UInt64Type>(), &text);
            let text = text.as_string::<i32>();
            for (row, &(lat, lon)) in points.iter().enumerate().step_by(10) {
                let expected = match name {
                    "S2Id" => s2_cell(lat, lon, depth as u64).0.to_string(),
                    "S2TOKEN" => s2_cell(lat, lon, depth as u64).to_token(),
                    "geohash" => geohash::encode(Coord { x: lon, y: lat }, depth as usize).unwrap(),
                    _ => {
                        let resolution = Resolution::try_from(depth as u8).unwrap();
                        LatLng::new(lat, lon).unwrap().to_cell(resolution).to_string()
                    }
                };
                assert_eq!(text.value(row), expected, "{name} of {lat}, {lon} at {depth}");
            }
        }
    }
}

fn assert_injective(keys: &UInt64Array, texts: &dyn Array) {
    use std::collections::HashMap;
    let texts = texts.as_string::<i32>();
    let mut by_text = HashMap::new();
    let mut by_key = HashMap::new();
    for row in 0..keys.len() {
        assert_eq!(*by_text.entry(texts.value(row)).or_insert(keys.value(row)), keys.value(row));
        assert_eq!(*by_key.entry(keys.value(row)).or_insert(texts.value(row)), texts.value(row));
    }
}
