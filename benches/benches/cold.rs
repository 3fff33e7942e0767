//! What it costs to begin: compiling the sample guest, finding its code in a cache or in an artefact, and making an
//! instance.

use std::hint::black_box;

use anyhow::Result;
use benches::guests;
use benches::ratios::{Ratios, Target};
use benches::turns::{Contender, take_turns};
use criterion::Criterion;
use guest_host::{
    ArtefactKey, ArtefactTrust, CodeOrigin, CompileCache, Engine, EngineConfig, Guest, MemoryState, Residue,
    RestorePolicy, RestoreStrategy,
};
use guest_prepare::PrepareOptions;

const GUEST: &str = "shop-bump-reset";

/// Loads a guest from these bytes.
fn load(engine: &Engine, bytes: &[u8]) -> Guest {
    Guest::load(engine, GUEST, bytes, PrepareOptions::default()).expect("the guest was loaded before")
}

fn main() -> Result<()> {
    let rounds = guests::rounds(31);
    let folder = tempfile::tempdir()?;
    let mut cached = EngineConfig::default();
    cached.compile_cache = CompileCache::Folder(folder.path().to_owned());
    let cached = Engine::new(&cached)?;
    let mut trusting = EngineConfig::default();
    trusting.artefact_trust = ArtefactTrust::key(ArtefactKey::derive(&[0x5e; 32])?);
    let trusting = Engine::new(&trusting)?;
    let plain = guests::engine()?;

    let guest = guests::load(&trusting, GUEST)?;
    let wasm = std::fs::read(guests::path(GUEST))?;
    let artefact = guest.to_artefact()?;
    assert_eq!(*load(&trusting, &artefact).code_origin(), CodeOrigin::Artefact, "its code is trusted");
    load(&cached, &wasm);
    let config = guests::config(RestoreStrategy::BumpReset, RestorePolicy::EveryCall, Residue::Keep);

    let mut contenders = vec![
        Contender::new("compile", || drop(black_box(load(&plain, &wasm)))),
        Contender::new("load-cached", || drop(black_box(load(&cached, &wasm)))),
        Contender::new("load-artefact", || drop(black_box(load(&trusting, &artefact)))),
        Contender::new("instantiate", || {
            black_box(guest.instantiate(&config, MemoryState::new()).expect("the guest is admitted"));
        }),
    ];

    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let mut group = criterion.benchmark_group("cold");
    for contender in &mut contenders {
        group.bench_function(contender.name().to_owned(), |bencher| bencher.iter(|| contender.run_once()));
    }
    group.finish();
    criterion.final_summary();

    let measured = take_turns(&mut contenders, rounds);
    assert_eq!(cached.cache_use().misses, 1, "all loads but the first found the code");
    let [compile, load_cached, load_artefact, instantiate] = &measured[..] else {
        unreachable!("as many as there are contenders");
    };
    let mut ratios = Ratios::new("cold");
    ratios.add(compile, load_cached, Target::AtLeast(10.0));
    ratios.add(compile, load_artefact, Target::AtLeast(10.0));
    ratios.add(load_artefact, instantiate, Target::None);
    ratios.note(format!("the module has {} bytes, the artefact {}", wasm.len(), artefact.len()));
    ratios.finish()
}
