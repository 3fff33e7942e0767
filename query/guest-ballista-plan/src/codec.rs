//! The codecs of plans: functions of modules by a `FunctionCodec`, everything else by another codec.

use std::fmt::Display;
use std::sync::Arc;

use ballista_core::serde::{BallistaLogicalExtensionCodec, BallistaPhysicalExtensionCodec};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::common::{Result, TableReference, plan_err};
use datafusion::datasource::file_format::FileFormatFactory;
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{AggregateUDF, Extension, HigherOrderUDF, LogicalPlan, ScalarUDF, WindowUDF};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr_common::physical_expr::proto_decode::PhysicalExprDecodeCtx;
use datafusion::physical_expr_common::physical_expr::proto_encode::PhysicalExprEncodeCtx;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::logical_plan::LogicalExtensionCodec;
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};

use crate::function_codec::FunctionCodec;
use crate::node::{self, Decoded};
use crate::payload::{Payload, PayloadError};
use crate::table::{TableCall, TableScan};

/// A codec of plans: functions of modules by a [`FunctionCodec`], everything else by another codec, of type `C`.
#[derive(Debug)]
pub struct WasmCodec<C: ?Sized> {
    functions: Arc<dyn FunctionCodec>,
    other: Arc<C>,
}

/// The codec of logical plans, which go from the client to the scheduler.
pub type WasmLogicalCodec = WasmCodec<dyn LogicalExtensionCodec>;

/// The codec of physical plans, which go from the scheduler to the executors.
pub type WasmPhysicalCodec = WasmCodec<dyn PhysicalExtensionCodec>;

impl<C: ?Sized> Clone for WasmCodec<C> {
    fn clone(&self) -> Self {
        Self { functions: Arc::clone(&self.functions), other: Arc::clone(&self.other) }
    }
}

impl<C: ?Sized> WasmCodec<C> {
    /// Functions of modules by `functions`, everything else by `other`.
    #[must_use]
    pub fn over(functions: Arc<dyn FunctionCodec>, other: Arc<C>) -> Self {
        Self { functions, other }
    }
}

impl WasmLogicalCodec {
    /// Functions of modules by `functions`, everything else by Ballista's codec.
    #[must_use]
    pub fn new(functions: Arc<dyn FunctionCodec>) -> Self {
        Self::over(functions, Arc::new(BallistaLogicalExtensionCodec::default()))
    }
}

impl WasmPhysicalCodec {
    /// Functions of modules by `functions`, everything else by Ballista's codec.
    #[must_use]
    pub fn new(functions: Arc<dyn FunctionCodec>) -> Self {
        Self::over(functions, Arc::new(BallistaPhysicalExtensionCodec::default()))
    }
}

/// Begins what a plan has for a function that cannot be written, followed by the reason. DataFusion ignores errors of functions when
/// it writes logical plans, so such a plan is refused where it is read.
const REFUSED: &[u8] = b"wasmno ";

/// Whether these are bytes of a function of a module. The reason why one was refused is an error.
fn is_of_module(encoded: &[u8]) -> Result<bool> {
    match encoded.strip_prefix(REFUSED) {
        Some(reason) => plan_err!("{}", String::from_utf8_lossy(reason)),
        None => Ok(Payload::is_one(encoded)),
    }
}

/// Adds the name of the function to an error of reading it: Ballista passes on the text of an error and nothing else.
fn named<T>(name: impl Display, read: Result<T>) -> Result<T> {
    read.or_else(|error| plan_err!("`{name}` cannot be read from the plan: {}", error.message()))
}

/// Writes a payload, or that the function is refused, and why.
fn write_or_refuse(payload: Result<Vec<u8>>, buf: &mut Vec<u8>) -> Result<()> {
    match payload {
        Ok(payload) => buf.extend_from_slice(&payload),
        Err(error) => {
            buf.extend_from_slice(REFUSED);
            buf.extend_from_slice(error.to_string().as_bytes());
        }
    }
    Ok(())
}

/// Writes a payload.
fn write_or_fail(payload: Result<Vec<u8>>, buf: &mut Vec<u8>) -> Result<()> {
    buf.extend_from_slice(&payload?);
    Ok(())
}

