//! What `invoke` costs for a function that does nothing: beside wasmtime's bare typed call, and beside a new instance
//! for each call.

use std::hint::black_box;

use anyhow::{Result, anyhow};
use benches::bare::{BareCall, Reinstantiation};
use benches::guests;
use benches::ratios::{Ratios, Target};
use benches::turns::{Contender, take_turns};
use criterion::Criterion;
use host_harness::{Engine, Instance, Residue, RestorePolicy, RestoreStrategy};

/// The fastest of a few pool settings, and what all of them took.
fn best_reinstantiation(rounds: usize) -> Result<(Reinstantiation, Vec<String>)> {
    let wasm = std::fs::read(guests::path("bench-bump-reset"))?;
    let mut all = Reinstantiation::candidates(&wasm, "do_nothing").map_err(guests::plain)?;
    let measured = take_turns(
        &mut all
            .iter()
            .map(|one| {
                Contender::new(&one.name, || {
                    black_box(one.call().expect("the guest does nothing"));
                })
            })
            .collect::<Vec<_>>(),
        rounds,
    );
    let told = measured.iter().map(|one| format!("{:<24} {:>10}", one.name, benches::ratios::time(one.median())));
    let told = told.collect();
    let best = (0..all.len()).min_by(|one, other| measured[*one].median().total_cmp(&measured[*other].median()));
    let best = best.ok_or_else(|| anyhow!("there are no candidates"))?;
    Ok((all.swap_remove(best), told))
}

/// An instance of the guest `bench` and a call of `do_nothing` on it.
fn do_nothing(
    engine: &Engine,
    strategy: RestoreStrategy,
    policy: RestorePolicy,
    residue: Residue,
) -> Result<impl FnMut() + use<>> {
    let guest = guests::load(engine, "bench-bump-reset")?;
    let function = guest.function("do_nothing")?;
    let config = guests::config(strategy, policy, residue);
    let mut instance: Instance = guest.instantiate(&config, guests::state()?)?;
    Ok(move || {
        // Looked at where it is: moving the outcome elsewhere would wait for it to be written.
        assert!(black_box(instance.invoke(function).is_ok()), "the guest does nothing");
    })
}

fn main() -> Result<()> {
    use RestorePolicy::{EveryCall, Never};
    use RestoreStrategy::{Auto, BumpReset, DirtyCards, FullCopy, Reinstantiate, Watermark};
    let rounds = guests::rounds(301);
    let engine = guests::engine()?;
    let (reinstantiation, candidates) = best_reinstantiation(rounds / 10 + 1)?;
    let mut bare = BareCall::new(engine.wasmtime()).map_err(guests::plain)?;
    let mut contenders = vec![
        Contender::new("bare typed call", move || {
            black_box(bare.call().expect("the function is empty"));
        }),
        Contender::new("invoke, bump-reset keep", do_nothing(&engine, BumpReset, EveryCall, Residue::Keep)?),
        Contender::new("invoke, auto scrub", do_nothing(&engine, Auto, EveryCall, Residue::Scrub)?),
        Contender::new("invoke, dirty-cards", do_nothing(&engine, DirtyCards, EveryCall, Residue::Scrub)?),
        Contender::new("bare re-instantiation", || {
            black_box(reinstantiation.call().expect("the guest does nothing"));
        }),
        Contender::new("re-instantiation + initialisation", || {
            black_box(reinstantiation.initialise_and_call().expect("the guest does nothing"));
        }),
        Contender::new("invoke, bump-reset scrub", do_nothing(&engine, BumpReset, EveryCall, Residue::Scrub)?),
        Contender::new("invoke, watermark scrub", do_nothing(&engine, Watermark, EveryCall, Residue::Scrub)?),
        Contender::new("invoke, watermark keep", do_nothing(&engine, Watermark, EveryCall, Residue::Keep)?),
        Contender::new("invoke, full-copy", do_nothing(&engine, FullCopy, EveryCall, Residue::Keep)?),
        Contender::new("invoke, reinstantiate", do_nothing(&engine, Reinstantiate, EveryCall, Residue::Keep)?),
        Contender::new("invoke, never restored", do_nothing(&engine, BumpReset, Never, Residue::Keep)?),
    ];

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("invoke");
    for contender in &mut contenders {
        group.bench_function(contender.name().to_owned(), |bencher| bencher.iter(|| contender.run_once()));
    }
    group.finish();
    criterion.final_summary();

    let measured = take_turns(&mut contenders, rounds);
    let [bare, keep, auto, dirty_cards, bare_reinstantiation, initialised, others @ ..] = &measured[..] else {
        unreachable!("as many as there are contenders");
    };
    let mut ratios = Ratios::new("invoke");
    ratios.add(keep, bare, Target::AtMost(3.5));
    ratios.add(auto, bare, Target::AtMost(3.0));
    ratios.add(dirty_cards, bare, Target::AtMost(3.0));
    ratios.add(bare_reinstantiation, keep, Target::AtLeast(150.0));
    ratios.add(initialised, keep, Target::AtLeast(150.0));
    for other in others {
        ratios.add(other, bare, Target::None);
    }
    ratios.note("settings that were tried for re-instantiation, the fastest of which is above:");
    candidates.into_iter().for_each(|line| ratios.note(line));
    ratios.finish()
}
