//! Values given beside a statement, for `$name` in it.

use serde_json::Value;

use crate::text::format_duration;
use crate::token::Token;

/// A value as the token that stands in its place, or why it cannot be one.
pub(super) enum Parameter {
    Value(Token, String),
    Invalid(String),
}

impl Parameter {
    pub(super) fn bind(value: &Value) -> Self {
        match value {
            Value::Number(number) if number.is_f64() => Self::Value(Token::Number, plain_number(number.as_f64())),
            Value::Number(number) => Self::Value(Token::Integer, number.to_string()),
            Value::String(text) => Self::Value(Token::Text, text.clone()),
            Value::Bool(true) => Self::Value(Token::True, String::new()),
            Value::Bool(false) => Self::Value(Token::False, String::new()),
            Value::Object(object) => {
                let mut entries = object.iter();
                match (entries.next(), entries.next()) {
                    (Some((kind, value)), None) => Self::bind_as(kind, value),
                    _ => Self::Invalid("bound object parameter value must have exactly one entry".into()),
                }
            }
            Value::Null => Self::Invalid("unable to bind parameter with type <nil>".into()),
            Value::Array(_) => Self::Invalid("unable to bind parameter with type []interface {}".into()),
        }
    }

    fn bind_as(kind: &str, value: &Value) -> Self {
        let text = |token, what: &str| match value.as_str() {
            Some(text) => Self::Value(token, text.to_owned()),
            None => Self::Invalid(format!("{what} must be a string value")),
        };
        match kind {
            "ident" | "identifier" => text(Token::Identifier, "identifier"),
            "regex" => text(Token::Regex, "regex literal"),
            "string" => text(Token::Text, "string literal"),
            "float" | "number" => match value.as_f64() {
                Some(number) => Self::Value(Token::Number, plain_number(Some(number))),
                None => Self::Invalid("number literal must be a float value".into()),
            },
            "int" | "integer" => match value.as_i64() {
                Some(number) => Self::Value(Token::Integer, number.to_string()),
                None => Self::Invalid("integer literal must be an integer value".into()),
            },
            "duration" => match (value.as_str(), value.as_i64()) {
                (Some(text), _) => Self::Value(Token::Duration, text.to_owned()),
                (_, Some(nanos)) => Self::Value(Token::Duration, format_duration(nanos)),
                _ => Self::Invalid("duration literal must be a string or integer value".into()),
            },
            _ => Self::Invalid(format!("unknown bind object type: {kind}")),
        }
    }
}

fn plain_number(number: Option<f64>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}
