//! The cost of handing memory blocks from one guest to others: by copying, by mapping, and in a ring. The baselines are the calls alone,
//! `memcpy`, the calls of the system, and values that cross in the exchange region.

use std::cell::RefCell;
use std::hint::black_box;
use std::io::Write as _;

use anyhow::{Context, Result, anyhow};
use benches::copies::Copies;
use benches::guests;
use benches::ratios::{Ratios, Target};
use benches::turns::{Contender, Measured, take_turns};
use guest_host::blocks::{Block, Member, RingGroup};
use guest_host::wasmtime::ValRaw;
use guest_host::{
    Engine, EngineConfig, Function, Guest, Instance, InstanceAllocation, InstanceConfig, MemoryState, PrepareOptions,
    RestorePolicy, RestoreStrategy,
};
use guest_prepare::BarrierOptions;

const MIB: usize = 1 << 20;

/// A guest with storage behind its first MiB. `nothing` is a call alone. `read` reads a byte of a block, `write` writes one and publishes all,
/// `fill` writes 1 MiB of a block and `fill_own` of its own memory. `read_own` and `write_own` do so at an address.
fn module(storage: usize) -> String {
    format!(
        r#"(module
    (import "test:shm/exchange" "[static]memory-block.add-storage" (func $add_storage (param i32 i32 i32)))
    (import "test:shm/exchange" "[method]memory-block.attach" (func $attach (param i32 i32 i32)))
    (import "test:shm/exchange" "[method]memory-block.detach" (func $detach (param i32 i32)))
    (memory (export "memory") {pages})
    (global $sum (mut i32) (i32.const 0))
    (func (export "_initialize") (call $add_storage (i32.const 0x100000) (i32.const {storage}) (i32.const 0)))
    (func $attached (param i32 i32) (result i32)
        (call $attach (local.get 0) (local.get 1) (i32.const 0))
        (if (i32.load8_u (i32.const 0)) (then (unreachable)))
        (i32.load (i32.const 4)))
    (func $detach_all (param i32) (call $detach (local.get 0) (i32.load (i32.const 8))))
    (func (export "nothing") (param i32) (result i32) (local.get 0))
    (func (export "read") (param i32) (result i32)
        (global.set $sum (i32.load8_u (call $attached (local.get 0) (i32.const 0))))
        (call $detach (local.get 0) (i32.const 0)) (local.get 0))
    (func (export "write") (param i32) (result i32)
        (i32.store8 (call $attached (local.get 0) (i32.const 3)) (i32.const 7))
        (call $detach_all (local.get 0)) (local.get 0))
    (func (export "fill") (param i32) (result i32)
        (memory.fill (call $attached (local.get 0) (i32.const 3)) (i32.const 7) (i32.const 0x100000))
        (call $detach_all (local.get 0)) (local.get 0))
    (func (export "fill_own") (param i32) (result i32)
        (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x100000)) (local.get 0))
    (func (export "read_own") (param i32) (result i32) (global.set $sum (i32.load8_u (local.get 0))) (i32.const 0))
    (func (export "write_own") (param i32) (result i32) (i32.store8 (local.get 0) (i32.const 7)) (local.get 0)))"#,
        pages = (MIB + storage) / 65_536,
    )
}

/// A guest for an engine whose memories can be mapped over.
fn guest(engine: &Engine, storage: usize) -> Result<Guest> {
    guest_with_cards(engine, storage, BarrierOptions::default().card_size)
}

fn guest_with_cards(engine: &Engine, storage: usize, card_size: u32) -> Result<Guest> {
    let options = PrepareOptions::default().with_barrier(Some(BarrierOptions::default().with_card_size(card_size)));
    Ok(Guest::load(engine, "blocks", &wat::parse_str(module(storage))?, options)?)
}

fn stage(guest: &Guest, name: &str) -> Result<Function> {
    guest.stage(name).with_context(|| format!("there is no `{name}`"))
}

/// An instance restored by its marks, which maps blocks from a size on.
fn instance(guest: &Guest, policy: RestorePolicy, mapped_from: u32) -> Result<Instance> {
    let config = InstanceConfig::default().with_strategy(RestoreStrategy::DirtyCards).with_policy(policy);
    let limits = config.limits.with_blocks_mapped_from(mapped_from);
    let config = config.with_limits(limits).with_memory_limit(1 << 30).with_deadline(None);
    Ok(guest.instantiate(&config, MemoryState::new())?)
}

