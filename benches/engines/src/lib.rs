//! The sample functions under `arrow-udf-runtime`, for the benchmark to compare.

use std::sync::Arc;

use anyhow::{Context, Result};
use arrow_array_58::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema_58::{DataType, Field, Schema};
use arrow_udf_runtime::wasm::{FunctionHandle, Runtime};
use benches::guests::root;

/// Loads the guest of this folder.
///
/// # Errors
/// The guest has not been built, or cannot be loaded.
pub fn runtime() -> Result<Runtime> {
    let path = root().join("target/engines/guests/arrow-udf-guest-system.wasm");
    let wasm = std::fs::read(&path)
        .with_context(|| format!("cannot read {}: build it by `cargo xtask bench --engines`", path.display()))?;
    Runtime::new(&wasm)
}

/// Integers in this runtime's version of Arrow.
#[must_use]
pub fn integers(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

/// Texts in this runtime's version of Arrow.
#[must_use]
pub fn texts<'a>(values: impl Iterator<Item = &'a str>) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(values))
}

/// A function and the rows that it is called for.
pub struct Batch<'a> {
    runtime: &'a Runtime,
    function: FunctionHandle,
    rows: RecordBatch,
}

impl<'a> Batch<'a> {
    /// A function of integers as results, for the rows of these columns.
    ///
    /// # Errors
    /// The guest has no function of this name that takes such columns, or these differ in length.
    pub fn new(runtime: &'a Runtime, name: &str, columns: Vec<ArrayRef>) -> Result<Self> {
        let types: Vec<DataType> = columns.iter().map(|column| column.data_type().clone()).collect();
        let function = runtime.find_function(name, types.clone(), DataType::Int64)?;
        let fields = types.into_iter().enumerate().map(|(at, ty)| Field::new(format!("argument{at}"), ty, true));
        let rows = RecordBatch::try_new(Arc::new(Schema::new(fields.collect::<Vec<_>>())), columns)?;
        Ok(Self { runtime, function, rows })
    }

    /// Calls the function for all rows, in an instance that earlier calls have used and left as it is.
    ///
    /// # Errors
    /// The call failed.
    pub fn call(&self) -> Result<RecordBatch> {
        self.runtime.call(&self.function, &self.rows)
    }

    /// The same in an instance that is made for this call.
    ///
    /// # Errors
    /// The call failed, or no instance can be made.
    pub fn call_in_a_new_instance(&self) -> Result<RecordBatch> {
        // A clone shares the compiled module, and has no instances yet.
        self.runtime.clone().call(&self.function, &self.rows)
    }

    /// The results of a call.
    ///
    /// # Errors
    /// The call failed, or its results are no integers.
    pub fn results(&self) -> Result<Vec<i64>> {
        let results = self.call()?;
        let results = results.column(0).as_any().downcast_ref::<Int64Array>().context("results are no integers")?;
        Ok(results.values().to_vec())
    }
}
