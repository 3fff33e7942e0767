//! The codecs of plans: functions of modules by a `FunctionCodec`, everything else by another codec.

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
use crate::payload::Payload;

/// Reads a function of a module, or another one by `other`.
fn decode(
    functions: &dyn FunctionCodec,
    encoded: &[u8],
    other: impl FnOnce() -> Result<Arc<ScalarUDF>>,
) -> Result<Arc<ScalarUDF>> {
    check(encoded)?;
    if Payload::is_one(encoded) { functions.decode(encoded) } else { other() }
}

/// Begins what a plan has for a function that cannot be written, followed by the reason. DataFusion ignores errors of functions when
/// it writes logical plans, so such a plan is refused where it is read.
const REFUSED: &[u8] = b"wasmno ";

/// Writes that a function is refused, and why.
fn refuse(buf: &mut Vec<u8>, reason: &str) {
    buf.extend_from_slice(REFUSED);
    buf.extend_from_slice(reason.as_bytes());
}

/// The reason why a function was refused is an error.
fn check(encoded: &[u8]) -> Result<()> {
    match encoded.strip_prefix(REFUSED) {
        Some(reason) => plan_err!("{}", String::from_utf8_lossy(reason)),
        None => Ok(()),
    }
}

/// Writes an aggregate by `other`, and one of a module as one that is refused.
fn encode_aggregate(
    functions: &dyn FunctionCodec,
    aggregate: &AggregateUDF,
    buf: &mut Vec<u8>,
    other: impl FnOnce(&mut Vec<u8>) -> Result<()>,
) -> Result<()> {
    if !functions.is_aggregate(aggregate) {
        return other(buf);
    }
    let reason = format!(
        "`{}` is an aggregate of a WebAssembly module, and plans for a cluster carry functions of rows alone; run the query \
         on one machine",
        aggregate.name()
    );
    refuse(buf, &reason);
    Ok(())
}

/// Reads an aggregate by `other`, unless it is refused.
fn decode_aggregate(encoded: &[u8], other: impl FnOnce() -> Result<Arc<AggregateUDF>>) -> Result<Arc<AggregateUDF>> {
    check(encoded)?;
    other()
}

/// The codec of logical plans, which go from the client to the scheduler.
#[derive(Debug, Clone)]
pub struct WasmLogicalCodec {
    functions: Arc<dyn FunctionCodec>,
    other: Arc<dyn LogicalExtensionCodec>,
}

impl WasmLogicalCodec {
    /// Functions of modules by `functions`, everything else by Ballista's codec.
    #[must_use]
    pub fn new(functions: Arc<dyn FunctionCodec>) -> Self {
        Self::over(functions, Arc::new(BallistaLogicalExtensionCodec::default()))
    }

    /// Functions of modules by `functions`, everything else by `other`.
    #[must_use]
    pub fn over(functions: Arc<dyn FunctionCodec>, other: Arc<dyn LogicalExtensionCodec>) -> Self {
        Self { functions, other }
    }
}

