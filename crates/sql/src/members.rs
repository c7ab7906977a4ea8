//! Fields of messages that may be absent: `pickup.lat` is NULL where `pickup` is. And values of maps by their keys.
//!
//! DataFusion's `get_field` gives the child column as it lies in memory, which under an absent message holds defaults.

use std::sync::Arc;

use arrow::array::{Array, AsArray, make_array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, Result, ScalarValue, exec_err, internal_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, LogicalPlan, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl,
    Signature, Volatility,
};

use crate::timestamp_parts::get_field;

/// `expr` with the NULLs of absent messages in the fields that it reads.
pub(crate) fn with_absence(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let map_get = functions::scalar_functions().into_iter().find(|function| function.name() == "mapget");
    let replaced = expr.transform_up(|node| {
        let Expr::ScalarFunction(call) = &node else { return Ok(Transformed::no(node)) };
        if call.func.name() != "get_field" || call.func.inner().is::<Member>() {
            return Ok(Transformed::no(node));
        }
        let Some((base, names)) = call.args.split_first() else { return Ok(Transformed::no(node)) };
        let mut made = base.clone();
        for name in names {
            let base_type = made.get_type(schema)?;
            let is_struct = matches!(base_type, DataType::Struct(_));
            made = match (is_struct, name) {
                // DataFusion's compares keys with a text of another type than theirs.
                _ if matches!(base_type, DataType::Map(_, _)) => match &map_get {
                    Some(map_get) => {
                        Expr::ScalarFunction(ScalarFunction::new_udf(Arc::clone(map_get), vec![made, name.clone()]))
                    }
                    None => return Ok(Transformed::no(node)),
                },
                (true, Expr::Literal(ScalarValue::Utf8(Some(_)) | ScalarValue::Utf8View(Some(_)), _)) => {
                    let function = Arc::new(ScalarUDF::from(Member::new()));
                    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![made, name.clone()]))
                }
                _ => {
                    let function = datafusion::functions::core::get_field();
                    Expr::ScalarFunction(ScalarFunction::new_udf(function, vec![made, name.clone()]))
                }
            };
        }
        Ok(Transformed::yes(made))
    })?;
    Ok(replaced.data)
}

/// The same for every expression of a plan.
pub(crate) fn plan_with_absence(plan: LogicalPlan) -> Result<LogicalPlan> {
    let replaced = plan.transform_up(|node| {
        let mut schema = DFSchema::empty();
        for input in node.inputs() {
            schema.merge(input.schema());
        }
        node.map_expressions(|expr| with_absence(expr, &schema).map(Transformed::yes))
    })?;
    Ok(replaced.data)
}

/// `get_field(message, name)` of a message that may be NULL.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Member {
    signature: Signature,
}

impl Member {
    fn new() -> Self {
        Member { signature: Signature::any(2, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Member {
    fn name(&self) -> &str {
        "get_field"
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let [base, Expr::Literal(name, _)] = args else { return internal_err!("get_field takes a name") };
        let name = name.try_as_str().flatten().unwrap_or_default().to_string();
        Ok(get_field(base.clone(), &name).schema_name().to_string())
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        internal_err!("the type of a field depends on its name")
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let name = args.scalar_arguments[1].and_then(|name| name.try_as_str().flatten()).unwrap_or_default();
        let DataType::Struct(fields) = args.arg_fields[0].data_type() else { return exec_err!("not a message") };
        let Some((_, field)) = fields.find(name) else { return exec_err!("Field {name} not found in struct") };
        let nullable = field.is_nullable() || args.arg_fields[0].is_nullable();
        Ok(Arc::new(field.as_ref().clone().with_nullable(nullable)))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let messages = arguments.args[0].to_array(arguments.number_rows)?;
        let ColumnarValue::Scalar(name) = &arguments.args[1] else { return internal_err!("get_field takes a name") };
        let name = name.try_as_str().flatten().unwrap_or_default();
        let messages = messages.as_struct();
        let Some(child) = messages.column_by_name(name) else { return exec_err!("Field {name} not found in struct") };
        if messages.null_count() == 0 || *child.data_type() == DataType::Null {
            return Ok(ColumnarValue::Array(Arc::clone(child)));
        }
        let nulls = NullBuffer::union(messages.nulls(), child.nulls());
        let data = child.to_data().into_builder().nulls(nulls).build()?;
        Ok(ColumnarValue::Array(make_array(data)))
    }
}
