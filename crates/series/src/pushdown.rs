//! Which conditions of a query a scan judges itself: comparisons of `time` with a constant, and tags that are equal to,
//! among or not among constants, present or absent. All of them exactly as SQL has it, so that nobody judges them again.

use datafusion::common::{Column, ScalarValue};
use datafusion::logical_expr::expr::InList;
use datafusion::logical_expr::{Between, BinaryExpr, Cast, Expr, Operator};

use arrow::datatypes::{DataType, TimeUnit};

use crate::shape::{Shape, TIME_COLUMN};
use crate::{TagFilter, TagTest, TimeRange};

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Pushed {
    Time(TimeRange),
    Tag(TagFilter),
}

/// What a scan does with a condition; `None` leaves it to DataFusion.
pub(crate) fn push_down(filter: &Expr, shape: &Shape) -> Option<Pushed> {
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            either(push_down(left, shape)?, push_down(right, shape)?)
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            compare(left, *op, right, shape).or_else(|| compare(right, op.swap()?, left, shape))
        }
        Expr::Between(Between { expr, negated: false, low, high }) if is_time(expr) => {
            let low = time_range(Operator::GtEq, literal(low)?)?;
            let high = time_range(Operator::LtEq, literal(high)?)?;
            Some(Pushed::Time(low.and(high)))
        }
        Expr::InList(InList { expr, list, negated }) => {
            let tag = tag_name(expr, shape)?;
            let values = list.iter().map(|value| text(literal(value)?)).collect::<Option<Vec<String>>>()?;
            let test = if *negated { TagTest::NoneOf(values) } else { TagTest::OneOf(values) };
            Some(Pushed::Tag(TagFilter { tag, test }))
        }
        Expr::IsNull(expr) => Some(Pushed::Tag(TagFilter { tag: tag_name(expr, shape)?, test: TagTest::Absent })),
        Expr::IsNotNull(expr) => Some(Pushed::Tag(TagFilter { tag: tag_name(expr, shape)?, test: TagTest::Present })),
        _ => None,
    }
}

/// `tag = 'a' OR tag = 'b'`, which DataFusion also makes of a short IN list.
fn either(left: Pushed, right: Pushed) -> Option<Pushed> {
    match (left, right) {
        (
            Pushed::Tag(TagFilter { tag, test: TagTest::OneOf(mut values) }),
            Pushed::Tag(TagFilter { tag: other_tag, test: TagTest::OneOf(others) }),
        ) if tag == other_tag => {
            values.extend(others);
            Some(Pushed::Tag(TagFilter { tag, test: TagTest::OneOf(values) }))
        }
        _ => None,
    }
}

fn compare(column: &Expr, op: Operator, constant: &Expr, shape: &Shape) -> Option<Pushed> {
    let constant = literal(constant)?;
    if is_time(column) {
        return Some(Pushed::Time(time_range(op, constant)?));
    }
    let tag = tag_name(column, shape)?;
    let value = text(constant)?;
    let test = match op {
        Operator::Eq => TagTest::OneOf(vec![value]),
        Operator::NotEq => TagTest::NoneOf(vec![value]),
        _ => return None,
    };
    Some(Pushed::Tag(TagFilter { tag, test }))
}

/// The time column, also where it was brought to UTC for a comparison.
fn is_time(expr: &Expr) -> bool {
    match expr {
        Expr::Column(Column { name, .. }) => name == TIME_COLUMN,
        Expr::Cast(Cast { expr, field }) => {
            let lossless = match field.data_type() {
                DataType::Timestamp(TimeUnit::Nanosecond, zone) => is_utc(zone.as_deref()),
                _ => false,
            };
            lossless && is_time(expr)
        }
        _ => false,
    }
}

fn is_utc(zone: Option<&str>) -> bool {
    matches!(zone, None | Some("UTC" | "+00:00" | "Z" | "+00" | "Etc/UTC"))
}

fn tag_name(expr: &Expr, shape: &Shape) -> Option<String> {
    match expr {
        Expr::Column(Column { name, .. }) if shape.tag(name).is_some() => Some(name.clone()),
        _ => None,
    }
}

fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) if !value.is_null() => Some(value),
        _ => None,
    }
}

fn text(value: &ScalarValue) -> Option<String> {
    value.try_as_str().flatten().map(str::to_owned)
}

