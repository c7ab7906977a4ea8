//! Numbers of JSON, whole ones exact.

use std::cmp::Ordering;

#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Whole(i128),
    Real(f64),
}

impl Number {
    pub fn of(number: &serde_json::Number) -> Self {
        if let Some(whole) = number.as_i64() {
            return Number::Whole(whole.into());
        }
        if let Some(whole) = number.as_u64() {
            return Number::Whole(whole.into());
        }
        Number::Real(number.as_f64().unwrap_or(f64::NAN))
    }

    pub fn is_whole(&self) -> bool {
        match self {
            Number::Whole(_) => true,
            Number::Real(real) => real.fract() == 0.0,
        }
    }

    pub fn is_multiple_of(&self, divisor: &Number) -> bool {
        match (self, divisor) {
            (Number::Whole(value), Number::Whole(divisor)) => divisor != &0 && value % divisor == 0,
            (value, divisor) => {
                let quotient = value.real() / divisor.real();
                // A quotient of decimals such as 0.3 and 0.1 is a whole number only but for the last digit.
                quotient.is_finite() && (quotient - quotient.round()).abs() <= f64::EPSILON * quotient.abs().max(1.0)
            }
        }
    }

    pub fn is_positive(&self) -> bool {
        self.real() > 0.0
    }

    fn real(&self) -> f64 {
        match self {
            Number::Whole(whole) => *whole as f64,
            Number::Real(real) => *real,
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Number::Whole(one), Number::Whole(other)) => Some(one.cmp(other)),
            (one, other) => one.real().partial_cmp(&other.real()),
        }
    }
}