/// A block that many may read.
fn published(size: usize, in_file: bool) -> Result<Block> {
    let bytes = u32::try_from(size)?;
    let block = if in_file { Block::mappable(bytes) } else { Block::new(bytes) };
    let mut writing = block.write_shared()?;
    writing.bytes(|bytes| bytes.fill(1));
    writing.publish(bytes);
    Ok(block)
}

/// Measures a call of a stage.
fn calling<'a>(name: &str, instance: &'a RefCell<Instance>, stage: Function, block: &'a Block) -> Contender<'a> {
    Contender::new(name, move || {
        let result = instance.borrow_mut().call_stage(stage, Some(block.clone()));
        assert!(result.is_ok(), "{result:?}");
    })
}

/// The size as it is written.
fn named(size: usize) -> String {
    if size < MIB { format!("{} KiB", size >> 10) } else { format!("{} MiB", size >> 20) }
}

/// The mean of two things that the same time is taken from.
fn beyond(name: &str, whole: &Measured, part: &Measured, by: f64) -> Measured {
    let rounds = whole.without(part).rounds.iter().map(|round| round / by).collect();
    Measured { name: name.to_owned(), rounds }
}

/// A ring with its members, the one that writes first, and their guest.
type Members = (RefCell<RingGroup>, Vec<Member>, Guest);

/// A ring with one that writes and some that read, whose guests have cards of this size. None where the system has no rings.
fn ring(engine: &Engine, size: usize, card_size: u32, readers: usize) -> Result<Option<Members>> {
    let Ok(mut group) = RingGroup::new(2, u32::try_from(size)?) else { return Ok(None) };
    let guest = guest_with_cards(engine, (2 * (size + 4096) + 65_536).next_multiple_of(65_536), card_size)?;
    let mut members = Vec::new();
    for number in 0..=readers {
        let instance = instance(&guest, RestorePolicy::EveryCall, u32::MAX)?;
        let added = if number == 0 { group.add_writer(instance) } else { group.add_reader(instance) };
        members.push(added.map_err(|refused| anyhow!("{refused}"))?);
    }
    Ok(Some((RefCell::new(group), members, guest)))
}

/// One frame from the one that writes to all that read; or the same calls without a block attached.
fn frame(group: &mut RingGroup, members: &[Member], stages: [Function; 2]) {
    let mut block = group.slot().expect("one of two slots is free");
    for (member, stage) in members.iter().zip(std::iter::once(stages[0]).chain(std::iter::repeat(stages[1]))) {
        match group.call_stage(*member, stage, Some(block)) {
            Ok(Some(next)) => block = next,
            other => panic!("{other:?}"),
        }
    }
}

fn rings(engine: &Engine, ratios: &mut Ratios) -> Result<()> {
    let (mut taken, mut whole) = (Vec::new(), Vec::new());
    let usual = BarrierOptions::default().card_size;
    for (size, card_size) in [(4 << 10, usual), (64 << 10, usual), (MIB, usual), (16 * MIB, usual), (16 * MIB, 4096)] {
        let Some((group, members, guest)) = ring(engine, size, card_size, 2)? else {
            ratios.note("this system has no rings");
            return Ok(());
        };
        let (write, read, nothing) = (stage(&guest, "write")?, stage(&guest, "read")?, stage(&guest, "nothing")?);
        let cards =
            if card_size == usual { String::new() } else { format!(" with cards of {}", named(card_size as usize)) };
        let name = named(size) + &cards;
        let measured = take_turns(
            &mut [
                Contender::new(format!("ring, {name} to two"), || {
                    frame(&mut group.borrow_mut(), &members, [write, read]);
                }),
                Contender::new(format!("the calls alone, {name}"), || {
                    frame(&mut group.borrow_mut(), &members, [nothing, nothing]);
                }),
            ],
            guests::rounds(401),
        );
        let each = beyond(&format!("ring, {name}: handing to each of two"), &measured[0], &measured[1], 2.0);
        let target = if card_size == usual { Target::AtMost(300.0) } else { Target::None };
        ratios.add_figure(&format!("{}: nanoseconds", each.name), each.median(), target);
        let copied: u64 = members.iter().map(|member| group.borrow_mut().block_counts(*member).copied).sum();
        ratios.add_figure(&format!("ring, {name}: bytes copied"), copied as f64, Target::AtMost(0.0));
        taken.push(each);
        whole.extend(measured.into_iter().next());
    }
    if let [small, .., large, _] = &taken[..] {
        ratios.add_medians(large, small, Target::AtMost(1.3));
    }
    if let [.., usual, large_cards] = &whole[..] {
        ratios.add_medians(large_cards, usual, Target::None);
    }
    Ok(())
}

