//! One function for each lie that a guest can tell its host. They use the imports by hand and export by hand.
//!
//! Addresses and lengths are plain numbers here: nothing in these functions touches the memory that they name.
#![expect(unsafe_code, reason = "raw imports and exports")]

use std::fmt::Write;

use guest_abi::names::{RESULT_FAILED, pack};

#[link(wasm_import_module = "extension")]
unsafe extern "C" {
    fn get(key: u32, key_len: u32, out: u32, out_cap: u32) -> i32;
    fn read(key: u32, key_len: u32, after: u32, after_len: u32, out: u32, out_cap: u32) -> i32;
    fn intents(start: u32, len: u32);
    fn log(level: u32, start: u32, len: u32);
    fn fail(code: u32, start: u32, len: u32);
    fn panic(message: u32, message_len: u32, file: u32, file_len: u32, line: u32, column: u32);
}

/// A key that is fine.
const KEY: &[u8] = b"\x69sys.Event\x60\xA0";

/// An intent that is fine, `new` of `sys.Result` with one field.
const INTENT: &[u8] = b"\x85\x00\x6Asys.Result\x60\xA0\xA1\x61n\x01";

/// Where no memory is, unless a host gives a guest all of 4 GiB.
const NOWHERE: u32 = 0xFFFF_0000;

fn at(bytes: &[u8]) -> (u32, u32) {
    (bytes.as_ptr().addr() as u32, bytes.len() as u32)
}

fn room() -> (u32, u32) {
    let room = vec![0_u8; 1024].leak();
    at(room)
}