/// The methods for functions, which DataFusion's traits of both kinds of codecs have with the same types. `$write` writes payloads.
macro_rules! functions {
    ($write:path) => {
        fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
            match is_of_module(buf)? {
                true => named(name, self.functions.decode_scalar(buf)),
                false => self.other.try_decode_udf(name, buf),
            }
        }

        fn try_encode_udf(&self, node: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
            match self.functions.encode_scalar(node).transpose() {
                Some(payload) => $write(payload, buf),
                None => self.other.try_encode_udf(node, buf),
            }
        }

        fn try_decode_udaf(&self, name: &str, buf: &[u8]) -> Result<Arc<AggregateUDF>> {
            match is_of_module(buf)? {
                true => named(name, self.functions.decode_aggregate(buf)),
                false => self.other.try_decode_udaf(name, buf),
            }
        }

        fn try_encode_udaf(&self, node: &AggregateUDF, buf: &mut Vec<u8>) -> Result<()> {
            match self.functions.encode_aggregate(node).transpose() {
                Some(payload) => $write(payload, buf),
                None => self.other.try_encode_udaf(node, buf),
            }
        }

        fn try_decode_higher_order_function(&self, name: &str, buf: &[u8]) -> Result<Arc<HigherOrderUDF>> {
            self.other.try_decode_higher_order_function(name, buf)
        }

        fn try_encode_higher_order_function(&self, node: &HigherOrderUDF, buf: &mut Vec<u8>) -> Result<()> {
            self.other.try_encode_higher_order_function(node, buf)
        }

        fn try_decode_udwf(&self, name: &str, buf: &[u8]) -> Result<Arc<WindowUDF>> {
            self.other.try_decode_udwf(name, buf)
        }

        fn try_encode_udwf(&self, node: &WindowUDF, buf: &mut Vec<u8>) -> Result<()> {
            self.other.try_encode_udwf(node, buf)
        }
    };
}

impl LogicalExtensionCodec for WasmLogicalCodec {
    functions!(write_or_refuse);

    fn try_decode(&self, buf: &[u8], inputs: &[LogicalPlan], ctx: &TaskContext) -> Result<Extension> {
        self.other.try_decode(buf, inputs, ctx)
    }

    fn try_encode(&self, node: &Extension, buf: &mut Vec<u8>) -> Result<()> {
        self.other.try_encode(node, buf)
    }

    fn try_decode_table_provider(
        &self,
        buf: &[u8],
        table: &TableReference,
        schema: SchemaRef,
        ctx: &TaskContext,
    ) -> Result<Arc<dyn TableProvider>> {
        if !TableCall::is_one(buf) {
            return self.other.try_decode_table_provider(buf, table, schema, ctx);
        }
        let call = TableCall::decode(buf).map_err(Into::into);
        let found = named(table, call.and_then(|call| self.functions.decode_table(call)))?;
        match found.schema() == schema {
            true => Ok(found),
            false => {
                let what = "the table has other columns than its function".to_owned();
                named(table, Err(PayloadError::Damaged { what }.into()))
            }
        }
    }

    fn try_encode_table_provider(
        &self,
        table: &TableReference,
        node: Arc<dyn TableProvider>,
        buf: &mut Vec<u8>,
    ) -> Result<()> {
        match self.functions.encode_table(node.as_ref())? {
            Some(call) => write_or_fail(call.encode().map_err(Into::into), buf),
            None => self.other.try_encode_table_provider(table, node, buf),
        }
    }

    fn try_decode_file_format(&self, buf: &[u8], ctx: &TaskContext) -> Result<Arc<dyn FileFormatFactory>> {
        self.other.try_decode_file_format(buf, ctx)
    }

    fn try_encode_file_format(&self, buf: &mut Vec<u8>, node: Arc<dyn FileFormatFactory>) -> Result<()> {
        self.other.try_encode_file_format(buf, node)
    }
}

impl PhysicalExtensionCodec for WasmPhysicalCodec {
    functions!(write_or_fail);

    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        ctx: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        if TableScan::is_one(buf) {
            let [input] = inputs else {
                let what = format!("a table function has {} inputs", inputs.len());
                return Err(PayloadError::Damaged { what }.into());
            };
            return self.functions.decode_scan(TableScan::decode(buf)?, Arc::clone(input));
        }
        match node::decode(self.functions.as_ref(), buf, ctx)? {
            Some(Decoded { node, context }) => self.other.try_decode(&node, inputs, &context, converter),
            None => self.other.try_decode(buf, inputs, ctx, converter),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        if let Some(scan) = self.functions.encode_scan(node.as_ref())? {
            buf.extend_from_slice(&scan.encode());
            return Ok(());
        }
        let mut encoded = Vec::new();
        self.other.try_encode(Arc::clone(&node), &mut encoded, converter)?;
        buf.extend_from_slice(&node::encode(self.functions.as_ref(), node.as_ref(), encoded)?);
        Ok(())
    }

    fn try_decode_expr(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn PhysicalExpr>],
        ctx: &PhysicalExprDecodeCtx<'_>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        self.other.try_decode_expr(buf, inputs, ctx)
    }

    fn try_encode_expr(
        &self,
        node: &Arc<dyn PhysicalExpr>,
        buf: &mut Vec<u8>,
        ctx: &PhysicalExprEncodeCtx<'_>,
    ) -> Result<()> {
        self.other.try_encode_expr(node, buf, ctx)
    }
}
