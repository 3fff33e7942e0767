//! A guest that was loaded for one engine serves another.

use guest_host::{
    CodeOrigin, CompileCache, Engine, EngineConfig, Guest, InstanceAllocation, InstanceConfig, MemoryState,
};
use guest_prepare::PrepareOptions;

use test_support::text_guests;

#[test]
fn a_guest_for_another_engine_takes_its_code_along_where_that_fits() {
    let folder = tempfile::tempdir().expect("there is room for a folder");
    let mut config = EngineConfig::default();
    let pooled = Engine::new(&config).expect("the machine can run the engine");
    let guest =
        Guest::load(&pooled, "plain", &text_guests::plain(), PrepareOptions::default()).expect("it is admitted");
    config.allocation = InstanceAllocation::OnDemand;
    config.compile_cache = CompileCache::Folder(folder.path().to_owned());
    let on_demand = Engine::new(&config).expect("the machine can run the engine");
    config.fuel = true;
    let counting = Engine::new(&config).expect("the machine can run the engine");
    for (engine, compiled) in [(&on_demand, 0), (&counting, 1)] {
        let taken = guest.for_engine(engine).expect("it is the same guest");
        assert_eq!(taken.engine().config(), engine.config());
        assert_eq!((taken.name(), taken.functions()), (guest.name(), guest.functions()));
        assert_eq!(*taken.code_origin(), CodeOrigin::Compiled);
        assert_eq!(engine.cache_use().misses, compiled, "modules that were compiled");
        let mut instance = taken.instantiate(&InstanceConfig::default(), MemoryState::new()).expect("it is served");
        let outcome = instance.invoke_by_name("say_hello").expect("it says hello");
        assert_eq!(outcome.log().map(|(_, line)| line).collect::<Vec<_>>(), ["hello"]);
        assert_eq!(outcome.stats().instructions.is_some(), engine.config().fuel);
    }
}
