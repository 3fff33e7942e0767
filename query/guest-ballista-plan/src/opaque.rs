//! A function in a process that has no engine: planned with, passed on, never called.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, not_impl_err, plan_err};
use datafusion::logical_expr::expr::{AggregateFunctionParams, WindowFunctionParams};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::format_state_name;
use datafusion::logical_expr::{
    Accumulator, AggregateUDFImpl, ColumnarValue, Expr, GroupsAccumulator, ReturnFieldArgs, ScalarFunctionArgs,
    ScalarUDFImpl, Signature, Volatility, udaf_default_schema_name, udaf_default_window_function_schema_name,
};
use guest_abi::function::Kind;

use crate::frame;
use crate::payload::{Column, Payload, Planning, hex};

/// Digits of a module's hash that names show.
const SHOWN: usize = 8;

/// A function of any kind whose [`Payload`] is kept as it came, and which cannot be called. Two are equal if their payloads are.
///
/// It has the types, the volatility and the strictness that the client declared. The client has cast the arguments, so it takes
/// them as they are.
#[derive(Debug, Clone)]
pub struct OpaqueUdf {
    sql_name: String,
    /// The name in physical plans: no other function has it, so that none is called in the place of this one.
    name: String,
    signature: Signature,
    planning: Planning,
    payload: Arc<[u8]>,
    /// Why it cannot be called.
    reason: Arc<str>,
}

impl OpaqueUdf {
    /// The function of this payload, which has to be of this kind.
    ///
    /// # Errors
    /// [`PayloadError`](crate::PayloadError) as a [`DataFusionError`](datafusion::error::DataFusionError).
    pub fn new(kind: Kind, payload: &[u8]) -> Result<Self> {
        let Payload { name: sql_name, module, planning, .. } = Payload::decode_as(kind, payload)?;
        let name = format!("{sql_name}@{}", &hex(&module.hash)[..SHOWN]);
        let volatility = match planning.volatility {
            guest_abi::function::Volatility::Immutable => Volatility::Immutable,
            guest_abi::function::Volatility::Stable => Volatility::Stable,
            _ => Volatility::Volatile,
        };
        let signature = match planning.params.is_empty() {
            true => Signature::nullary(volatility),
            false => Signature::user_defined(volatility),
        };
        let reason =
            format!("`{sql_name}` is a WebAssembly function, and this process has no engine; only executors call it");
        Ok(Self { sql_name, name, signature, planning, payload: payload.into(), reason: reason.into() })
    }

    /// The same with another reason why it cannot be called, which is the text of a call's error. An executor that cannot load a
    /// function has it so: an error while a plan is read does not reach the client.
    #[must_use]
    pub fn with_reason(self, reason: impl Into<Arc<str>>) -> Self {
        Self { reason: reason.into(), ..self }
    }

    /// Its payload.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// The name by which SQL calls it.
    #[must_use]
    pub fn sql_name(&self) -> &str {
        &self.sql_name
    }

    /// The columns of its result.
    #[must_use]
    pub fn results(&self) -> &[Column] {
        &self.planning.results
    }

    /// The name with the first digits of the module's hash.
    pub(crate) fn shown(&self) -> &str {
        &self.name
    }

    /// The error of a call.
    pub(crate) fn uncallable<T>(&self) -> Result<T> {
        exec_err!("{}", self.reason)
    }

    /// The result of a function that is none of tables: it has one.
    fn result(&self) -> &Column {
        &self.planning.results[0]
    }

    pub(crate) fn check_count(&self, given: usize) -> Result<()> {
        let expected = self.planning.params.len();
        if given != expected {
            return plan_err!("`{}` takes {expected} arguments, not {given}", self.sql_name);
        }
        Ok(())
    }

    /// The same under the name that SQL has.
    fn natural(&self) -> Self {
        Self { name: self.sql_name.clone(), ..self.clone() }
    }
}

impl PartialEq for OpaqueUdf {
    fn eq(&self, other: &Self) -> bool {
        self.payload == other.payload
    }
}

impl Eq for OpaqueUdf {}

impl Hash for OpaqueUdf {
    /// Of the name and the first bytes, which have the checksum of the others: plans are compared often, and modules are large.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
        self.payload.get(..frame::HEAD).unwrap_or(&self.payload).hash(state);
    }
}

impl ScalarUDFImpl for OpaqueUdf {
    /// The name with the first digits of the module's hash.
    fn name(&self) -> &str {
        &self.name
    }

    /// The name that SQL has.
    fn aliases(&self) -> &[String] {
        std::slice::from_ref(&self.sql_name)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let args: Vec<String> = args.iter().map(|arg| arg.schema_name().to_string()).collect();
        Ok(format!("{}({})", self.sql_name, args.join(",")))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.result().ty.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let Planning { params, strict, .. } = &self.planning;
        let lacks = args.arg_fields.iter().zip(params).any(|(field, param)| field.is_nullable() && !param.nullable);
        let nullable = self.result().nullable || *strict && lacks;
        Ok(Arc::new(Field::new(&self.name, self.result().ty.clone(), nullable)))
    }

    fn is_strict(&self) -> bool {
        self.planning.strict && self.planning.params.iter().all(|param| !param.nullable)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.check_count(arg_types.len())?;
        Ok(arg_types.to_vec())
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // The optimizer tries calls of constants, and leaves them in the plan when they fail.
        self.uncallable()
    }
}

/// It plans both halves of an aggregation, of which executors execute one and send its states to those that execute the other.
impl AggregateUDFImpl for OpaqueUdf {
    /// The name with the first digits of the module's hash.
    fn name(&self) -> &str {
        &self.name
    }

    /// The name that SQL has.
    fn aliases(&self) -> &[String] {
        std::slice::from_ref(&self.sql_name)
    }

    fn schema_name(&self, params: &AggregateFunctionParams) -> Result<String> {
        udaf_default_schema_name(&self.natural(), params)
    }

    fn window_function_schema_name(&self, params: &WindowFunctionParams) -> Result<String> {
        udaf_default_window_function_schema_name(&self.natural(), params)
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(self.result().ty.clone())
    }

    fn is_nullable(&self) -> bool {
        self.result().nullable
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        self.check_count(arg_types.len())?;
        Ok(arg_types.to_vec())
    }

    /// Asked for where a subquery has no rows. The client has computed it before it sends the plan.
    fn default_value(&self, _data_type: &DataType) -> Result<ScalarValue> {
        self.uncallable()
    }

    /// States are bytes, in one column.
    fn state_fields(&self, args: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        if !args.ordering_fields.is_empty() {
            let name = &self.sql_name;
            return not_impl_err!("`{name}(... ORDER BY ...)` is not supported; order the rows in a window");
        }
        Ok(vec![Arc::new(Field::new(format_state_name(args.name, "state"), DataType::Binary, true))])
    }

    fn accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        self.uncallable()
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs) -> bool {
        !args.is_distinct
    }

    fn create_groups_accumulator(&self, _args: AccumulatorArgs) -> Result<Box<dyn GroupsAccumulator>> {
        self.uncallable()
    }
}
