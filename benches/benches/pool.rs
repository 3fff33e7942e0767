//! What a pool costs, and how calls of several threads scale: each thread takes an instance, calls, and gives it back, a
//! call after a call; beside threads that have an instance each.

use std::hint::black_box;

use anyhow::Result;
use benches::guests;
use benches::ratios::{Ratios, Target};
use benches::turns::{Contender, Measured, take_turns};
use benches::workers::Workers;
use criterion::{Criterion, Throughput};
use guest_host::{
    Engine, EngineConfig, Function, Guest, InstanceAllocation, InstanceConfig, Pool, PoolConfig, Residue,
    RestorePolicy, RestoreStrategy,
};

/// How many threads there are.
const THREADS: [usize; 4] = [1, 2, 4, 8];

/// Calls of all threads together in one run: enough that waking the threads and spreading them over the cores is little
/// beside.
const CALLS: u64 = 200_000;

/// What the threads call.
struct Work {
    guest: Guest,
    function: Function,
    config: InstanceConfig,
}

impl Work {
    fn new(engine: &Engine, function: &str) -> Result<Self> {
        let guest = guests::load(engine, "bench-bump-reset")?;
        let function = guest.function(function)?;
        let config = guests::config(RestoreStrategy::BumpReset, RestorePolicy::EveryCall, Residue::Keep);
        Ok(Self { guest, function, config })
    }

    fn pool(&self, instances: usize) -> Result<Pool> {
        let mut size = PoolConfig::default();
        (size.warm, size.max) = (instances, instances);
        let state = guests::state()?;
        Ok(Pool::new(&self.guest, &self.config, &size, move || Ok(state.clone()))?)
    }

    /// Threads that share a pool of as many instances.
    fn pooled(&self, threads: usize) -> Result<Workers> {
        let pool = self.pool(threads)?;
        let function = self.function;
        Ok(Workers::start((0..threads).map(|_| {
            let pool = pool.clone();
            move |times| {
                for _ in 0..times {
                    let mut instance = pool.take().expect("the pool is open");
                    assert!(black_box(instance.invoke(function).is_ok()), "the record is there");
                }
            }
        })))
    }

    /// Threads that have an instance each.
    fn own(&self, threads: usize) -> Result<Workers> {
        let instances: Result<Vec<_>> =
            (0..threads).map(|_| Ok(self.guest.instantiate(&self.config, guests::state()?)?)).collect();
        let function = self.function;
        Ok(Workers::start(instances?.into_iter().map(|mut instance| {
            move |times| {
                for _ in 0..times {
                    assert!(black_box(instance.invoke(function).is_ok()), "the record is there");
                }
            }
        })))
    }
}

fn threads(count: usize) -> String {
    format!("{count} thread{}", if count == 1 { "" } else { "s" })
}

/// Measures what the workers do, and tells nanoseconds for one call.
fn measure(all: &[(String, Workers)], rounds: usize) -> Vec<Measured> {
    let mut contenders: Vec<_> =
        all.iter().map(|(name, workers)| Contender::new(name.as_str(), || workers.run(CALLS))).collect();
    let mut measured = take_turns(&mut contenders, rounds);
    for one in &mut measured {
        one.rounds.iter_mut().for_each(|round| *round /= benches::turns::as_f64(CALLS));
    }
    measured
}

/// The cost of taking and giving back alone, beside an empty call with its restore.
fn lending(engine: &Engine, rounds: usize, ratios: &mut Ratios) -> Result<()> {
    let work = Work::new(engine, "do_nothing")?;
    let pool = work.pool(1)?;
    let mut own = work.guest.instantiate(&work.config, guests::state()?)?;
    let (function, shared) = (work.function, pool.clone());
    let mut contenders = vec![
        Contender::new("take + give back", || {
            black_box(&pool.take().expect("the pool is open"));
        }),
        Contender::new("do_nothing, pooled", move || {
            let mut instance = shared.take().expect("the pool is open");
            assert!(black_box(instance.invoke(function).is_ok()), "the guest does nothing");
        }),
        Contender::new("do_nothing", move || {
            assert!(black_box(own.invoke(function).is_ok()), "the guest does nothing");
        }),
    ];
    let measured = take_turns(&mut contenders, rounds);
    let [lend, pooled, own] = &measured[..] else { unreachable!("as many as there are contenders") };
    ratios.add(lend, own, Target::None);
    ratios.add(pooled, own, Target::None);
    Ok(())
}

fn main() -> Result<()> {
    let rounds = guests::rounds(21);
    let mut config = EngineConfig::default();
    // Pools of 1, 2, 4 and 8, and as many instances besides.
    config.allocation = InstanceAllocation::pooling(32);
    let engine = Engine::new(&config)?;
    let mut ratios = Ratios::new("pool");

    let work = Work::new(&engine, "one_get_one_intent")?;
    let mut pooled = Vec::new();
    for count in THREADS {
        pooled.push((threads(count), work.pooled(count)?));
    }
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    let mut group = criterion.benchmark_group("pool");
    group.throughput(Throughput::Elements(CALLS));
    for (name, workers) in &pooled {
        group.bench_function(name, |bencher| bencher.iter(|| workers.run(CALLS)));
    }
    group.finish();
    criterion.final_summary();
    drop(pooled);

    lending(&engine, guests::rounds(301), &mut ratios)?;
    for function in ["one_get_one_intent", "do_nothing"] {
        let work = Work::new(&engine, function)?;
        let mut all = Vec::new();
        for count in THREADS {
            all.push((format!("{function}, {}", threads(count)), work.pooled(count)?));
            all.push((format!("{function}, {}, own instances", threads(count)), work.own(count)?));
        }
        let measured = measure(&all, rounds);
        let [one, one_own, two, two_own, rest @ ..] = &measured[..] else { unreachable!("there are eight") };
        // The second thread's gain; that of threads beyond the machine's cores is none.
        let scales = if function == "do_nothing" { Target::None } else { Target::AtLeast(1.9) };
        ratios.add(one, two, scales);
        ratios.add(one_own, two_own, Target::None);
        for more in rest.iter().step_by(2) {
            ratios.add(one, more, Target::None);
        }
        for pair in measured.chunks(2) {
            ratios.add(&pair[0], &pair[1], Target::None);
        }
    }
    ratios.note("times are of one call; a thread's calls overlap with those of the others");
    ratios.note("threads with own instances show the most that another thread can gain on this machine");
    ratios.finish()
}
