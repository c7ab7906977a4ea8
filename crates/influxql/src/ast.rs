//! What a statement says, before anything is known of the data.

use std::sync::Arc;

use chrono_tz::Tz;

use crate::token::Token;

/// The type of a value, by InfluxDB's names and order of precedence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DataType {
    #[default]
    Unknown,
    Float,
    Integer,
    Text,
    Boolean,
    Time,
    Duration,
    Tag,
    AnyField,
    Unsigned,
}

impl DataType {
    pub fn text(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Float => "float",
            Self::Integer => "integer",
            Self::Text => "string",
            Self::Boolean => "boolean",
            Self::Time => "time",
            Self::Duration => "duration",
            Self::Tag => "tag",
            Self::AnyField => "field",
            Self::Unsigned => "unsigned",
        }
    }

    fn rank(self) -> u8 {
        match self {
            Self::Unknown => 0,
            Self::Float => 1,
            Self::Integer => 2,
            Self::Text => 3,
            Self::Boolean => 4,
            Self::Time => 5,
            Self::Duration => 6,
            Self::Tag => 7,
            Self::AnyField => 8,
            Self::Unsigned => 9,
        }
    }

    /// Whether `other` wins where both are found under one name.
    pub fn less_than(self, other: Self) -> bool {
        if self == Self::Unknown {
            true
        } else if self == Self::Unsigned {
            matches!(other, Self::Float | Self::Integer)
        } else if other == Self::Unsigned {
            self.rank() >= Self::Text.rank()
        } else {
            other != Self::Unknown && other.rank() < self.rank()
        }
    }

    /// The order in which references of one name are sorted.
    pub fn order(self) -> u8 {
        self.rank()
    }
}

