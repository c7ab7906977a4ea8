//! Every aggregate gives the same bits for any batch size and any split into partials merged in order.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, StringArray, StringViewArray,
    TimestampMillisecondArray, new_null_array,
};
use datafusion::arrow::compute::concat;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef, Int32Type, Schema, TimeUnit};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, EmitTo, GroupsAccumulator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use datafusion::scalar::ScalarValue;

const ROWS: usize = 3000;
const GROUPS: usize = 7;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 33
    }

    fn below(&mut self, limit: usize) -> usize {
        self.next() as usize % limit
    }
}

/// An aggregate with its argument columns.
struct Case {
    name: &'static str,
    function: Arc<AggregateUDF>,
    arguments: Vec<ArrayRef>,
    literals: Vec<Option<ScalarValue>>,
}

impl Case {
    fn new(name: &'static str, arguments: Vec<Result<ArrayRef, f64>>) -> Self {
        let function = functions::aggregate_functions().into_iter().find(|function| function.name() == name).unwrap();
        let literals: Vec<_> =
            arguments.iter().map(|argument| argument.as_ref().err().map(|number| ScalarValue::from(*number))).collect();
        let arguments: Vec<ArrayRef> = arguments
            .into_iter()
            .map(|argument| argument.unwrap_or_else(|number| Arc::new(Float64Array::from(vec![number; ROWS]))))
            .collect();
        let types: Vec<DataType> = arguments.iter().map(|argument| argument.data_type().clone()).collect();
        let coerced = function.coerce_types(&types).unwrap_or(types);
        let arguments = arguments
            .iter()
            .zip(&coerced)
            .map(|(argument, data_type)| datafusion::arrow::compute::cast(argument, data_type).unwrap())
            .collect();
        Self { name, function, arguments, literals }
    }

    fn with_args<T>(&self, make: impl FnOnce(AccumulatorArgs) -> T) -> T {
        let fields: Vec<FieldRef> = self
            .arguments
            .iter()
            .enumerate()
            .map(|(index, column)| Arc::new(Field::new(format!("c{index}"), column.data_type().clone(), true)))
            .collect();
        let schema = Schema::new(fields.clone());
        let exprs: Vec<Arc<dyn PhysicalExpr>> = self
            .literals
            .iter()
            .enumerate()
            .map(|(index, literal)| -> Arc<dyn PhysicalExpr> {
                match literal {
                    Some(value) => Arc::new(Literal::new(value.clone())),
                    None => Arc::new(Column::new(&format!("c{index}"), index)),
                }
            })
            .collect();
        let return_field = self.function.return_field(&fields).unwrap();
        make(AccumulatorArgs {
            return_field,
            schema: &schema,
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: self.name,
            is_distinct: false,
            exprs: &exprs,
            expr_fields: &fields,
        })
    }

    fn grouped(&self) -> Box<dyn GroupsAccumulator> {
        self.with_args(|args| {
            assert!(self.function.groups_accumulator_supported(args.clone()));
            self.function.create_groups_accumulator(args).unwrap()
        })
    }

    fn single(&self) -> Box<dyn Accumulator> {
        self.with_args(|args| self.function.accumulator(args).unwrap())
    }

    fn slice(&self, from: usize, to: usize) -> Vec<ArrayRef> {
        self.arguments.iter().map(|column| column.slice(from, to - from)).collect()
    }

    /// The state has the types that the function declares.
    fn check_state_types(&self, states: &[ArrayRef]) {
        let input_fields: Vec<FieldRef> =
            self.arguments.iter().map(|column| Arc::new(Field::new("c", column.data_type().clone(), true))).collect();
        let return_field = self.function.return_field(&input_fields).unwrap();
        let args = StateFieldsArgs {
            name: self.name,
            input_fields: &input_fields,
            return_field,
            ordering_fields: &[],
            is_distinct: false,
        };
        let declared: Vec<DataType> =
            self.function.state_fields(args).unwrap().iter().map(|field| field.data_type().clone()).collect();
        let found: Vec<DataType> = states.iter().map(|state| state.data_type().clone()).collect();
        assert_eq!(found, declared, "{}", self.name);
    }
}

