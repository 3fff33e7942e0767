//! What a get and an intent cost with a restore, beside five host functions that pass handles and no restore.

use std::hint::black_box;

use anyhow::Result;
use benches::guests;
use benches::handles::HandleHost;
use benches::ratios::{Ratios, Target};
use benches::turns::{Contender, take_turns};
use criterion::Criterion;
use host_harness::{Engine, Residue, RestorePolicy, RestoreStrategy};

fn one_get_one_intent(
    engine: &Engine,
    strategy: RestoreStrategy,
    policy: RestorePolicy,
    residue: Residue,
) -> Result<impl FnMut() + use<>> {
    let guest = guests::load(engine, "bench-bump-reset")?;
    let function = guest.function("one_get_one_intent")?;
    let mut instance = guest.instantiate(&guests::config(strategy, policy, residue), guests::state()?)?;
    let outcome = instance.invoke(function)?;
    assert_eq!(outcome.intents().count(), 1, "the guest leaves an intent");
    Ok(move || {
        black_box(instance.invoke(function).expect("the record is there").intent_bytes());
    })
}

fn main() -> Result<()> {
    use RestorePolicy::{EveryCall, Never};
    use RestoreStrategy::{BumpReset, DirtyCards, Watermark};
    let engine = guests::engine()?;
    let mut handles = HandleHost::new(engine.wasmtime()).map_err(guests::plain)?;
    let mut contenders = vec![
        Contender::new("five handles", move || {
            black_box(handles.call().expect("the record is there"));
        }),
        Contender::new(
            "get + intent, bump-reset keep",
            one_get_one_intent(&engine, BumpReset, EveryCall, Residue::Keep)?,
        ),
        Contender::new(
            "get + intent, bump-reset scrub",
            one_get_one_intent(&engine, BumpReset, EveryCall, Residue::Scrub)?,
        ),
        Contender::new(
            "get + intent, watermark keep",
            one_get_one_intent(&engine, Watermark, EveryCall, Residue::Keep)?,
        ),
        Contender::new(
            "get + intent, dirty-cards",
            one_get_one_intent(&engine, DirtyCards, EveryCall, Residue::Scrub)?,
        ),
        Contender::new(
            "get + intent, dirty-cards never restored",
            one_get_one_intent(&engine, DirtyCards, Never, Residue::Scrub)?,
        ),
        Contender::new("get + intent, never restored", one_get_one_intent(&engine, BumpReset, Never, Residue::Keep)?),
    ];

    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("crossing");
    for contender in &mut contenders {
        group.bench_function(contender.name().to_owned(), |bencher| bencher.iter(|| contender.run_once()));
    }
    group.finish();
    criterion.final_summary();

    let measured = take_turns(&mut contenders, guests::rounds(501));
    let [handles, keep, others @ ..] = &measured[..] else { unreachable!("as many as there are contenders") };
    let mut ratios = Ratios::new("crossing");
    ratios.add(keep, handles, Target::AtMost(1.0));
    for other in others {
        ratios.add(other, handles, Target::None);
    }
    ratios.finish()
}
