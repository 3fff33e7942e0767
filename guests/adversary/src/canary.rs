//! Canaries: bytes that one call leaves wherever it can, and a call that looks for them wherever there is memory.
//!
//! No canary is a constant of the guest: they are made when they are planted, so that what is found was left by a call.
#![expect(unsafe_code, reason = "it looks at all of memory")]

use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use guest_sdk::{Context, KeyBuilder, Result, extension, storage};

use crate::leave::{pages, trap};

/// What every byte of a canary is; as text a control character.
fn canary() -> u8 {
    black_box(0x16) + 1
}

/// Eight of them.
fn word() -> u64 {
    u64::from(canary()) * 0x0101_0101_0101_0101
}

/// Frames of a kilobyte, all of it canaries.
fn plant_in_frames(depth: u32) -> u64 {
    let frame = black_box([word(); 128]);
    let below = if depth == 0 { plant_below_the_pointer(frame[0]) } else { plant_in_frames(depth - 1) };
    below ^ black_box(&frame)[127]
}

/// So few that a function which calls none need not move the stack pointer for them.
#[inline(never)]
fn plant_below_the_pointer(word: u64) -> u64 {
    let mut few = [0; 12];
    for slot in &mut few {
        // SAFETY: it is a live local.
        unsafe { std::ptr::from_mut(slot).write_volatile(word) };
    }
    few[11]
}

fn plant_in_statics() {
    static ZEROED: [AtomicU64; 32] = [const { AtomicU64::new(0) }; 32];
    static DATA: [AtomicU64; 32] = [const { AtomicU64::new(1) }; 32];
    thread_local! {
        static LOCAL: Cell<[u64; 32]> = const { Cell::new([0; 32]) };
    }
    for slot in ZEROED.iter().chain(&DATA) {
        slot.store(word(), Relaxed);
    }
    LOCAL.set([word(); 32]);
}

/// In heap that is given back, in heap that is not, and in memory that has to be grown.
fn plant_in_heap() {
    for bytes in [100, 5000, 100_000] {
        drop(black_box(vec![canary(); bytes]));
        black_box(vec![canary(); bytes]).leak();
    }
    black_box(vec![canary(); 1 << 20]).leak();
}

/// By way of a key, a value, rows, and a few intents, of which the host does not learn before the call ends.
fn plant_in_exchange(cx: &mut Context) -> Result<()> {
    let bytes = [canary(); 1000];
    let text = str::from_utf8(&bytes)?;
    let mut key = KeyBuilder::<256>::with_capacity(storage::RECORD, "adversary.Canary");
    key.put_str("Name", &text[..100]);
    cx.query_value(&key)?;
    let value = cx.query_value(&KeyBuilder::new(storage::RECORD, "adversary.Canary"))?;
    let rows = KeyBuilder::new(storage::VIEW, "adversary.Canaries");
    let mut count = 0;
    cx.read_values(&rows)?.for_each(|_| {
        count += 1;
        Ok(())
    })?;
    black_box((value, count));
    cx.info(text);
    plant_in_intents(cx, 10)
}

/// Intents of a kilobyte.
fn plant_in_intents(cx: &mut Context, count: u32) -> Result<()> {
    let bytes = [canary(); 1000];
    for _ in 0..count {
        cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?.put_str("Text", str::from_utf8(&bytes)?);
    }
    Ok(())
}

fn plant(cx: &mut Context) -> Result<()> {
    black_box(plant_in_frames(black_box(20)));
    black_box(plant_below_the_pointer(word()));
    plant_in_statics();
    plant_in_heap();
    plant_in_exchange(cx)
}

/// Plants canaries everywhere, in more intents than fit at once too, and succeeds.
#[extension]
pub fn canary_plant(cx: &mut Context) -> Result<()> {
    plant(cx)?;
    plant_in_intents(cx, 30)
}

/// Plants canaries everywhere and fails, with canaries in its message.
#[extension]
pub fn canary_plant_and_fail(cx: &mut Context) -> Result<()> {
    plant(cx)?;
    Err(String::from_utf8_lossy(&[canary(); 300]).into_owned().into())
}

/// Plants canaries everywhere and panics, with canaries in its message.
#[extension]
pub fn canary_plant_and_panic(cx: &mut Context) -> Result<()> {
    plant(cx)?;
    panic!("{}", String::from_utf8_lossy(&[canary(); 300]));
}

/// Plants canaries everywhere and traps with them in a frame that is in use.
#[extension]
pub fn canary_plant_and_trap(cx: &mut Context) -> Result<()> {
    let frame = black_box([word(); 1000]);
    plant(cx)?;
    if black_box(&frame)[1] != 0 {
        trap();
    }
    Ok(())
}

/// Plants canaries everywhere and never ends.
#[extension]
pub fn canary_plant_and_spin(cx: &mut Context) -> Result<()> {
    plant(cx)?;
    loop {
        black_box(plant_in_frames(black_box(5)));
    }
}

/// Plants canaries everywhere, and in the heap until there is no more.
#[extension]
pub fn canary_plant_and_exhaust(cx: &mut Context) -> Result<()> {
    plant(cx)?;
    loop {
        black_box(vec![canary(); 1 << 16]).leak();
    }
}

/// Looks for canaries from address 0 to where the state says that memory ends, or else to where the guest sees its end.
/// Shows how many words are canaries, and where the stack is.
#[extension]
pub fn canary_look(cx: &mut Context) -> Result<()> {
    let context = cx.query_value(&KeyBuilder::new(storage::COMMAND_CONTEXT, ""))?;
    let end = match context {
        Some(context) => context.get_i64("MemoryEnd")?,
        None => pages() * 65536,
    };
    let wanted = word();
    let mut found = 0;
    for at in (black_box(0)..usize::try_from(end)?).step_by(8) {
        // SAFETY: what lies there belongs to others, who are not running; no reference is made to it.
        found += i64::from(unsafe { core::ptr::without_provenance::<u64>(at).read_volatile() } == wanted);
    }
    let local = black_box(0_u32);
    let stack = i64::try_from(black_box(&raw const local).addr())?;
    let mut intent = cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?;
    intent.put_i64("Found", found).put_i64("Stack", stack);
    Ok(())
}