/// Times for which `time op constant` holds.
fn time_range(op: Operator, constant: &ScalarValue) -> Option<TimeRange> {
    let (value, nanos_per_unit): (i64, i128) = match constant {
        ScalarValue::TimestampSecond(Some(value), zone) if is_utc(zone.as_deref()) => (*value, 1_000_000_000),
        ScalarValue::TimestampMillisecond(Some(value), zone) if is_utc(zone.as_deref()) => (*value, 1_000_000),
        ScalarValue::TimestampMicrosecond(Some(value), zone) if is_utc(zone.as_deref()) => (*value, 1_000),
        ScalarValue::TimestampNanosecond(Some(value), zone) if is_utc(zone.as_deref()) => (*value, 1),
        _ => return None,
    };
    let nanos = i128::from(value) * nanos_per_unit;
    let (at, after) = (clamp(nanos), clamp(nanos + 1));
    match op {
        Operator::GtEq => Some(TimeRange { start: Some(at), end: None }),
        Operator::Gt => Some(TimeRange { start: Some(after), end: None }),
        Operator::Lt => Some(TimeRange { start: None, end: Some(at) }),
        Operator::LtEq => Some(TimeRange { start: None, end: Some(after) }),
        Operator::Eq => Some(TimeRange { start: Some(at), end: Some(after) }),
        _ => None,
    }
}

fn clamp(nanos: i128) -> i64 {
    i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{cast, col, lit};

    use super::*;
    use crate::FieldType;
    use crate::shape::Field;

    fn shape() -> Shape {
        Shape {
            name: "m".into(),
            tags: vec!["city".into()],
            fields: vec![Field { name: "n".into(), field_type: FieldType::Int64 }],
            retention_seconds: None,
            dropped: false,
        }
    }

    fn nanos(value: i64) -> Expr {
        lit(ScalarValue::TimestampNanosecond(Some(value), None))
    }

    fn check(filter: Expr, expected: Option<Pushed>) {
        assert_eq!(push_down(&filter, &shape()), expected, "{filter}");
    }

    fn time(start: Option<i64>, end: Option<i64>) -> Option<Pushed> {
        Some(Pushed::Time(TimeRange { start, end }))
    }

    fn tag(test: TagTest) -> Option<Pushed> {
        Some(Pushed::Tag(TagFilter { tag: "city".into(), test }))
    }

    #[test]
    fn times_are_compared_to_the_nanosecond() {
        check(col("time").gt(nanos(5)), time(Some(6), None));
        check(col("time").gt_eq(nanos(5)), time(Some(5), None));
        check(col("time").lt(nanos(5)), time(None, Some(5)));
        check(col("time").lt_eq(nanos(-5)), time(None, Some(-4)));
        check(col("time").eq(nanos(5)), time(Some(5), Some(6)));
        check(nanos(5).lt(col("time")), time(Some(6), None));
        check(col("time").between(nanos(1), nanos(2)), time(Some(1), Some(3)));
        check(col("time").gt(lit(ScalarValue::TimestampMicrosecond(Some(5), None))), time(Some(5_001), None));
        let micros = DataType::Timestamp(TimeUnit::Microsecond, None);
        check(cast(col("time"), micros).gt(lit(ScalarValue::TimestampMicrosecond(Some(5), None))), None);
        check(col("time").gt(lit(ScalarValue::TimestampSecond(Some(i64::MAX), None))), time(Some(i64::MAX), None));
        check(col("time").gt(lit(ScalarValue::TimestampNanosecond(Some(0), Some("+05:00".into())))), None);
        check(col("time").gt(lit(ScalarValue::TimestampNanosecond(None, None))), None);
    }

    #[test]
    fn tags_are_equal_among_or_absent() {
        check(col("city").eq(lit("a")), tag(TagTest::OneOf(vec!["a".into()])));
        check(lit("a").eq(col("city")), tag(TagTest::OneOf(vec!["a".into()])));
        check(col("city").eq(lit("a")).or(col("city").eq(lit("b"))), tag(TagTest::OneOf(vec!["a".into(), "b".into()])));
        check(col("city").not_eq(lit("a")), tag(TagTest::NoneOf(vec!["a".into()])));
        check(col("city").in_list(vec![lit("a")], true), tag(TagTest::NoneOf(vec!["a".into()])));
        check(col("city").is_null(), tag(TagTest::Absent));
        check(col("n").eq(lit("a")), None);
        check(col("city").gt(lit("a")), None);
        check(col("city").eq(lit("a")).or(col("n").eq(lit(1))), None);
        check(col("city").not_eq(lit("a")).or(col("city").not_eq(lit("b"))), None);
    }
}
