//! Tenants of one module, which sleep on disk or in memory.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::{Duration, Instant};

use guest_host::wasmtime::ValRaw;
use guest_host::{Engine, EngineConfig, Failure, Guest, Instance, InstanceAllocation, InstanceConfig, PrepareOptions};
use guest_tenants::{MemoryStore, Program, RedbStore, Store, Tenants, TenantsConfig};

use crate::figures::Figures;

/// A program with 256 KiB of memory. `fill(at, byte, length)` fills any part of it.
const PROGRAM: &str = r#"(module (memory (export "memory") 4 4)
    (global $count (mut i32) (i32.const 0))
    (func (export "fill") (param i32 i32 i32)
        (global.set $count (i32.add (global.get $count) (i32.const 1)))
        (memory.fill (local.get 0) (local.get 1) (local.get 2))))"#;

const STORE: &str = "tenants.redb";
const CACHE: usize = 16 << 20;

/// Images that are written at once.
const TOGETHER: u32 = 256;

/// Tenants that are woken.
const WOKEN: u32 = 20_000;

fn program() -> Program {
    let config = EngineConfig::default().with_allocation(InstanceAllocation::OnDemand);
    let engine = Engine::new(&config).expect("an engine");
    let wasm = wat::parse_str(PROGRAM).expect("a module");
    let guest = Guest::load(&engine, "program", &wasm, PrepareOptions::default()).expect("a guest");
    Program::new(&guest, &InstanceConfig::default().with_memory_limit(256 << 10))
}

fn fill(instance: &mut Instance, at: u32, length: u32) -> Result<(), Failure> {
    let function = instance.guest().export("fill").expect("it is exported");
    let mut slots = [ValRaw::u32(at), ValRaw::u32(7), ValRaw::u32(length)];
    instance.call_with(function, |call| call.call(&mut slots))
}

fn name(number: u32) -> String {
    format!("room/{number}")
}

/// Writes a file of tenants, each of which has changed one number.
pub(crate) fn make(folder: &Path, count: u32, figures: &mut Figures) {
    let path = folder.join(STORE);
    // A run before this one may have left it.
    let _ = fs::remove_file(&path);
    let mut tenants = Tenants::new(TenantsConfig::default(), MemoryStore::new());
    tenants.call("first", &program(), |instance| fill(instance, 100_000, 8)).expect("a call");
    let image = tenants.image("first").expect("it is awake").clone();
    figures.add("bytes of an image", image.delta.encoded_bytes() as f64);
    let mut store = RedbStore::open(&path, 256 << 20).expect("a new file");
    let start = Instant::now();
    let mut next = 0;
    while next < count {
        let names: Vec<_> = (next..count.min(next + TOGETHER)).map(name).collect();
        let images: Vec<_> = names.iter().map(|name| (name.as_str(), &image)).collect();
        store.save(&images).expect("it is written");
        next += TOGETHER;
        if next % (TOGETHER * 256) == 0 {
            store.sync().expect("it is written");
        }
    }
    store.sync().expect("it is written");
    figures.add("seconds", start.elapsed().as_secs_f64());
    let bytes = fs::metadata(&path).map_or(0, |file| file.len());
    figures.add("bytes of the file for each tenant", bytes as f64 / f64::from(count));
    figures.add_memory();
}

/// Opens the file, and wakes tenants at random.
pub(crate) fn on_disk(folder: &Path, count: u32, figures: &mut Figures) {
    let start = Instant::now();
    let store = RedbStore::open(&folder.join(STORE), CACHE).expect("the file was made");
    figures.add("milliseconds to open the file", start.elapsed().as_secs_f64() * 1e3);
    assert_eq!(store.len().expect("a count"), u64::from(count));
    let program = program();
    let mut tenants = Tenants::new(TenantsConfig::default(), store);
    let (mut asleep, mut awake) = (Vec::new(), Vec::new());
    for number in 0..WOKEN {
        // Multiples of a prime: no two are the same, and none follows the one before.
        let tenant = name((u64::from(number) * 7_368_787 % u64::from(count)) as u32);
        for times in [&mut asleep, &mut awake] {
            let start = Instant::now();
            tenants.call(&tenant, &program, |instance| fill(instance, 100_000, 8)).expect("a call");
            times.push(start.elapsed());
        }
    }
    let status = tenants.status();
    assert_eq!(status.loaded, u64::from(WOKEN.min(count)), "each was on disk");
    figures.add_times("a call of one on disk", &mut asleep);
    figures.add_times("a call of one that is awake", &mut awake);
    figures.add_memory();
}

/// Puts tenants to sleep in memory, and wakes some at random.
pub(crate) fn in_memory(count: u32, figures: &mut Figures) {
    let program = program();
    let config = TenantsConfig::default().with_instances(NonZeroUsize::MIN).with_asleep_bytes(usize::MAX);
    let mut tenants = Tenants::new(config, MemoryStore::new());
    for number in 0..count {
        let at = number % 32 * 4096;
        tenants.call(&name(number), &program, |instance| fill(instance, at, 4096)).expect("a call");
    }
    let mut asleep: Vec<Duration> = Vec::new();
    for number in 0..WOKEN {
        let number = (u64::from(number) * 7_368_787 % u64::from(count)) as u32;
        let tenant = name(number);
        let start = Instant::now();
        tenants.call(&tenant, &program, |instance| fill(instance, number % 32 * 4096, 4096)).expect("a call");
        asleep.push(start.elapsed());
    }
    let status = tenants.status();
    assert_eq!((status.asleep as u32, status.saved), (count - 1, 0), "all are in memory");
    figures.add("bytes that each image counts", status.asleep_bytes as f64 / f64::from(count - 1));
    figures.add_times("a call of one asleep in memory", &mut asleep);
    figures.add_memory();
}
