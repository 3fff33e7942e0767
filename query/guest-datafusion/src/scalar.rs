//! A function as a scalar function of DataFusion.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::ArrayRef;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue};
use datafusion::execution::memory_pool::{MemoryPool, UnboundedMemoryPool};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use guest_functions::{Columnar, Function, FunctionError, Type, data_type};

use crate::describe::{coerce_all, documentation, signature};
use crate::query::{Instances, Query, Reading, charged, short_hash};

/// A [`Function`] as a scalar function of DataFusion.
///
/// Arguments cross as DataFusion has them: views, dictionaries, long offsets and constants are neither copied nor unpacked. Of
/// other types, integers are cast to the parameter's width, numbers to `f64`, decimals to one with more digits, and lists
/// by their items.
///
/// Two are equal if they have the same name and call the same function of modules with the same bytes.
///
/// # Instances
///
/// [`WasmQueryPlanner`](crate::WasmQueryPlanner) gives each plan instances of its own, at most one for each thread that calls;
/// they are charged to the session's memory pool and end with the plan. A function that such a planner did not see, for
/// instance because the optimizer computes a call of constants, makes an instance for the call.
#[derive(Debug, Clone)]
pub struct WasmScalarUdf {
    function: Function,
    name: String,
    signature: Signature,
    documentation: Documentation,
    /// Pays for instances outside of a query.
    memory: Arc<dyn MemoryPool>,
    bound: Option<Bound>,
    /// Keeps the module among those that are loaded.
    #[expect(dead_code, reason = "held for as long as the function is there")]
    lease: Option<Arc<guest_functions::Module>>,
}

/// A function on the instances of a query.
#[derive(Debug, Clone)]
struct Bound {
    /// The name in physical plans.
    shown: String,
    function: Function,
    query: Arc<Query>,
}

impl WasmScalarUdf {
    /// The function, under the name that it has in its module.
    #[must_use]
    pub fn new(function: Function) -> Self {
        let name = function.signature().name.clone();
        Self::named(function, name)
    }

    /// The function under another name.
    #[must_use]
    pub fn named(function: Function, name: impl Into<String>) -> Self {
        let name = name.into();
        let (signature, documentation) = (signature(function.signature()), documentation(function.signature(), &name));
        let memory = Arc::new(UnboundedMemoryPool::default());
        Self { function, name, signature, documentation, memory, bound: None, lease: None }
    }

    /// Charges instances outside of a query to this pool.
    #[must_use]
    pub fn with_memory_pool(self, memory: Arc<dyn MemoryPool>) -> Self {
        Self { memory, ..self }
    }

    /// Sets another volatility than the module's, if there is one.
    #[must_use]
    pub fn with_volatility(mut self, volatility: Option<Volatility>) -> Self {
        self.signature.volatility = volatility.unwrap_or(self.signature.volatility);
        self
    }

    pub(crate) fn with_lease(self, lease: Arc<guest_functions::Module>) -> Self {
        Self { lease: Some(lease), ..self }
    }

    /// The function.
    #[must_use]
    pub fn function(&self) -> &Function {
        &self.function
    }

    /// The name by which SQL calls the function, also in a plan that shows another one.
    #[must_use]
    pub fn sql_name(&self) -> &str {
        &self.name
    }

    /// The same on instances of its own, at most one for each thread that calls. They are charged to its
    /// [memory pool](Self::with_memory_pool) and dropped with it and its clones. It is for plans that no
    /// [`WasmQueryPlanner`](crate::WasmQueryPlanner) makes, for instance those that come from another process.
    ///
    /// # Errors
    /// As for [`guest_functions::Module::with_instances`].
    pub fn with_own_instances(&self) -> Result<Self, FunctionError> {
        self.bind(&mut Instances::new(Query::new(Arc::clone(&self.memory))))
    }

    /// Somebody begins to read results for which the function is called. When all who did are dropped, a call that is under
    /// way ends within a tick of the engine's clock, with an error. `None` if the function has no
    /// [instances of a query](Self::with_own_instances).
    #[must_use]
    pub fn begin(&self) -> Option<Reading> {
        self.bound.as_ref().map(|bound| bound.query.begin())
    }

    /// The same on instances of a query.
    pub(crate) fn bind(&self, instances: &mut Instances) -> Result<Self, FunctionError> {
        let shown = format!("{}@{}", self.name, short_hash(self.function.module()));
        let (function, query) = (instances.function(&self.function)?, Arc::clone(instances.query()));
        Ok(Self { bound: Some(Bound { shown, function, query }), ..self.clone() })
    }

    /// Whether it has instances of a query.
    pub(crate) fn is_bound(&self) -> bool {
        self.bound.is_some()
    }

    fn result(&self) -> Type {
        // A module has no function without a result.
        self.function.signature().results[0].ty
    }

    fn call(&self, columns: &[Columnar<'_>], rows: usize) -> Result<ArrayRef> {
        charged(&self.name, || match &self.bound {
            Some(bound) => bound.function.call_batch(columns, rows),
            None => {
                let mut instances = Instances::new(Query::new(Arc::clone(&self.memory)));
                instances.function(&self.function)?.call_batch(columns, rows)
            }
        })
    }
}

impl PartialEq for WasmScalarUdf {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
            && self.function.module().hash() == other.function.module().hash()
            && self.function.signature() == other.function.signature()
            && self.signature == other.signature
    }
}

impl Eq for WasmScalarUdf {}

impl Hash for WasmScalarUdf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.function.module().hash().hash(state);
        self.function.signature().name.hash(state);
    }
}

impl ScalarUDFImpl for WasmScalarUdf {
    /// In a plan that was made to be executed, the name with the first digits of the module's hash: what `EXPLAIN` shows.
    fn name(&self) -> &str {
        self.bound.as_ref().map_or(&self.name, |bound| &bound.shown)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let args: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(format!("{}({})", self.name, args.join(",")))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(data_type(self.result()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let params = &self.function.signature().params;
        let may_lack = |(field, param): (&FieldRef, &guest_functions::Field)| field.is_nullable() && !param.ty.nullable;
        let nullable = self.result().nullable
            || self.function.signature().strict && args.arg_fields.iter().zip(params).any(may_lack);
        Ok(Arc::new(Field::new(self.name(), data_type(self.result()), nullable)))
    }

    fn is_strict(&self) -> bool {
        let signature = self.function.signature();
        signature.strict && signature.params.iter().all(|param| !param.ty.nullable)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        coerce_all(&self.name, self.function.signature(), arg_types)
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
        if all_constant && self.signature.volatility != Volatility::Volatile {
            let result = self.call(&columns, 1)?;
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&result, 0)?));
        }
        Ok(ColumnarValue::Array(self.call(&columns, args.number_rows)?))
    }

    fn documentation(&self) -> Option<&Documentation> {
        Some(&self.documentation)
    }
}
