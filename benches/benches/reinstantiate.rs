//! What a new instance for each call costs, by where the engine's instances get their memory: the figures from which the
//! settings of `InstanceAllocation::pooling` were chosen.

use std::hint::black_box;

use anyhow::{Context, Result};
use benches::guests::{self, Way};
use benches::ratios::{keep, time};
use benches::turns::{Contender, take_turns};
use criterion::Criterion;
use guest_host::{Engine, EngineConfig, Guest, InstanceAllocation, MemoryState, PrepareOptions, RestoreStrategy};
use host_harness::load_state_file;
use serde_json::json;

/// What is called, and how much of its heap that writes.
const CALLS: [(&str, &str, usize); 7] = [
    ("bench", "do_nothing", 0),
    ("shop", "calc_ordered_items", 0),
    (ROOMY, "do_nothing", 0),
    ("bench", "fill_heap", 64 << 10),
    ("bench", "fill_heap", 1 << 20),
    ("bench", "fill_heap", 8 << 20),
    ("bench", "fill_heap", 64 << 20),
];

/// The guest with 17 MiB of memory of which it hardly uses any. So it is where a language reserves 16 MiB for the stack, or
/// for the heap.
const ROOMY: &str = "roomy";

const ROOMY_TEXT: &str = r#"(module (memory (export "memory") 272) (@custom "guest-abi" "\01\00\00\00")
    (func (export "__guest_exchange") (param i32) (result i32) i32.const 0x1000000)
    (func (export "do_nothing") (result i64) (i32.store (i32.const 0xfffff0) (i32.const 1)) i64.const 0))"#;

/// Bytes that are kept resident, in the settings that are compared.
const KEPT: [usize; 8] = [0, 64 << 10, 256 << 10, 1 << 20, 2 << 20, 4 << 20, 8 << 20, 16 << 20];

fn bytes(count: usize) -> String {
    match count {
        0 => "0".to_owned(),
        kib if kib < 1 << 20 => format!("{} KiB", kib >> 10),
        mib => format!("{} MiB", mib >> 20),
    }
}

fn settings() -> Vec<(String, InstanceAllocation)> {
    let mut all = vec![("on demand".to_owned(), InstanceAllocation::OnDemand)];
    for kept in KEPT {
        let name = format!("keep {}", bytes(kept));
        all.push((name, InstanceAllocation::Pooling { instances: 16, keep_resident: kept }));
    }
    all
}

fn call(allocation: InstanceAllocation, guest: &str, function: &str, dirty: usize) -> Result<impl FnMut() + use<>> {
    let mut config = EngineConfig::default();
    config.allocation = allocation;
    let engine = Engine::new(&config)?;
    let loaded = match guest {
        ROOMY => Guest::load(&engine, ROOMY, &wat::parse_str(ROOMY_TEXT)?, PrepareOptions::default())?,
        guest => guests::load(&engine, &format!("{guest}-freelist"))?,
    };
    let function = loaded.function(function)?;
    let way = Way::scrub(RestoreStrategy::Reinstantiate);
    let config = guests::config(way.strategy, way.policy, way.residue);
    let state = match guest {
        "bench" => guests::state_with_bytes(dirty)?,
        ROOMY => MemoryState::new(),
        guest => load_state_file(&guests::root().join("guests").join(guest).join("state.json"))?,
    };
    let mut instance = loaded.instantiate(&config, state)?;
    instance.invoke(function).context("the function succeeds")?;
    Ok(move || assert!(black_box(instance.invoke(function).is_ok()), "it did so before"))
}

fn main() -> Result<()> {
    let settings = settings();
    let mut rows = Vec::new();
    print!("{:<24}", "settings");
    for (guest, function, dirty) in CALLS {
        let what = if dirty == 0 { format!("{guest} {function}") } else { bytes(dirty) };
        print!("{what:>26}");
        let mut contenders = Vec::new();
        for (name, allocation) in &settings {
            contenders.push(Contender::new(name.clone(), call(*allocation, guest, function, dirty)?));
        }
        let rounds = guests::rounds(if dirty > 1 << 20 { 15 } else { 51 });
        rows.push((what, take_turns(&mut contenders, rounds)));
    }
    println!();
    for (number, (name, _)) in settings.iter().enumerate() {
        print!("{name:<24}");
        rows.iter().for_each(|(_, measured)| print!("{:>26}", time(measured[number].median())));
        println!();
    }
    // Nothing is judged here, and criterion's options are taken all the same.
    drop(Criterion::default().configure_from_args());
    let told = rows.iter().flat_map(|(what, measured)| {
        measured.iter().map(move |one| json!({"call": what, "settings": one.name, "ns": one.median()}))
    });
    keep("reinstantiate.json", "reinstantiate", told.collect())
}
