//! Bytes that an instance left in swapped-out pages do not reach the next instance in its place.
//!
//! That takes a swap file: Linux, and the right to turn one on. Elsewhere these tests say that they were skipped.

#![expect(unsafe_code, reason = "no safe interface has pages swapped out")]

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use guest_host::{
    EngineConfig, Guest, InstanceAllocation, InstanceConfig, MemoryState, RestorePolicy, RestoreStrategy,
};
use guest_prepare::PrepareOptions;
use tempfile::NamedTempFile;
use wasmtime::{Config, Enabled, Engine, Instance, InstanceAllocationStrategy, Module, PoolingAllocationConfig, Store};

/// A guest that fills the second MiB of its memory.
const GUEST: &str = r#"(module (memory (export "memory") 64) (@custom "guest-abi" "\01\00\00\00")
    (func (export "__guest_exchange") (param i32) (result i32) i32.const 4096)
    (data (i32.const 16) "hello")
    (func (export "fill") (result i64)
      (memory.fill (i32.const 0x100000) (i32.const 0xAA) (i32.const 0x100000)) i64.const 0))"#;

const FILLED: std::ops::Range<usize> = 1 << 20..2 << 20;

/// A file to which the system swaps, until this is dropped.
struct Swap {
    file: NamedTempFile,
}

impl Swap {
    /// Turns swapping on, or says why it cannot be had.
    fn on() -> Result<Self, String> {
        const SIZE: usize = 16 << 20;
        // In memory there is no swap file, and where temporary files are is often that.
        let mut file = NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).map_err(|error| error.to_string())?;
        let written = file.write_all(&vec![0; SIZE]).and_then(|()| file.as_file().sync_all());
        written.map_err(|error| error.to_string())?;
        run("mkswap", file.path())?;
        run("swapon", file.path())?;
        Ok(Self { file })
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        // The file cannot be removed while it is in use.
        if let Err(error) = run("swapoff", self.file.path()) {
            say(&format!("{} stays a swap file: {error}", self.file.path().display()));
        }
    }
}

fn run(program: &str, path: &Path) -> Result<(), String> {
    // Not everybody has the folder of the administrator's programs among those that are searched.
    let found = [format!("/usr/sbin/{program}"), format!("/sbin/{program}")];
    let found = found.into_iter().find(|path| Path::new(path).exists()).unwrap_or_else(|| program.to_owned());
    let output = Command::new(found).arg(path).output().map_err(|error| format!("{program}: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

/// Says it where it is seen although the test succeeds.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// How many of the pages in which these bytes lie are swapped out, and how many there are.
fn swapped_out(bytes: &[u8]) -> (usize, usize) {
    const SWAPPED: u64 = 1 << 62;
    // SAFETY: it reads a constant of the system.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap();
    let (first, pages) = (bytes.as_ptr().addr() / page, bytes.len() / page);
    let mut entries = vec![0; pages * 8];
    File::open("/proc/self/pagemap").unwrap().read_exact_at(&mut entries, first as u64 * 8).unwrap();
    let entries = entries.chunks(8).map(|entry| u64::from_ne_bytes(entry.try_into().unwrap()));
    (entries.filter(|entry| entry & SWAPPED != 0).count(), pages)
}

/// Has the pages of an instance's memory swapped out. `false` where the system does not do so.
fn swap_out(memory: &[u8]) -> bool {
    for _ in 0..100 {
        // SAFETY: the range is that of a slice, whose memory begins and ends with a page. The advice changes nothing that
        // can be read there.
        let advised = unsafe { libc::madvise(memory.as_ptr().cast_mut().cast(), memory.len(), libc::MADV_PAGEOUT) };
        let (swapped, pages) = swapped_out(&memory[FILLED]);
        if advised == 0 && swapped == pages {
            return true;
        }
        sleep(Duration::from_millis(20));
    }
    false
}

fn leaked(memory: &[u8]) -> usize {
    assert_eq!((&memory[16..21], memory.len()), (&b"hello"[..], 64 << 16));
    memory.iter().filter(|byte| **byte == 0xAA).count()
}

/// Bytes that a new instance has of the one before it in the only place of a pool with the engine's page-map scan. `None`
/// where pages are not swapped out.
fn leaked_by_the_page_map_scan() -> Option<usize> {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_core_instances(1).total_memories(1).linear_memory_keep_resident(8 << 20).max_unused_warm_slots(1);
    pool.pagemap_scan(Enabled::Yes);
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    let engine = Engine::new(&config).unwrap();
    let module = Module::new(&engine, wat::parse_str(GUEST).unwrap()).unwrap();
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    let fill = instance.get_typed_func::<(), i64>(&mut store, "fill").unwrap();
    fill.call(&mut store, ()).unwrap();
    let memory = instance.get_memory(&mut store, "memory").unwrap();
    if !swap_out(memory.data(&store)) {
        return None;
    }
    drop(store);
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[]).unwrap();
    Some(leaked(instance.get_memory(&mut store, "memory").unwrap().data(&store)))
}

/// Bytes that an instance of the harness has of the one that it replaced. `None` where pages are not swapped out.
fn leaked_by_the_harness(allocation: InstanceAllocation) -> Option<usize> {
    let mut config = EngineConfig::default();
    config.allocation = allocation;
    let engine = guest_host::Engine::new(&config).unwrap();
    let guest = Guest::load(&engine, "fills", &wat::parse_str(GUEST).unwrap(), PrepareOptions::default()).unwrap();
    let mut config = InstanceConfig::default();
    (config.strategy, config.policy) = (RestoreStrategy::Reinstantiate, RestorePolicy::Never);
    config.exchange_size = Some(4096);
    let mut instance = guest.instantiate(&config, MemoryState::new()).unwrap();
    instance.invoke_by_name("fill").unwrap();
    if !swap_out(instance.memory().unwrap().0) {
        return None;
    }
    instance.restore().unwrap();
    Some(leaked(instance.memory().unwrap().0))
}

#[test]
fn pages_that_were_swapped_out_do_not_reach_the_next_instance() {
    let swap = match Swap::on() {
        Ok(swap) => swap,
        Err(reason) => return say(&format!("SKIPPED: there is no swap file to test with: {reason}")),
    };
    // The specimen: the engine's page-map scan, for the sake of which the harness has no such setting.
    match PoolingAllocationConfig::is_pagemap_scan_available() {
        false => say("SKIPPED: the system has no page-map scan that could be seen to leak"),
        true => match leaked_by_the_page_map_scan() {
            Some(0) => {
                panic!("the engine's page-map scan leaks no more, so `InstanceAllocation::Pooling` may use it again")
            }
            Some(leaked) => assert_eq!(leaked, FILLED.len(), "all of it"),
            None => return say("SKIPPED: the system does not swap out what it is asked to"),
        },
    }
    let kept = [0, 1 << 20, 16 << 20].map(|keep_resident| InstanceAllocation::Pooling { instances: 1, keep_resident });
    for allocation in kept.into_iter().chain([InstanceAllocation::pooling(1), InstanceAllocation::OnDemand]) {
        match leaked_by_the_harness(allocation) {
            Some(leaked) => assert_eq!(leaked, 0, "{allocation:?}"),
            None => say(&format!("SKIPPED: nothing was swapped out with {allocation:?}")),
        }
    }
    drop(swap);
}
