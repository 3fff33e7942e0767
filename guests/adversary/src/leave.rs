//! One function for each way of leaving state behind. What each finds when it is called shows in the intent that it
//! leaves, so a call on an instance that was not restored exactly differs from one on a fresh instance.

use std::cell::Cell;
use std::hint::black_box;
use std::sync::atomic::{AtomicI64, AtomicPtr, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

use guest_sdk::{Context, KeyBuilder, Result, extension, storage};

use crate::fail::recurse_with_locals;

/// Leaves what was found, as an intent.
fn found(cx: &mut Context, name: &str, value: i64) -> Result<()> {
    cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?.put_i64(name, value);
    Ok(())
}

pub(crate) fn trap() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort();
}

/// Counts its calls in a static that begins as zero.
#[extension]
pub fn leave_static(cx: &mut Context) -> Result<()> {
    static CALLS: AtomicI64 = AtomicI64::new(0);
    found(cx, "CallsBefore", CALLS.fetch_add(1, Relaxed))
}

/// Counts its calls in a static that begins as something else.
#[extension]
pub fn leave_static_data(cx: &mut Context) -> Result<()> {
    static CALLS: AtomicI64 = AtomicI64::new(1_000_000);
    found(cx, "CallsBefore", CALLS.fetch_add(1, Relaxed))
}

/// Counts its calls in a static and fails, so that only the next call shows it.
#[extension]
pub fn leave_static_and_fail(_cx: &mut Context) -> Result<()> {
    static CALLS: AtomicI64 = AtomicI64::new(0);
    Err(format!("{} calls before", CALLS.fetch_add(1, Relaxed)).into())
}

/// Fills a cache on first use.
#[extension]
pub fn leave_lazy_cache(cx: &mut Context) -> Result<()> {
    static CACHE: OnceLock<Vec<u64>> = OnceLock::new();
    let filled = CACHE.get().is_some();
    let cache = CACHE.get_or_init(|| (0..1000).map(|number| number * number).collect());
    cx.info(if filled { "cached" } else { "computed" });
    found(cx, "Last", i64::try_from(cache[999])?)
}

/// Counts its calls in a thread-local.
#[extension]
pub fn leave_thread_local(cx: &mut Context) -> Result<()> {
    thread_local! {
        static CALLS: Cell<i64> = const { Cell::new(0) };
    }
    found(cx, "CallsBefore", CALLS.replace(CALLS.get() + 1))
}

/// Keeps a vector that grows with each call.
#[extension]
pub fn leave_vec(cx: &mut Context) -> Result<()> {
    static NUMBERS: Mutex<Vec<i64>> = Mutex::new(Vec::new());
    let mut numbers = NUMBERS.lock().unwrap_or_else(PoisonError::into_inner);
    let before = numbers.len();
    numbers.extend(0..1000);
    found(cx, "LengthBefore", i64::try_from(before)?)
}

/// Leaks a vector, and shows at which address it was.
#[extension]
pub fn leave_leaked_vec(cx: &mut Context) -> Result<()> {
    let leaked = black_box(vec![7_u8; 5000]).leak();
    found(cx, "Address", i64::try_from(leaked.as_ptr().addr())?)
}

/// Keeps a linked list whose nodes lie apart, and walks it.
#[extension]
pub fn leave_linked_list(cx: &mut Context) -> Result<()> {
    struct Node {
        next: Option<Box<Node>>,
        _padding: [u8; 3000],
    }
    static FIRST: Mutex<Option<Box<Node>>> = Mutex::new(None);
    let mut first = FIRST.lock().unwrap_or_else(PoisonError::into_inner);
    let mut length = 0;
    let mut node = first.as_deref();
    while let Some(current) = node {
        length += 1;
        node = current.next.as_deref();
    }
    for _ in 0..10 {
        let next = first.take();
        *first = Some(Box::new(Node { next, _padding: [1; 3000] }));
    }
    found(cx, "LengthBefore", length)
}

/// Holds a lock and traps, so that a lock that stays held shows in the next call.
#[extension]
pub fn leave_lock_held(_cx: &mut Context) -> Result<()> {
    let _held = LOCK.try_lock();
    trap();
}

static LOCK: Mutex<()> = Mutex::new(());

/// Shows whether the lock of [`leave_lock_held`] is free.
#[extension]
pub fn leave_lock_held_seen(cx: &mut Context) -> Result<()> {
    let free = LOCK.try_lock().is_ok();
    found(cx, "Free", free.into())
}