fn cases() -> Vec<Case> {
    let mut random = Random(11);
    let integers: Vec<Option<i64>> =
        (0..ROWS).map(|_| (random.below(10) > 0).then(|| random.below(400) as i64 - 200)).collect();
    let floats: Vec<Option<f64>> = integers
        .iter()
        .map(|value| {
            value.map(|value| if value == 7 { f64::NAN } else { value as f64 * 1.37e-3 * random.below(1000) as f64 })
        })
        .collect();
    let texts: Vec<Option<String>> =
        integers.iter().map(|value| value.map(|value| format!("driver-{value}"))).collect();
    let times: Vec<i64> = (0..ROWS).map(|_| random.below(200) as i64).collect();

    let int: ArrayRef = Arc::new(Int64Array::from(integers));
    let float: ArrayRef = Arc::new(Float64Array::from(floats));
    let text: ArrayRef = Arc::new(StringArray::from(texts.clone()));
    let view: ArrayRef = Arc::new(StringViewArray::from_iter(texts.clone()));
    let dictionary: ArrayRef =
        Arc::new(texts.iter().map(|text| text.as_deref()).collect::<DictionaryArray<Int32Type>>());
    let decimal = datafusion::arrow::compute::cast(&int, &DataType::Decimal128(30, 3)).unwrap();
    let small = datafusion::arrow::compute::cast(&int, &DataType::Int16).unwrap();
    let time: ArrayRef = Arc::new(TimestampMillisecondArray::from(times));
    let nothing = new_null_array(&DataType::Timestamp(TimeUnit::Millisecond, None), ROWS);

    let mut cases = Vec::new();
    for column in [&int, &float, &text, &view, &dictionary, &decimal, &small, &time, &nothing] {
        cases.push(Case::new("distinctcount", vec![Ok(Arc::clone(column))]));
        cases.push(Case::new("approxdistinctcount", vec![Ok(Arc::clone(column))]));
        cases.push(Case::new("collectarray", vec![Ok(Arc::clone(column))]));
        cases.push(Case::new("collectarray", vec![Ok(Arc::clone(column)), Ok(Arc::clone(&time))]));
    }
    for percent in [1.0, 50.0, 95.0, 100.0] {
        cases.push(Case::new("percentileaggregator", vec![Err(percent), Ok(Arc::clone(&float))]));
        cases.push(Case::new("approxpercentile", vec![Err(percent), Ok(Arc::clone(&float))]));
        cases.push(Case::new("approx_percentile_cont", vec![Ok(Arc::clone(&float)), Err(percent / 100.0)]));
        let weights = Ok(Arc::clone(&time));
        let weights =
            weights.map(|times: ArrayRef| datafusion::arrow::compute::cast(&times, &DataType::Int64).unwrap());
        cases.push(Case::new(
            "approx_percentile_cont_with_weight",
            vec![Ok(Arc::clone(&float)), weights, Err(percent / 100.0)],
        ));
    }
    cases.push(Case::new("approx_median", vec![Ok(Arc::clone(&int))]));
    cases
}

fn groups_and_filter() -> (Vec<usize>, BooleanArray) {
    let mut random = Random(5);
    let groups = (0..ROWS).map(|_| random.below(GROUPS)).collect();
    let filter = (0..ROWS).map(|_| [Some(true), Some(true), Some(false), None][random.below(4)]).collect();
    (groups, filter)
}

/// All rows in one batch, evaluated at once.
fn undisturbed(case: &Case, groups: &[usize], filter: Option<&BooleanArray>) -> ArrayRef {
    let mut accumulator = case.grouped();
    accumulator.update_batch(&case.arguments, groups, filter, GROUPS).unwrap();
    accumulator.evaluate(EmitTo::All).unwrap()
}

fn cuts(random: &mut Random) -> Vec<usize> {
    let mut cuts: Vec<usize> = (0..random.below(12)).map(|_| random.below(ROWS)).collect();
    cuts.extend([0, ROWS]);
    cuts.sort_unstable();
    cuts
}

