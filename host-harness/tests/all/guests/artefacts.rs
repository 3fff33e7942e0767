//! Guests that were compiled ahead of time: their code is used where it is trusted, whole and fits, and everywhere else
//! the module is compiled anew.

use std::sync::OnceLock;

use guest_build::Allocator;
use guest_host::artefact::{is_artefact, module_of};
use guest_host::{
    ArtefactError, ArtefactKey, ArtefactTrust, CodeOrigin, CompileCache, Engine, EngineConfig, Guest, InputError,
    LoadError, Residue, RestoreStrategy,
};
use guest_prepare::PrepareOptions;
use proptest::prelude::*;

use super::state_machine::calls_before;
use super::{config, module, state_of};

fn key(byte: u8) -> ArtefactTrust {
    ArtefactTrust::key(ArtefactKey::derive(&[byte; 32]).expect("it is long enough"))
}

fn engine_config(trust: ArtefactTrust) -> EngineConfig {
    let mut config = EngineConfig::default();
    config.artefact_trust = trust;
    config
}

fn engine(trust: ArtefactTrust) -> Engine {
    Engine::new(&engine_config(trust)).expect("the machine can run the engine")
}

/// An artefact of the adversary, sealed by the first key.
fn artefact() -> &'static [u8] {
    static ARTEFACT: OnceLock<Vec<u8>> = OnceLock::new();
    ARTEFACT.get_or_init(|| make(key(1)))
}

fn make(trust: ArtefactTrust) -> Vec<u8> {
    let wasm = module("adversary", Allocator::BumpReset);
    let guest = Guest::load(&engine(trust), "adversary", &wasm, PrepareOptions::default()).expect("it is admitted");
    assert_eq!(*guest.code_origin(), CodeOrigin::Compiled);
    guest.to_artefact().expect("code can be serialised")
}

/// Loads an artefact, and calls and restores the guest.
fn load(engine: &Engine, artefact: &[u8]) -> Guest {
    let guest = Guest::load(engine, "adversary", artefact, PrepareOptions::default()).expect("its module is whole");
    let mut instance = guest
        .instantiate(&config(RestoreStrategy::BumpReset, Residue::Scrub), state_of("adversary"))
        .expect("the guest serves the strategy");
    for _ in 0..2 {
        assert_eq!(calls_before(&mut instance), 0);
        instance.invoke_by_name("leave_static_and_fail").expect_err("it fails on purpose");
        instance.invoke_by_name("leave_stack_pointer").expect_err("it traps on purpose");
    }
    guest
}

fn origin(trust: ArtefactTrust, artefact: &[u8]) -> CodeOrigin {
    load(&engine(trust), artefact).code_origin().clone()
}

#[test]
fn it_holds_the_module_as_it_was_built() {
    assert!(is_artefact(artefact()));
    let wasm = module("adversary", Allocator::BumpReset);
    assert!(!is_artefact(&wasm));
    assert_eq!(module_of(artefact()), Ok(&wasm[..]));
    assert_eq!(module_of(&wasm), Err(ArtefactError::NotAnArtefact));
}

#[test]
fn code_that_is_trusted_is_used_for_every_way_of_preparing() {
    let folder = tempfile::tempdir().expect("there is room");
    let mut config = engine_config(key(1));
    config.compile_cache = CompileCache::Folder(folder.path().to_owned());
    let engine = Engine::new(&config).expect("the machine can run the engine");
    let guest = load(&engine, artefact());
    assert_eq!(*guest.code_origin(), CodeOrigin::Artefact);
    for strategy in [RestoreStrategy::DirtyCards, RestoreStrategy::Watermark] {
        let config = super::config(strategy, Residue::Scrub);
        let mut instance = guest.instantiate(&config, state_of("adversary")).expect("the guest serves the strategy");
        assert_eq!((calls_before(&mut instance), calls_before(&mut instance)), (0, 0));
    }
    let used = engine.cache_use();
    assert_eq!((used.hits, used.misses), (0, 0), "nothing was compiled");
}

#[test]
fn code_of_which_nobody_says_whose_it_is_is_not_used() {
    assert_eq!(origin(ArtefactTrust::nobody(), artefact()), CodeOrigin::Recompiled(ArtefactError::NotTrusted));
    assert_eq!(origin(key(2), artefact()), CodeOrigin::Recompiled(ArtefactError::OtherKey));
    let unsealed = make(ArtefactTrust::nobody());
    assert_eq!(origin(key(1), &unsealed), CodeOrigin::Recompiled(ArtefactError::NotSealed));
}

