//! An allocation that is refused for its alignment is no memory overflow, and one that there is no memory for is.

use guest_host::{Cause, MemoryState, RestorePolicy, RestoreStrategy};

use crate::allocations::{config, load};
use test_support::text_guests::guest;

/// Why a call of `f` fails by `policy`, whether it was tried again, and the allocations and bytes that it asked for.
fn failure(body: &str, policy: RestorePolicy) -> (Cause, bool, (u64, u64)) {
    let malloc = r#"(func $malloc (export "malloc") (param i32) (result i32)
        (select (i32.const 0) (i32.const 1024) (i32.gt_u (local.get 0) (i32.const 1000))))"#;
    let guest = load(&guest("", &format!("{malloc} {body}")));
    let mut instance = guest.instantiate(&config(RestoreStrategy::DirtyCards, policy), MemoryState::new()).unwrap();
    let failure = instance.invoke_by_name("f").unwrap_err();
    let counted = instance.last_stats().allocations.unwrap();
    (failure.cause, failure.retried, (counted.allocations, counted.allocated_bytes.unwrap()))
}

/// The expected result of a call: the bytes of a request that could not be served, or `None` if it fails for another reason.
fn check(what: &str, body: &str, overflow: Option<u64>, counted: (u64, u64)) {
    for policy in [RestorePolicy::EveryCall, RestorePolicy::OnError] {
        let (cause, retried, found) = failure(body, policy);
        match (overflow, &cause) {
            (None, Cause::Unreachable) => {}
            (Some(bytes), Cause::OutOfMemory { requested, .. }) if *requested == bytes => {}
            _ => panic!("{what} {policy}: {overflow:?} expected, {cause}"),
        }
        assert_eq!(retried, overflow.is_some() && policy.is_lazy(), "{what} {policy}");
        assert_eq!(found, counted, "{what} {policy}");
    }
}

#[test]
fn of_the_errors_of_posix_memalign_only_one_is_for_want_of_memory() {
    // Those of Linux and newlib, and those of WASI.
    const ENOMEM: [i32; 2] = [12, 48];
    const OTHERS: [i32; 6] = [0, 1, 22, 28, -1, 12 << 8];
    for error in ENOMEM.into_iter().chain(OTHERS) {
        for alignment in [16, 3] {
            let body = format!(
                r#"(func $posix_memalign (export "posix_memalign") (param i32 i32 i32) (result i32) (i32.const {error}))
                (func (export "f") (result i64)
                  (drop (call $posix_memalign (i32.const 0) (i32.const {alignment}) (i32.const 24))) unreachable)"#
            );
            let overflow = ENOMEM.contains(&error).then_some(24);
            check(&format!("error {error}, alignment {alignment}"), &body, overflow, (1, 24));
        }
    }
}

const VALID: [u32; 4] = [1, 2, 4096, 1 << 31];
const INVALID: [u32; 5] = [0, 3, 24, 0x8000_0001, u32::MAX];

#[test]
fn no_block_is_for_want_of_memory_only_where_the_alignment_is_one() {
    for name in ["aligned_alloc", "memalign", "dlmemalign"] {
        for alignment in VALID.into_iter().chain(INVALID) {
            // Asks `malloc` first, as they do.
            let body = format!(
                r#"(func ${name} (param i32 i32) (result i32) (drop (call $malloc (local.get 1))) (i32.const 0))
                (func (export "f") (result i64)
                  (drop (call ${name} (i32.const {alignment}) (i32.const 48))) unreachable)"#
            );
            let overflow = VALID.contains(&alignment).then_some(48);
            check(&format!("{name} {alignment}"), &body, overflow, (1, 48));
        }
    }
}

#[test]
fn to_abort_over_an_alignment_is_no_overflow_either() {
    for (name, params, before) in [
        ("aligned_alloc", "i32 i32", ""),
        ("memalign", "i32 i32", ""),
        ("posix_memalign", "i32 i32 i32", "(i32.const 64)"),
    ] {
        for alignment in VALID.into_iter().chain(INVALID) {
            let body = format!(
                r#"(func ${name} (param {params}) (result i32) unreachable)
                (func (export "f") (result i64)
                  (drop (call ${name} {before} (i32.const {alignment}) (i32.const 48))) i64.const 0)"#
            );
            let overflow = VALID.contains(&alignment).then_some(48);
            check(&format!("{name} {alignment}"), &body, overflow, (1, 48));
        }
    }
}

#[test]
fn what_is_refused_for_its_alignment_hides_no_overflow_after_it() {
    let refused = r#"(func $aligned_alloc (param i32 i32) (result i32) (i32.const 0))
        (func $refused (drop (call $aligned_alloc (i32.const 3) (i32.const 24))))"#;
    let after = r#"(func (export "f") (result i64)
        (call $refused) (drop (call $malloc (i32.const 2000))) (call $refused) unreachable)"#;
    check("an overflow in between", &format!("{refused} {after}"), Some(2000), (3, 2048));
    let served = r#"(func (export "f") (result i64)
        (call $refused) (drop (call $malloc (i32.const 1000))) unreachable)"#;
    check("no overflow", &format!("{refused} {served}"), None, (2, 1024));
}
