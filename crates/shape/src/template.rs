//! Texts with fields of a row in them.

mod direct;
mod filters;
mod scan;
mod value;

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use minijinja::value::Value;
use minijinja::{Environment, ErrorKind, UndefinedBehavior};

use crate::limits::{OUTPUT_BYTES_MAX, TEMPLATE_BYTES_MAX, TEMPLATE_FUEL, TEMPLATE_RECURSION_MAX};
use crate::path::{FieldPath, Unknown};
use crate::{METADATA_COLUMNS, ShapeError};
use direct::{BoundPart, Part};
use value::{Columns, Row};

/// A minijinja template, compiled once for a schema: `/orders/{{ order_id | urlencode }}`.
///
/// Numbers are written with all their digits, times as RFC 3339 in UTC, enums by name, bytes as base64, messages, lists
/// and maps as JSON. NULL has no text: a row where it would be written has none, unless the template says
/// `{{ name | default("...") }}` or `{{ name | json }}`. Work and output per row are limited.
#[derive(Debug)]
pub struct Template {
    fields: Vec<String>,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Constant(String),
    /// Only texts and fields, each written as it is or by one filter: done without minijinja, with the same result.
    Direct(Vec<Part>),
    Full(Box<Environment<'static>>),
}

const NAME: &str = "template";

impl Template {
    /// `place` of the error is `template`.
    pub fn compile(text: &str, columns: &Schema) -> Result<Self, ShapeError> {
        if text.len() > TEMPLATE_BYTES_MAX {
            return Err(error(
                format!("it has {} bytes; the most is {TEMPLATE_BYTES_MAX}", text.len()),
                "shorten it, or derive columns first",
            ));
        }
        let environment = environment(text)?;
        scan::check_filters(text, &environment)?;
        let fields = fields(&environment, columns)?;
        if fields.is_empty() {
            let rendered = environment.get_template(NAME).and_then(|template| template.render(()));
            let text = rendered.map_err(|error| render_error(&error)).and_then(bounded).map_err(|detail| {
                error(detail, "no field is in this template, so that it has to give the same text for every row")
            })?;
            return Ok(Self { fields, form: Form::Constant(text) });
        }
        let form = match direct::parts(text, columns) {
            Some(parts) => Form::Direct(parts),
            None => Form::Full(Box::new(environment)),
        };
        Ok(Self { fields, form })
    }

    /// The text, when no field is in it.
    pub fn constant(&self) -> Option<&str> {
        match &self.form {
            Form::Constant(text) => Some(text),
            _ => None,
        }
    }

    /// The columns in use, in the order of the schema.
    pub fn fields(&self) -> &[String] {
        &self.fields
    }

    /// Looks up the columns once for all rows. The batch must have the columns in use, with the types of the schema.
    pub fn bind<'a>(&'a self, batch: &'a RecordBatch) -> Result<BoundTemplate<'a>, ArrowError> {
        Ok(BoundTemplate(match &self.form {
            Form::Constant(text) => Bound::Constant(text),
            Form::Direct(parts) => Bound::Direct(parts.iter().map(|part| part.bind(batch)).collect::<Result<_, _>>()?),
            Form::Full(environment) => Bound::Full(environment, Arc::new(Columns(self.columns(batch)?))),
        }))
    }

    fn columns(&self, batch: &RecordBatch) -> Result<Vec<(String, ArrayRef)>, ArrowError> {
        let column = |name: &String| {
            let missing = || ArrowError::SchemaError(format!("the batch has no column `{name}`"));
            Ok((name.clone(), batch.column_by_name(name).ok_or_else(missing)?.clone()))
        };
        self.fields.iter().map(column).collect()
    }
}

pub(crate) use filters::hex;

/// The text that a template shows for a value that is not NULL.
pub(crate) fn text_of_cell(values: &ArrayRef, row: usize) -> Result<String, String> {
    let mut text = String::new();
    value::write_text(&value::cell(values, row), &mut text)?;
    Ok(text)
}

/// A template ready for the rows of a batch, in any order.
pub struct BoundTemplate<'a>(Bound<'a>);