fn copies(engine: &Engine, ratios: &mut Ratios) -> Result<()> {
    let guest = guest(engine, 2 * MIB)?;
    let [nothing, read, write, fill, fill_own] = [
        stage(&guest, "nothing")?,
        stage(&guest, "read")?,
        stage(&guest, "write")?,
        stage(&guest, "fill")?,
        stage(&guest, "fill_own")?,
    ];
    // Without restores, which put back the bytes of attachments.
    let instance = RefCell::new(instance(&guest, RestorePolicy::OnError, u32::MAX)?);
    let block = published(MIB, false)?;
    let mut copies = Copies::new(MIB);
    let measured = take_turns(
        &mut [
            Contender::new("memcpy, 1 MiB", || copies.copy()),
            calling("a call alone", &instance, nothing, &block),
            calling("copy, 1 MiB: a reader", &instance, read, &block),
            calling("copy, 1 MiB: a writer of one byte", &instance, write, &block),
            calling("copy, 1 MiB: a writer of all", &instance, fill, &block),
            calling("1 MiB of the guest's own filled", &instance, fill_own, &block),
        ],
        guests::rounds(401),
    );
    let [memcpy, alone, reader, writer, filler, own] = &measured[..] else { unreachable!("there are six") };
    ratios.add(&beyond("copy, 1 MiB: on the way in", reader, alone, 1.0), memcpy, Target::AtMost(1.15));
    let out = filler.without(writer).without(&own.without(alone));
    ratios.add(&Measured { name: "copy, 1 MiB: on the way out".to_owned(), ..out }, memcpy, Target::AtMost(1.15));
    Ok(())
}

fn maps(engine: &Engine, ratios: &mut Ratios) -> Result<()> {
    if !Block::mappable(1).is_mappable() {
        ratios.note("this system maps no blocks");
        return Ok(());
    }
    for size in [MIB, 4 * MIB, 16 * MIB, 64 * MIB] {
        let guest = guest(engine, size + MIB)?;
        let [nothing, read] = [stage(&guest, "nothing")?, stage(&guest, "read")?];
        let mapped = RefCell::new(instance(&guest, RestorePolicy::OnError, 0)?);
        let copied = RefCell::new(instance(&guest, RestorePolicy::OnError, u32::MAX)?);
        let block = published(size, true)?;
        let mut calls = SystemCalls::new(size)?;
        let name = named(size);
        let map = || calling(&format!("map, {name}: a reader of one byte"), &mapped, read, &block);
        let copy = calling(&format!("copy, {name}: a reader of one byte"), &copied, read, &block);
        let [map_beside_copy, copy] = &take_turns(&mut [map(), copy], guests::rounds(101))[..] else {
            unreachable!("there are two")
        };
        ratios.add(map_beside_copy, copy, Target::None);
        // Apart from the copies, which leave nothing in the caches for whoever has the next turn.
        let measured = take_turns(
            &mut [
                map(),
                calling("a call alone", &mapped, nothing, &block),
                Contender::new(format!("two calls of the system and a fault, {name}"), || calls.make()),
            ],
            guests::rounds(401),
        );
        let [map, alone, system] = &measured[..] else { unreachable!("there are three") };
        ratios.add(&beyond(&map.name, map, alone, 1.0), system, Target::AtMost(1.2));
    }
    Ok(())
}

