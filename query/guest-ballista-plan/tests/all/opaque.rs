//! A scheduler's part: a plan with a function that it cannot call is read, planned and written again.

use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Schema};
use datafusion::catalog::{TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::{Result, ScalarValue, TableReference};
use datafusion::logical_expr::{AggregateUDF, Expr, ScalarUDF, ScalarUDFImpl as _, Volatility};
use datafusion::physical_plan::{ExecutionPlan, displayable};
use datafusion::prelude::SessionContext;
use datafusion_proto::bytes::{
    logical_plan_from_bytes_with_extension_codec, logical_plan_to_bytes_with_extension_codec,
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use datafusion_proto::logical_plan::LogicalExtensionCodec as _;
use guest_abi::function::{self, Kind};
use guest_ballista_plan::{
    FunctionCodec as _, OpaqueFunctions, OpaqueTable, OpaqueUdf, Payload, Planning, WasmLogicalCodec, WasmPhysicalCodec,
};

use crate::payload::{aggregate, sample, table};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn opaque(payload: &Payload) -> ScalarUDF {
    ScalarUDF::new_from_impl(OpaqueUdf::new(Kind::Scalar, &payload.encode().unwrap()).unwrap())
}

/// Makes a function of rows, an aggregate and a table function known to a session.
fn with_all() -> SessionContext {
    let context = SessionContext::new();
    context.register_udf(opaque(&sample()));
    let average = OpaqueUdf::new(Kind::Aggregate, &aggregate().encode().unwrap()).unwrap();
    context.register_udaf(AggregateUDF::new_from_impl(average));
    context.register_udtf("words", Arc::new(Words));
    context
}

/// The table function, as a client calls it.
#[derive(Debug)]
struct Words;

impl TableFunctionImpl for Words {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let literal = |expr: &Expr| match expr {
            Expr::Literal(value, _) => value.clone(),
            other => panic!("{other} is no constant"),
        };
        let words = OpaqueUdf::new(Kind::Table, &table().encode().unwrap())?;
        Ok(Arc::new(OpaqueTable::new(words, args.exprs().iter().map(literal).collect())))
    }
}

/// The plan of a query, as it came from a client and as it goes to an executor.
fn through_a_scheduler(sql: &str) -> Arc<dyn ExecutionPlan> {
    let (client, scheduler) = (with_all(), SessionContext::new());
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
    let plan = through_a_scheduler(sql);
    let shown = displayable(plan.as_ref()).indent(false).to_string();
    assert!(shown.contains("distance@93a44bbb(") && shown.contains(", z) > 0"), "{shown}");
    assert_eq!(plan.schema().field(0).data_type(), &DataType::Int64);
    // No row is without an argument.
    assert!(!plan.schema().field(0).is_nullable());
}

#[test]
fn a_call_of_constants_stays_in_the_plan() {
    let plan = through_a_scheduler("SELECT distance('kitten', 'sitting') AS d");
    let shown = displayable(plan.as_ref()).indent(false).to_string();
    assert!(shown.contains("distance@93a44bbb(kitten, sitting)"), "{shown}");
}

/// The plan as text.
fn shown(plan: &Arc<dyn ExecutionPlan>) -> String {
    displayable(plan.as_ref()).indent(false).to_string()
}

#[test]
fn aggregations_are_planned_in_two_halves_with_natural_names() {
    let plan = through_a_scheduler(
        "SELECT a, average(n) FILTER (WHERE distance(a, 'x') > 1) FROM (VALUES ('y', 1.5), ('z', 2.5)) AS t(a, n) GROUP BY a",
    );
    let text = shown(&plan);
    assert!(text.contains("mode=Partial") && text.contains("mode=FinalPartitioned"), "{text}");
    let field = plan.schema().field(1).clone();
    assert_eq!((field.data_type(), field.is_nullable()), (&DataType::Float64, true));
    let sql = "SELECT average(n) OVER (ORDER BY a ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS m FROM (VALUES ('y', 1.5)) AS t(a, n)";
    let text = shown(&through_a_scheduler(sql));
    assert!(text.contains("BoundedWindowAggExec"), "{text}");

    let plan = through_a_scheduler("SELECT average(n) FROM (VALUES (1.5), (2.5)) AS t(n)");
    assert_eq!(plan.schema().field(0).name(), "average(t.n)");
    let error = |sql: &'static str| {
        let result = runtime().block_on(async { with_all().sql(sql).await?.collect().await });
        result.unwrap_err().to_string()
    };
    let called = error("SELECT average(n) FROM (VALUES (1.5)) AS t(n)");
    assert!(called.contains("`average` is a WebAssembly function, and this process has no engine"), "{called}");
    let ordered = error("SELECT average(n ORDER BY n) FROM (VALUES (1.5)) AS t(n)");
    assert!(ordered.contains("order the rows in a window"), "{ordered}");
}

