//! Ranges of no bytes, which may be anywhere.

use guest_host::{Cause, Guest};

use super::{errnos, guest, instance, traced};
use crate::empty_ranges::NOWHERE;

const NAMES: [&str; 6] = ["fd_write", "fd_read", "random_get", "args_get", "environ_get", "poll_oneoff"];

/// Functions that name a range of `length` bytes at `at`; nothing is passed on to the guest, so what `args_get` and
/// `environ_get` put has no bytes.
fn guest_with(at: u32, length: u32) -> Guest {
    let ranges = format!(
        r#"(func $list (i32.store (i32.const 64) (i32.const {at})) (i32.store (i32.const 68) (i32.const {length})))"#
    );
    guest(
        &NAMES,
        &format!(
            r#"{ranges}
            (func (export "write") (result i64) (call $list)
              (drop (call $fd_write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 80))) i64.const 0)
            (func (export "read") (result i64) (call $list)
              (drop (call $fd_read (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 80))) i64.const 0)
            (func (export "write_none") (result i64)
              (drop (call $fd_write (i32.const 1) (i32.const {at}) (i32.const {length}) (i32.const 80))) i64.const 0)
            (func (export "read_none") (result i64)
              (drop (call $fd_read (i32.const 0) (i32.const {at}) (i32.const {length}) (i32.const 80))) i64.const 0)
            (func (export "random") (result i64)
              (drop (call $random_get (i32.const {at}) (i32.const {length}))) i64.const 0)
            (func (export "strings") (result i64)
              (drop (call $args_get (i32.const {at}) (i32.const {at})))
              (drop (call $environ_get (i32.const {at}) (i32.const {at}))) i64.const 0)
            (func (export "poll") (result i64)
              (drop (call $poll_oneoff (i32.const {at}) (i32.const {at}) (i32.const {length}) (i32.const 80)))
              i64.const 0)"#
        ),
    )
}

#[test]
fn ranges_of_no_bytes_are_right_whatever_their_address() {
    const INVAL: i64 = 28;
    for at in NOWHERE {
        let mut instance = instance(&guest_with(at, 0), &traced());
        for function in ["write", "read", "write_none", "read_none", "random"] {
            assert_eq!(errnos(&mut instance, function), [0], "{function} {at:#x}");
        }
        assert_eq!(errnos(&mut instance, "strings"), [0, 0], "{at:#x}");
        assert_eq!(errnos(&mut instance, "poll"), [INVAL], "to wait for nothing is a mistake anywhere");
    }
}

#[test]
fn ranges_of_one_byte_are_not() {
    for at in NOWHERE {
        let mut instance = instance(&guest_with(at, 1), &traced());
        for function in ["write", "read", "write_none", "read_none", "random", "poll"] {
            let failure = instance.invoke_by_name(function).unwrap_err();
            assert!(matches!(failure.cause, Cause::InvalidGuestData(_)), "{function}: {}", failure.cause);
            assert!(failure.to_string().contains(&format!("at address {at:#x} are outside")), "{failure}");
        }
    }
}
