//! Tests on the built guests: every allocator, every strategy, inside wasm.
//!
//! The guests are those of `guests/`, built by `cargo xtask guests` into `target/guests/`.

mod allocators;
mod artefacts;
mod auto;
pub(crate) mod both_contracts;
mod c_shop;
mod canary;
mod causes;
mod compile_cache;
mod creep;
mod exttinygo_module;
pub(crate) mod heap;
mod init;
mod little_memory;
mod oracle;
mod policies;
mod pool;
mod recoveries;
mod replay;
mod retention;
mod sizes;
mod specimens;
mod state_machine;
mod suspensions;
mod typed_functions;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use guest_build::Allocator;
use guest_host::{
    AdmissionError, Engine, EngineConfig, Guest, Instance, InstanceAllocation, InstanceConfig, LoadError, MemoryState,
    Outcome, Residue, RestorePolicy, RestoreStrategy,
};
use guest_prepare::PrepareOptions;
use host_harness::load_state_file;

/// Bytes of memory that most of these tests give a guest: little, so that comparing all of it is quick.
const MEMORY: u64 = 4 << 20;

/// A deadline that no call reaches, however busy the machine is.
const NEVER_REACHED: Duration = Duration::from_secs(60);

/// A deadline for calls that never end.
const SHORT: Duration = Duration::from_millis(100);

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

/// The bytes of a built guest.
fn module(guest: &str, allocator: Allocator) -> Vec<u8> {
    named_module(&format!("{guest}-{allocator}"))
}

/// The bytes of a built guest, by the name of its file.
fn named_module(name: &str) -> Vec<u8> {
    let path = root().join(format!("target/guests/{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!("the guest {} is missing ({error}): run `cargo xtask guests` first", path.display())
    })
}

/// One engine for all tests: its instances come from one pool.
pub(crate) fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let mut config = EngineConfig::default();
        config.allocation = InstanceAllocation::pooling(64);
        Engine::new(&config).expect("the machine can run the engine")
    })
}

/// A built guest, compiled once.
pub(crate) fn load(guest: &str, allocator: Allocator) -> Guest {
    load_with(guest, allocator, PrepareOptions::default())
}

/// A built guest, prepared in this way and compiled once.
fn load_with(guest: &str, allocator: Allocator, options: PrepareOptions) -> Guest {
    type Key = (String, Allocator, PrepareOptions);
    static LOADED: OnceLock<Mutex<HashMap<Key, &'static OnceLock<Guest>>>> = OnceLock::new();
    let key = (guest.to_owned(), allocator, options);
    // Each guest has a lock of its own, so that several can be compiled at the same time.
    let loaded = *LOADED
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(key)
        .or_insert_with(|| Box::leak(Box::default()));
    loaded
        .get_or_init(|| {
            let name = format!("{guest}-{allocator}");
            Guest::load(engine(), &name, &module(guest, allocator), options).expect("a built guest is admitted")
        })
        .clone()
}

/// The state that lies beside a guest's source, or an empty one.
pub(crate) fn state_of(guest: &str) -> MemoryState {
    let path = root().join("guests").join(guest).join("state.json");
    if path.exists() { load_state_file(&path).expect("the guest's state file is right") } else { MemoryState::new() }
}

/// A configuration with little memory and without a deadline that matters.
pub(crate) fn config(strategy: RestoreStrategy, residue: Residue) -> InstanceConfig {
    let mut config = InstanceConfig::default();
    config.strategy = strategy;
    config.residue = residue;
    config.memory_limit = MEMORY;
    config.deadline = Some(NEVER_REACHED);
    config.count = true;
    config
}

/// The same with another policy.
fn config_with_policy(strategy: RestoreStrategy, policy: RestorePolicy) -> InstanceConfig {
    let mut config = config(strategy, Residue::Scrub);
    config.policy = policy;
    config
}

