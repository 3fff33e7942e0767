//! What the write barrier costs a guest that is not restored: programs as extensions run them, and replayed traces, each
//! beside the same module without a barrier.

use std::collections::HashMap;
use std::hint::black_box;

use anyhow::Result;
use benches::guests;
use benches::ratios::{Ratios, Target};
use benches::turns::{Contender, Measured, quantile, take_turns};
use guest_host::{Engine, Guest, InstanceConfig, MemoryState, Residue, RestorePolicy, RestoreStrategy};
use guest_prepare::module_info::ContractKind;
use guest_prepare::{BarrierOptions, Elisions, PrepareOptions};
use host_harness::replay;
use host_harness::replay::{Numbering, TraceFile};

/// Functions of the guest `workloads`.
const PROGRAMS: [&str; 7] =
    ["parse_json", "sort", "hash_sha256", "match_regex", "fill_map", "encode_cbor", "format_numbers"];

/// Traces of real programs.
const TRACES: [&str; 5] = ["json", "markdown", "regex", "rust-parser", "template"];

/// Modules whose growth is told.
const MODULES: [&str; 4] = ["workloads-system", "replay-system", "bench-system", "shop-system"];

/// How much slower a program may be, and how much larger a module.
const WORST: f64 = 1.2;

/// How much slower the programs may be in the median.
const MEDIAN: f64 = 1.08;

/// Instances of each kind. Where the memory of one happens to lie makes a difference of some per cent to what fills the
/// caches.
const INSTANCES: usize = 3;

/// A function of a guest, and what it reads.
struct Workload {
    name: String,
    guest: &'static str,
    function: &'static str,
    state: MemoryState,
}

impl Workload {
    fn all() -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for function in PROGRAMS {
            let name = function.to_owned();
            all.push(Self { name, guest: "workloads-system", function, state: MemoryState::new() });
        }
        for trace in TRACES {
            let file = guests::root().join("traces").join(trace).with_extension("trace");
            let file = TraceFile::load(&file, Numbering::FromZero)?;
            let state =
                replay::trace_state(&file.trace, InstanceConfig::default().exchange_size(ContractKind::Native))?;
            all.push(Self { name: format!("trace {trace}"), guest: "replay-system", function: "replay", state });
        }
        Ok(all)
    }

    /// Runs it again and again on one instance that is never restored.
    fn contender(&self, variant: &Variant) -> Result<Contender<'static>> {
        let guest = &variant.guests[self.guest];
        let function = guest.function(self.function)?;
        let mut config = guests::config(variant.strategy, RestorePolicy::Never, Residue::Scrub);
        config.deadline = None;
        let mut instance = guest.instantiate(&config, self.state.clone())?;
        instance.invoke(function)?;
        Ok(Contender::new(format!("{}, {}", self.name, variant.name), move || {
            black_box(instance.invoke(function).expect("it succeeded before").intent_bytes());
        }))
    }
}

/// The guests, all with the same barrier or all without one.
struct Variant {
    name: &'static str,
    strategy: RestoreStrategy,
    guests: HashMap<&'static str, Guest>,
}

impl Variant {
    fn new(engine: &Engine, name: &'static str, barrier: Option<BarrierOptions>) -> Result<Self> {
        let options = PrepareOptions::default().with_barrier(barrier);
        let strategy = if barrier.is_some() { RestoreStrategy::DirtyCards } else { RestoreStrategy::FullCopy };
        let load = |name| Ok((name, Guest::from_file(engine, &guests::path(name), options)?));
        let guests = ["workloads-system", "replay-system"].into_iter().map(load).collect::<Result<_>>()?;
        Ok(Self { name, strategy, guests })
    }
}

/// By how much a barrier enlarges a module, and what became of its stores.
fn growth(name: &str) -> Result<(f64, String)> {
    let wasm = std::fs::read(guests::path(name))?;
    let info = guest_prepare::module_info::ModuleInfo::analyse(&wasm)?;
    let prepare = |barrier| guest_prepare::prepare(&wasm, &info, PrepareOptions::default().with_barrier(barrier));
    let (plain, marking) = (prepare(None)?, prepare(Some(BarrierOptions::default()))?);
    let stores = marking.barrier.as_ref().map(|barrier| barrier.stores).unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "sizes of files are far below 2^53")]
    let growth = marking.wasm.len() as f64 / plain.wasm.len() as f64;
    let share = 100.0 * f64::from(stores.marked) / f64::from(stores.stores.max(1));
    Ok((growth, format!("{name}: the module grows {growth:.3} times; {share:.0}% of {} stores mark", stores.stores)))
}

/// The rounds of several instances as those of one.
fn together<'a>(measured: impl Iterator<Item = &'a Measured>) -> Measured {
    let mut all = Measured { name: String::new(), rounds: Vec::new() };
    for one in measured {
        all.name.clone_from(&one.name);
        all.rounds.extend_from_slice(&one.rounds);
    }
    all
}

fn main() -> Result<()> {
    let engine = guests::engine()?;
    let rounds = guests::rounds(101);
    let all = BarrierOptions::default();
    let none = all.with_elisions(Elisions::NONE);
    let variants = [
        Variant::new(&engine, "no barrier", None)?,
        Variant::new(&engine, "barrier", Some(all))?,
        Variant::new(&engine, "every store marks", Some(none))?,
    ];

    let mut criterion = guests::brief_criterion();
    let mut group = criterion.benchmark_group("barrier");
    let mut ratios = Ratios::new("barrier");
    let (mut programs, mut traces) = (Vec::new(), Vec::new());
    for workload in Workload::all()? {
        let mut contenders = Vec::new();
        for _ in 0..INSTANCES {
            for variant in &variants {
                contenders.push(workload.contender(variant)?);
            }
        }
        for contender in &mut contenders[..3] {
            group.bench_function(contender.name().to_owned(), |bencher| bencher.iter(|| contender.run_once()));
        }
        let measured = take_turns(&mut contenders, rounds);
        let [plain, barrier, every] = [0, 1, 2].map(|kind| together(measured.iter().skip(kind).step_by(3)));
        ratios.add(&barrier, &plain, Target::AtMost(WORST));
        ratios.add(&every, &plain, Target::None);
        let list = if workload.function == "replay" { &mut traces } else { &mut programs };
        list.push(barrier.ratio(&plain)[1]);
    }
    group.finish();
    criterion.final_summary();

    // All traces together count as one program.
    programs.push(quantile(&traces, 0.5));
    programs.sort_by(f64::total_cmp);
    let middle = (programs[(programs.len() - 1) / 2] + programs[programs.len() / 2]) / 2.0;
    ratios.add_figure("the median of all with a barrier beside the same without", middle, Target::AtMost(MEDIAN));
    for module in MODULES {
        let (growth, told) = growth(module)?;
        let name = format!("bytes of {module} with a barrier beside the same without");
        ratios.add_figure(&name, growth, Target::AtMost(WORST));
        ratios.note(told);
    }
    ratios.finish()
}
