//! The offer of WASI: output, arguments, environment, clocks, randomness, waiting.

use guest_host::wasi::{Clock, Randomness};
use guest_host::{ConfigError, Instance, InstanceConfig, LoadError, MemoryState, RestorePolicy};

use super::{called, errnos, guest, instance, traced};
use crate::guests::heap::allocations_of;

/// The bytes that a call left at an address; the instance is not restored.
fn at(instance: &Instance, address: usize, length: usize) -> Vec<u8> {
    instance.memory().expect("it is there").0[address..address + length].to_vec()
}

fn number(instance: &Instance, address: usize) -> u64 {
    u64::from_le_bytes(at(instance, address, 8).try_into().expect("it has 8 bytes"))
}

/// One that is not restored, so that its memory can be looked at.
fn kept(change: impl FnOnce(&mut InstanceConfig)) -> InstanceConfig {
    let mut config = traced();
    config.policy = RestorePolicy::Never;
    change(&mut config);
    config
}

const WRITES: &str = r#"
    (data (i32.const 16) "hello, \ff\1b[31mworld\n")
    (data (i32.const 64) "\10\00\00\00\07\00\00\00" "\17\00\00\00\0c\00\00\00")
    (func $write (param $fd i32) (param $ranges i32)
      (drop (call $fd_write (local.get $fd) (i32.const 64) (local.get $ranges) (i32.const 128))))
    (func (export "both") (result i64)
      (call $write (i32.const 1) (i32.const 2)) (call $write (i32.const 2) (i32.const 1)) i64.const 0)
    (func (export "silent") (result i64) i64.const 0)
    (func (export "abort") (result i64) (call $write (i32.const 2) (i32.const 1)) unreachable)
    (func (export "much") (result i64) (local $left i32)
      (local.set $left (i32.const 1000))
      (loop $again
        (call $write (i32.const 1) (i32.const 2))
        (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
      (call $write (i32.const 2) (i32.const 1)) i64.const 0)
    (func (export "all_of_memory") (result i64)
      (drop (memory.grow (i32.const 62)))
      (i32.store (i32.const 200) (i32.const 0)) (i32.store (i32.const 204) (i32.const 0x3F0000))
      (drop (call $fd_write (i32.const 1) (i32.const 200) (i32.const 1) (i32.const 128))) i64.const 0)"#;

#[test]
fn output_is_kept_of_the_last_call_and_bounded() {
    let guest = guest(&["fd_write"], WRITES);
    let mut instance = instance(&guest, &InstanceConfig::default());
    let outcome = instance.invoke_by_name("both").unwrap();
    let text = b"hello, \xFF\x1b[31mworld\nhello, ";
    assert_eq!((outcome.output(), outcome.output_dropped()), (text.as_slice(), 0));
    assert_eq!(instance.last_output(), text);
    instance.invoke_by_name("silent").unwrap();
    assert_eq!(instance.last_output(), b"");
    instance.invoke_by_name("abort").unwrap_err();
    assert_eq!((instance.last_output(), instance.last_output_dropped()), (b"hello, ".as_slice(), 0));
    let outcome = instance.invoke_by_name("much").unwrap();
    assert_eq!((outcome.output().len(), outcome.output_dropped()), (1024, 1000 * 19 + 7 - 1024));
    assert!(outcome.output().ends_with(b"world\nhello, "), "the last bytes are kept");
    instance.restore().unwrap();
    assert_eq!(instance.last_output().len(), 1024, "until the next call");
}

#[test]
fn the_limit_on_output_is_the_embedders() {
    let guest = guest(&["fd_write"], WRITES);
    for (limit, kept) in [(0, ""), (3, "o, "), (1 << 20, "hello, ")] {
        let mut config = InstanceConfig::default();
        config.limits.output_bytes = limit;
        let mut instance = instance(&guest, &config);
        instance.invoke_by_name("abort").unwrap_err();
        assert_eq!(instance.last_output(), kept.as_bytes(), "{limit}");
        assert_eq!(instance.last_output_dropped(), 7 - kept.len() as u64, "{limit}");
    }
}

#[test]
fn a_write_takes_a_mebibyte_at_once_and_says_so() {
    let mut instance = instance(&guest(&["fd_write"], WRITES), &kept(|_| ()));
    instance.invoke_by_name("all_of_memory").unwrap();
    assert_eq!(u64::from(u32::from_le_bytes(at(&instance, 128, 4).try_into().unwrap())), 1 << 20);
    assert_eq!(instance.last_output_dropped(), (1 << 20) - 1024);
}

const STRINGS: &str = r#"
    (func (export "sizes") (result i64)
      (drop (call $args_sizes_get (i32.const 16) (i32.const 20)))
      (drop (call $environ_sizes_get (i32.const 24) (i32.const 28))) i64.const 0)
    (func (export "texts") (result i64)
      (drop (call $args_get (i32.const 64) (i32.const 128)))
      (drop (call $environ_get (i32.const 80) (i32.const 256))) i64.const 0)
    (func (export "list_at_the_end") (result i64)
      (drop (call $args_get (i32.const 131068) (i32.const 128))) i64.const 0)"#;

const STRING_FUNCTIONS: [&str; 4] = ["args_get", "args_sizes_get", "environ_get", "environ_sizes_get"];

#[test]
fn only_what_was_granted_is_seen() {
    let guest = guest(&STRING_FUNCTIONS, STRINGS);
    let mut none = instance(&guest, &kept(|_| ()));
    none.invoke_by_name("sizes").unwrap();
    none.invoke_by_name("texts").unwrap();
    assert_eq!(at(&none, 16, 240), [0; 240]);

    let config = kept(|config| {
        config.wasi.arguments = vec!["shop".to_owned(), "größe".to_owned()];
        config.wasi.environment = vec![("A".to_owned(), "b=c".to_owned())];
    });
    let mut some = instance(&guest, &config);
    some.invoke_by_name("sizes").unwrap();
    some.invoke_by_name("texts").unwrap();
    assert_eq!(at(&some, 16, 16), [2, 0, 0, 0, 13, 0, 0, 0, 1, 0, 0, 0, 6, 0, 0, 0]);
    assert_eq!(at(&some, 64, 8), [128, 0, 0, 0, 133, 0, 0, 0]);
    assert_eq!(at(&some, 128, 13), "shop\0größe\0".as_bytes()[..13]);
    assert_eq!((at(&some, 80, 4), at(&some, 256, 6)), (vec![0, 1, 0, 0], b"A=b=c\0".to_vec()));
    let failure = some.invoke_by_name("list_at_the_end").unwrap_err();
    assert!(failure.to_string().contains("room for a list of strings"), "{failure}");
    assert_eq!(errnos(&mut some, "texts"), [0, 0], "what was granted is still there");
}

#[test]
fn what_cannot_be_granted_is_an_error() {
    let guest = guest(&[], "");
    let mut config = InstanceConfig::default();
    config.wasi.environment = vec![("A=B".to_owned(), String::new())];
    let error = guest.instantiate(&config, MemoryState::new()).unwrap_err();
    assert!(matches!(error, LoadError::Config(ConfigError::Wasi { .. })), "{error}");
}

const CLOCKS: &str = r#"
    (func (export "read") (result i64)
      (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 64)))
      (drop (call $clock_time_get (i32.const 1) (i64.const 0) (i32.const 72)))
      (drop (call $clock_res_get (i32.const 1) (i32.const 80))) i64.const 0)
    (func (export "draw") (result i64)
      (drop (call $random_get (i32.const 128) (i32.const 40)))
      (drop (call $random_get (i32.const 168) (i32.const 40))) i64.const 0)
    ;; waits for 5 s on the monotonic clock, and for 2 s on that of the day
    (data (i32.const 512) "\07\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00" "\01\00\00\00\00\00\00\00"
      "\00\f2\05\2a\01\00\00\00" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00")
    (data (i32.const 560) "\08\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00"
      "\00\94\35\77\00\00\00\00" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00")
    ;; for input, for room in the output, for output from the input, and a clock that is none
    (data (i32.const 608) "\09\00\00\00\00\00\00\00" "\01\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00"
      "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00")
    (data (i32.const 656) "\0a\00\00\00\00\00\00\00" "\02\00\00\00\00\00\00\00" "\01\00\00\00\00\00\00\00")
    (data (i32.const 704) "\0b\00\00\00\00\00\00\00" "\02\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00")
    (data (i32.const 752) "\0c\00\00\00\00\00\00\00" "\00\00\00\00\00\00\00\00" "\03\00\00\00\00\00\00\00")
    (func (export "wait") (result i64)
      (drop (call $poll_oneoff (i32.const 512) (i32.const 1024) (i32.const 2) (i32.const 1020))) i64.const 0)
    (func (export "wait_for_any") (result i64)
      (drop (call $poll_oneoff (i32.const 512) (i32.const 1024) (i32.const 6) (i32.const 1020))) i64.const 0)
    ;; until 100 s on the monotonic clock
    (func (export "wait_until") (result i64)
      (i64.store (i32.const 536) (i64.const 100000000000)) (i32.store16 (i32.const 552) (i32.const 1))
      (drop (call $poll_oneoff (i32.const 512) (i32.const 1024) (i32.const 1) (i32.const 1020))) i64.const 0)"#;

const CLOCK_FUNCTIONS: [&str; 4] = ["clock_res_get", "clock_time_get", "random_get", "poll_oneoff"];

const SECOND: u64 = 1_000_000_000;

#[test]
fn a_fixed_clock_passes_with_each_reading() {
    let config = kept(|config| config.wasi.clock = Clock::Fixed { realtime: SECOND, step: 7 });
    let mut fixed = instance(&guest(&CLOCK_FUNCTIONS, CLOCKS), &config);
    fixed.invoke_by_name("read").unwrap();
    assert_eq!([64, 72, 80].map(|address| number(&fixed, address)), [SECOND + 7, 14, 7]);
    fixed.invoke_by_name("read").unwrap();
    assert_eq!([64, 72].map(|address| number(&fixed, address)), [SECOND + 21, 28]);
    fixed.restore().unwrap();
    fixed.invoke_by_name("read").unwrap();
    assert_eq!([64, 72].map(|address| number(&fixed, address)), [SECOND + 7, 14]);
}

#[test]
fn the_systems_clock_is_the_systems() {
    let now = || u64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos()).unwrap();
    let mut system = instance(&guest(&CLOCK_FUNCTIONS, CLOCKS), &kept(|_| ()));
    let before = now();
    system.invoke_by_name("read").unwrap();
    assert!((before..=now()).contains(&number(&system, 64)));
    let earlier = number(&system, 72);
    system.invoke_by_name("read").unwrap();
    assert!(number(&system, 72) >= earlier);
}

#[test]
fn who_waits_finds_that_the_time_has_passed() {
    let guest = guest(&CLOCK_FUNCTIONS, CLOCKS);
    let fixed = kept(|config| config.wasi.clock = Clock::Fixed { realtime: 0, step: 0 });
    let mut waiting = instance(&guest, &fixed);
    waiting.invoke_by_name("wait").unwrap();
    // One event, of the clock that rings first.
    assert_eq!(at(&waiting, 1020, 4), [1, 0, 0, 0]);
    assert_eq!(at(&waiting, 1024, 32), [&[8_u8][..], &[0; 31]].concat());
    waiting.invoke_by_name("read").unwrap();
    assert_eq!([64, 72].map(|address| number(&waiting, address)), [2 * SECOND, 2 * SECOND]);
    waiting.invoke_by_name("wait_until").unwrap();
    waiting.invoke_by_name("read").unwrap();
    assert_eq!(number(&waiting, 72), 100 * SECOND);
    waiting.restore().unwrap();
    waiting.invoke_by_name("read").unwrap();
    assert_eq!(number(&waiting, 72), 0, "a restore puts the clock back");

    // A deadline of a second does not pass, as nobody sleeps.
    let mut system = instance(&guest, &kept(|_| ()));
    system.invoke_by_name("wait").unwrap();
    system.invoke_by_name("read").unwrap();
    assert!(number(&system, 72) >= 2 * SECOND);
}

#[test]
fn descriptors_are_ready_at_once_and_mistakes_are_told() {
    let fixed = kept(|config| config.wasi.clock = Clock::Fixed { realtime: 0, step: 0 });
    let mut waiting = instance(&guest(&CLOCK_FUNCTIONS, CLOCKS), &fixed);
    waiting.invoke_by_name("wait_for_any").unwrap();
    assert_eq!(at(&waiting, 1020, 4), [4, 0, 0, 0], "neither of the clocks that it waits for");
    let event = |index: usize| {
        let bytes = at(&waiting, 1024 + index * 32, 32);
        (bytes[0], u16::from_le_bytes([bytes[8], bytes[9]]), bytes[10], bytes[24])
    };
    assert_eq!([0, 1, 2, 3].map(event), [(9, 0, 1, 1), (10, 0, 2, 0), (11, 8, 2, 0), (12, 28, 0, 0)]);
    waiting.invoke_by_name("read").unwrap();
    assert_eq!(number(&waiting, 72), 0, "no time has passed");
}

#[test]
fn seeded_bytes_differ_within_a_call_and_not_between_restored_ones() {
    let guest = guest(&CLOCK_FUNCTIONS, CLOCKS);
    let drawn = |config: &InstanceConfig| {
        let mut instance = instance(&guest, config);
        [called(&mut instance, "draw"), called(&mut instance, "draw")]
    };
    let [first, second] = drawn(&traced());
    assert_eq!(first, second);
    assert_ne!(first[0], first[1]);
    let [first, second] = drawn(&kept(|_| ()));
    assert_ne!(first, second, "without a restore the generator goes on");
    let mut other = traced();
    other.wasi.randomness = Randomness::Seeded(1);
    assert_ne!(drawn(&other)[0], first);
    other.wasi.randomness = Randomness::System;
    let [first, second] = drawn(&other);
    assert_ne!(first, second);
}

#[test]
fn nothing_is_taken_from_the_hosts_heap() {
    let names = [&CLOCK_FUNCTIONS[..], &["fd_write", "environ_get", "fd_seek", "fd_close"]].concat();
    let body = format!(
        r#"{CLOCKS} (data (i32.const 896) "\00\00\00\00\00\02\00\00")
           (func (export "all") (result i64)
             (drop (call $clock_time_get (i32.const 0) (i64.const 0) (i32.const 64)))
             (drop (call $random_get (i32.const 128) (i32.const 300)))
             (drop (call $poll_oneoff (i32.const 512) (i32.const 1024) (i32.const 2) (i32.const 1020)))
             (drop (call $environ_get (i32.const 64) (i32.const 256)))
             (drop (call $fd_write (i32.const 1) (i32.const 896) (i32.const 1) (i32.const 888)))
             (drop (call $fd_write (i32.const 2) (i32.const 896) (i32.const 1) (i32.const 888)))
             (drop (call $fd_write (i32.const 1) (i32.const 896) (i32.const 1) (i32.const 888)))
             (drop (call $fd_seek (i32.const 1) (i64.const 0) (i32.const 0) (i32.const 64)))
             (drop (call $fd_close (i32.const 1))) i64.const 0)"#
    );
    let mut config = InstanceConfig::default();
    config.wasi.environment = vec![("A".to_owned(), "b".to_owned())];
    let guest = guest(&names, &body);
    let all = guest.function("all").unwrap();
    let mut instance = instance(&guest, &config);
    let mut call = || assert!(instance.invoke(all).is_ok());
    // Its buffers grow with the first calls.
    call();
    call();
    assert_eq!(allocations_of(|| (0..100).for_each(|_| call())), 0);
    assert_eq!((instance.last_output().len(), instance.last_output_dropped()), (1024, 512));
}
