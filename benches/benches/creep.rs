//! How many pages a guest has after calls that grow memory, each with a restore: for each allocator, ours and others',
//! with every strategy that admits it, with virtual growth and without. Not a benchmark of time.

use anyhow::Result;
use benches::guests;
use benches::ratios::keep;
use guest_host::{
    Engine, Guest, Instance, InstanceConfig, LoadError, MemoryState, Residue, RestorePolicy, RestoreStrategy,
};
use guest_prepare::PrepareOptions;
use serde_json::{Value, json};

/// Names of the guests' modules, and of their allocators.
const GUESTS: [(&str, &str); 7] = [
    ("growth-system", "system"),
    ("growth-talc-system", "plain talc"),
    ("growth-lol-alloc-system", "lol_alloc"),
    ("growth-leaking", "leaking"),
    ("growth-bump-reset", "bump-reset"),
    ("growth-freelist", "freelist"),
    ("growth-wee", "wee"),
];

/// After how many calls pages are counted.
const AFTER: [u32; 6] = [1, 10, 100, 1_000, 10_000, 100_000];

/// A new instance for each call has nothing that could creep, and takes a hundred times as long.
const MOST_NEW_INSTANCES: u32 = 10_000;

/// Bytes that a memory may have: 512 pages.
const LIMIT: u64 = 32 << 20;

fn instance(
    engine: &Engine,
    name: &str,
    strategy: RestoreStrategy,
    virtual_growth: bool,
) -> Result<Result<Instance, LoadError>> {
    let guest =
        Guest::from_file(engine, &guests::path(name), PrepareOptions::default().with_virtual_growth(virtual_growth))?;
    let mut config: InstanceConfig = guests::config(strategy, RestorePolicy::EveryCall, Residue::Keep);
    config.memory_limit = LIMIT;
    config.exchange_size = Some(4096);
    Ok(guest.instantiate(&config, MemoryState::new()))
}

/// Pages after so many calls each, and the call that failed, if one did.
type Pages = (Vec<(u32, u64)>, Option<u32>);

/// Calls and counts pages.
fn pages(mut instance: Instance, calls: u32) -> Result<Pages> {
    let function = instance.guest().function("grow_and_keep")?;
    let mut counted = vec![(0, instance.physical_pages())];
    for call in 1..=calls {
        if instance.invoke(function).is_err() {
            return Ok((counted, Some(call)));
        }
        if AFTER.contains(&call) {
            counted.push((call, instance.physical_pages()));
        }
    }
    Ok((counted, None))
}

fn main() -> Result<()> {
    let engine = guests::engine()?;
    let trying = std::env::args().any(|argument| argument == "--test");
    let mut rows: Vec<Value> = Vec::new();
    print!("{:<12}{:<15}{:<9}{:>7}", "allocator", "strategy", "growth", "fresh");
    AFTER.iter().for_each(|calls| print!("{calls:>8}"));
    println!("  calls; pages of 64 KiB");
    for virtual_growth in [true, false] {
        let growth = if virtual_growth { "virtual" } else { "real" };
        for (name, allocator) in GUESTS {
            for strategy in RestoreStrategy::ALL {
                let Ok(instance) = instance(&engine, name, strategy, virtual_growth)? else { continue };
                let most = if strategy == RestoreStrategy::Reinstantiate { MOST_NEW_INSTANCES } else { u32::MAX };
                let calls = AFTER[AFTER.len() - 1].min(most).min(if trying { 10 } else { u32::MAX });
                let (counted, failed) = pages(instance, calls)?;
                print!("{allocator:<12}{:<15}{growth:<9}", strategy.name());
                print!("{:>7}", counted[0].1);
                counted[1..].iter().for_each(|(_, pages)| print!("{pages:>8}"));
                println!("{}", failed.map_or_else(String::new, |call| format!("  out of memory at call {call}")));
                rows.push(json!({
                    "allocator": allocator,
                    "strategy": strategy.name(),
                    "virtual_growth": virtual_growth,
                    "pages_after_calls": counted,
                    "out_of_memory_at_call": failed,
                }));
            }
        }
    }
    keep("creep.json", "creep", Value::Array(rows))
}
