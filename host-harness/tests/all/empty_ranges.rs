//! A range of no bytes names nothing, so a guest may give it whatever address: here under the native contract, in `wasi` and
//! in `exttinygo` under theirs.

use std::path::Path;

use guest_host::{Cause, Guest, InstanceConfig, Level, LoadError, MemoryState, RestoreStrategy, StartError};
use guest_prepare::PrepareOptions;
use host_harness::parse_state;

use crate::allocations::load;
use test_support::text_guests;

/// Where Zig has empty slices, in its releases since 0.12 and in 0.11.
pub(crate) const NOWHERE: [u32; 2] = [0xFFFF_FFFF, 0xAAAA_AAAA];

const IMPORTS: &str = r#"
    (import "extension" "get" (func $get (param i32 i32 i32 i32) (result i32)))
    (import "extension" "read" (func $read (param i32 i32 i32 i32 i32 i32) (result i32)))
    (import "extension" "intents" (func $intents (param i32 i32)))
    (import "extension" "log" (func $log (param i32 i32 i32)))
    (import "extension" "fail" (func $fail (param i32 i32 i32)))
    (import "extension" "panic" (func $panic (param i32 i32 i32 i32 i32 i32)))"#;

/// Each host function with a range of `length` bytes at `address` in the place of each range in turn. `get` and `read` say
/// how much room they need.
fn guest(address: u32, length: u32) -> Guest {
    let at = format!("(i32.const {address}) (i32.const {length})");
    // The key of `sys.View`, with the entity `e` and no fields.
    let (key, key_length) = ("\\68sys.View\\61e\\a0", 12);
    let key_at = format!("(i32.const 16) (i32.const {key_length})");
    load(&text_guests::guest(
        IMPORTS,
        &format!(
            r#"(data (i32.const 16) "{key}")
            (func $is (param i32 i32) (if (i32.ne (local.get 0) (local.get 1)) (then unreachable)))
            (func (export "get_room") (result i64) (call $is (call $get {key_at} {at}) (i32.const 9)) i64.const 0)
            (func (export "get_key") (result i64) (drop (call $get {at} (i32.const 64) (i32.const 64))) i64.const 0)
            (func (export "read_room") (result i64)
              (call $is (call $read {key_at} (i32.const 0) (i32.const 0) {at}) (i32.const 10)) i64.const 0)
            (func (export "read_after") (result i64)
              (call $is (call $read {key_at} {at} (i32.const 64) (i32.const 64)) (i32.const 10)) i64.const 0)
            (func (export "read_key") (result i64)
              (drop (call $read {at} (i32.const 0) (i32.const 0) (i32.const 64) (i32.const 64))) i64.const 0)
            (func (export "intents") (result i64) (call $intents {at}) i64.const 0)
            (func (export "result") (result i64)
              (i64.or (i64.shl (i64.extend_i32_u (i32.const {address})) (i64.const 32)) (i64.const {length})))
            (func (export "log") (result i64) (call $log (i32.const 2) {at}) i64.const 0)
            (func (export "fail") (result i64) (call $fail (i32.const 1000) {at}) i64.const -1)
            (func (export "panic") (result i64)
              (call $panic {at} {at} (i32.const 1) (i32.const 2)) i64.const 0)"#
        ),
    ))
}

fn state() -> MemoryState {
    let state = r#"[{"storage": "sys.View", "entity": "e", "key": {}, "value": {"Amount": 1}}]"#;
    parse_state(state, Path::new("state.json")).expect("the state of the test is valid")
}

/// The result of a call: its log lines, or the cause of its failure.
fn outcome(guest: &Guest, function: &str) -> Result<Vec<(Level, String)>, Cause> {
    let mut config = InstanceConfig::default();
    (config.strategy, config.exchange_size) = (RestoreStrategy::DirtyCards, Some(4096));
    let mut instance = guest.instantiate(&config, state()).expect("it can be instantiated");
    match instance.invoke_by_name(function) {
        Ok(outcome) => {
            assert_eq!(outcome.intent_bytes(), b"", "{function}");
            Ok(outcome.log().map(|(level, line)| (level, line.to_owned())).collect())
        }
        Err(failure) => Err(failure.cause),
    }
}

#[test]
fn a_range_of_no_bytes_is_right_whatever_its_address() {
    for at in NOWHERE {
        let guest = guest(at, 0);
        for function in ["get_room", "read_room", "read_after", "intents", "result"] {
            assert!(matches!(outcome(&guest, function), Ok(lines) if lines.is_empty()), "{function} {at:#x}");
        }
        assert!(matches!(outcome(&guest, "log"), Ok(lines) if lines == [(Level::Info, String::new())]), "{at:#x}");
        let failed = outcome(&guest, "fail").unwrap_err();
        assert!(matches!(&failed, Cause::GuestError { message, .. } if message.is_empty()), "{at:#x}: {failed}");
        let panicked = outcome(&guest, "panic").unwrap_err();
        let Cause::Panic { message, location } = &panicked else { panic!("{at:#x}: {panicked}") };
        assert_eq!((message.as_str(), location.as_deref()), ("", Some(":1:2")));
        // No key has no bytes: it is the same mistake as anywhere else.
        for function in ["get_key", "read_key"] {
            let (nowhere, somewhere) = (outcome(&guest, function), outcome(&self::guest(64, 0), function));
            let (nowhere, somewhere) = (nowhere.unwrap_err().to_string(), somewhere.unwrap_err().to_string());
            assert_eq!(nowhere, somewhere);
            assert!(nowhere.contains("key: the CBOR ends in the middle of an item"), "{nowhere}");
        }
    }
}

#[test]
fn a_range_of_one_byte_is_not() {
    for at in NOWHERE {
        let guest = guest(at, 1);
        for function in guest.functions() {
            let refused = outcome(&guest, function).unwrap_err();
            let told = refused.to_string();
            assert!(matches!(refused, Cause::InvalidGuestData(_)), "{function}: {told}");
            assert!(told.contains(&format!("1 bytes at address {at:#x} are outside")), "{function}: {told}");
        }
    }
}

#[test]
fn an_exchange_region_of_no_bytes_may_be_anywhere() {
    for (size, is_right) in [(0, true), (1, false)] {
        for at in [0, NOWHERE[0], NOWHERE[1]] {
            let wasm = wat::parse_str(format!(
                r#"(module (memory (export "memory") 2) (@custom "guest-abi" "\01\00\00\00")
                (func (export "__guest_exchange") (param i32) (result i32) (i32.const {at}))
                (func (export "nothing") (result i64) i64.const 0))"#
            ));
            let engine = test_support::compiled::engine();
            let guest = Guest::load(&engine, "guest", &wasm.unwrap(), PrepareOptions::default()).unwrap();
            let mut config = InstanceConfig::default();
            config.exchange_size = Some(size);
            match guest.instantiate(&config, MemoryState::new()) {
                Ok(mut instance) => assert!(is_right && instance.invoke_by_name("nothing").is_ok()),
                Err(LoadError::Start(StartError::NoExchange { .. } | StartError::ExchangeOutOfBounds { .. })) => {
                    assert!(!is_right, "{at:#x}")
                }
                Err(error) => panic!("{error}"),
            }
        }
    }
}