/// An instance of a built guest with its own state.
fn instance(guest: &str, allocator: Allocator, config: &InstanceConfig) -> Instance {
    load(guest, allocator).instantiate(config, state_of(guest)).expect("the guest serves the strategy")
}

/// An integer that a call left in one of its intents.
pub(crate) fn field(outcome: &Outcome<'_>, name: &str) -> i64 {
    let intents = outcome.intents().map(|intent| intent.expect("the harness has checked them").value);
    let found = intents.filter_map(|value| value.field(name).expect("the harness has checked them"));
    let value = found.last().unwrap_or_else(|| panic!("no intent has a field `{name}`"));
    value.as_i64().expect("it is an integer")
}

/// The strategies that a guest with this allocator can be restored by, as the allocators are documented.
fn strategies(allocator: Allocator) -> &'static [RestoreStrategy] {
    use RestoreStrategy::{BumpReset, DirtyCards, FullCopy, Reinstantiate, Watermark};
    match allocator {
        Allocator::System => &[Reinstantiate, FullCopy, DirtyCards],
        Allocator::BumpReset => &[Reinstantiate, FullCopy, DirtyCards, Watermark, BumpReset],
        _ => &[Reinstantiate, FullCopy, DirtyCards, Watermark],
    }
}

/// The strategy that is made for an allocator, the last of those that serve it.
fn best(allocator: Allocator) -> RestoreStrategy {
    *strategies(allocator).last().expect("every guest can at least be re-instantiated")
}

const RESIDUES: [Residue; 2] = [Residue::Scrub, Residue::Keep];

#[test]
fn admission_allows_the_documented_strategies_and_no_others() {
    for allocator in Allocator::ALL {
        let guest = load("bench", allocator);
        for strategy in RestoreStrategy::ALL {
            let made = guest.instantiate(&config(strategy, Residue::Scrub), MemoryState::new());
            let refused = matches!(made, Err(LoadError::Admission(AdmissionError::Strategy { .. })));
            let expected = strategies(allocator).contains(&strategy);
            assert_eq!(made.is_ok(), expected, "{allocator} with {strategy}");
            assert_eq!(refused, !expected, "{allocator} with {strategy}");
        }
    }
}

#[test]
fn auto_picks_what_the_guest_and_the_residue_allow() {
    for allocator in Allocator::ALL {
        for residue in RESIDUES {
            let instance = instance("bench", allocator, &config(RestoreStrategy::Auto, residue));
            let resets = residue == Residue::Keep && allocator == Allocator::BumpReset;
            let expected = if resets { RestoreStrategy::BumpReset } else { RestoreStrategy::DirtyCards };
            assert_eq!(instance.strategy().strategy, expected, "{allocator}, {residue}");
            assert_eq!(instance.strategy_name(), expected.name());
            assert_eq!(instance.config().strategy, expected);
            assert!(!instance.strategy().reason.contains("asked"));
        }
    }
    let asked = instance("bench", Allocator::System, &config(RestoreStrategy::FullCopy, Residue::Keep));
    assert_eq!(asked.strategy().reason, "it was asked for");
    assert_eq!(InstanceConfig::default().strategy, RestoreStrategy::Auto);
}

#[test]
fn auto_makes_a_new_instance_of_what_cannot_be_restored_in_place() {
    let text = r#"(module (@custom "guest-abi" "\01\00\00\00") (memory (export "memory") 3)
        (table (export "t") 1 funcref)
        (func (export "__guest_exchange") (param i32) (result i32) (i32.const 64))
        (func (export "f") (result i64) (table.set (i32.const 0) (ref.null func)) (i64.const 0)))"#;
    let wasm = wat::parse_str(text).unwrap();
    let guest = Guest::load(engine(), "sets-its-table", &wasm, PrepareOptions::default()).unwrap();
    let instance = guest.instantiate(&InstanceConfig::default(), MemoryState::new()).unwrap();
    assert_eq!(instance.strategy().strategy, RestoreStrategy::Reinstantiate);
    assert_eq!(instance.strategy_name(), "reinstantiate");
}
