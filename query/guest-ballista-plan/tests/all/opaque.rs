//! A scheduler's part: a plan with a function that it cannot call is read, planned and written again.

use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::{ScalarUDF, ScalarUDFImpl as _, Volatility};
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::SessionContext;
use datafusion_proto::bytes::{
    logical_plan_from_bytes_with_extension_codec, logical_plan_to_bytes_with_extension_codec,
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use guest_abi::function;
use guest_ballista_plan::{
    FunctionCodec as _, OpaqueFunctions, OpaqueUdf, Payload, Planning, WasmLogicalCodec, WasmPhysicalCodec,
};

use crate::payload::sample;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn opaque(payload: &Payload) -> ScalarUDF {
    ScalarUDF::new_from_impl(OpaqueUdf::new(&payload.encode().unwrap()).unwrap())
}

/// The plan of a query, as it came from a client and as it goes to an executor.
fn through_a_scheduler(payload: &Payload, sql: &str) -> Arc<dyn ExecutionPlan> {
    let (client, scheduler) = (SessionContext::new(), SessionContext::new());
    client.register_udf(opaque(payload));
    runtime().block_on(async {
        let logical = WasmLogicalCodec::new(Arc::new(OpaqueFunctions));
        let plan = client.sql(sql).await.unwrap().into_optimized_plan().unwrap();
        let sent = logical_plan_to_bytes_with_extension_codec(&plan, &logical).unwrap();

        let plan = logical_plan_from_bytes_with_extension_codec(&sent, &scheduler.task_ctx(), &logical).unwrap();
        let plan = scheduler.state().create_physical_plan(&plan).await.unwrap();
        let physical = WasmPhysicalCodec::new(Arc::new(OpaqueFunctions));
        let sent = physical_plan_to_bytes_with_extension_codec(plan, &physical).unwrap();
        physical_plan_from_bytes_with_extension_codec(&sent, &scheduler.task_ctx(), &physical).unwrap()
    })
}

#[test]
fn plans_with_functions_go_through_a_scheduler() {
    let sql = "SELECT distance(a, 'x') AS d, count(*) AS n FROM (VALUES ('y'), ('z')) AS t(a) WHERE distance(a, 'z') > 0 \
               GROUP BY distance(a, 'x') ORDER BY d";
    let plan = through_a_scheduler(&sample(), sql);
    let shown = displayable(plan.as_ref()).indent(false).to_string();
    assert!(shown.contains("distance@93a44bbb(") && shown.contains(", z) > 0"), "{shown}");
    assert_eq!(plan.schema().field(0).data_type(), &DataType::Int64);
    // No row is without an argument.
    assert!(!plan.schema().field(0).is_nullable());
}

#[test]
fn a_call_of_constants_stays_in_the_plan() {
    let plan = through_a_scheduler(&sample(), "SELECT distance('kitten', 'sitting') AS d");
    let shown = displayable(plan.as_ref()).indent(false).to_string();
    assert!(shown.contains("distance@93a44bbb(kitten, sitting)"), "{shown}");
}

#[test]
fn a_call_fails_and_says_where_it_would_not() {
    let ctx = SessionContext::new();
    ctx.register_udf(opaque(&sample()));
    let result = runtime()
        .block_on(async { ctx.sql("SELECT distance(a, a) FROM (VALUES ('y')) AS t(a)").await?.collect().await });
    let error = result.unwrap_err().to_string();
    assert!(error.contains("`distance` is a WebAssembly function, and this process has no engine"), "{error}");

    let wrong = runtime().block_on(ctx.sql("SELECT distance('a')")).unwrap_err().to_string();
    assert!(wrong.contains("`distance` takes 2 arguments, not 1"), "{wrong}");
}

#[test]
fn a_function_is_what_its_payload_says() {
    let stable = Planning { volatility: function::Volatility::Stable, ..Planning::new(DataType::Utf8) };
    let encoded = Payload { planning: stable, ..sample() }.encode().unwrap();
    let udf = OpaqueFunctions.decode(&encoded).unwrap();
    assert_eq!((udf.name(), udf.signature().volatility), ("distance@93a44bbb", Volatility::Stable));
    assert_eq!(udf.return_type(&[]).unwrap(), DataType::Utf8);
    assert_eq!(OpaqueFunctions.encode(&udf).unwrap(), Some(encoded.clone()));

    // Two of one name differ by what they are.
    let same = OpaqueUdf::new(&encoded).unwrap();
    let other = OpaqueUdf::new(&sample().encode().unwrap()).unwrap();
    assert!(*udf == ScalarUDF::new_from_impl(same.clone()) && same != other);
    assert!(same.is_strict() && other.is_strict());

    // Another function is none of its.
    let abs = SessionContext::new().state().scalar_functions()["abs"].clone();
    assert_eq!(OpaqueFunctions.encode(&abs).unwrap(), None);
    assert!(OpaqueFunctions.decode(b"wasmfn\x09").is_err());
}
