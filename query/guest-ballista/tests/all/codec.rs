//! Functions through the codecs of one process: what comes back, what is refused, and how often a module is compiled.

use std::sync::Arc;
use std::thread;

use datafusion::error::DataFusionError;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::logical_expr::{ScalarUDF, Volatility};
use datafusion::prelude::SessionContext;
use datafusion_proto::bytes::{
    logical_plan_from_bytes_with_extension_codec, logical_plan_to_bytes_with_extension_codec,
    physical_plan_from_bytes_with_extension_codec, physical_plan_to_bytes_with_extension_codec,
};
use guest_ballista::guest_datafusion::guest_functions::guest_host::{
    Engine, EngineConfig, InstanceAllocation, InstanceConfig,
};
use guest_ballista::guest_datafusion::guest_functions::{
    Aggregate, Function, Kind, Module, ModuleConfig, Signature, TableFunction,
};
use guest_ballista::guest_datafusion::{ModuleFunction, WasmFunction, WasmScalarUdf};
use guest_ballista::object_store::ObjectStoreExt as _;
use guest_ballista::object_store::memory::InMemory;
use guest_ballista::object_store::path::Path;
use guest_ballista::{FunctionCodecError, ModuleStore, StoreError, WasmFunctions, WasmLogicalCodec};
use guest_ballista_plan::{FunctionCodec as _, OpaqueFunctions, OpaqueUdf, Payload, Source, hex};

use crate::cluster::{built, run, text};

pub(crate) fn engine() -> Engine {
    Engine::new(&EngineConfig::default().with_allocation(InstanceAllocation::OnDemand)).unwrap()
}

pub(crate) fn put(store: &ModuleStore, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(store.put(bytes))
}

/// The payload of a function of a module, as a client writes it.
pub(crate) fn payload(bytes: &[u8], config: ModuleConfig, function: &str, store: &ModuleStore) -> Vec<u8> {
    payload_of::<Function>(bytes, config, function, store)
}

/// The payload of a function of any kind, which SQL calls `called`.
pub(crate) fn payload_of<F: ModuleFunction>(
    bytes: &[u8],
    config: ModuleConfig,
    function: &str,
    store: &ModuleStore,
) -> Vec<u8> {
    put(store, bytes).unwrap();
    let module = Module::load(&engine(), "module", bytes, config).unwrap();
    let udf = WasmFunction::named(F::find(&module, function).unwrap(), "called");
    WasmFunctions::new(&engine(), store.clone()).write(&udf).unwrap()
}

fn numbers() -> Vec<u8> {
    wat::parse_str(
        r#"(module (memory 1) (func (export "twice") (param i64) (result i64) (i64.shl (local.get 0) (i64.const 1))))"#,
    )
    .unwrap()
}

pub(crate) fn executor() -> WasmFunctions {
    WasmFunctions::new(&engine(), ModuleStore::default())
}

#[test]
fn every_function_of_a_module_comes_back_as_it_was() {
    let (bytes, store) = (built("functions-leaking"), ModuleStore::default());
    put(&store, &bytes).unwrap();
    let module = Module::load(&engine(), "functions", &bytes, ModuleConfig::default()).unwrap();
    let (client, executor) = (WasmFunctions::new(&engine(), store), executor());
    let mut kinds = [0, 0, 0];
    for signature in module.signatures() {
        match signature.kind {
            Kind::Aggregate => comes_back::<Aggregate>(&module, signature, &client, &executor),
            Kind::Table => comes_back::<TableFunction>(&module, signature, &client, &executor),
            _ => comes_back::<Function>(&module, signature, &client, &executor),
        }
        kinds[signature.kind as usize] += 1;
    }
    assert!(kinds[0] >= 20 && kinds[1] >= 4 && kinds[2] >= 3, "{kinds:?}");
    assert_eq!(executor.compiled(), 1);
}

fn comes_back<F: ModuleFunction>(
    module: &Module,
    signature: &Signature,
    client: &WasmFunctions,
    executor: &WasmFunctions,
) {
    let udf = WasmFunction::new(F::find(module, &signature.name).unwrap()).with_volatility(Some(Volatility::Stable));
    let payload = client.write(&udf).unwrap();
    let read = executor.read::<F>(&payload).unwrap();
    assert_eq!(read.function().signature(), signature);
    assert!(read == udf, "{signature}");
    assert_eq!(read.sql_name(), signature.name);
    // The names in the plans of an executor.
    assert!(format!("{read:?}").contains(&format!("{}@", signature.name)), "{read:?}");
    for other in [Kind::Scalar, Kind::Aggregate, Kind::Table] {
        assert_eq!(OpaqueUdf::new(other, &payload).is_ok(), other == signature.kind, "{signature}");
    }
}