/// A regular expression, equal to another by its text.
#[derive(Clone, Debug)]
pub struct Regex {
    pub source: Arc<str>,
    pub compiled: regex::Regex,
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Regex {
    pub fn matches(&self, text: &str) -> bool {
        self.compiled.is_match(text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VarRef {
    pub name: String,
    pub data_type: DataType,
}

impl VarRef {
    pub fn new(name: impl Into<String>, data_type: DataType) -> Self {
        Self { name: name.into(), data_type }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub name: String,
    pub args: Vec<Expr>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Binary {
    pub op: Token,
    pub left: Expr,
    pub right: Expr,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WildcardKind {
    All,
    Fields,
    Tags,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Ref(VarRef),
    Call(Call),
    Distinct(String),
    Binary(Box<Binary>),
    Paren(Box<Expr>),
    Wildcard(WildcardKind),
    Regex(Regex),
    Number(f64),
    Integer(i64),
    Unsigned(u64),
    Boolean(bool),
    Text(String),
    /// Nanoseconds since 1970; times that do not fit 64 bits are told when they are used.
    Time(i128),
    /// Nanoseconds.
    Duration(i64),
    Nil,
}

impl Expr {
    pub fn binary(op: Token, left: Expr, right: Expr) -> Self {
        Self::Binary(Box::new(Binary { op, left, right }))
    }

    pub fn reference(name: impl Into<String>) -> Self {
        Self::Ref(VarRef::new(name, DataType::Unknown))
    }

    pub fn is_literal(&self) -> bool {
        matches!(
            self,
            Self::Number(_)
                | Self::Integer(_)
                | Self::Unsigned(_)
                | Self::Boolean(_)
                | Self::Text(_)
                | Self::Time(_)
                | Self::Duration(_)
                | Self::Regex(_)
                | Self::Nil
        )
    }

    /// Calls `visit` for this expression and all below it, outermost first.
    pub fn walk(&self, visit: &mut dyn FnMut(&Expr)) {
        visit(self);
        match self {
            Self::Binary(binary) => {
                binary.left.walk(visit);
                binary.right.walk(visit);
            }
            Self::Call(call) => call.args.iter().for_each(|arg| arg.walk(visit)),
            Self::Paren(inner) => inner.walk(visit),
            _ => {}
        }
    }

    pub fn walk_mut(&mut self, visit: &mut dyn FnMut(&mut Expr)) {
        visit(self);
        match self {
            Self::Binary(binary) => {
                binary.left.walk_mut(visit);
                binary.right.walk_mut(visit);
            }
            Self::Call(call) => call.args.iter_mut().for_each(|arg| arg.walk_mut(visit)),
            Self::Paren(inner) => inner.walk_mut(visit),
            _ => {}
        }
    }

    /// All references but `time`, sorted, each once.
    pub fn references(&self) -> Vec<VarRef> {
        let mut found: Vec<VarRef> = Vec::new();
        self.walk(&mut |expr| {
            if let Expr::Ref(reference) = expr
                && reference.name != "time"
                && !found.contains(reference)
            {
                found.push(reference.clone());
            }
        });
        sort_references(&mut found);
        found
    }
}

pub fn sort_references(references: &mut [VarRef]) {
    references.sort_by(|a, b| a.name.cmp(&b.name).then(a.data_type.order().cmp(&b.data_type.order())));
}

#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub expr: Expr,
    pub alias: String,
}

impl Field {
    pub fn new(expr: Expr) -> Self {
        Self { expr, alias: String::new() }
    }

    /// The name of its column, before names that are there twice get numbers.
    pub fn name(&self) -> String {
        if !self.alias.is_empty() { self.alias.clone() } else { expr_name(&self.expr) }
    }
}

fn expr_name(expr: &Expr) -> String {
    match expr {
        Expr::Call(call) => call.name.clone(),
        Expr::Paren(inner) => expr_name(inner),
        Expr::Ref(reference) => reference.name.clone(),
        Expr::Binary(_) => {
            let mut names = Vec::new();
            binary_names(expr, &mut names);
            names.join("_")
        }
        _ => String::new(),
    }
}

fn binary_names(expr: &Expr, names: &mut Vec<String>) {
    match expr {
        Expr::Ref(reference) => names.push(reference.name.clone()),
        Expr::Call(call) => names.push(call.name.clone()),
        Expr::Binary(binary) => {
            binary_names(&binary.left, names);
            binary_names(&binary.right, names);
        }
        Expr::Paren(inner) => binary_names(inner, names),
        _ => {}
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Measurement {
    pub database: String,
    pub retention_policy: String,
    pub name: String,
    pub regex: Option<Regex>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    Measurement(Measurement),
    Subquery(Box<Select>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill {
    Null,
    None,
    Integer(i64),
    Float(f64),
    Previous,
    Linear,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    pub fields: Vec<Field>,
    pub target: Option<Measurement>,
    pub sources: Vec<Source>,
    pub condition: Option<Expr>,
    pub dimensions: Vec<Expr>,
    pub fill: Fill,
    /// `ORDER BY time`: whether ascending; `None` if it is not said.
    pub order: Option<bool>,
    pub limit: usize,
    pub offset: usize,
    pub slimit: usize,
    pub soffset: usize,
    pub zone: Option<Tz>,
    /// No function is called.
    pub raw: bool,
    pub omit_time: bool,
    /// The name of the time's column.
    pub time_alias: String,
}

impl Select {
    pub fn ascending(&self) -> bool {
        self.order.unwrap_or(true)
    }
}

/// Which tag keys `SHOW TAG VALUES` is asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum TagKeys {
    In(Vec<String>),
    Is(String),
    IsNot(String),
    Matches(Regex),
    MatchesNot(Regex),
}

/// The clauses that the statements beginning with `SHOW` share.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Show {
    pub database: String,
    pub sources: Vec<Measurement>,
    pub condition: Option<Expr>,
    pub dimensions: Vec<Expr>,
    pub descending: bool,
    pub limit: usize,
    pub offset: usize,
}

/// What is counted by `SHOW ... CARDINALITY`.
#[derive(Clone, Debug, PartialEq)]
pub enum Counted {
    Series,
    Measurements,
    TagKeys,
    TagValues(TagKeys),
    FieldKeys,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    Select(Box<Select>),
    Explain {
        select: Box<Select>,
        analyze: bool,
    },
    ShowDatabases,
    ShowMeasurements(Show),
    ShowSeries(Show),
    ShowTagKeys(Show),
    ShowTagValues(Show, TagKeys),
    ShowFieldKeys(Show),
    ShowRetentionPolicies {
        database: String,
    },
    ShowCardinality {
        counted: Counted,
        exact: bool,
        show: Show,
    },
    CreateDatabase {
        name: String,
        with_policy: bool,
        /// Nanoseconds; 0 keeps for ever.
        kept_for: i64,
    },
    DropDatabase {
        name: String,
    },
    DropMeasurement {
        name: String,
    },
    /// Read, and refused when it is run: what it would be done to, Millrace has in another form or not at all.
    Other {
        what: &'static str,
        text: String,
        changes: bool,
    },
}
