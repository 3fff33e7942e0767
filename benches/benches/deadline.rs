//! What it costs that a call can be ended: nothing that ends it, the epoch that the harness uses, and fuel, which counts
//! every instruction; on plain wasmtime, for an empty call and for a loop, and in the harness.

use std::hint::black_box;
use std::time::Duration;

use anyhow::Result;
use benches::guests::{self, Way};
use benches::ratios::{Ratios, Target};
use benches::turns::{Contender, take_turns};
use criterion::Criterion;
use guest_host::{EngineConfig, InstanceAllocation, RestoreStrategy};
use wasmtime::{Config, Engine, Error, Instance, Module, Store, TypedFunc};

/// An empty function, and one that adds up numbers in memory: a check of the deadline in every turn of its loop.
const MODULE: &str = r#"(module
    (memory 1)
    (func (export "empty") (result i64) i64.const 0)
    (func (export "loop") (result i64) (local $turn i32)
        (loop $again
            (i64.store (i32.const 8) (i64.add (i64.load (i32.const 8)) (i64.extend_i32_u (local.get $turn))))
            (local.set $turn (i32.add (local.get $turn) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $turn) (i32.const 1000))))
        (i64.load (i32.const 8))))"#;

/// What ends a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deadline {
    Off,
    Epoch,
    Fuel,
}

impl Deadline {
    const ALL: [Self; 3] = [Self::Off, Self::Epoch, Self::Fuel];

    fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Epoch => "epoch",
            Self::Fuel => "fuel",
        }
    }

    /// Arms it for a call.
    fn arm(self, store: &mut Store<()>) -> Result<(), Error> {
        match self {
            Self::Off => Ok(()),
            Self::Epoch => {
                store.set_epoch_deadline(1001);
                Ok(())
            }
            Self::Fuel => store.set_fuel(1 << 40),
        }
    }

    /// A call of a function of the module on plain wasmtime, with the deadline armed before each.
    fn bare(self, function: &str) -> Result<impl FnMut() + use<>, Error> {
        let mut config = Config::new();
        config.epoch_interruption(self == Self::Epoch).consume_fuel(self == Self::Fuel);
        let engine = Engine::new(&config)?;
        let module = Module::new(&engine, wat::parse_str(MODULE).map_err(Error::new)?)?;
        let mut store = Store::new(&engine, ());
        self.arm(&mut store)?;
        let instance = Instance::new(&mut store, &module, &[])?;
        let function: TypedFunc<(), i64> = instance.get_typed_func(&mut store, function)?;
        Ok(move || {
            self.arm(&mut store).expect("the engine has it");
            black_box(function.call(&mut store, ()).expect("nothing traps"));
        })
    }
}

/// Tenants, each with an instance and a deadline of its own.
const TENANTS: usize = 10_000;

/// Of these tenants, those that are called: all, or as many as the processor's caches hold, which is what `guest-tenants` does with its
/// instances.
const CALLED: [usize; 2] = [TENANTS, 64];

/// A call of each of the first `called` of very many tenants in turn, whose deadlines one clock ticks. The instances have
/// no memory: 10,000 of them would need more mappings than the system allows a process.
fn among_tenants(deadline: Deadline, called: usize) -> Result<impl FnMut() + use<>, Error> {
    // Its compiler settings are those of the others, but for the epoch.
    let config = EngineConfig::default().with_allocation(InstanceAllocation::OnDemand);
    let ticking = guest_host::Engine::new(&config).map_err(Error::new)?;
    let engine = match deadline {
        Deadline::Epoch => ticking.wasmtime().clone(),
        _ => Engine::new(Config::new().consume_fuel(deadline == Deadline::Fuel))?,
    };
    let module = r#"(module (func (export "empty") (result i64) i64.const 0))"#;
    let module = Module::new(&engine, wat::parse_str(module).map_err(Error::new)?)?;
    let mut tenants = Vec::new();
    for _ in 0..TENANTS {
        let mut store = Store::new(&engine, ());
        deadline.arm(&mut store)?;
        let instance = Instance::new(&mut store, &module, &[])?;
        let function: TypedFunc<(), i64> = instance.get_typed_func(&mut store, "empty")?;
        tenants.push((store, function));
    }
    let mut at = 0;
    Ok(move || {
        // Its clock ends with it.
        let _ = &ticking;
        at = (at + 1) % called;
        let (store, function) = &mut tenants[at];
        deadline.arm(store).expect("the engine has it");
        black_box(function.call(store, ()).expect("nothing traps"));
    })
}

