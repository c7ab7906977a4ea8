//! What is known of the data a statement asks for: types of names, and what wildcards stand for.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use series::FieldType;

use crate::ast::{Call, DataType, Expr, Field, Measurement, Select, Source, VarRef, WildcardKind, sort_references};
use crate::database::{Database, MeasurementShape};
use crate::types::{TypeError, binary_type, call_type};
use crate::{Databases, QueryError};

/// Measurements that statements speak of, looked up once.
pub struct Schema<'a> {
    databases: &'a dyn Databases,
    looked_up: RefCell<BTreeMap<String, Vec<Found>>>,
}

/// A measurement that a source stands for.
#[derive(Clone)]
pub struct Found {
    pub database: Arc<dyn Database>,
    pub name: String,
    pub shape: MeasurementShape,
}

pub fn field_type(field_type: FieldType) -> DataType {
    match field_type {
        FieldType::Float64 => DataType::Float,
        FieldType::Int64 => DataType::Integer,
        FieldType::Boolean => DataType::Boolean,
        FieldType::Utf8 => DataType::Text,
    }
}

impl<'a> Schema<'a> {
    pub fn new(databases: &'a dyn Databases) -> Self {
        Self { databases, looked_up: RefCell::default() }
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Database>, QueryError> {
        self.databases.open(name)?.ok_or_else(|| QueryError::new(format!("database not found: {name}")))
    }

    /// The measurements of a source, in the order of their names; its database has been filled in.
    pub fn measurements(&self, source: &Measurement) -> Result<Vec<Found>, QueryError> {
        let key = source.to_string();
        if let Some(found) = self.looked_up.borrow().get(&key) {
            return Ok(found.clone());
        }
        let found = self.look_up(source)?;
        self.looked_up.borrow_mut().insert(key, found.clone());
        Ok(found)
    }

    fn look_up(&self, source: &Measurement) -> Result<Vec<Found>, QueryError> {
        let database = self.open(&source.database)?;
        let policies = database.retention_policies()?;
        if !source.retention_policy.is_empty() && !policies.iter().any(|policy| policy.name == source.retention_policy)
        {
            return Err(QueryError::new(format!("retention policy not found: {}", source.retention_policy)));
        }
        let names = match &source.regex {
            Some(regex) => database.measurements()?.into_iter().filter(|name| regex.matches(name)).collect(),
            None => vec![source.name.clone()],
        };
        let mut found = Vec::new();
        for name in names {
            if let Some(shape) = database.shape(&name)? {
                found.push(Found { database: database.clone(), name, shape });
            }
        }
        Ok(found)
    }

    fn reference_in(&self, source: &Source, name: &str) -> Result<DataType, TypeError> {
        let mut data_type = DataType::Unknown;
        match source {
            Source::Measurement(measurement) => {
                for found in self.measurements(measurement)? {
                    let one = type_in_shape(&found.shape, name);
                    if data_type.less_than(one) {
                        data_type = one;
                    }
                }
            }
            Source::Subquery(inner) => {
                if let Some(expr) = inner.field_by_name(name) {
                    let one = self.expr_type(&expr, &inner.sources)?;
                    if data_type.less_than(one) {
                        data_type = one;
                    }
                }
                let is_dimension =
                    inner.dimensions.iter().any(|d| matches!(d, Expr::Ref(reference) if reference.name == name));
                if data_type == DataType::Unknown && is_dimension {
                    data_type = DataType::Tag;
                }
            }
        }
        Ok(data_type)
    }

    /// The type of an expression over `sources`.
    pub fn expr_type(&self, expr: &Expr, sources: &[Source]) -> Result<DataType, TypeError> {
        match expr {
            Expr::Ref(reference) => {
                if !matches!(reference.data_type, DataType::Unknown | DataType::AnyField) {
                    return Ok(reference.data_type);
                }
                let mut data_type = DataType::Unknown;
                for source in sources {
                    let one = self.reference_in(source, &reference.name)?;
                    if data_type.less_than(one) {
                        data_type = one;
                    }
                }
                Ok(data_type)
            }
            Expr::Call(call) => {
                let args = call.args.iter().map(|arg| self.expr_type(arg, sources)).collect::<Result<Vec<_>, _>>()?;
                call_type(call, &args).map_err(TypeError::Types)
            }
            Expr::Binary(binary) => {
                let left = self.expr_type(&binary.left, sources)?;
                let right = self.expr_type(&binary.right, sources)?;
                binary_type(expr, binary.op, (&binary.left, left), (&binary.right, right)).map_err(TypeError::Types)
            }
            Expr::Paren(inner) => self.expr_type(inner, sources),
            Expr::Number(_) => Ok(DataType::Float),
            Expr::Integer(_) => Ok(DataType::Integer),
            Expr::Unsigned(_) => Ok(DataType::Unsigned),
            Expr::Text(_) => Ok(DataType::Text),
            Expr::Boolean(_) => Ok(DataType::Boolean),
            _ => Ok(DataType::Unknown),
        }
    }

    /// The type, or unknown where types do not go together.
    fn lenient_type(&self, expr: &Expr, sources: &[Source]) -> Result<DataType, QueryError> {
        match self.expr_type(expr, sources) {
            Ok(data_type) => Ok(data_type),
            Err(TypeError::Types(_)) => Ok(DataType::Unknown),
            Err(TypeError::Failed(error)) => Err(error),
        }
    }

    /// Gives every reference its type, and every wildcard the names it stands for.
    pub fn resolve(&self, select: &Select) -> Result<Select, QueryError> {
        let mut select = select.clone();
        for source in &mut select.sources {
            if let Source::Subquery(inner) = source {
                **inner = self.resolve(inner)?;
            }
        }
        let mut failed = None;
        {
            let sources = &select.sources;
            let mut give_type = |expr: &mut Expr| {
                if let Expr::Ref(reference) = expr
                    && matches!(reference.data_type, DataType::Unknown | DataType::AnyField)
                {
                    match self.lenient_type(&Expr::Ref(reference.clone()), sources) {
                        Ok(DataType::Tag) if reference.data_type == DataType::AnyField => {}
                        Ok(data_type) => reference.data_type = data_type,
                        Err(error) => failed = Some(error),
                    }
                }
            };
            select.fields.iter_mut().for_each(|field| field.expr.walk_mut(&mut give_type));
            select.condition.iter_mut().for_each(|condition| condition.walk_mut(&mut give_type));
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let in_fields = select.fields.iter().any(|field| has_wildcard(&field.expr));
        let in_dimensions = select.dimensions.iter().any(|d| matches!(d, Expr::Wildcard(_) | Expr::Regex(_)));
        if !in_fields && !in_dimensions {
            return Ok(select);
        }
        let (types, mut tags) = self.fields_and_tags(&select.sources)?;
        let mut names: Vec<VarRef> = types.iter().map(|(name, data_type)| VarRef::new(name, *data_type)).collect();
        if !in_dimensions {
            for dimension in &select.dimensions {
                if let Expr::Ref(reference) = dimension {
                    tags.remove(&reference.name);
                }
            }
            if !names.is_empty() {
                names.extend(tags.iter().map(|name| VarRef::new(name, DataType::Tag)));
                tags.clear();
            }
        }
        sort_references(&mut names);
        if in_fields {
            select.fields = expand_fields(&select.fields, &names)?;
        }
        if in_dimensions {
            select.dimensions = expand_dimensions(&select.dimensions, &tags);
        }
        Ok(select)
    }

    fn fields_and_tags(
        &self,
        sources: &[Source],
    ) -> Result<(BTreeMap<String, DataType>, BTreeSet<String>), QueryError> {
        let (mut fields, mut tags) = (BTreeMap::<String, DataType>::new(), BTreeSet::new());
        let mut add = |name: String, data_type: DataType| {
            let known = fields.entry(name).or_default();
            if known.less_than(data_type) {
                *known = data_type;
            }
        };
        for source in sources {
            match source {
                Source::Measurement(measurement) => {
                    for found in self.measurements(measurement)? {
                        found.shape.fields.iter().for_each(|f| add(f.name.clone(), field_type(f.field_type)));
                        tags.extend(found.shape.tags);
                    }
                }
                Source::Subquery(inner) => {
                    for field in &inner.fields {
                        add(field.name(), self.lenient_type(&field.expr, &inner.sources)?);
                    }
                    tags.extend(inner.dimensions.iter().filter_map(|dimension| match dimension {
                        Expr::Ref(reference) => Some(reference.name.clone()),
                        _ => None,
                    }));
                }
            }
        }
        Ok((fields, tags))
    }
}

fn type_in_shape(shape: &MeasurementShape, name: &str) -> DataType {
    if let Some(field) = shape.fields.iter().find(|field| field.name == name) {
        field_type(field.field_type)
    } else if shape.tags.iter().any(|tag| tag == name) {
        DataType::Tag
    } else {
        DataType::Unknown
    }
}

fn has_wildcard(expr: &Expr) -> bool {
    let mut found = false;
    expr.walk(&mut |expr| found |= matches!(expr, Expr::Wildcard(_) | Expr::Regex(_)));
    found
}

fn expand_dimensions(dimensions: &[Expr], tags: &BTreeSet<String>) -> Vec<Expr> {
    let mut expanded = Vec::new();
    for dimension in dimensions {
        match dimension {
            Expr::Wildcard(_) => expanded.extend(tags.iter().map(Expr::reference)),
            Expr::Regex(regex) => {
                expanded.extend(tags.iter().filter(|name| regex.matches(name)).map(Expr::reference));
            }
            other => expanded.push(other.clone()),
        }
    }
    expanded
}

fn expand_fields(fields: &[Field], names: &[VarRef]) -> Result<Vec<Field>, QueryError> {
    let mut expanded = Vec::new();
    for field in fields {
        match &field.expr {
            Expr::Wildcard(kind) => expanded.extend(
                names
                    .iter()
                    .filter(|name| match kind {
                        WildcardKind::All => true,
                        WildcardKind::Fields => name.data_type != DataType::Tag,
                        WildcardKind::Tags => name.data_type == DataType::Tag,
                    })
                    .map(|name| Field::new(Expr::Ref(name.clone()))),
            ),
            Expr::Regex(regex) => expanded.extend(
                names.iter().filter(|name| regex.matches(&name.name)).map(|name| Field::new(Expr::Ref(name.clone()))),
            ),
            Expr::Call(call) => expand_call(field, call, names, &mut expanded)?,
            Expr::Binary(_) if has_wildcard(&field.expr) => {
                return Err(QueryError::new(format!("unsupported expression with wildcard: {}", field.expr)));
            }
            _ => expanded.push(field.clone()),
        }
    }
    Ok(expanded)
}

/// The first argument of the innermost call.
fn innermost(call: &mut Call) -> Option<(&str, &mut Expr)> {
    if matches!(call.args.first(), Some(Expr::Call(_))) {
        return match call.args.first_mut() {
            Some(Expr::Call(inner)) => innermost(inner),
            _ => None,
        };
    }
    let Call { name, args } = call;
    args.first_mut().map(|arg| (name.as_str(), arg))
}

fn expand_call(field: &Field, call: &Call, names: &[VarRef], expanded: &mut Vec<Field>) -> Result<(), QueryError> {
    let mut template = call.clone();
    let (function, regex) = match innermost(&mut template) {
        Some((name, Expr::Wildcard(WildcardKind::Tags))) => {
            return Err(QueryError::new(format!("unable to use tag wildcard in {name}()")));
        }
        Some((name, Expr::Wildcard(_))) => (name.to_owned(), None),
        Some((name, Expr::Regex(regex))) => (name.to_owned(), Some(regex.clone())),
        _ => {
            expanded.push(field.clone());
            return Ok(());
        }
    };
    let takes_text =
        matches!(function.as_str(), "count" | "first" | "last" | "distinct" | "elapsed" | "mode" | "sample");
    let takes = |data_type| match data_type {
        DataType::Float | DataType::Integer | DataType::Unsigned => true,
        DataType::Text => takes_text,
        DataType::Boolean => takes_text || matches!(function.as_str(), "min" | "max"),
        _ => false,
    };
    for name in names.iter().filter(|name| takes(name.data_type)) {
        if regex.as_ref().is_some_and(|regex| !regex.matches(&name.name)) {
            continue;
        }
        let mut one = call.clone();
        if let Some((_, arg)) = innermost(&mut one) {
            *arg = Expr::Ref(name.clone());
        }
        expanded.push(Field { expr: Expr::Call(one), alias: format!("{}_{}", field.name(), name.name) });
    }
    Ok(())
}
