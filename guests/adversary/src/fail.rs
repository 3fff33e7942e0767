//! One function for each way in which a call can fail.
#![expect(unsafe_code, reason = "some failures are not to be had without")]

use std::hint::black_box;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use guest_sdk::{Context, Error, ErrorCode, KeyBuilder, Result, extension, storage};

/// Panics with a literal.
#[extension]
pub fn fail_panic(_cx: &mut Context) -> Result<()> {
    panic!("this guest panics on purpose");
}

/// Panics with a message that has to be formatted.
#[extension]
pub fn fail_panic_formatted(_cx: &mut Context) -> Result<()> {
    panic!("{} of {} \"größe\"", black_box(3), black_box("four"));
}

/// Panics by indexing behind the end of an array.
#[extension]
pub fn fail_panic_index(_cx: &mut Context) -> Result<()> {
    let numbers = black_box([1, 2, 3]);
    black_box(numbers.as_slice()[black_box(3)]);
    Ok(())
}

/// Asks for just under 2 GiB at once, the most that Rust lets a guest ask for, three times over: more than the 4 GiB
/// that a memory can have, so that no limit on it lets this succeed.
#[extension]
pub fn fail_out_of_memory(_cx: &mut Context) -> Result<()> {
    let mut held = [const { Vec::new() }; 3];
    for vector in &mut held {
        // Not filled: that would take seconds where the host allows so much memory.
        *vector = black_box(Vec::<u8>::with_capacity(black_box(0x7FFF_0000)));
    }
    black_box(held);
    Ok(())
}

/// Keeps allocating and never frees.
#[extension]
pub fn fail_out_of_memory_slowly(_cx: &mut Context) -> Result<()> {
    loop {
        black_box(Box::leak(vec![1_u8; black_box(100_000)].into_boxed_slice()));
    }
}

/// A vector that keeps growing; at 512 MiB another takes over, since one that were to exceed 2 GiB would be a panic of
/// Rust's and no question of memory.
#[extension]
pub fn fail_out_of_memory_by_growth(_cx: &mut Context) -> Result<()> {
    loop {
        let mut numbers = Vec::new();
        for _ in 0..black_box(1 << 26) {
            numbers.push(black_box(1_u64));
        }
        Vec::leak(black_box(numbers));
    }
}

/// Never ends.
#[extension]
pub fn fail_endless_loop(_cx: &mut Context) -> Result<()> {
    loop {
        black_box(0);
    }
}

/// Never ends and allocates on the way, giving all back.
#[extension]
pub fn fail_endless_allocation(_cx: &mut Context) -> Result<()> {
    loop {
        black_box(Box::new(black_box(1_u64)));
    }
}

/// Never equal to a depth that is reached.
static LAST: AtomicU32 = AtomicU32::new(u32::MAX);

/// Recurses without a frame on the shadow stack.
fn recurse(depth: u32, seed: u32) -> u32 {
    if depth == LAST.load(Relaxed) {
        return seed;
    }
    recurse(depth + 1, seed.rotate_left(1)).rotate_left(3) ^ depth
}

/// Recurses until the engine's stack ends.
#[extension]
pub fn fail_stack_overflow(_cx: &mut Context) -> Result<()> {
    black_box(recurse(0, black_box(1)));
    Ok(())
}

/// Recurses with a kilobyte of locals in each frame; `last` is the depth at which it ends.
pub(crate) fn recurse_with_locals(depth: u32, last: u32) -> u32 {
    let locals = black_box([depth; 256]);
    if depth == last {
        return locals[0];
    }
    let below = recurse_with_locals(depth + 1, last);
    below ^ black_box(&locals)[255]
}

/// Recurses until the shadow stack ends, which lies first in memory: the pointer goes below 0.
#[extension]
pub fn fail_shadow_stack_overflow(_cx: &mut Context) -> Result<()> {
    black_box(recurse_with_locals(0, black_box(u32::MAX)));
    Ok(())
}

/// Reads behind the end of memory.
#[extension]
pub fn fail_out_of_bounds(_cx: &mut Context) -> Result<()> {
    let behind = core::ptr::without_provenance::<u64>(black_box(0xFFFF_FFF0));
    // SAFETY: none; in a guest the engine traps, as it should.
    black_box(unsafe { behind.read_volatile() });
    Ok(())
}

/// Executes an instruction that traps.
#[extension]
pub fn fail_unreachable(_cx: &mut Context) -> Result<()> {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort();
}

/// Divides by zero, which in Rust is a panic: it is checked before the engine could trap.
#[extension]
pub fn fail_division(_cx: &mut Context) -> Result<()> {
    black_box(black_box(1_i32) / black_box(0_i32));
    Ok(())
}

/// Returns an error of its own.
#[extension]
pub fn fail_error(_cx: &mut Context) -> Result<()> {
    Err(Error::application(7, "this guest fails on purpose"))
}

/// Returns an error whose message has a megabyte.
#[extension]
pub fn fail_error_long(_cx: &mut Context) -> Result<()> {
    Err(Error::application(8, "long ".repeat(200_000)))
}

/// Returns an error with a number that the contract keeps for itself.
#[extension]
pub fn fail_error_reserved(_cx: &mut Context) -> Result<()> {
    Err(Error::new(ErrorCode::Unknown(999), "a number that the contract keeps for itself"))
}

