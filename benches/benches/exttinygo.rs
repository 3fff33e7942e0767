//! What it costs that a guest of the exttinygo contract runs in the harness: an extension of five host calls there, without
//! a restore and with, beside the same guest on a plain wasmtime linker whose functions do the same work.

use std::hint::black_box;

use anyhow::Result;
use benches::exttinygo::{GUEST, PlainHost};
use benches::guests::{self, Way};
use benches::ratios::{Ratios, Target};
use benches::turns::{Contender, take_turns};
use criterion::Criterion;
use guest_host::{Engine, EngineConfig, Guest, RestoreStrategy};
use guest_prepare::PrepareOptions;

/// The functions: both make five host calls, and the second has a text put into its memory.
const FUNCTIONS: [&str; 2] = ["five_calls", "five_calls_with_text"];

/// Nanoseconds that a restore may take.
const RESTORE: f64 = 50.0;

fn main() -> Result<()> {
    let engine = Engine::new(&EngineConfig::default())?;
    let guest = Guest::load(&engine, "exttinygo", &wat::parse_str(GUEST)?, PrepareOptions::default())?;
    let ways = [Way::NEVER, Way::scrub(RestoreStrategy::DirtyCards), Way::scrub(RestoreStrategy::FullCopy)];
    let mut criterion: Criterion = guests::brief_criterion();
    let mut ratios = Ratios::new("exttinygo");
    for function in FUNCTIONS {
        let mut plain = PlainHost::new(engine.wasmtime(), function, guests::state()?).map_err(guests::plain)?;
        let mut contenders = vec![Contender::new(format!("{function}: plain linker"), move || {
            black_box(plain.call().expect("the record is there"));
        })];
        for way in ways {
            let mut instance =
                guest.instantiate(&guests::config(way.strategy, way.policy, way.residue), guests::state()?)?;
            let index = guest.function(function)?;
            contenders.push(Contender::new(format!("{function}: {way}"), move || {
                assert!(black_box(instance.invoke(index).is_ok()), "the record is there");
            }));
        }
        let mut group = criterion.benchmark_group(format!("exttinygo/{function}"));
        for contender in &mut contenders {
            group.bench_function(contender.name().to_owned(), |bencher| bencher.iter(|| contender.run_once()));
        }
        group.finish();
        let measured = take_turns(&mut contenders, guests::rounds(301));
        let [plain, never, dirty_cards, full_copy] = measured.as_slice() else { unreachable!("there are four") };
        ratios.add(never, plain, Target::AtMost(1.1));
        ratios.add_beyond(dirty_cards, never, RESTORE, Target::AtMost(1.0));
        ratios.add(full_copy, never, Target::None);
    }
    criterion.final_summary();
    ratios.finish()
}
