//! The allocators alone, inside wasm: ours beside Rust's default, plain talc and others, on the same workloads.
//!
//! Each run begins with an instance as it was after its initialisation; the clock does not run while it is restored. Of
//! traces, which random actions are too, the time is taken off that reading the trace and keeping books takes: a run of
//! the same guest without allocating. What remains is the allocator's.

use std::time::{Duration, Instant};

use anyhow::Result;
use benches::guests;
use benches::heaps::{HEAPS, Heap, Workload};
use benches::instructions::{Run, counting_engine, run_workload};
use benches::ratios::{Ratios, Target, keep, time};
use benches::turns::{Contender, Measured, take_turns};
use criterion::Criterion;
use guest_host::Engine;
use serde_json::{Value, json};

/// Runs on which nothing that was freed could be of use again, or next to nothing: there a bump pointer must be at
/// least twice as fast as a freelist.
const NOTHING_IS_REUSED: [Workload; 2] = [Workload::Kept, Workload::Trace("json")];

fn contender(engine: &Engine, workload: Workload, heap: Heap, function: &'static str) -> Result<Contender<'static>> {
    let mut instance = workload.instance(engine, heap)?;
    let called = instance.guest().function(function)?;
    let name = format!("{}: {}", workload.name(), if function == "walk" { "reading" } else { heap.name });
    Ok(Contender::timed(name, move || -> Duration {
        instance.restore().expect("the guest can be restored");
        let start = Instant::now();
        let outcome = instance.invoke(called);
        let taken = start.elapsed();
        assert!(outcome.is_ok(), "there is memory enough");
        taken
    }))
}

/// What a run takes besides time, without what reading a trace takes.
fn run(engine: &Engine, workload: Workload, heap: Heap) -> Result<Run> {
    let run = run_workload(engine, workload, heap, workload.function())?;
    let Some(without) = workload.without_allocator() else {
        return Ok(run);
    };
    let reading = run_workload(engine, workload, heap, without)?;
    Ok(Run { instructions: run.instructions - reading.instructions, ..run })
}

fn named<'a>(measured: &'a [Measured], name: &str) -> &'a Measured {
    let at = HEAPS.iter().position(|heap| heap.name == name).expect("it is one of them");
    &measured[at]
}

/// Measures one workload with each allocator, and adds its ratios.
fn workload(
    workload: Workload,
    engines: [&Engine; 2],
    criterion: &mut Criterion,
    ratios: &mut Ratios,
) -> Result<Value> {
    let [engine, counting] = engines;
    let runs: Vec<_> = HEAPS.iter().map(|heap| run(counting, workload, *heap)).collect::<Result<_>>()?;
    let mut contenders: Vec<_> =
        HEAPS.iter().map(|heap| contender(engine, workload, *heap, workload.function())).collect::<Result<_>>()?;
    if let Some(without) = workload.without_allocator() {
        contenders.push(contender(engine, workload, HEAPS[0], without)?);
    }
    let mut group = criterion.benchmark_group(format!("allocators/{}", workload.name()));
    group.warm_up_time(Duration::from_millis(200)).measurement_time(Duration::from_millis(800)).sample_size(20);
    for contender in &mut contenders {
        group.bench_function(contender.name().to_owned(), |bencher| {
            bencher.iter_custom(|times| contender.time(times));
        });
    }
    group.finish();

    let mut measured = take_turns(&mut contenders, guests::rounds(201));
    if workload.without_allocator().is_some() {
        let reading = measured.pop().expect("it was the last");
        measured = measured.iter().map(|one| one.without(&reading)).collect();
    }
    let of = |name| named(&measured, name);
    let twice = if NOTHING_IS_REUSED.contains(&workload) { Target::AtLeast(2.0) } else { Target::None };
    ratios.add(of("freelist"), of("talc"), Target::AtMost(1.05));
    ratios.add(of("freelist"), of("system"), Target::AtMost(1.0));
    for bump in ["leaking", "bump-reset"] {
        ratios.add(of("talc"), of(bump), twice);
    }
    for other in HEAPS.iter().filter(|heap| !["freelist", "talc", "leaking", "bump-reset"].contains(&heap.name)) {
        ratios.add(of(other.name), of("talc"), Target::None);
    }
    let mut rows = Vec::new();
    for ((heap, run), measured) in HEAPS.iter().zip(runs).zip(&measured) {
        let Run { instructions, pages, grows } = run;
        let nanoseconds = measured.median();
        ratios.note(format!(
            "{:<14} {:>11} {instructions:>10} instructions {pages:>4} pages {:>3} grows",
            heap.name,
            time(nanoseconds),
            grows.map_or_else(|| "-".to_owned(), |grows| grows.to_string()),
        ));
        rows.push(json!({
            "allocator": heap.name,
            "nanoseconds": nanoseconds,
            "instructions": instructions,
            "pages": pages,
            "grows": grows,
        }));
    }
    Ok(Value::Array(rows))
}

fn main() -> Result<()> {
    let engine = guests::engine()?;
    let counting = counting_engine()?;
    let mut criterion = Criterion::default().configure_from_args();
    let mut ratios = Ratios::new("allocators");
    let mut rows = serde_json::Map::new();
    for one in Workload::ALL {
        rows.insert(one.name(), workload(one, [&engine, &counting], &mut criterion, &mut ratios)?);
    }
    criterion.final_summary();
    keep("allocators.json", "allocators", Value::Object(rows))?;
    ratios.finish()
}