macro_rules! lies {
    ($($(#[$attribute:meta])* fn $name:ident() $body:block)+) => {$(
        $(#[$attribute])*
        #[unsafe(no_mangle)]
        extern "C" fn $name() -> i64 {
            #[allow(unused_unsafe, reason = "some lies need no import")]
            // SAFETY: the imports check what they are given; that they do is what is to be seen.
            unsafe { $body }
        }
    )+};
}

/// Calls `get` with these bytes as key.
fn get_with(key: &[u8]) -> i64 {
    let ((key, key_len), (out, out_cap)) = (at(key), room());
    // SAFETY: the imports check what they are given.
    i64::from(unsafe { get(key, key_len, out, out_cap) }).min(0)
}

/// Calls `read` with these bytes as the key of the row before.
fn read_after(after: &[u8]) -> i64 {
    let ((key, key_len), (after, after_len), (out, out_cap)) = (at(KEY), at(after), room());
    // SAFETY: the imports check what they are given.
    i64::from(unsafe { read(key, key_len, after, after_len, out, out_cap) }).min(0)
}

/// Leaves these bytes as intents.
fn leave(bytes: &[u8]) -> i64 {
    let (start, len) = at(bytes.to_vec().leak());
    pack(start, len)
}

lies! {
    fn lie_get_key_out_of_range() {
        let (out, out_cap) = room();
        get(NOWHERE, 16, out, out_cap);
        0
    }

    fn lie_get_key_endless() {
        let ((key, _), (out, out_cap)) = (at(KEY), room());
        get(key, u32::MAX, out, out_cap);
        0
    }

    fn lie_get_key_wraps() {
        let (out, out_cap) = room();
        get(0xFFFF_FF00, 0x200, out, out_cap);
        0
    }

    fn lie_get_key_empty() {
        get_with(b"")
    }

    fn lie_get_key_truncated() {
        get_with(b"\x69sys.Ev")
    }

    fn lie_get_key_not_utf8() {
        get_with(b"\x62\xC3\x28\x60\xA0")
    }

    fn lie_get_key_trailing_bytes() {
        get_with(b"\x69sys.Event\x60\xA0\x00")
    }

    fn lie_get_key_nested() {
        get_with(b"\x69sys.Event\x60\xA1\x61a\x81\x01")
    }

    fn lie_get_key_not_a_map() {
        get_with(b"\x69sys.Event\x60\x80")
    }

    fn lie_get_key_length_overflows() {
        get_with(b"\x7B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFFsys")
    }

    fn lie_get_key_endless_map() {
        get_with(b"\x69sys.Event\x60\xBB\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF")
    }

    fn lie_get_out_out_of_range() {
        let (key, key_len) = at(KEY);
        get(key, key_len, NOWHERE, 1024);
        0
    }

    fn lie_get_out_wraps() {
        let (key, key_len) = at(KEY);
        get(key, key_len, 0xFFFF_FF00, 0x200);
        0
    }

    fn lie_get_out_endless() {
        let ((key, key_len), (out, _)) = (at(KEY), room());
        get(key, key_len, out, u32::MAX);
        0
    }

    fn lie_get_out_over_key() {
        // The host writes the value over the key that it is still reading from.
        let (start, room) = at([KEY, &[0; 1024]].concat().leak());
        i64::from(get(start, at(KEY).1, start, room)).min(0)
    }

    fn lie_read_key_out_of_range() {
        let (out, out_cap) = room();
        read(NOWHERE, 16, 0, 0, out, out_cap);
        0
    }

    fn lie_read_after_out_of_range() {
        let ((key, key_len), (out, out_cap)) = (at(KEY), room());
        read(key, key_len, NOWHERE, 16, out, out_cap);
        0
    }

    fn lie_read_after_wraps() {
        let ((key, key_len), (out, out_cap)) = (at(KEY), room());
        read(key, key_len, 0xFFFF_FF00, 0x200, out, out_cap);
        0
    }

    fn lie_read_after_malformed() {
        read_after(b"\xBF\x61a")
    }

    fn lie_read_after_not_a_map() {
        read_after(b"\x01")
    }

    fn lie_read_after_not_utf8() {
        read_after(b"\xA1\x62\xC3\x28\x01")
    }

    fn lie_read_out_out_of_range() {
        let (key, key_len) = at(KEY);
        read(key, key_len, 0, 0, NOWHERE, 1024);
        0
    }

    fn lie_read_endless() {
        // The key of no row, so that the rows begin again each time.
        let ((key, key_len), (out, out_cap)) = (at(KEY), room());
        loop {
            read(key, key_len, 0, 0, out, out_cap);
        }
    }

    fn lie_intents_out_of_range() {
        intents(NOWHERE, 16);
        0
    }

    fn lie_intents_wrap() {
        intents(0xFFFF_FF00, 0x200);
        0
    }

    fn lie_intents_endless_length() {
        let (start, _) = at(INTENT);
        intents(start, u32::MAX);
        0
    }

    fn lie_intents_malformed() {
        leave(b"\x85\x00\xFF")
    }

    fn lie_intents_truncated() {
        leave(&INTENT[..INTENT.len() - 1])
    }

    fn lie_intents_flushed_truncated() {
        let (start, len) = at(&INTENT[..INTENT.len() - 1]);
        intents(start, len);
        0
    }

    fn lie_intents_second_malformed() {
        leave(&[INTENT, b"\x01"].concat())
    }

    fn lie_intents_unknown_operation() {
        leave(b"\x85\x02\x6Asys.Result\x60\xA0\xA0")
    }

    fn lie_intents_wrong_length() {
        leave(b"\x84\x00\x6Asys.Result\x60\xA0")
    }

    fn lie_intents_not_utf8() {
        leave(b"\x85\x00\x6Asys.Result\x60\xA0\xA1\x61n\x62\xC3\x28")
    }

    fn lie_intents_null() {
        leave(b"\x85\x00\x6Asys.Result\x60\xA0\xA1\x61n\xF6")
    }

    fn lie_intents_unknown_tag() {
        leave(b"\x85\x00\x6Asys.Result\x60\xA0\xA1\x61n\xC1\x01")
    }

    fn lie_intents_too_deep() {
        let mut bytes = INTENT[..INTENT.len() - 1].to_vec();
        bytes.extend([0x81; 100_000]);
        leave(&bytes)
    }

    fn lie_intents_too_deep_without_end() {
        let mut bytes = INTENT[..INTENT.len() - 1].to_vec();
        bytes.extend([0x9F; 100_000]);
        leave(&bytes)
    }

    fn lie_intents_text_length_overflows() {
        leave(b"\x85\x00\x7B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF")
    }

    fn lie_intents_array_length_overflows() {
        leave(b"\x85\x00\x6Asys.Result\x60\xA0\xA1\x61n\x9B\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF")
    }

    fn lie_intents_endless() {
        let (start, len) = at(INTENT);
        loop {
            intents(start, len);
        }
    }

    fn lie_intents_endless_megabytes() {
        let (start, len) = at(vec![0_u8; 1 << 20].leak());
        loop {
            intents(start, len);
        }
    }

    fn lie_intents_twice() {
        // The same bytes flushed and returned.
        let (start, len) = at(INTENT);
        intents(start, len);
        pack(start, len)
    }

    fn lie_log_out_of_range() {
        log(0, NOWHERE, 16);
        0
    }

    fn lie_log_wraps() {
        log(0, 0xFFFF_FF00, 0x200);
        0
    }

    fn lie_log_not_utf8() {
        let (start, len) = at(b"\xC3\x28");
        log(2, start, len);
        0
    }

    fn lie_log_unknown_level() {
        let (start, len) = at(b"text");
        log(99, start, len);
        0
    }

    fn lie_log_endless() {
        let (start, len) = at(b"a log line");
        loop {
            log(2, start, len);
        }
    }

    fn lie_log_escape_sequences() {
        let (start, len) = at(b"\x1B[31mred\x1B[0m\r\nand a second line\0");
        log(2, start, len);
        0
    }

    fn lie_fail_without_failing() {
        let (start, len) = at(b"reported, but not returned");
        fail(1001, start, len);
        0
    }

    fn lie_failing_without_fail() {
        RESULT_FAILED
    }

    fn lie_fail_twice() {
        let ((start, len), (again, again_len)) = (at(b"first"), at(b"second"));
        fail(1001, start, len);
        fail(1002, again, again_len);
        RESULT_FAILED
    }

    fn lie_fail_out_of_range() {
        fail(1001, NOWHERE, 16);
        RESULT_FAILED
    }

    fn lie_fail_wraps() {
        fail(1001, 0xFFFF_FF00, 0x200);
        RESULT_FAILED
    }

    fn lie_fail_not_utf8() {
        let (start, len) = at(b"\xC3\x28");
        fail(1001, start, len);
        RESULT_FAILED
    }

    fn lie_panic_out_of_range() {
        panic(NOWHERE, 16, NOWHERE, 16, 1, 1);
        0
    }

    fn lie_panic_wraps() {
        panic(0xFFFF_FF00, 0x200, 0xFFFF_FF00, 0x200, u32::MAX, u32::MAX);
        0
    }

    fn lie_panic_not_utf8() {
        let (start, len) = at(b"\xC3\x28");
        panic(start, len, start, len, 0, 0);
        0
    }

    fn lie_panic_file_out_of_range() {
        let (start, len) = at(b"a message");
        panic(start, len, NOWHERE, 16, 1, 1);
        0
    }

    fn lie_result_out_of_range() {
        pack(NOWHERE, 16)
    }

    fn lie_result_wraps() {
        pack(0xFFFF_FF00, 0x200)
    }

    fn lie_result_endless() {
        pack(at(INTENT).0, u32::MAX - 1)
    }

    fn lie_result_without_length() {
        // An address and no bytes.
        pack(at(INTENT).0, 0)
    }

    fn lie_result_from_address_0() {
        pack(0, 16)
    }

    fn lie_result_negative() {
        i64::MIN
    }

    fn lie_trap_after_fail() {
        let (start, len) = at(b"reported, and then trapped");
        fail(1001, start, len);
        core::arch::wasm32::unreachable()
    }

    fn lie_trap_with_text_of_a_panic() {
        // What a host must not conclude a panic from.
        let mut text = String::new();
        let _ = write!(text, "panicked at src/lib.rs:1:1: {}", 7);
        let (start, len) = at(text.as_bytes());
        log(0, start, len);
        core::arch::wasm32::unreachable()
    }
}

#[cfg(any(feature = "alloc-leaking", feature = "alloc-bump-reset", feature = "alloc-freelist", feature = "alloc-wee"))]
mod control_block {
    //! Lies in the control block, which only guests with an allocator of this family have.

    use core::sync::atomic::Ordering::Relaxed;

    use guest_abi::ControlBlock;

    unsafe extern "C" {
        safe static __allocator_control_block: ControlBlock;
    }

    lies! {
        fn lie_control_block_top() {
            __allocator_control_block.top.store(0xFFFF_FFF0, Relaxed);
            0
        }

        fn lie_control_block_high_water() {
            __allocator_control_block.high_water.store(u32::MAX, Relaxed);
            0
        }

        fn lie_control_block_mark() {
            __allocator_control_block.mark.store(16, Relaxed);
            0
        }

        fn lie_control_block_magic() {
            __allocator_control_block.magic.store(0, Relaxed);
            0
        }

        fn lie_control_block_kind() {
            __allocator_control_block.kind.store(u16::MAX, Relaxed);
            0
        }

        fn lie_control_block_out_of_memory() {
            // As if a request had failed, and then a trap of another cause.
            __allocator_control_block.failed_size.store(123, Relaxed);
            core::arch::wasm32::unreachable()
        }

        fn lie_control_block_counters() {
            __allocator_control_block.allocated_bytes.store(0, Relaxed);
            __allocator_control_block.freed_bytes.store(u64::MAX, Relaxed);
            0
        }
    }
}
