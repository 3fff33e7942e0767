//! What putting an instance back costs, by strategy, memory size and how much of it is dirty: beside plain copies and
//! fills of the same bytes, in the memory of an instance that was dirtied in the same way.
//!
//! Not by criterion: it plans by the time that is measured, which is nanoseconds, where dirtying takes milliseconds.
//! What reading the clock costs, some 20 ns, is in every figure.

use anyhow::{Context, Result};
use benches::chart::{self, Line, Panel};
use benches::guests::{self, Way};
use benches::heap::{Dirt, Least, Pattern, Subject, take_turns};
use benches::ratios::{Ratios, Target, keep};
use benches::turns::{Measured, as_f64};
use guest_host::{Engine, EngineConfig, RestoreStrategy};
use serde_json::{Value, json};

const MIB: usize = 1 << 20;

/// Name, MiB of memory, the share of it that is dirty, and rounds.
const CASES: [(&str, usize, f64, usize); 5] = [
    ("2MiB-1%", 2, 0.01, 401),
    ("2MiB-50%", 2, 0.5, 201),
    ("2MiB-100%", 2, 1.0, 201),
    ("8MiB-100%", 8, 1.0, 61),
    ("100MiB-70%", 100, 0.7, 15),
];

/// MiB of memory in the sweep, and rounds.
const SIZES: [(usize, usize); 4] = [(1, 101), (4, 61), (16, 31), (100, 11)];

/// What of memory is dirty in the sweep.
const SHARES: [f64; 7] = [0.0, 0.001, 0.01, 0.03, 0.1, 0.3, 1.0];

/// The strategies that put every byte back.
const EXACT: [RestoreStrategy; 4] = [
    RestoreStrategy::Reinstantiate,
    RestoreStrategy::FullCopy,
    RestoreStrategy::DirtyCards,
    RestoreStrategy::Watermark,
];

/// A part of `recover/*`: the guest's allocator is the one that every strategy serves.
fn case(engine: &Engine, (name, mib, share, rounds): (&str, usize, f64, usize), ratios: &mut Ratios) -> Result<()> {
    use RestoreStrategy::{Auto, BumpReset, DirtyCards, FullCopy, Reinstantiate, Watermark};
    let dirt = Dirt { memory: mib * MIB, share, pattern: Pattern::Filled };
    let ways = [
        Way::scrub(Reinstantiate),
        Way::scrub(FullCopy),
        Way::scrub(DirtyCards),
        Way::scrub(Watermark),
        Way::keep(Watermark),
        Way::scrub(BumpReset),
        Way::keep(BumpReset),
    ];
    let mut subjects = Vec::new();
    for way in ways {
        subjects.push(Subject::ours(engine, "bump-reset", way, dirt)?.context("every strategy serves it")?);
    }
    for least in [Least::Statics, Least::Used, Least::Cards] {
        subjects.push(Subject::plain(engine, "bump-reset", least, dirt)?);
    }
    take_turns(&mut subjects, guests::rounds(rounds))?;
    let measured: Vec<Measured> = subjects
        .into_iter()
        .map(|subject| {
            let Measured { name: what, rounds } = subject.measured;
            Measured { name: format!("{name}: {}", what.trim_start_matches("bump-reset, ")), rounds }
        })
        .collect();
    let (ours, least) = measured.split_at(ways.len());
    let of = |way| &ours[ways.iter().position(|other| *other == way).unwrap_or_default()];
    let [statics, used, cards] = least else { unreachable!("there are three") };
    ratios.add(of(Way::keep(BumpReset)), statics, Target::AtMost(2.0));
    ratios.add(of(Way::scrub(Watermark)), used, Target::AtMost(1.2));
    ratios.add_beyond(of(Way::scrub(DirtyCards)), cards, 30.0, Target::AtMost(1.5));
    let cheaper = if name == "2MiB-1%" { 15.0 } else { 1.0 };
    ratios.add(of(Way::scrub(Reinstantiate)), of(Way::scrub(DirtyCards)), Target::AtLeast(cheaper));
    for wanted in [Way::scrub(Auto), Way::keep(Auto)] {
        // What is picked after some calls is what one of the others is already, in memory that differs by nothing but luck.
        let mut auto = Subject::ours(engine, "bump-reset", wanted, dirt)?.context("every guest can be restored")?;
        (0..LEARNING).try_for_each(|_| auto.round())?;
        let picked = of(wanted.by(auto.strategy()));
        let singles = ways.iter().filter(|way| way.does_what(wanted)).map(|way| of(*way));
        let best = singles.min_by(|one, other| one.median().total_cmp(&other.median())).context("there are some")?;
        let name = format!("{name}: {wanted}, which is {}", auto.strategy());
        ratios.add(&Measured { name, rounds: picked.rounds.clone() }, best, Target::AtMost(1.2));
    }
    Ok(())
}