#[test]
fn who_trusts_everybody_needs_no_key() {
    #[expect(unsafe_code, reason = "the embedder's word")]
    // SAFETY: the one artefact that the engine is given was made by this process.
    let everybody = unsafe { ArtefactTrust::everybody() };
    assert_eq!(origin(everybody, &make(ArtefactTrust::nobody())), CodeOrigin::Artefact);
}

#[test]
fn code_for_another_engine_is_not_used() {
    let mut config = engine_config(key(1));
    config.fuel = true;
    let counting = Engine::new(&config).expect("the machine can run the engine");
    let guest = load(&counting, artefact());
    let reason = ArtefactError::Counting { code_counts: false };
    assert_eq!(reason.to_string(), "its code counts no instructions, and the engine counts them");
    assert_eq!(*guest.code_origin(), CodeOrigin::Recompiled(reason));
    let reason = ArtefactError::Counting { code_counts: true };
    assert_eq!(reason.to_string(), "its code counts instructions, and the engine does not count them");
    let counted = guest.to_artefact().expect("code can be serialised");
    assert_eq!(origin(key(1), &counted), CodeOrigin::Recompiled(reason));
    assert_eq!(*load(&counting, &counted).code_origin(), CodeOrigin::Artefact);
}

#[test]
fn code_of_a_module_that_was_prepared_otherwise_is_not_used() {
    let options = PrepareOptions::default().with_virtual_growth(false);
    let guest = Guest::from_artefact(&engine(key(1)), "adversary", artefact(), options).expect("its module is whole");
    assert_eq!(*guest.code_origin(), CodeOrigin::Recompiled(ArtefactError::NotPreparedSo));
}

#[test]
fn an_artefact_can_be_made_of_an_artefact() {
    let guest = load(&engine(key(1)), artefact());
    let again = guest.to_artefact().expect("code can be serialised");
    assert_eq!(origin(key(1), &again), CodeOrigin::Artefact);
    let sealed_anew = load(&engine(key(2)), artefact()).to_artefact().expect("code can be serialised");
    assert_eq!(origin(key(2), &sealed_anew), CodeOrigin::Artefact);
}

#[test]
fn a_module_is_no_artefact() {
    let wasm = module("adversary", Allocator::BumpReset);
    let refused = Guest::from_artefact(&engine(key(1)), "adversary", &wasm, PrepareOptions::default());
    assert!(matches!(refused, Err(LoadError::Input(InputError::Artefact(ArtefactError::NotAnArtefact)))));
}

/// A damaged artefact is compiled again or rejected; its code never runs.
fn check_damaged(engine: &Engine, damaged: &[u8]) {
    match Guest::load(engine, "adversary", damaged, PrepareOptions::default()) {
        Ok(guest) => {
            assert_eq!(*guest.code_origin(), CodeOrigin::Recompiled(ArtefactError::Damaged));
            assert_eq!(module_of(damaged), module_of(artefact()));
        }
        // No artefact, then, and no module.
        Err(LoadError::Input(InputError::Module(_))) => assert!(!is_artefact(damaged)),
        Err(error) => {
            let known = matches!(
                error,
                LoadError::Input(InputError::Artefact(ArtefactError::ModuleDamaged | ArtefactError::Format { .. }))
            );
            assert!(known, "{error}");
        }
    }
}

/// Compiling anew dozens of times takes long; a cache keeps it short.
fn cached_engine() -> &'static (tempfile::TempDir, Engine) {
    static ENGINE: OnceLock<(tempfile::TempDir, Engine)> = OnceLock::new();
    ENGINE.get_or_init(|| {
        let folder = tempfile::tempdir().expect("there is room");
        let mut config = engine_config(key(1));
        config.compile_cache = CompileCache::Folder(folder.path().to_owned());
        let engine = Engine::new(&config).expect("the machine can run the engine");
        (folder, engine)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn code_that_is_damaged_anywhere_is_never_run(at in any::<prop::sample::Index>(), bit in 0..8_u32, cut in any::<bool>()) {
        let mut damaged = artefact().to_vec();
        let at = at.index(damaged.len());
        if cut {
            damaged.truncate(at);
        } else {
            damaged[at] ^= 1_u8 << bit;
        }
        check_damaged(&cached_engine().1, &damaged);
    }
}

#[test]
fn the_first_bytes_can_be_damaged_too() {
    for at in 0..200 {
        let mut damaged = artefact().to_vec();
        damaged[at] ^= 0x10;
        check_damaged(&cached_engine().1, &damaged);
    }
}