/// `do_nothing` in the harness, restored.
fn invoke(deadline: Option<Duration>, fuel: bool) -> Result<impl FnMut() + use<>> {
    let mut config = EngineConfig::default();
    config.fuel = fuel;
    let guest = guests::load(&guest_host::Engine::new(&config)?, "bench-bump-reset")?;
    let function = guest.function("do_nothing")?;
    let way = Way::keep(RestoreStrategy::BumpReset);
    let mut config = guests::config(way.strategy, way.policy, way.residue);
    config.deadline = deadline;
    let mut instance = guest.instantiate(&config, guests::state()?)?;
    Ok(move || assert!(black_box(instance.invoke(function).is_ok()), "the guest does nothing"))
}

fn main() -> Result<()> {
    let mut contenders = Vec::new();
    for function in ["empty", "loop"] {
        for deadline in Deadline::ALL {
            let bare = deadline.bare(function).map_err(guests::plain)?;
            contenders.push(Contender::new(format!("{function}, {}", deadline.name()), bare));
        }
    }
    contenders.push(Contender::new("invoke, off", invoke(None, false)?));
    contenders.push(Contender::new("invoke, epoch", invoke(Some(Duration::from_secs(1)), false)?));
    contenders.push(Contender::new("invoke, fuel", invoke(None, true)?));
    for called in CALLED {
        for deadline in Deadline::ALL {
            let call = among_tenants(deadline, called).map_err(guests::plain)?;
            contenders.push(Contender::new(format!("{called} of {TENANTS} tenants, {}", deadline.name()), call));
        }
    }

    let mut criterion: Criterion = guests::brief_criterion();
    for (number, deadline) in Deadline::ALL.into_iter().enumerate() {
        let mut group = criterion.benchmark_group(format!("deadline/{}", deadline.name()));
        for contender in contenders.iter_mut().skip(number).step_by(Deadline::ALL.len()) {
            let name = contender.name().split(',').next().unwrap_or_default().to_owned();
            group.bench_function(name, |bencher| bencher.iter(|| contender.run_once()));
        }
        group.finish();
    }
    criterion.final_summary();

    let measured = take_turns(&mut contenders, guests::rounds(301));
    let mut ratios = Ratios::new("deadline");
    for of_function in measured.chunks(Deadline::ALL.len()) {
        let [off, epoch, fuel] = of_function else { unreachable!("there are three of each") };
        ratios.add(epoch, off, Target::None);
        ratios.add(fuel, off, Target::None);
    }
    for (of_tenants, called) in measured.chunks(Deadline::ALL.len()).rev().zip(CALLED.into_iter().rev()) {
        let [off, epoch, fuel] = of_tenants else { unreachable!("there are three of each") };
        // Where the caches do not hold the instances, it matters more where in memory these happen to lie.
        let of_epoch = if called < TENANTS { Target::AtMost(2.0) } else { Target::None };
        for (name, with, target) in [("an epoch", epoch, of_epoch), ("fuel", fuel, Target::None)] {
            let mut more: Vec<f64> = with.rounds.iter().zip(&off.rounds).map(|(with, off)| with - off).collect();
            more.sort_by(f64::total_cmp);
            let name = format!("{name}, {called} of {TENANTS} tenants, beyond none: nanoseconds");
            ratios.add_figure(&name, more[more.len() / 2], target);
        }
    }
    ratios.note("`invoke, fuel` writes the globals back through the engine's interface, as the count would include it");
    ratios.finish()
}
