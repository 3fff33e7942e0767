//! Memory blocks between guests: the rules under every strategy, and guests that hand each other blocks.

mod adversary;
mod edges;
mod exchange;
mod pokes;
mod ring;
mod verify;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError};

use guest_build::Allocator;
use guest_host::blocks::Block;
use guest_host::guest_prepare::BarrierOptions;
use guest_host::{
    Engine, EngineConfig, Guest, Instance, InstanceAllocation, InstanceConfig, MemoryState, PrepareOptions,
    RestoreStrategy,
};

use crate::guests::{engine, load};

/// How a guest has blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// By copying, restored by this strategy: by marks, by comparing, by the allocator, or as a new instance.
    Copy(RestoreStrategy),
    /// By mapping each, restored by marks.
    Map,
}

impl Way {
    const ALL: [Self; 6] = [
        Self::Copy(RestoreStrategy::DirtyCards),
        Self::Copy(RestoreStrategy::FullCopy),
        Self::Copy(RestoreStrategy::Watermark),
        Self::Copy(RestoreStrategy::BumpReset),
        Self::Copy(RestoreStrategy::Reinstantiate),
        Self::Map,
    ];

    /// Whether marks say where the guest has written.
    fn has_marks(self) -> bool {
        matches!(self, Self::Map | Self::Copy(RestoreStrategy::DirtyCards))
    }

    fn config(self) -> InstanceConfig {
        let config = InstanceConfig::default();
        match self {
            Self::Copy(strategy) => config.with_strategy(strategy),
            Self::Map => {
                let limits = config.limits.with_blocks_mapped_from(0);
                config.with_strategy(RestoreStrategy::DirtyCards).with_limits(limits)
            }
        }
    }

    /// The guest for an engine that allows it.
    fn guest(self, guest: &Guest) -> Guest {
        match self {
            Self::Copy(_) => guest.clone(),
            Self::Map => on_demand(guest),
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copy(strategy) => strategy.fmt(f),
            Self::Map => f.write_str("mapping"),
        }
    }
}

/// A sequence of numbers that look random (Knuth's MMIX generator).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }
}

/// The beginning of every bare module here: 2 MiB of storage behind the first page, and a stage that fills a block with sevens.
const BARE: &str = r#"
    (import "test:shm/exchange" "[static]memory-block.add-storage" (func $add_storage (param i32 i32 i32)))
    (import "test:shm/exchange" "[method]memory-block.attach" (func $attach (param i32 i32 i32)))
    (import "test:shm/exchange" "[method]memory-block.detach" (func $detach (param i32 i32)))
    (import "test:shm/exchange" "[constructor]memory-block" (func $create (param i32) (result i32)))
    (import "test:shm/exchange" "[method]memory-block.clone" (func $clone (param i32) (result i32)))
    (import "test:shm/exchange" "[resource-drop]memory-block" (func $drop (param i32)))
    (import "test:shm/exchange" "[static]memory-block.create-local" (func $local (param i32 i32) (result i32)))
    (import "test:shm/exchange" "[method]memory-block.create-partition" (func $part (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 33)
    (func (export "_initialize") (call $add_storage (i32.const 65536) (i32.const 2097152) (i32.const 0)))
    (func $attached (param $block i32) (param $flags i32) (result i32)
        (call $attach (local.get $block) (local.get $flags) (i32.const 0))
        (if (i32.load8_u (i32.const 0)) (then (unreachable)))
        (i32.load (i32.const 4)))
    (func $fill (param $block i32) (param $byte i32) (result i32)
        (local $at i32)
        (local.set $at (call $attached (local.get $block) (i32.const 3)))
        (memory.fill (local.get $at) (local.get $byte) (i32.load (i32.const 8)))
        (call $detach (local.get $block) (i32.load (i32.const 8)))
        (local.get $at))
    (func (export "write") (param $block i32) (result i32)
        (drop (call $fill (local.get $block) (i32.const 7))) (local.get $block))"#;

/// A bare module with these functions too.
fn bare(functions: &str) -> Guest {
    text_guest(&format!("(module {BARE} {functions})"))
}

/// The guest of a module in the text format.
fn text_guest(text: &str) -> Guest {
    prepared(text, PrepareOptions::default())
}

fn prepared(text: &str, options: PrepareOptions) -> Guest {
    Guest::load(engine(), "text", &wat::parse_str(text).unwrap(), options).unwrap()
}

/// The guest with instances whose memory is mapped for each of them. Compiled once.
pub(crate) fn on_demand(guest: &Guest) -> Guest {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    static GUESTS: OnceLock<Mutex<HashMap<[u8; 32], Guest>>> = OnceLock::new();
    let engine = ENGINE
        .get_or_init(|| Engine::new(&EngineConfig::default().with_allocation(InstanceAllocation::OnDemand)).unwrap());
    let mut guests = GUESTS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    guests.entry(guest.hash()).or_insert_with(|| guest.for_engine(engine).unwrap()).clone()
}

/// The guest of a module with these functions, with cards of each size.
fn guests_with_cards(functions: String) -> impl Iterator<Item = Guest> {
    [256, 512, 1024, 2048, 4096].into_iter().map(move |card_size| {
        let options = PrepareOptions::default().with_barrier(Some(BarrierOptions::default().with_card_size(card_size)));
        // `on_demand` finds a guest by the hash of its module, so each module exports another name.
        let named = format!("(global (export \"cards of {card_size}\") i32 (i32.const 0))");
        on_demand(&prepared(&format!("(module {functions} {named})"), options))
    })
}

/// An instance of a guest with the bump allocator.
fn instance(guest: &str, config: &InstanceConfig) -> Instance {
    load(guest, Allocator::BumpReset).instantiate(config, MemoryState::new()).unwrap()
}

/// The same, which has blocks in this way.
fn instance_by(way: Way, guest: &str) -> Instance {
    let guest = way.guest(&load(guest, Allocator::BumpReset));
    guest.instantiate(&way.config(), MemoryState::new()).unwrap()
}

/// A block of this size with these bytes, for one reader at a time or for many.
fn published(size: u32, bytes: &[u8], shared: bool) -> Block {
    let block = Block::mappable(size);
    let mut writing = block.write_as(shared).unwrap();
    writing.bytes(|block| block[..bytes.len()].copy_from_slice(bytes));
    writing.publish(u32::try_from(bytes.len()).unwrap());
    block
}

/// The bytes that are to be read.
fn bytes(block: &Block) -> Vec<u8> {
    block.read().unwrap().bytes(<[u8]>::to_vec)
}