/// Calls after which `auto` has nothing more to learn.
const LEARNING: u32 = 20;

/// One point of the sweep, for every exact strategy.
fn point(engine: &Engine, dirt: Dirt, rounds: usize) -> Result<Vec<Measured>> {
    let mut subjects = Vec::new();
    for strategy in EXACT {
        let subject = Subject::ours(engine, "bump-reset", Way::scrub(strategy), dirt)?;
        subjects.push(subject.context("every strategy serves it")?);
    }
    take_turns(&mut subjects, guests::rounds(rounds))?;
    Ok(subjects.into_iter().map(|subject| subject.measured).collect())
}

/// All points, as a chart and as figures; and whether marks are ever dearer than a new instance.
fn sweep(engine: &Engine, ratios: &mut Ratios) -> Result<()> {
    let (mut panels, mut points) = (Vec::new(), Vec::new());
    let mut pairs: Vec<(Measured, Measured)> = Vec::new();
    for (pattern, words) in [(Pattern::Filled, "filled"), (Pattern::Touched, "one byte in 4 KiB")] {
        for (mib, rounds) in SIZES {
            let mut lines: Vec<Line> =
                EXACT.iter().map(|strategy| Line { name: strategy.name(), points: Vec::new() }).collect();
            for share in SHARES {
                let dirt = Dirt { memory: mib * MIB, share, pattern };
                let mut measured = point(engine, dirt, rounds)?;
                for ((one, line), strategy) in measured.iter_mut().zip(&mut lines).zip(EXACT) {
                    one.name = format!("{mib} MiB, {}% {words}: {strategy}", share * 100.0);
                    line.points.push((as_f64(dirt.bytes().max(1) as u64), one.median()));
                    points.push(json!({
                        "pattern": words, "memory_bytes": dirt.memory, "dirty_bytes": dirt.bytes(),
                        "strategy": strategy.name(), "ns": one.median(),
                    }));
                }
                pairs.push((measured.remove(0), measured.remove(1)));
            }
            panels.push(Panel { title: format!("{mib} MiB of memory, {words}"), lines });
        }
    }
    // The least ratio: where a new instance is cheapest beside marks.
    ratios.add_worst(pairs.iter().map(|(new, marks)| (marks, new)), Target::AtMost(1.0));
    chart::draw(&panels, &guests::root().join("target/benches/recover-sweep.svg"))?;
    keep("sweep.json", "recover/sweep", Value::Array(points))
}

fn main() -> Result<()> {
    let engine = Engine::new(&EngineConfig::default())?;
    let mut ratios = Ratios::new("recover");
    for one in CASES {
        case(&engine, one, &mut ratios)?;
    }
    sweep(&engine, &mut ratios)?;
    ratios.note("`dirty-cards` beside copying is less 30 ns, which its target allows it for finding the cards");
    ratios.note("the sweep is drawn in target/benches/recover-sweep.svg");
    ratios.finish()
}
