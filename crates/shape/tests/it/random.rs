//! The whole-column way and the interpreter give the same for every row: random conditions on random rows.

use std::sync::Arc;

use arrow::array::*;
use arrow::datatypes::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use shape::Filter;

const ROWS: usize = 64;

fn pick<'a, T>(rng: &mut ChaCha8Rng, values: &'a [T]) -> &'a T {
    &values[rng.random_range(0..values.len())]
}

fn nullable<T: Copy>(rng: &mut ChaCha8Rng, values: &[T]) -> Vec<Option<T>> {
    let nulls = *pick(rng, &[0.0, 0.3, 1.0]);
    (0..ROWS).map(|_| (!rng.random_bool(nulls)).then(|| *pick(rng, values))).collect()
}

const INTS: [i64; 8] = [0, 1, -1, 2, 7, i64::MAX, i64::MIN, (1 << 53) + 1];
const DOUBLES: [f64; 10] = [0.0, -0.0, 1.0, 0.1, 7.0, -1.5, 1e300, f64::NAN, f64::INFINITY, 9_007_199_254_740_992.0];
const TEXTS: [&str; 8] = ["", "a", "b", "ab", "é", "A", "a longer text than twelve bytes", "z"];
/// The first and the last are outside of what CEL has.
const TIMES: [i64; 5] = [-70_000_000_000_000_000, 0, 1_767_225_600_000_000, -1, 300_000_000_000_000_000];

fn batch(rng: &mut ChaCha8Rng) -> RecordBatch {
    let status: DictionaryArray<Int32Type> = nullable(rng, &TEXTS[..4]).into_iter().collect();
    let numbers: Vec<Option<i128>> = nullable(rng, &[0, 1, 7, u64::MAX.into(), i64::MAX.into(), 1 << 63]);
    let numbers = Decimal128Array::from(numbers).with_precision_and_scale(20, 0).unwrap();
    let inner = Int64Array::from(nullable(rng, &INTS));
    let fields = Fields::from(vec![Field::new("i", DataType::Int64, true)]);
    let message = StructArray::new(
        fields,
        vec![Arc::new(inner)],
        Some(nullable(rng, &[true]).iter().map(Option::is_some).collect()),
    );
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("i", Arc::new(Int64Array::from(nullable(rng, &INTS)))),
        ("j", Arc::new(Int32Array::from(nullable(rng, &[0, 1, -1, 7, i32::MAX])))),
        ("u", Arc::new(numbers)),
        ("d", Arc::new(Float64Array::from(nullable(rng, &DOUBLES)))),
        ("f", Arc::new(Float32Array::from(nullable(rng, &[0.0, 1.0, 0.1, 7.0, f32::NAN])))),
        ("b", Arc::new(BooleanArray::from(nullable(rng, &[true, false])))),
        ("s", Arc::new(StringViewArray::from(nullable(rng, &TEXTS)))),
        ("e", Arc::new(status)),
        ("t", Arc::new(TimestampMicrosecondArray::from(nullable(rng, &TIMES)))),
        ("m", Arc::new(message)),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    // A slice, so that nothing may rely on buffers that begin at the first row.
    batch.unwrap().slice(3, ROWS - 10)
}

fn literal(rng: &mut ChaCha8Rng, kind: char) -> String {
    match kind {
        'n' => match rng.random_range(0..3) {
            0 => pick(rng, &["0", "1", "-1", "2", "7", "9223372036854775807", "9007199254740993"]).to_string(),
            1 => pick(rng, &["0u", "1u", "7u", "18446744073709551615u", "9223372036854775808u"]).to_string(),
            _ => pick(rng, &["0.0", "1.0", "0.1", "7.0", "-1.5", "1e300", "9007199254740992.0", "double('NaN')"])
                .to_string(),
        },
        's' => format!("{:?}", pick(rng, &TEXTS)),
        'b' => pick(rng, &["true", "false"]).to_string(),
        _ => {
            let times = ["1970-01-01T00:00:00Z", "2026-01-01T07:00:00+07:00", "1969-12-31T23:59:59.999999Z"];
            format!("timestamp({:?})", pick(rng, &times))
        }
    }
}

fn field(rng: &mut ChaCha8Rng) -> (&'static str, char) {
    *pick(
        rng,
        &[
            ("i", 'n'),
            ("j", 'n'),
            ("u", 'n'),
            ("d", 'n'),
            ("f", 'n'),
            ("b", 'b'),
            ("s", 's'),
            ("e", 's'),
            ("t", 't'),
            ("m.i", 'n'),
        ],
    )
}

fn condition(rng: &mut ChaCha8Rng, depth: usize) -> String {
    if depth > 0 && rng.random_bool(0.6) {
        let one = condition(rng, depth - 1);
        return match rng.random_range(0..4) {
            0 => format!("({one} && {})", condition(rng, depth - 1)),
            1 => format!("({one} || {})", condition(rng, depth - 1)),
            2 => format!("!({one})"),
            _ => format!("({one} ? {} : {})", condition(rng, depth - 1), condition(rng, depth - 1)),
        };
    }
    let (name, kind) = field(rng);
    match rng.random_range(0..10) {
        0 => format!("{name} {} null", pick(rng, &["==", "!="])),
        1 if kind == 'n' => {
            let items: Vec<String> = (0..rng.random_range(0..4)).map(|_| literal(rng, kind)).collect();
            format!("{name} in [{}]", items.join(", "))
        }
        1 => format!("{name} in [{}, {}]", literal(rng, kind), literal(rng, kind)),
        2 if kind == 's' => {
            let function = pick(rng, &["startsWith", "endsWith", "contains", "matches"]);
            format!("{name}.{function}({})", literal(rng, kind))
        }
        3 => "b".to_owned(),
        4 => "has(m.i)".to_owned(),
        // The other way around, and what only the interpreter can do.
        5 => format!("{} {} {name}", literal(rng, kind), pick(rng, &["==", "!=", "<", "<=", ">", ">="])),
        6 => "1 / i > 0".to_owned(),
        7 => "string(i) == s".to_owned(),
        _ => format!("{name} {} {}", pick(rng, &["==", "!=", "<", "<=", ">", ">="]), literal(rng, kind)),
    }
}

#[test]
fn both_ways_agree_on_random_conditions() {
    let mut checked = 0;
    let mut failed = 0;
    for seed in 0..3_000 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let batch = batch(&mut rng);
        let text = condition(&mut rng, 3);
        let filter = match Filter::compile(&text, batch.schema_ref()) {
            Ok(filter) => filter,
            Err(error) => panic!("seed {seed}: {text}: {error:?}"),
        };
        let whole = filter.judge(&batch).unwrap();
        let by_row = filter.judge_row_by_row(&batch).unwrap();
        assert_eq!(whole, by_row, "seed {seed}: {text}");
        failed += whole.failed.len();
        checked += batch.num_rows();
    }
    // Neither are all rows failures, nor none.
    assert!(failed > checked / 50 && failed < checked / 2, "{failed} of {checked}");
}