fn frames(engine: &Engine, ratios: &mut Ratios) -> Result<()> {
    const READERS: usize = 8;
    let Some((group, members, guest)) = ring(engine, MIB, BarrierOptions::default().card_size, READERS)? else {
        return Ok(());
    };
    let [write, read] = [stage(&guest, "write")?, stage(&guest, "read")?];
    // The same by values in memory that the host may use for arguments: it copies them out of one guest and into the others.
    let plain = guest_of_values(engine)?;
    let [write_own, read_own] = ["write_own", "read_own"].map(|name| plain.export(name));
    let (write_own, read_own) = write_own.zip(read_own).context("the functions are exported")?;
    let mut publisher = instance(&plain, RestorePolicy::EveryCall, u32::MAX)?;
    let mut subscribers =
        (0..READERS).map(|_| instance(&plain, RestorePolicy::EveryCall, u32::MAX)).collect::<Result<Vec<_>>>()?;
    let mut value = vec![0; MIB];
    const AT: usize = MIB;
    let address = u32::try_from(AT)?;
    let measured = take_turns(
        &mut [
            Contender::new("1 MiB to eight, by a ring", || frame(&mut group.borrow_mut(), &members, [write, read])),
            Contender::new("1 MiB to eight, by the exchange region", || {
                let published = publisher.call_with(write_own, |call| {
                    call.write(AT..AT + MIB)?.fill(1);
                    call.call(&mut [ValRaw::u32(address)])?;
                    value.copy_from_slice(&call.memory()[AT..AT + MIB]);
                    Ok(())
                });
                assert!(published.is_ok(), "{published:?}");
                for subscriber in &mut subscribers {
                    let received = subscriber.call_with(read_own, |call| {
                        call.write(AT..AT + MIB)?.copy_from_slice(&value);
                        call.call(&mut [ValRaw::u32(address)])
                    });
                    assert!(received.is_ok(), "{received:?}");
                }
            }),
        ],
        guests::rounds(201),
    );
    let [ring, exchange] = &measured[..] else { unreachable!("there are two") };
    ratios.add(exchange, ring, Target::AtLeast(5.0));
    Ok(())
}

/// A guest whose values cross by copies.
fn guest_of_values(engine: &Engine) -> Result<Guest> {
    guest(engine, 2 * MIB)
}

/// The calls of the system that map a file amid other pages and end the mapping.
#[cfg(target_os = "linux")]
struct SystemCalls {
    file: std::os::fd::OwnedFd,
    area: *mut std::ffi::c_void,
    size: usize,
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the baseline maps pages itself")]
impl SystemCalls {
    /// Around a page that is touched, the system maps those that lie in as many aligned bytes with it.
    const AROUND: usize = 64 << 10;

    /// The distance from a multiple of [`Self::AROUND`] to the first page that is mapped in a guest. The storage begins at such a multiple. Its
    /// first page is not used, and its second page stays free beside the mapping.
    const AT: usize = 2 * 4096;

    fn new(size: usize) -> Result<Self> {
        use rustix::fs::{MemfdFlags, memfd_create};
        use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

        let file = memfd_create("baseline", MemfdFlags::CLOEXEC)?;
        // With all its pages, as the file of a block that was written has them: around the page that is touched the system maps others that
        // there are.
        std::fs::File::from(file.try_clone()?).write_all(&vec![1; size])?;
        // SAFETY: a new mapping, which nobody else uses, and which has the area with bytes on either side.
        let area = unsafe {
            let all = mmap_anonymous(
                std::ptr::null_mut(),
                size + 3 * Self::AROUND,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )?;
            all.byte_add(all.align_offset(Self::AROUND) + Self::AROUND + Self::AT)
        };
        Ok(Self { file, area, size })
    }

    fn make(&mut self) {
        use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous};

        let (both, fixed) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::FIXED);
        // SAFETY: the area is this value's own, and nobody has a reference into it.
        unsafe {
            let mapped = mmap(self.area, self.size, both, fixed, &self.file, 0);
            black_box(self.area.cast::<u8>().read_volatile());
            let ended = mmap_anonymous(self.area, self.size, both, fixed);
            assert!(mapped.is_ok() && ended.is_ok());
        }
    }
}

#[cfg(not(target_os = "linux"))]
struct SystemCalls;

#[cfg(not(target_os = "linux"))]
impl SystemCalls {
    fn new(_: usize) -> Result<Self> {
        Ok(Self)
    }

    fn make(&mut self) {}
}

fn main() -> Result<()> {
    let engine = Engine::new(&EngineConfig::default().with_allocation(InstanceAllocation::OnDemand))?;
    let mut ratios = Ratios::new("blocks");
    rings(&engine, &mut ratios)?;
    copies(&engine, &mut ratios)?;
    maps(&engine, &mut ratios)?;
    frames(&engine, &mut ratios)?;
    ratios.note("handing is what a frame takes beyond the three calls without an attachment, by subscriber");
    ratios.finish()
}