enum Bound<'a> {
    Constant(&'a str),
    Direct(Vec<BoundPart<'a>>),
    Full(&'a Environment<'static>, Arc<Columns>),
}

impl BoundTemplate<'_> {
    /// `Err`: why this row has no text, for people.
    pub fn render(&self, row: usize) -> Result<String, String> {
        let mut text = String::new();
        self.render_to(row, &mut text)?;
        Ok(text)
    }

    /// Appends the text. After an error, `out` may have a part of it.
    pub fn render_to(&self, row: usize, out: &mut String) -> Result<(), String> {
        match &self.0 {
            Bound::Constant(text) => out.push_str(text),
            Bound::Direct(parts) => {
                let start = out.len();
                for part in parts {
                    part.write(row, out)?;
                    if out.len() - start > OUTPUT_BYTES_MAX {
                        return Err(value::too_long());
                    }
                }
            }
            Bound::Full(environment, columns) => {
                let row = Value::from_object(Row { columns: columns.clone(), row });
                let rendered = environment.get_template(NAME).and_then(|template| template.render(row));
                out.push_str(&bounded(rendered.map_err(|error| render_error(&error))?)?);
            }
        }
        Ok(())
    }
}

fn bounded(text: String) -> Result<String, String> {
    if text.len() > OUTPUT_BYTES_MAX { Err(value::too_long()) } else { Ok(text) }
}

fn environment(text: &str) -> Result<Environment<'static>, ShapeError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(TEMPLATE_FUEL));
    environment.set_recursion_limit(TEMPLATE_RECURSION_MAX);
    environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
    let syntax_config = minijinja::syntax::SyntaxConfig::builder().keep_trailing_newline(true).build();
    environment.set_syntax(syntax_config.map_err(syntax)?);
    // With it a template could nest values without end, which are taken apart recursively.
    environment.remove_global("namespace");
    environment.remove_global("debug");
    filters::install(&mut environment);
    environment.add_template_owned(NAME, text.to_owned()).map_err(syntax)?;
    Ok(environment)
}

/// The columns in use; everything on the paths to their fields has to exist.
fn fields(environment: &Environment<'_>, columns: &Schema) -> Result<Vec<String>, ShapeError> {
    let template = environment.get_template(NAME).map_err(syntax)?;
    let mut used: Vec<String> = template.undeclared_variables(true).into_iter().collect();
    used.sort();
    let mut fields = Vec::new();
    for path in used {
        let is_column = columns.field_with_name(path.split('.').next().unwrap_or_default()).is_ok();
        if !is_column && environment.globals().any(|(name, _)| name == path) {
            continue;
        }
        let name = check(&path, columns)?;
        if !fields.contains(&name) {
            fields.push(name);
        }
    }
    fields.sort_by_key(|name| columns.index_of(name).ok());
    Ok(fields)
}

/// The column that a path begins with, when everything on the path exists.
fn check(path: &str, columns: &Schema) -> Result<String, ShapeError> {
    let unknown = |unknown: Unknown| error(unknown.detail, unknown.hint);
    let mut parts = path.split('.');
    let first = parts.next().unwrap_or_default();
    let Ok(column) = columns.field_with_name(first) else {
        if METADATA_COLUMNS.contains(&first) {
            let detail = format!("there is no field `{first}`");
            return Err(error(detail, format!("list it under `columns`, as `{{field: {first}}}`, to use it here")));
        }
        return Err(unknown(crate::path::unknown(
            first,
            None,
            columns.fields().iter().map(|field| field.name().as_str()),
        )));
    };
    let mut field = FieldPath::column(column);
    for part in parts {
        // What is in a map is known only when there is one; items of a list are numbered.
        let arrow::datatypes::DataType::Struct(_) = field.data_type else { break };
        field = field.child(part).map_err(unknown)?;
    }
    Ok(first.to_owned())
}

fn error(detail: impl Into<String>, hint: impl Into<String>) -> ShapeError {
    ShapeError::at(NAME, detail, hint)
}

fn syntax(found: minijinja::Error) -> ShapeError {
    let line = found.line().map(|line| format!("line {line}: ")).unwrap_or_default();
    let detail = found.detail().map_or_else(|| found.kind().to_string(), str::to_owned);
    error(
        format!("{line}{detail}"),
        "write fields as `{{ name }}` and conditions as `{% if ... %}...{% endif %}`; `{{ '{{' }}` gives two braces",
    )
}

fn render_error(error: &minijinja::Error) -> String {
    let line = error.line().map(|line| format!(" in line {line} of the template")).unwrap_or_default();
    match error.kind() {
        ErrorKind::UndefinedError => format!(
            "a field{line} is not there: a message around it is unset, or a map or list has no such entry; \
             write `| default(\"...\")` behind it"
        ),
        ErrorKind::OutOfFuel => format!("the template is too much work for one row{line}"),
        _ => match error.detail() {
            Some(detail) => format!("{detail}{line}"),
            None => format!("{}{line}", error.kind()),
        },
    }
}
