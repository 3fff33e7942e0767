//! What a call of an extension costs with everything around it: for each function of the guest `bench`, by allocator and
//! by the way in which the instance is put back.
//!
//! Beside them stand wasmtime's bare typed call, a new instance for each call without a harness, a host whose functions
//! pass handles, and the same call without any restore.

use std::hint::black_box;

use anyhow::{Context, Result, anyhow};
use benches::bare::{BareCall, Reinstantiation};
use benches::guests::{self, ALLOCATORS, Way};
use benches::handles::HandleHost;
use benches::ratios::{Ratios, Target};
use benches::turns::{Contender, Measured, take_turns};
use criterion::Criterion;
use guest_host::{Engine, EngineConfig, Guest, InstanceAllocation, RestorePolicy, RestoreStrategy};

/// The functions: those that read and write a little, five crossings, a thousand rows, and one that does nothing but
/// allocate and store.
const FUNCTIONS: [&str; 8] = [
    "do_nothing",
    "one_key",
    "one_get",
    "one_get_long_string",
    "one_get_one_intent",
    "five_gets",
    "read_1000_rows",
    "append_10000",
];

/// What one function costs with one allocator, put back in one way.
struct Cell {
    allocator: &'static str,
    way: Way,
    measured: Measured,
}

/// A call of `function` on an instance of its own; `None` where the guest cannot be put back in this way.
fn call(guest: &Guest, function: &'static str, way: Way) -> Result<Option<impl FnMut() + use<>>> {
    let Some(mut instance) = guests::instance(guest, &guests::config(way.strategy, way.policy, way.residue))? else {
        return Ok(None);
    };
    let index = guest.function(function)?;
    instance.invoke(index).with_context(|| format!("{function}, {way}"))?;
    Ok(Some(move || {
        // Looked at where it is: moving the outcome elsewhere would wait for it to be written.
        assert!(black_box(instance.invoke(index).is_ok()), "{function} succeeds");
    }))
}

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

/// The baselines of a function, whose contenders come first.
fn baselines<'a>(engine: &Engine, function: &str, reinstantiation: &'a Reinstantiation) -> Result<Vec<Contender<'a>>> {
    let mut bare = BareCall::new(engine.wasmtime()).map_err(guests::plain)?;
    let mut baselines = vec![Contender::new("bare typed call", move || {
        black_box(bare.call().expect("the function is empty"));
    })];
    match function {
        "do_nothing" => {
            baselines.push(Contender::new("bare re-instantiation", || {
                black_box(reinstantiation.call().expect("the guest does nothing"));
            }));
            baselines.push(Contender::new("re-instantiation + initialisation", || {
                black_box(reinstantiation.initialise_and_call().expect("the guest does nothing"));
            }));
        }
        "one_get_one_intent" => {
            let mut handles = HandleHost::new(engine.wasmtime()).map_err(guests::plain)?;
            baselines.push(Contender::new("five handles", move || {
                black_box(handles.call().expect("the record is there"));
            }));
        }
        _ => {}
    }
    Ok(baselines)
}

/// Measures one function, and adds what is asked of it.
fn measure(
    engine: &Engine,
    all: &[(&'static str, Guest)],
    function: &'static str,
    reinstantiation: &Reinstantiation,
    criterion: &mut Criterion,
    ratios: &mut Ratios,
) -> Result<()> {
    let mut contenders = baselines(engine, function, reinstantiation)?;
    let fixed = contenders.len();
    let mut cells: Vec<(&'static str, Way)> = Vec::new();
    for (allocator, guest) in all {
        for way in Way::all() {
            // Without any restore the heap of this one grows until there is none left.
            if function == "append_10000" && way.policy == RestorePolicy::Never {
                continue;
            }
            if let Some(call) = call(guest, function, way)? {
                contenders.push(Contender::new(format!("{allocator}, {way}"), call));
                cells.push((allocator, way));
            }
        }
    }
    let mut group = criterion.benchmark_group(format!("extensions/{function}"));
    for contender in &mut contenders {
        group.bench_function(contender.name().to_owned(), |bencher| bencher.iter(|| contender.run_once()));
    }
    group.finish();

    let mut measured = take_turns(&mut contenders, guests::rounds(101));
    for one in &mut measured {
        one.name = format!("{function}: {}", one.name);
    }
    let ways = measured.split_off(fixed);
    let cells: Vec<Cell> =
        cells.into_iter().zip(ways).map(|((allocator, way), measured)| Cell { allocator, way, measured }).collect();
    judge(function, &measured, &cells, ratios);
    Ok(())
}

/// Adds the ratios of one function.
fn judge(function: &str, baselines: &[Measured], cells: &[Cell], ratios: &mut Ratios) {
    use RestoreStrategy::{Auto, BumpReset, DirtyCards};
    let of = |allocator, way| {
        let found = cells.iter().find(|cell| cell.allocator == allocator && cell.way == way);
        &found.expect("every allocator has this way").measured
    };
    let bump_reset_keep = of("bump-reset", Way::keep(BumpReset));
    match (function, baselines) {
        ("do_nothing", [bare, reinstantiation, initialised]) => {
            ratios.add(bump_reset_keep, bare, Target::AtMost(2.5));
            for allocator in ALLOCATORS {
                ratios.add(of(allocator, Way::scrub(Auto)), bare, Target::AtMost(3.0));
            }
            ratios.add(of("system", Way::scrub(DirtyCards)), bare, Target::AtMost(3.0));
            ratios.add(of("bump-reset", Way::NEVER), bare, Target::None);
            ratios.add(reinstantiation, bump_reset_keep, Target::None);
            ratios.add(initialised, bump_reset_keep, Target::AtLeast(150.0));
        }
        ("one_get_one_intent", [_, handles]) => {
            ratios.add(bump_reset_keep, handles, Target::AtMost(1.0));
            ratios.add(of("system", Way::scrub(DirtyCards)), handles, Target::None);
        }
        ("five_gets", _) => {
            ratios.add(of("system", Way::scrub(DirtyCards)), of("system", Way::NEVER), Target::AtMost(1.25));
        }
        _ => {}
    }
    for way in [Way::scrub(Auto), Way::keep(Auto)] {
        let pairs = ALLOCATORS.iter().filter_map(|allocator| {
            let singles = cells.iter().filter(|cell| cell.allocator == *allocator && cell.way.does_what(way));
            let best = singles.min_by(|one, other| one.measured.median().total_cmp(&other.measured.median()))?;
            Some((of(allocator, way), &best.measured))
        });
        ratios.add_worst(pairs, Target::AtMost(1.2));
    }
}

fn main() -> Result<()> {
    let mut config = EngineConfig::default();
    // An instance for each contender of a function.
    config.allocation = InstanceAllocation::pooling(100);
    let engine = Engine::new(&config)?;
    let (reinstantiation, candidates) = best_reinstantiation(guests::rounds(31))?;
    let mut all = Vec::new();
    for allocator in ALLOCATORS {
        all.push((allocator, guests::load(&engine, &format!("bench-{allocator}"))?));
    }
    let mut criterion = guests::brief_criterion();
    let mut ratios = Ratios::new("extensions");
    for function in FUNCTIONS {
        measure(&engine, &all, function, &reinstantiation, &mut criterion, &mut ratios)?;
    }
    criterion.final_summary();
    ratios.note("settings that were tried for bare re-instantiation, the fastest of which is above:");
    candidates.into_iter().for_each(|line| ratios.note(line));
    ratios.finish()
}
