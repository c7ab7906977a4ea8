//! What all scalar functions share: the definition as data, and how it becomes a DataFusion function.
//!
//! A function is a [`Definition`]: names, parameters, the type that it returns, an evaluation over columns,
//! and its documentation. Literal arguments stay one value; they are never spread over the batch.

mod arguments;
mod coercion;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

pub(crate) use arguments::{Call, LastCompiled};
pub(crate) use coercion::{Kind, list_element};

use crate::FunctionDoc;

/// The function's result type, from coerced argument types and the literals among the arguments.
pub(crate) type ReturnType = fn(&[DataType], &[Option<&ScalarValue>]) -> Result<DataType>;

pub(crate) struct Definition {
    pub doc: FunctionDoc,
    pub aliases: &'static [&'static str],
    /// Name and kind, in order.
    pub parameters: &'static [(&'static str, Kind)],
    /// How many of the parameters, from the end, may be left out.
    pub optional: usize,
    pub returns: ReturnType,
    pub evaluation: Evaluation,
}

pub(crate) enum Evaluation {
    /// Over columns; the result has `call.rows` rows.
    Columns(fn(&Call) -> Result<ArrayRef>),
    /// The call is another spelling of DataFusion expressions.
    Rewrite(fn(Vec<Expr>) -> Expr),
}

/// A [`Definition`] as DataFusion sees it.
#[derive(Debug)]
pub(crate) struct ScalarFunction {
    definition: &'static Definition,
    name: String,
    aliases: Vec<String>,
    signature: Signature,
}

impl std::fmt::Debug for Definition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.doc.name)
    }
}

impl ScalarFunction {
    pub fn udf(definition: &'static Definition) -> Arc<ScalarUDF> {
        Arc::new(ScalarUDF::new_from_impl(Self {
            definition,
            name: definition.doc.name.to_ascii_lowercase(),
            aliases: definition.aliases.iter().map(|&alias| alias.to_owned()).collect(),
            signature: Signature::user_defined(Volatility::Immutable),
        }))
    }

    fn function(&self) -> &'static str {
        self.definition.doc.name
    }
}

impl PartialEq for ScalarFunction {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for ScalarFunction {}

impl Hash for ScalarFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for ScalarFunction {
    fn name(&self) -> &str {
        &self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        coercion::coerce(self.definition, given)
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        (self.definition.returns)(arguments, &vec![None; arguments.len()])
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let types: Vec<DataType> = args.arg_fields.iter().map(|field| field.data_type().clone()).collect();
        let returns = (self.definition.returns)(&types, args.scalar_arguments)?;
        Ok(Arc::new(Field::new(&self.name, returns, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Evaluation::Columns(evaluate) = self.definition.evaluation else {
            return exec_err!("{} is rewritten when a query is optimized; run the optimizer first", self.function());
        };
        let literal = args.args.iter().all(|argument| matches!(argument, ColumnarValue::Scalar(_)));
        let call = Call::new(
            self.function(),
            args.return_field.data_type(),
            if literal { 1 } else { args.number_rows },
            &args.args,
        );
        let result = evaluate(&call)?;
        if literal {
            Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?))
        } else {
            Ok(ColumnarValue::Array(result))
        }
    }

    fn simplify(&self, args: Vec<Expr>, _context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        match self.definition.evaluation {
            Evaluation::Rewrite(rewrite) => Ok(ExprSimplifyResult::Simplified(rewrite(args))),
            Evaluation::Columns(_) => Ok(ExprSimplifyResult::Original(args)),
        }
    }
}

/// Return types that do not depend on the arguments.
pub(crate) mod returning {
    use super::*;
    use arrow::datatypes::TimeUnit;

    macro_rules! constant {
        ($($name:ident => $data_type:expr),+ $(,)?) => {
            $(pub fn $name(_: &[DataType], _: &[Option<&ScalarValue>]) -> Result<DataType> {
                Ok($data_type)
            })+
        };
    }

    constant! {
        text => DataType::Utf8,
        boolean => DataType::Boolean,
        bigint => DataType::Int64,
        double => DataType::Float64,
        key => DataType::UInt64,
        time => DataType::Timestamp(TimeUnit::Millisecond, None),
        texts => DataType::new_list(DataType::Utf8, true),
    }
}
