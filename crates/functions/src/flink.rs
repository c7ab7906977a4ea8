//! Flink's names for what DataFusion can do under another one. They are rewritten into DataFusion's own
//! expressions when a query is optimized. Also `CondEq`, which only makes sense inside `Filters`.

use std::sync::Arc;

use arrow::array::{ArrayRef, StructArray, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::functions::expr_fn;
use datafusion::logical_expr::expr::Case;
use datafusion::logical_expr::{Expr, cast, lit};

use crate::scalar::{Call, Definition, Evaluation, Kind, returning};
use crate::{FunctionDoc, FunctionKind};

pub(crate) static FLINK_FUNCTIONS: &[&Definition] = &[
    &IF,
    &TRUNCATE,
    &SIGN,
    &MOD,
    &REGEXP,
    &YEAR,
    &QUARTER,
    &MONTH,
    &WEEK,
    &DAY_OF_YEAR,
    &DAY_OF_MONTH,
    &DAY_OF_WEEK,
    &HOUR,
    &MINUTE,
    &SECOND,
    &COND_EQ,
];

const ANY: (&str, Kind) = ("value", Kind::Any);

/// A part of a timestamp as BIGINT.
macro_rules! date_part {
    ($constant:ident, $name:literal, $part:literal, $plus:literal, $description:literal) => {
        static $constant: Definition = Definition {
            doc: FunctionDoc {
                name: $name,
                kind: FunctionKind::Scalar,
                signature: concat!($name, "(time TIMESTAMP) -> BIGINT"),
                description: $description,
                example: concat!($name, "(TIMESTAMP '2024-09-15 05:30:00')"),
            },
            aliases: &[],
            parameters: &[("time", Kind::Time)],
            optional: 0,
            returns: returning::bigint,
            evaluation: Evaluation::Rewrite(|args| {
                let part = expr_fn::date_part(lit($part), argument(&args, 0));
                let part = cast(part, DataType::Int64);
                if $plus == 0 { part } else { part + lit($plus as i64) }
            }),
        };
    };
}

date_part!(YEAR, "YEAR", "year", 0, "The year of the time in UTC.");
date_part!(QUARTER, "QUARTER", "quarter", 0, "The quarter (1 to 4) of the time in UTC.");
date_part!(MONTH, "MONTH", "month", 0, "The month (1 to 12) of the time in UTC.");
date_part!(WEEK, "WEEK", "week", 0, "The ISO week (1 to 53) of the time in UTC.");
date_part!(DAY_OF_YEAR, "DAYOFYEAR", "doy", 0, "The day of the year (1 to 366) of the time in UTC.");
date_part!(DAY_OF_MONTH, "DAYOFMONTH", "day", 0, "The day of the month (1 to 31) of the time in UTC.");
date_part!(DAY_OF_WEEK, "DAYOFWEEK", "dow", 1, "The day of the week of the time in UTC, 1 (Sunday) to 7.");
date_part!(HOUR, "HOUR", "hour", 0, "The hour (0 to 23) of the time in UTC.");
date_part!(MINUTE, "MINUTE", "minute", 0, "The minute (0 to 59) of the time in UTC.");
date_part!(SECOND, "SECOND", "second", 0, "The whole second (0 to 59) of the time in UTC.");

static IF: Definition = Definition {
    doc: FunctionDoc {
        name: "IF",
        kind: FunctionKind::Scalar,
        signature: "IF(condition BOOLEAN, then, otherwise) -> the common type",
        description: "`then` where the condition is true, `otherwise` where it is false or NULL; only the one that is needed is evaluated.",
        example: "IF(1 > 0, 'yes', 'no')",
    },
    aliases: &[],
    parameters: &[("condition", Kind::Boolean), ("then", Kind::Common), ("otherwise", Kind::Common)],
    optional: 0,
    returns: second_type,
    evaluation: Evaluation::Rewrite(|args| {
        let when = (Box::new(argument(&args, 0)), Box::new(argument(&args, 1)));
        Expr::Case(Case::new(None, vec![when], Some(Box::new(argument(&args, 2)))))
    }),
};

static TRUNCATE: Definition = Definition {
    doc: FunctionDoc {
        name: "TRUNCATE",
        kind: FunctionKind::Scalar,
        signature: "TRUNCATE(number DOUBLE [, digits INT]) -> DOUBLE",
        description: "The number cut (not rounded) to the digits after the decimal point, by default none.",
        example: "TRUNCATE(42.345, 2)",
    },
    aliases: &[],
    parameters: &[("number", Kind::Number), ("digits", Kind::Integer)],
    optional: 1,
    returns: returning::double,
    evaluation: Evaluation::Rewrite(expr_fn::trunc),
};

static SIGN: Definition = Definition {
    doc: FunctionDoc {
        name: "SIGN",
        kind: FunctionKind::Scalar,
        signature: "SIGN(number DOUBLE) -> DOUBLE",
        description: "-1, 0 or 1.",
        example: "SIGN(-2.5)",
    },
    aliases: &[],
    parameters: &[("number", Kind::Number)],
    optional: 0,
    returns: returning::double,
    evaluation: Evaluation::Rewrite(|args| expr_fn::signum(argument(&args, 0))),
};

static MOD: Definition = Definition {
    doc: FunctionDoc {
        name: "MOD",
        kind: FunctionKind::Scalar,
        signature: "MOD(dividend, divisor) -> the common type",
        description: "The remainder, with the sign of the dividend.",
        example: "MOD(29, 9)",
    },
    aliases: &[],
    parameters: &[("dividend", Kind::Common), ("divisor", Kind::Common)],
    optional: 0,
    returns: second_type,
    evaluation: Evaluation::Rewrite(|args| argument(&args, 0) % argument(&args, 1)),
};

static REGEXP: Definition = Definition {
    doc: FunctionDoc {
        name: "REGEXP",
        kind: FunctionKind::Scalar,
        signature: "REGEXP(text STRING, regex STRING) -> BOOLEAN",
        description: "Whether a part of the text matches the regular expression.",
        example: "REGEXP('service-17', '[0-9]+')",
    },
    aliases: &[],
    parameters: &[("text", Kind::Text), ("regex", Kind::Text)],
    optional: 0,
    returns: returning::boolean,
    evaluation: Evaluation::Rewrite(|args| expr_fn::regexp_like(argument(&args, 0), argument(&args, 1), None)),
};

static COND_EQ: Definition = Definition {
    doc: FunctionDoc {
        name: "CondEq",
        kind: FunctionKind::Scalar,
        signature: "CondEq(fieldPath STRING, value) -> ROW(field STRING, equals)",
        description: "The condition that a field equals a value, as a row; it is what Filters takes.",
        example: "CondEq('customer.id', 'c-17')",
    },
    aliases: &[],
    parameters: &[("fieldPath", Kind::Text), ANY],
    optional: 0,
    returns: |types, _| match types {
        [_, value] => Ok(DataType::Struct(condition_fields(value))),
        _ => plan_err!("CondEq takes 2 arguments"),
    },
    evaluation: Evaluation::Columns(cond_eq),
};

fn condition_fields(value: &DataType) -> Fields {
    Fields::from(vec![Field::new("field", DataType::Utf8, true), Field::new("equals", value.clone(), true)])
}

fn cond_eq(call: &Call) -> Result<ArrayRef> {
    let DataType::Struct(fields) = call.returns else {
        return exec_err!("CondEq: planned as {}", call.returns);
    };
    let columns = [call.any(0)?, call.any(1)?].map(|argument| {
        let positions: UInt32Array = (0..call.rows).map(|row| Some(argument.position(row) as u32)).collect();
        take(&argument.array, &positions, None)
    });
    let columns = columns.into_iter().collect::<std::result::Result<Vec<_>, _>>()?;
    Ok(Arc::new(StructArray::try_new(fields.clone(), columns, None)?))
}

fn second_type(types: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
    match types.get(1) {
        Some(data_type) => Ok(data_type.clone()),
        None => plan_err!("an argument is missing"),
    }
}

/// An argument of a call that was counted when it was planned.
fn argument(args: &[Expr], index: usize) -> Expr {
    args.get(index).cloned().unwrap_or_else(|| lit(ScalarValue::Null))
}