/// Frees what a call before may have left, allocates anew, and shows where: what a freelist remembers.
#[extension]
pub fn leave_freed_blocks(cx: &mut Context) -> Result<()> {
    let blocks: Vec<Box<[u8; 700]>> = (0..20).map(|_| black_box(Box::new([3; 700]))).collect();
    let kept: Vec<_> = blocks.into_iter().step_by(2).collect();
    let address = kept.last().map_or(0, |block| block.as_ptr().addr());
    let behind = black_box(Box::new([4_u8; 650]));
    std::mem::forget(kept);
    found(cx, "Address", i64::try_from(address)?)?;
    found(cx, "AddressBehind", i64::try_from(behind.as_ptr().addr())?)
}

/// Asks for zeroed memory, adds it up, and overwrites it.
#[extension]
pub fn leave_dirty_zeroed(cx: &mut Context) -> Result<()> {
    let mut zeros = black_box(vec![0_u8; 70_000]);
    let sum = zeros.iter().copied().map(i64::from).sum();
    zeros.fill(0xAA);
    black_box(zeros);
    found(cx, "Sum", sum)
}

/// Recurses deep into the shadow stack and comes back: only its dead part has changed.
#[extension]
pub fn leave_deep_stack(cx: &mut Context) -> Result<()> {
    found(cx, "Result", i64::from(recurse_with_locals(0, black_box(15))))
}

/// Traps with half of the shadow stack in use, whose pointer stays where it is.
#[extension]
pub fn leave_stack_pointer(_cx: &mut Context) -> Result<()> {
    fn descend(depth: u32) -> u32 {
        let locals = black_box([depth; 256]);
        if depth == 15 {
            trap();
        }
        descend(depth + 1) ^ black_box(&locals)[255]
    }
    black_box(descend(black_box(0)));
    Ok(())
}

/// Shows where the shadow stack is.
#[extension]
pub fn leave_stack_pointer_seen(cx: &mut Context) -> Result<()> {
    let local = black_box(0_u32);
    found(cx, "Address", i64::try_from(black_box(&raw const local).addr())?)
}

/// The size of memory in pages; natively none.
pub(crate) fn pages() -> i64 {
    #[cfg(target_arch = "wasm32")]
    return i64::try_from(core::arch::wasm32::memory_size::<0>()).unwrap_or(-1);
    #[cfg(not(target_arch = "wasm32"))]
    0
}

/// Allocates until no more is to be had, and shows how much that was and how large memory was before.
#[extension]
pub fn leave_memory_full(cx: &mut Context) -> Result<()> {
    let before = pages();
    let mut blocks = 0;
    let mut size = 1 << 20;
    while size >= 1 << 10 {
        let mut block = Vec::<u8>::new();
        if block.try_reserve_exact(black_box(size)).is_ok() {
            block.push(1);
            black_box(block.leak());
            blocks += 1;
        } else {
            size /= 2;
        }
    }
    found(cx, "PagesBefore", before)?;
    found(cx, "Blocks", blocks)
}

/// Allocates 3 MiB, frees them, and shows how large memory was before and is behind.
#[extension]
pub fn leave_memory_grown(cx: &mut Context) -> Result<()> {
    let before = pages();
    drop(black_box(vec![1_u8; 3 << 20]));
    found(cx, "PagesBefore", before)?;
    found(cx, "PagesBehind", pages())
}

/// Grows memory by hand, and shows what that returned.
#[extension]
pub fn leave_memory_grown_by_hand(cx: &mut Context) -> Result<()> {
    #[cfg(target_arch = "wasm32")]
    let before = i64::try_from(core::arch::wasm32::memory_grow::<0>(5).cast_signed())?;
    #[cfg(not(target_arch = "wasm32"))]
    let before = 0;
    found(cx, "PagesBefore", before)
}

/// Keeps the address of a value in the exchange region, and shows whether there was one.
///
/// The address is only compared; no safe guest can keep the value.
#[extension]
pub fn leave_exchange_address(cx: &mut Context) -> Result<()> {
    static ADDRESS: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
    let text = cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?.get_str("Text")?;
    let before = ADDRESS.swap(text.as_ptr().cast_mut(), Relaxed);
    found(cx, "Before", i64::try_from(before.addr())?)?;
    found(cx, "Now", i64::try_from(text.as_ptr().addr())?)
}

/// Leaves more intents than fit the exchange region, so that some are with the host when the call traps.
#[extension]
pub fn leave_intents_and_trap(cx: &mut Context) -> Result<()> {
    cx.warn("before the trap");
    for at in 0..10_000 {
        found(cx, "At", at)?;
    }
    trap();
}

/// Reads rows and stops in the middle, while the host may remember where.
#[extension]
pub fn leave_rows_unread(cx: &mut Context) -> Result<()> {
    let key = KeyBuilder::new(storage::VIEW, "adversary.Rows");
    let mut rows = cx.read_values(&key)?;
    let first = rows.next()?.map(|row| row.key().get_i64("Id")).transpose()?;
    std::mem::forget(rows);
    found(cx, "First", first.unwrap_or(-1))
}