impl LogicalExtensionCodec for WasmLogicalCodec {
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
        self.other.try_decode_table_provider(buf, table, schema, ctx)
    }

    fn try_encode_table_provider(
        &self,
        table: &TableReference,
        node: Arc<dyn TableProvider>,
        buf: &mut Vec<u8>,
    ) -> Result<()> {
        self.other.try_encode_table_provider(table, node, buf)
    }

    fn try_decode_file_format(&self, buf: &[u8], ctx: &TaskContext) -> Result<Arc<dyn FileFormatFactory>> {
        self.other.try_decode_file_format(buf, ctx)
    }

    fn try_encode_file_format(&self, buf: &mut Vec<u8>, node: Arc<dyn FileFormatFactory>) -> Result<()> {
        self.other.try_encode_file_format(buf, node)
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        decode(self.functions.as_ref(), buf, || self.other.try_decode_udf(name, buf))
    }

    fn try_encode_udf(&self, node: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        match self.functions.encode(node) {
            Ok(Some(payload)) => buf.extend_from_slice(&payload),
            Ok(None) => self.other.try_encode_udf(node, buf)?,
            Err(error) => refuse(buf, &error.to_string()),
        }
        Ok(())
    }

    fn try_decode_higher_order_function(&self, name: &str, buf: &[u8]) -> Result<Arc<HigherOrderUDF>> {
        self.other.try_decode_higher_order_function(name, buf)
    }

    fn try_encode_higher_order_function(&self, node: &HigherOrderUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.other.try_encode_higher_order_function(node, buf)
    }

    fn try_decode_udaf(&self, name: &str, buf: &[u8]) -> Result<Arc<AggregateUDF>> {
        decode_aggregate(buf, || self.other.try_decode_udaf(name, buf))
    }

    fn try_encode_udaf(&self, node: &AggregateUDF, buf: &mut Vec<u8>) -> Result<()> {
        encode_aggregate(self.functions.as_ref(), node, buf, |buf| self.other.try_encode_udaf(node, buf))
    }

    fn try_decode_udwf(&self, name: &str, buf: &[u8]) -> Result<Arc<WindowUDF>> {
        self.other.try_decode_udwf(name, buf)
    }

    fn try_encode_udwf(&self, node: &WindowUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.other.try_encode_udwf(node, buf)
    }
}

/// The codec of physical plans, which go from the scheduler to the executors.
#[derive(Debug, Clone)]
pub struct WasmPhysicalCodec {
    functions: Arc<dyn FunctionCodec>,
    other: Arc<dyn PhysicalExtensionCodec>,
}

impl WasmPhysicalCodec {
    /// Functions of modules by `functions`, everything else by Ballista's codec.
    #[must_use]
    pub fn new(functions: Arc<dyn FunctionCodec>) -> Self {
        Self::over(functions, Arc::new(BallistaPhysicalExtensionCodec::default()))
    }

    /// Functions of modules by `functions`, everything else by `other`.
    #[must_use]
    pub fn over(functions: Arc<dyn FunctionCodec>, other: Arc<dyn PhysicalExtensionCodec>) -> Self {
        Self { functions, other }
    }
}

impl PhysicalExtensionCodec for WasmPhysicalCodec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        ctx: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
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
        let mut encoded = Vec::new();
        self.other.try_encode(Arc::clone(&node), &mut encoded, converter)?;
        buf.extend_from_slice(&node::encode(self.functions.as_ref(), node.as_ref(), encoded)?);
        Ok(())
    }

    fn try_decode_udf(&self, name: &str, buf: &[u8]) -> Result<Arc<ScalarUDF>> {
        decode(self.functions.as_ref(), buf, || self.other.try_decode_udf(name, buf))
    }

    fn try_encode_udf(&self, node: &ScalarUDF, buf: &mut Vec<u8>) -> Result<()> {
        match self.functions.encode(node)? {
            Some(payload) => buf.extend_from_slice(&payload),
            None => self.other.try_encode_udf(node, buf)?,
        }
        Ok(())
    }

    fn try_decode_higher_order_function(&self, name: &str, buf: &[u8]) -> Result<Arc<HigherOrderUDF>> {
        self.other.try_decode_higher_order_function(name, buf)
    }

    fn try_encode_higher_order_function(&self, node: &HigherOrderUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.other.try_encode_higher_order_function(node, buf)
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

    fn try_decode_udaf(&self, name: &str, buf: &[u8]) -> Result<Arc<AggregateUDF>> {
        decode_aggregate(buf, || self.other.try_decode_udaf(name, buf))
    }

    fn try_encode_udaf(&self, node: &AggregateUDF, buf: &mut Vec<u8>) -> Result<()> {
        encode_aggregate(self.functions.as_ref(), node, buf, |buf| self.other.try_encode_udaf(node, buf))
    }

    fn try_decode_udwf(&self, name: &str, buf: &[u8]) -> Result<Arc<WindowUDF>> {
        self.other.try_decode_udwf(name, buf)
    }

    fn try_encode_udwf(&self, node: &WindowUDF, buf: &mut Vec<u8>) -> Result<()> {
        self.other.try_encode_udwf(node, buf)
    }
}
