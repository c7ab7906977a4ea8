//! The entries of a map as rows, for UNNEST and by name.

use std::sync::Arc;

use arrow::array::{Array, AsArray, ListArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};

pub(crate) const MAP_ROWS: &str = "map_entries";

/// The function, for the session.
pub(crate) fn function() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(MapRows {
        signature: Signature::any(1, Volatility::Immutable),
        aliases: ["entries".to_owned()],
    }))
}

/// `map_entries(map)`: a list of rows (key, value). It replaces DataFusion's, which panics for a map whose entries have other
/// names than `key` and `value`.
#[derive(Debug, PartialEq, Eq, Hash)]
struct MapRows {
    signature: Signature,
    /// The other name that DataFusion's has.
    aliases: [String; 1],
}

fn row_fields(map: &DataType) -> Result<Fields> {
    let DataType::Map(entries, _) = map else { return plan_err!("{MAP_ROWS} takes a map, found {map}") };
    let DataType::Struct(fields) = entries.data_type() else { return plan_err!("a map without entries: {map}") };
    let named = ["key", "value"].iter().zip(fields);
    Ok(named.map(|(name, field)| Field::new(*name, field.data_type().clone(), true)).collect())
}

impl ScalarUDFImpl for MapRows {
    fn name(&self) -> &str {
        MAP_ROWS
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::new_list(DataType::Struct(row_fields(&arguments[0])?), true))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let maps = arguments.args[0].to_array(arguments.number_rows)?;
        let fields = row_fields(maps.data_type())?;
        let maps = maps.as_map();
        let entries = StructArray::try_new(fields, maps.entries().columns().to_vec(), None)?;
        let item = Arc::new(Field::new_list_field(entries.data_type().clone(), true));
        let rows = ListArray::try_new(item, maps.offsets().clone(), Arc::new(entries), maps.nulls().cloned())?;
        Ok(ColumnarValue::Array(Arc::new(rows)))
    }
}
