//! A function in a process that has no engine: planned with, passed on, never called.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, exec_err, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use crate::function_codec::FunctionCodec;
use crate::payload::{Payload, Planning, hex};

/// Digits of a module's hash that names show.
const SHOWN: usize = 8;

/// A function whose [`Payload`] is kept as it came, and which cannot be called. Two are equal if their payloads are.
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
    /// The function of this payload.
    ///
    /// # Errors
    /// [`PayloadError`](crate::PayloadError) as a [`DataFusionError`](datafusion::error::DataFusionError).
    pub fn new(payload: &[u8]) -> Result<Self> {
        let Payload { name: sql_name, module, planning, .. } = Payload::decode(payload)?;
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
}

impl PartialEq for OpaqueUdf {
    fn eq(&self, other: &Self) -> bool {
        self.payload == other.payload
    }
}

impl Eq for OpaqueUdf {}

impl Hash for OpaqueUdf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.payload.hash(state);
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
        Ok(self.planning.result.clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        let Planning { params, strict, .. } = &self.planning;
        let lacks = args.arg_fields.iter().zip(params).any(|(field, param)| field.is_nullable() && !param.nullable);
        let nullable = self.planning.nullable || *strict && lacks;
        Ok(Arc::new(Field::new(&self.name, self.planning.result.clone(), nullable)))
    }

    fn is_strict(&self) -> bool {
        self.planning.strict && self.planning.params.iter().all(|param| !param.nullable)
    }

    fn coerce_types(&self, arg_types: &[DataType]) -> Result<Vec<DataType>> {
        let (given, expected) = (arg_types.len(), self.planning.params.len());
        if given != expected {
            return plan_err!("`{}` takes {expected} arguments, not {given}", self.sql_name);
        }
        Ok(arg_types.to_vec())
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        // The optimizer tries calls of constants, and leaves them in the plan when they fail.
        exec_err!("{}", self.reason)
    }
}

/// Passes functions on unread: the codec of a scheduler.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpaqueFunctions;

impl FunctionCodec for OpaqueFunctions {
    fn decode(&self, payload: &[u8]) -> Result<Arc<ScalarUDF>> {
        Ok(Arc::new(ScalarUDF::new_from_impl(OpaqueUdf::new(payload)?)))
    }

    fn encode(&self, function: &ScalarUDF) -> Result<Option<Vec<u8>>> {
        Ok(function.inner().downcast_ref::<OpaqueUdf>().map(|function| function.payload.to_vec()))
    }
}