/// Leaves intents and log lines and fails then.
#[extension]
pub fn fail_after_intents(cx: &mut Context) -> Result<()> {
    cx.info("before");
    cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?.put_str("Text", &"x".repeat(100_000));
    Err(Error::application(9, "none of the intents may be applied"))
}

/// Gets a record that is not there.
#[extension]
pub fn fail_absent(cx: &mut Context) -> Result<()> {
    cx.get_value(&KeyBuilder::new(storage::RECORD, "adversary.Absent")).map(drop)
}

/// Gets from a storage that no state knows.
#[extension]
pub fn fail_unsupported_storage(cx: &mut Context) -> Result<()> {
    cx.query_value(&KeyBuilder::new("adversary.Storage", "")).map(drop)
}

/// Reads rows of a storage that no state knows.
#[extension]
pub fn fail_unsupported_storage_rows(cx: &mut Context) -> Result<()> {
    cx.read_values(&KeyBuilder::new("adversary.Storage", ""))?.next().map(drop)
}

/// Reads a text as a number.
#[extension]
pub fn fail_wrong_type(cx: &mut Context) -> Result<()> {
    cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?.get_i32("Text").map(drop)
}

/// Reads a number as a type that is too small.
#[extension]
pub fn fail_out_of_range(cx: &mut Context) -> Result<()> {
    cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?.get_i32("Large").map(drop)
}

/// Reads a field that is not there.
#[extension]
pub fn fail_missing_field(cx: &mut Context) -> Result<()> {
    cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?.get("Missing").map(drop)
}

/// Reads an array's element that is not there.
#[extension]
pub fn fail_missing_element(cx: &mut Context) -> Result<()> {
    cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?.get("Items")?.item(99).map(drop)
}

/// Uses a key that is longer than its builder.
#[extension]
pub fn fail_key_too_long(cx: &mut Context) -> Result<()> {
    let mut key = KeyBuilder::new(storage::RECORD, "");
    key.put_bytes("Long", &[0; 600]);
    cx.query_value(&key).map(drop)
}

/// Puts a field into a key twice.
#[extension]
pub fn fail_key_field_twice(cx: &mut Context) -> Result<()> {
    let mut key = KeyBuilder::new(storage::RECORD, "");
    key.put_i32("Id", 1).put_i32("Id", 2);
    cx.query_value(&key).map(drop)
}

/// Reads until the exchange region is full.
#[extension]
pub fn fail_exchange_full(cx: &mut Context) -> Result<()> {
    loop {
        cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?;
    }
}

/// Leaves the intent to change a record that is not there.
#[extension]
pub fn fail_update_of_absent(cx: &mut Context) -> Result<()> {
    let found = cx.get_value(&KeyBuilder::new(storage::EVENT, ""))?;
    cx.update_value(&KeyBuilder::new(storage::RECORD, "adversary.Absent"), &found)?.put_i32("Value", 1);
    Ok(())
}

/// Leaves an intent nested deeper than the contract allows, by honest means.
#[extension]
pub fn fail_nested_too_deep(cx: &mut Context) -> Result<()> {
    fn nest(object: &mut guest_sdk::ObjectWriter<'_>, levels: u32) {
        if levels > 0 {
            object.put_object("Inner", |inner| nest(inner, levels - 1));
        }
    }
    cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?.put_object("Outer", |outer| nest(outer, 100));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest_sdk::testing::{Failure, Host, MemoryState};

    type Function = fn(&mut Context) -> Result<()>;

    #[test]
    fn each_fails_as_its_name_says() {
        let mut state = MemoryState::new();
        let put = state.put(
            storage::EVENT,
            "",
            |_| {},
            |event| {
                event.put_str("Text", "a text").put_i64("Large", (1 << 53) + 1);
                event.put_array("Items", |items| {
                    items.push_i32(1);
                });
            },
        );
        put.unwrap();
        let mut host = Host::new(state);
        let functions: [(Function, ErrorCode); 12] = [
            (fail_error, ErrorCode::Application(1007)),
            (fail_error_long, ErrorCode::Application(1008)),
            (fail_error_reserved, ErrorCode::Unknown(999)),
            (fail_after_intents, ErrorCode::Application(1009)),
            (fail_absent, ErrorCode::Absent),
            (fail_wrong_type, ErrorCode::WrongType),
            (fail_out_of_range, ErrorCode::OutOfRange),
            (fail_missing_field, ErrorCode::MissingField),
            (fail_missing_element, ErrorCode::MissingElement),
            (fail_key_too_long, ErrorCode::KeyTooLong),
            (fail_exchange_full, ErrorCode::ExchangeFull),
            (crate::leave::leave_static_and_fail, ErrorCode::Application(1000)),
        ];
        for (at, (function, expected)) in functions.into_iter().enumerate() {
            let outcome = host.call(function);
            let Failure::Error { code, .. } = outcome.unwrap_failure() else {
                panic!("the {at}th failed otherwise: {}", outcome.unwrap_failure())
            };
            assert_eq!(*code, expected, "the {at}th");
        }
        assert!(matches!(host.call(fail_unsupported_storage).result, Err(Failure::State(_))));
        assert!(matches!(host.call(fail_key_field_twice).result, Err(Failure::State(_))));
        assert!(matches!(host.call(fail_nested_too_deep).result, Err(Failure::InvalidGuestData(_))));
        assert!(matches!(host.call(fail_panic_formatted).result, Err(Failure::Panic { .. })));
        let update = host.call(fail_update_of_absent);
        update.unwrap();
        assert!(host.apply(&update).is_err());
    }
}