#[test]
fn a_module_is_compiled_once_for_its_bytes_and_limits() {
    let payload_of = |config| payload(&numbers(), config, "twice", &ModuleStore::default());
    let plain = payload_of(ModuleConfig::default());
    let executor = executor();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| executor.read::<Function>(&plain).unwrap());
        }
    });
    assert_eq!(executor.compiled(), 1);

    let small = InstanceConfig::default().with_memory_limit(65536);
    let small = payload_of(ModuleConfig::default().with_instance(small));
    assert_eq!(executor.read::<Function>(&small).unwrap().function().module().config().instance.memory_limit, 65536);
    assert_eq!(executor.clone().compiled(), 2);

    // Each has instances of its own, and none of them is kept.
    let (one, other) = (executor.read::<Function>(&plain).unwrap(), executor.read::<Function>(&plain).unwrap());
    assert_eq!(one.function().module().pool().status().idle, 0);
    assert!(one == other);
    assert_eq!(executor.compiled(), 2);
}

#[test]
fn modules_that_fail_are_tried_again_and_those_beyond_the_capacity_are_dropped() {
    let executor = executor();
    let answer = |number: u32| {
        let wasm = format!(r#"(module (func (export "answer") (result i32) (i32.const {number})))"#);
        payload(&wat::parse_str(wasm).unwrap(), ModuleConfig::default(), "answer", &ModuleStore::default())
    };
    for number in 0..65 {
        executor.read::<Function>(&answer(number)).unwrap();
    }
    assert_eq!(executor.compiled(), 65);
    executor.read::<Function>(&answer(64)).unwrap();
    assert_eq!(executor.compiled(), 65);
    executor.read::<Function>(&answer(0)).unwrap();
    assert_eq!(executor.compiled(), 66);

    let mut broken = Payload::decode(&answer(0)).unwrap();
    broken.module.hash = guest_ballista_plan::hash(b"no module");
    broken.module.source = Source::Inline(b"no module".to_vec());
    for _ in 0..2 {
        let error = executor.read::<Function>(&broken.encode().unwrap()).unwrap_err();
        assert!(matches!(error, FunctionCodecError::Function(_)), "{error}");
    }
    assert_eq!(executor.compiled(), 66);
}

#[test]
fn what_is_not_as_the_plan_says_is_refused() {
    let sent = payload(&numbers(), ModuleConfig::default(), "twice", &ModuleStore::default());
    let refused = |change: fn(&mut Payload)| {
        let mut payload = Payload::decode(&sent).unwrap();
        change(&mut payload);
        executor().read::<Function>(&payload.encode().unwrap()).unwrap_err()
    };

    let error = refused(|payload| payload.abi_version = 7);
    assert!(matches!(error, FunctionCodecError::AbiVersion { found: 7, .. }));
    assert_eq!(
        error.to_string(),
        "`called` comes from a client with ABI version 7, and this executor has version 1; run the same release on both"
    );

    let error = refused(|payload| payload.module.source = Source::Inline(b"\0asm\x01\0\0\0".to_vec()));
    assert!(matches!(error, FunctionCodecError::Hash { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("in the plan have the hash 93a44bbb96c751218e4c00d479e4c14358122a389acca16205b1e4d0dc5f9476")
    );

    let error = refused(|payload| payload.planning.results[0].nullable = true);
    let said = "`called` was planned with another signature than the module `module` has: `twice(p0: i64) -> i64`; submit the query again";
    assert_eq!(error.to_string(), said);
    let error = refused(|payload| payload.function = "twicee".to_owned());
    assert!(matches!(&error, FunctionCodecError::Function(_)) && error.to_string().contains("twice"), "{error}");
    let error = refused(|payload| payload.module.limits.residue = "burn".to_owned());
    assert!(matches!(error, FunctionCodecError::Limit { what: "the residue", .. }), "{error}");
    let error = refused(|payload| payload.module.source = Source::Stored);
    assert!(matches!(error, FunctionCodecError::Store(StoreError::NoStore { .. })), "{error}");
    assert!(matches!(executor().read::<Function>(&sent[..50]), Err(FunctionCodecError::Payload(_))));

    let executor = executor();
    executor.read::<Function>(&sent).unwrap();
    assert_eq!(executor.compiled(), 1);

    // In a plan, such a function is there, and its calls fail: what a client learns of.
    let stored = Payload::decode(&sent).map(|mut payload| {
        payload.module.source = Source::Stored;
        payload.module.limits.memory_limit = 1 << 16;
        payload
    });
    let context = SessionContext::new();
    let udf = executor.decode_scalar(&stored.unwrap().encode().unwrap()).unwrap();
    context.register_udf(ScalarUDF::clone(&udf));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let error = runtime.block_on(run(&context, "SELECT called(column1) FROM (VALUES (1))")).unwrap_err();
    assert!(
        matches!(&error, DataFusionError::Execution(_)) && error.to_string().contains("are in an object store"),
        "{error}"
    );
    assert!(executor.decode_scalar(b"wasmfn").is_err());
}

#[test]
fn an_object_store_is_not_believed() {
    let objects = Arc::new(InMemory::new());
    let store = ModuleStore::default().with_object_store(objects.clone()).with_inline_limit(0);
    let sent = payload(&numbers(), ModuleConfig::default(), "twice", &store);
    assert_eq!(Payload::decode(&sent).unwrap().module.source, Source::Stored);
    let executor = || WasmFunctions::new(&engine(), ModuleStore::default().with_object_store(objects.clone()));
    let one = executor();
    one.read::<Function>(&sent).unwrap();

    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let key = Path::from(format!("{}.wasm", hex(&guest_ballista_plan::hash(&numbers()))));
    runtime.block_on(objects.put(&key, b"other bytes".as_slice().into())).unwrap();
    let error = executor().read::<Function>(&sent).unwrap_err();
    assert!(matches!(error, FunctionCodecError::Store(StoreError::Hash { .. })), "{error}");
    runtime.block_on(objects.delete(&key)).unwrap();
    let error = executor().read::<Function>(&sent).unwrap_err();
    assert!(matches!(error, FunctionCodecError::Store(StoreError::Missing { .. })), "{error}");
    // It has the module.
    one.read::<Function>(&sent).unwrap();
    assert_eq!(one.compiled(), 1);

    // It is read where something is awaited, too: the executor decodes plans in its runtime.
    put(&store, &numbers()).unwrap();
    runtime.block_on(async { executor().read::<Function>(&sent) }).unwrap();
}

#[test]
fn a_client_passes_on_what_it_was_given() {
    let store = ModuleStore::default().with_inline_limit(10);
    let error = put(&store, &numbers()).unwrap_err();
    let size = numbers().len();
    assert_eq!(
        error.to_string(),
        format!(
            "a module of {size} bytes is larger than plans carry, 10; give client and executors an object store, or raise the \
             limit for modules in plans"
        )
    );
    let module = Module::load(&engine(), "numbers", &numbers(), ModuleConfig::default()).unwrap();
    let udf = WasmScalarUdf::new(module.function("twice").unwrap());
    let functions = WasmFunctions::new(&engine(), store);
    let error = functions.write(&udf).unwrap_err();
    assert!(matches!(error, FunctionCodecError::Store(StoreError::Unregistered { .. })), "{error}");

    // DataFusion ignores such an error. The scheduler does not.
    let context = SessionContext::new();
    context.register_udf(ScalarUDF::new_from_impl(udf));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let plan =
        runtime.block_on(context.sql("SELECT twice(column1) FROM (VALUES (1))")).unwrap().into_unoptimized_plan();
    let sent = logical_plan_to_bytes_with_extension_codec(&plan, &functions.logical_codec()).unwrap();
    let codec = WasmLogicalCodec::new(Arc::new(OpaqueFunctions));
    let error = logical_plan_from_bytes_with_extension_codec(&sent, &context.task_ctx(), &codec).unwrap_err();
    assert!(matches!(&error, DataFusionError::Plan(_)) && error.to_string().contains("was not registered"), "{error}");
}

#[tokio::test]
async fn a_physical_plan_runs_where_the_function_never_was() {
    let store = ModuleStore::default();
    store.put(&numbers()).await.unwrap();
    let module = Module::load(&engine(), "numbers", &numbers(), ModuleConfig::default()).unwrap();
    let (client, other) = (SessionContext::new(), SessionContext::new());
    client.register_udf(ScalarUDF::new_from_impl(WasmScalarUdf::new(module.function("twice").unwrap())));
    let sql = "SELECT twice(column1) AS t, abs(column1) AS a FROM (VALUES (1), (-4), (NULL))";
    let plan = client.sql(sql).await.unwrap().create_physical_plan().await.unwrap();
    let codec = WasmFunctions::new(&engine(), store).physical_codec();
    let bytes = physical_plan_to_bytes_with_extension_codec(plan, &codec).unwrap();

    let memory = Arc::new(GreedyMemoryPool::new(1 << 30));
    let executor = WasmFunctions::new(&engine(), ModuleStore::default()).with_memory_pool(memory.clone());
    let codec = executor.physical_codec();
    let plan = physical_plan_from_bytes_with_extension_codec(&bytes, &other.task_ctx(), &codec).unwrap();
    let found = datafusion::physical_plan::collect(plan.clone(), other.task_ctx()).await.unwrap();
    assert_eq!(text(&found), text(&run(&client, sql).await.unwrap()));
    assert!(memory.reserved() > 0);
    drop(plan);
    assert_eq!(memory.reserved(), 0);

    // Ballista's own codecs leave the function out.
    let own = ballista_core::serde::BallistaPhysicalExtensionCodec::default();
    let error = physical_plan_from_bytes_with_extension_codec(&bytes, &other.task_ctx(), &own).unwrap_err();
    assert!(matches!(error, DataFusionError::NotImplemented(_)), "{error}");
}