#[test]
fn tables_have_their_columns_their_limit_and_one_row_of_arguments() {
    let plan = through_a_scheduler("SELECT word FROM words('to be or not') LIMIT 2");
    let text = shown(&plan);
    assert!(text.contains("WasmTableExec: words@93a44bbb, limit=2"), "{text}");
    // The second one has no row, and so no call: with it, a join that collects the table has it in a stage of its own.
    assert!(text.contains("DataSourceExec: partitions=2, partition_sizes=[1, 0]"), "{text}");
    assert_eq!(plan.schema().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), ["word"]);

    let joined =
        shown(&through_a_scheduler("SELECT * FROM words('a') AS l JOIN words('b') AS r ON l.position < r.position"));
    assert!(joined.contains("CoalescePartitionsExec"), "{joined}");
    let read = through_a_scheduler("SELECT * FROM words('a')");
    let error = runtime().block_on(datafusion::physical_plan::collect(read, SessionContext::new().task_ctx()));
    assert!(error.unwrap_err().to_string().contains("`words` is a WebAssembly function"));

    // A table with other columns than those of its function is refused.
    let codec = WasmLogicalCodec::new(Arc::new(OpaqueFunctions));
    let words = OpaqueUdf::new(Kind::Table, &table().encode().unwrap()).unwrap();
    let name = TableReference::bare("words");
    let mut sent = Vec::new();
    let arguments = vec![ScalarValue::from("to be")];
    codec.try_encode_table_provider(&name, Arc::new(OpaqueTable::new(words.clone(), arguments)), &mut sent).unwrap();
    let context = SessionContext::new().task_ctx();
    let error = codec.try_decode_table_provider(&sent, &name, Arc::new(Schema::empty()), &context).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("`words` cannot be read from the plan: the function in the plan is damaged: the table has other"),
        "{error}"
    );

    // So are arguments that are too few, or of a type of which nobody can make an array.
    for (arguments, told) in [
        (Vec::new(), "`words` takes 1 arguments, not 0"),
        (
            vec![ScalarValue::FixedSizeBinary(-1, None)],
            "an argument has the type FixedSizeBinary(-1), which no function takes",
        ),
    ] {
        let mut sent = Vec::new();
        codec
            .try_encode_table_provider(&name, Arc::new(OpaqueTable::new(words.clone(), arguments)), &mut sent)
            .unwrap();
        let error = codec.try_decode_table_provider(&sent, &name, plan.schema(), &context).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn a_call_fails_and_says_where_it_would_not() {
    let ctx = with_all();
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
    let udf = OpaqueFunctions.decode_scalar(&encoded).unwrap();
    assert_eq!((udf.name(), udf.signature().volatility), ("distance@93a44bbb", Volatility::Stable));
    assert_eq!(udf.return_type(&[]).unwrap(), DataType::Utf8);
    assert_eq!(OpaqueFunctions.encode_scalar(&udf).unwrap(), Some(encoded.clone()));

    // Two of one name differ by what they are.
    let same = OpaqueUdf::new(Kind::Scalar, &encoded).unwrap();
    let other = OpaqueUdf::new(Kind::Scalar, &sample().encode().unwrap()).unwrap();
    assert!(*udf == ScalarUDF::new_from_impl(same.clone()) && same != other);
    assert!(same.is_strict() && other.is_strict());

    // Another function is none of its.
    let abs = SessionContext::new().state().scalar_functions()["abs"].clone();
    assert_eq!(OpaqueFunctions.encode_scalar(&abs).unwrap(), None);
    assert!(OpaqueFunctions.decode_scalar(b"wasmfn\x09").is_err());
}