#[test]
fn batches_and_partials_do_not_change_the_result() {
    let (groups, filter) = groups_and_filter();
    let mut random = Random(77);
    for case in cases() {
        for filter in [None, Some(&filter)] {
            let expected = undisturbed(&case, &groups, filter);
            assert_eq!(expected.len(), GROUPS);
            for _ in 0..5 {
                let mut merged = case.grouped();
                let cuts = cuts(&mut random);
                for range in cuts.windows(2) {
                    // A partial of its own, fed in batches of random length.
                    let mut partial = case.grouped();
                    let (mut from, to) = (range[0], range[1]);
                    while from < to {
                        let next = (from + 1 + random.below(500)).min(to);
                        let part = filter.map(|filter| filter.slice(from, next - from));
                        partial
                            .update_batch(&case.slice(from, next), &groups[from..next], part.as_ref(), GROUPS)
                            .unwrap();
                        from = next;
                    }
                    partial.update_batch(&case.slice(0, 0), &[], None, GROUPS).unwrap();
                    let state = partial.state(EmitTo::All).unwrap();
                    case.check_state_types(&state);
                    merged.merge_batch(&state, &(0..GROUPS).collect::<Vec<_>>(), GROUPS).unwrap();
                }
                assert_eq!(
                    &merged.evaluate(EmitTo::All).unwrap(),
                    &expected,
                    "{} {:?}",
                    case.name,
                    case.arguments[0].data_type()
                );
            }
        }
    }
}

#[test]
fn emitting_groups_in_parts_gives_the_same_rows_and_leaves_nothing() {
    let (groups, _) = groups_and_filter();
    for case in cases() {
        let expected = undisturbed(&case, &groups, None);
        let mut accumulator = case.grouped();
        accumulator.update_batch(&case.arguments, &groups, None, GROUPS).unwrap();
        // The states of the first two groups go to another accumulator, the next three are evaluated here.
        let state = accumulator.state(EmitTo::First(2)).unwrap();
        let mut other = case.grouped();
        other.merge_batch(&state, &[0, 1], 2).unwrap();
        let parts = [
            other.evaluate(EmitTo::All).unwrap(),
            accumulator.evaluate(EmitTo::First(3)).unwrap(),
            accumulator.evaluate(EmitTo::All).unwrap(),
        ];
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        assert_eq!(&concat(&parts).unwrap(), &expected, "{}", case.name);
        // What was emitted is gone: the same rows again give the same result.
        accumulator.update_batch(&case.arguments, &groups, None, GROUPS).unwrap();
        assert_eq!(&accumulator.evaluate(EmitTo::All).unwrap(), &expected, "{} again", case.name);
    }
}

#[test]
fn rows_converted_to_states_merge_to_the_same_result() {
    let (groups, filter) = groups_and_filter();
    for case in cases() {
        let expected = undisturbed(&case, &groups, Some(&filter));
        let states = case.grouped().convert_to_state(&case.arguments, Some(&filter)).unwrap();
        case.check_state_types(&states);
        let mut merged = case.grouped();
        merged.merge_batch(&states, &groups, GROUPS).unwrap();
        assert_eq!(&merged.evaluate(EmitTo::All).unwrap(), &expected, "{}", case.name);
    }
}

#[test]
fn one_group_without_keys_gives_what_one_of_many_groups_gives() {
    for case in cases() {
        let mut grouped = case.grouped();
        grouped.update_batch(&case.arguments, &vec![0; ROWS], None, 1).unwrap();
        let expected = ScalarValue::try_from_array(&grouped.evaluate(EmitTo::All).unwrap(), 0).unwrap();
        let mut merged = case.single();
        for range in [0, 1, 1000, 1000, 2500, ROWS].windows(2) {
            let mut partial = case.single();
            partial.update_batch(&case.slice(range[0], range[1])).unwrap();
            let state: Vec<ArrayRef> = partial.state().unwrap().iter().map(|state| state.to_array().unwrap()).collect();
            merged.merge_batch(&state).unwrap();
        }
        assert_eq!(merged.evaluate().unwrap(), expected, "{}", case.name);
        assert_eq!(merged.evaluate().unwrap(), expected, "{} asked again", case.name);
    }
}
