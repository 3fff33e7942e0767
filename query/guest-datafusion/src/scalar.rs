//! A function as a scalar function of DataFusion.

use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use guest_functions::{Columnar, Function, Type, data_type};

use crate::describe::coerce_all;
use crate::function::WasmFunction;
use crate::query::charged;

/// A [`Function`] as a scalar function of DataFusion.
///
/// Arguments cross as DataFusion has them: views, dictionaries, long offsets and constants are neither copied nor unpacked. Of
/// other types, integers are cast to the parameter's width, numbers to `f64`, decimals to one with more digits, and lists
/// by their items.
pub type WasmScalarUdf = WasmFunction<Function>;

impl WasmScalarUdf {
    fn result(&self) -> Type {
        // A module has no function without a result.
        self.function().signature().results[0].ty
    }

    fn call(&self, columns: &[Columnar<'_>], rows: usize) -> Result<ArrayRef> {
        charged(self.sql_name(), || self.callable()?.call_batch(columns, rows))
    }
}

impl ScalarUDFImpl for WasmScalarUdf {
    /// In a plan that was made to be executed, the name with the first digits of the module's hash: what `EXPLAIN` shows.
    fn name(&self) -> &str {
        self.shown()
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let args: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(format!("{}({})", self.sql_name(), args.join(",")))
    }

    fn signature(&self) -> &Signature {
        self.planned()
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(data_type(self.result()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let params = &self.function().signature().params;
        let may_lack = |(field, param): (&FieldRef, &guest_functions::Field)| field.is_nullable() && !param.ty.nullable;
        let nullable = self.result().nullable
            || self.function().signature().strict && args.arg_fields.iter().zip(params).any(may_lack);
        Ok(Arc::new(Field::new(self.name(), data_type(self.result()), nullable)))
    }

    fn is_strict(&self) -> bool {
        let signature = self.function().signature();
        signature.strict && signature.params.iter().all(|param| !param.ty.nullable)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_all(self.sql_name(), self.function().signature(), arg_types)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let mut all_constant = true;
        let arrays: Vec<(bool, ArrayRef)> = args
            .args
            .iter()
            .map(|arg| match arg {
                ColumnarValue::Array(array) => {
                    all_constant = false;
                    Ok((false, Arc::clone(array)))
                }
                ColumnarValue::Scalar(value) => Ok((true, value.to_array()?)),
            })
            .collect::<Result<_>>()?;
        let columns: Vec<Columnar<'_>> = arrays
            .iter()
            .map(|(constant, array)| match constant {
                true => Columnar::Constant(array.as_ref()),
                false => Columnar::Array(array.as_ref()),
            })
            .collect();
        // One that is volatile has another result for each row.
        if all_constant && self.volatility() != Volatility::Volatile {
            let result = self.call(&columns, 1)?;
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(self.call(&columns, args.number_rows)?))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(self.documented())
    }
}
