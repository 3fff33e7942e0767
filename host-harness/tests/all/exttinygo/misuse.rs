//! All misuse of the host functions is a typed error, and leaves an instance that is ready and pristine.

use guest_abi::ErrorCode;
use guest_host::{
    Cause, ConfigError, Guest, InstanceConfig, InvalidData, LoadError, MemoryState, RestorePolicy, RestoreStrategy,
    StartError, State, StateError, Status,
};
use guest_prepare::PrepareOptions;
use host_harness::parse_state;

use std::path::Path;

use super::{FRAME, Source, guest, guest_in, load, state};

type IsRight = fn(&Cause) -> bool;

/// A function's name, its code, whether a cause is the right one, and a part of its message.
struct Case {
    name: &'static str,
    code: fn(&Source) -> String,
    is_right: IsRight,
    message: &'static str,
}

macro_rules! cases {
    ($($name:literal, $code:expr => $cause:pat $(if $guard:expr)?, $message:literal;)*) => {
        &[$(Case {
            name: $name,
            code: $code,
            is_right: |cause| matches!(cause, $cause $(if $guard)?),
            message: $message,
        }),*]
    };
}

/// The customer with the `Id` 7 in `$value`.
fn customer(source: &Source) -> String {
    let key = source.key("sys.Record", "shop.Customer");
    let id = source.text("Id");
    format!(
        "(local.set $key {key}) (call $hostRowWriterPutInt64 (local.get $key) (i32.const 0) {id} (i64.const 7))
         (local.set $value (call $hostGetValue (local.get $key)))"
    )
}

fn field(source: &Source, ty: &str, name: &str) -> String {
    format!("{} (drop (call $hostValueAs{ty} (local.get $value) {}))", customer(source), source.text(name))
}

/// The array `Mixed` of the customer in `$value`.
fn mixed(source: &Source) -> String {
    format!(
        "{} (local.set $value (call $hostValueAsValue (local.get $value) {}))",
        customer(source),
        source.text("Mixed")
    )
}

const CASES: &[Case] = cases! {
    "unknown_handle", |_| "(drop (call $hostValueLength (i64.const 5)))".into()
        => Cause::InvalidGuestData(InvalidData::UnknownHandle { .. } | InvalidData::StaleHandle { .. }), "expected a value";
    "absent_as_value", |source| format!("(drop (call $hostValueAsInt32 (i64.const -1) {}))", source.text("x"))
        => Cause::InvalidGuestData(InvalidData::UnknownHandle { handle: -1, .. }), "was never issued (it is what `hostQueryValue` returns for no record)";
    "key_for_value", |source| format!("(drop (call $hostValueLength {}))", source.key("sys.View", "a.B"))
        => Cause::InvalidGuestData(InvalidData::HandleKind { found: "a key", expected: "a value", .. }), "stands for a key";
    "value_for_key", |source| format!("{} (drop (call $hostGetValue (local.get $value)))", customer(source))
        => Cause::InvalidGuestData(InvalidData::HandleKind { found: "a value", expected: "a key", .. }), "expected a key";
    "intent_for_key", |source| format!("(drop (call $hostNewValue {}))", source.seen())
        => Cause::InvalidGuestData(InvalidData::HandleKind { found: "an intent", .. }), "stands for an intent";
    "value_for_row_key", |source| format!("{} (drop (call $hostKeyAsInt32 (local.get $value) {}))", customer(source), source.text("Id"))
        => Cause::InvalidGuestData(InvalidData::HandleKind { expected: "the key of a row", .. }), "the key of a row";
    "writer_of_other_kind", |source| format!(
        "(call $hostRowWriterPutInt32 {} (i32.const 1) {} (i32.const 1))", source.key("sys.View", ""), source.text("x"))
        => Cause::InvalidGuestData(InvalidData::HandleKind { expected: "an intent", .. }), "expected an intent";
    "writer_of_no_kind", |source| format!(
        "(call $hostRowWriterPutInt32 {} (i32.const 2) {} (i32.const 1))", source.key("sys.View", ""), source.text("x"))
        => Cause::InvalidGuestData(InvalidData::UnknownWriter { kind: 2 }), "writer kind 2";
    "update_without_value", |source| format!(
        "(drop (call $hostUpdateValue {} (i64.const -1)))", source.key("sys.View", ""))
        => Cause::InvalidGuestData(InvalidData::UnknownHandle { .. }), "expected a value";
    "element_beyond", |source| format!("{} (drop (call $hostValueGetAsInt32 (local.get $value) (i32.const 8)))", mixed(source))
        => Cause::GuestError { code: ErrorCode::MissingElement, .. }, "no element 8, its length is 8";
    "element_below", |source| format!("{} (drop (call $hostValueGetAsInt32 (local.get $value) (i32.const -1)))", mixed(source))
        => Cause::GuestError { code: ErrorCode::MissingElement, .. }, "no element -1";
    "element_of_other_type", |source| format!("{} (drop (call $hostValueGetAsInt32 (local.get $value) (i32.const 0)))", mixed(source))
        => Cause::GuestError { code: ErrorCode::WrongType, .. }, "element 0: asked for i32, found string";
    "element_of_object", |source| format!("{} (drop (call $hostValueGetAsInt32 (local.get $value) (i32.const 0)))", customer(source))
        => Cause::GuestError { code: ErrorCode::WrongType, .. }, "asked for array, found object";
    "field_of_array", |source| format!("{} (drop (call $hostValueAsInt32 (local.get $value) {}))", mixed(source), source.text("x"))
        => Cause::GuestError { code: ErrorCode::WrongType, .. }, "asked for object, found array";
    "field_absent", |source| field(source, "Int32", "Nothing")
        => Cause::GuestError { code: ErrorCode::MissingField, .. }, "no field `Nothing`";
    "field_of_other_type", |source| field(source, "Int32", "Name")
        => Cause::GuestError { code: ErrorCode::WrongType, .. }, "field `Name`: asked for i32, found string";
    "field_too_large", |source| field(source, "Int32", "Large")
        => Cause::GuestError { code: ErrorCode::OutOfRange, .. }, "field `Large`: the integer does not fit i32 exactly";
    "field_not_nested", |source| field(source, "Value", "Age")
        => Cause::GuestError { code: ErrorCode::WrongType, .. }, "field `Age`: asked for object or array, found integer";
    "length_of_object", |source| format!("{} (drop (call $hostValueLength (local.get $value)))", customer(source))
        => Cause::GuestError { code: ErrorCode::WrongType, .. }, "asked for array, found object";
    "value_absent", |source| format!("(drop (call $hostGetValue {}))", source.key("sys.View", "a.Absent"))
        => Cause::GuestError { code: ErrorCode::Absent, .. }, "no record of `sys.View a.Absent` has the key";
    "storage_unknown", |source| format!("(drop (call $hostQueryValue {}))", source.key("nobody.Knows", ""))
        => Cause::State(_), "unsupported storage `nobody.Knows`";
    "storage_unqualified", |source| format!("(drop {})", source.key("View", ""))
        => Cause::InvalidGuestData(InvalidData::NotQualified { .. }), "storage: `View` is not a qualified name";
    "entity_unqualified", |source| format!("(drop {})", source.key("sys.View", "Orders."))
        => Cause::InvalidGuestData(InvalidData::NotQualified { .. }), "entity: `Orders.` is not a qualified name";
    "name_malformed", |source| format!(
        "(call $hostRowWriterPutQName {} (i32.const 0) {} {} {})",
        source.key("sys.View", ""), source.text("Kind"), source.text("shop"), source.text(""))
        => Cause::InvalidGuestData(InvalidData::NotQualified { .. }), "`shop.` is not a qualified name";
    "name_not_utf8", |source| {
        let text = source.text("x");
        let broken = text.clone();
        let at = text.split_once(')').unwrap().0;
        format!("(i32.store8 {at}) (i32.const 0xff)) (drop (call $hostGetKey {broken} {broken}))")
    } => Cause::InvalidGuestData(InvalidData::NotUtf8 { what: "storage", at: 0 }), "storage: not UTF-8 from byte 0 on";
    "name_beyond_memory", |_| "(drop (call $hostGetKey (i32.const -65536) (i32.const 65535) (i32.const 0) (i32.const 0)))".into()
        => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "storage", .. }), "are outside the guest's memory";
    "length_wraps", |source| format!("(drop (call $hostGetKey {} (i32.const 8) (i32.const -1)))", source.text("sys.View"))
        => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "entity", length: u32::MAX, .. }), "4294967295 bytes";
    "bytes_beyond_memory", |source| format!(
        "(call $hostRowWriterPutBytes {} (i32.const 0) {} (i32.const -1) (i32.const 1))",
        source.key("sys.View", ""), source.text("x"))
        => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "value of a field", .. }), "value of a field";
    "panics", |source| format!("(call $hostPanic {})", source.text("not today"))
        => Cause::Panic { location: None, .. }, "the guest panicked: not today";
    "panic_beyond_memory", |_| "(call $hostPanic (i32.const -1) (i32.const 1))".into()
        => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "panic message", .. }), "panic message";
    "too_many_fields", |source| format!(
        r#"(local.set $key {0}) (loop $again
             (i32.store (i32.const 512) (i32.add (local.get $count) (i32.const 0x01010101)))
             (i32.store (i32.const 512) (i32.and (i32.load (i32.const 512)) (i32.const 0x7f7f7f7f)))
             (call $hostRowWriterPutInt32 (local.get $key) (i32.const 0) (i32.const 512) (i32.const 4) (i32.const 1))
             (local.set $count (i32.add (local.get $count) (i32.const 1))) (br $again))"#, source.key("sys.View", ""))
        => Cause::InvalidGuestData(InvalidData::TooManyFields { limit: 4096 }), "more than 4096 fields";
    "too_many_handles", |source| format!("(loop $again (drop {}) (br $again))", source.key("sys.View", ""))
        => Cause::InvalidGuestData(InvalidData::TooManyHandles { limit: 1000 }), "more than 1000 handles";
    "too_much_held", |source| format!(
        "{} (loop $again (drop (call $hostGetValue (local.get $key))) (br $again))", customer(source))
        => Cause::InvalidGuestData(InvalidData::TooMuchHeld { limit: 50_000 }), "more than 50000 bytes";
    "too_many_intents", |source| format!(
        r#"(local.set $value {}) (loop $again
             (call $hostRowWriterPutBytes (local.get $value) (i32.const 1) {} (i32.const 0) (i32.const 3000)))"#,
        source.seen(), source.text("x"))
        => Cause::InvalidGuestData(InvalidData::TooManyIntents { limit: 2000 }), "more than 2000 bytes of intents";
};

/// Each function leaves something everywhere before it goes wrong; `seen` puts what it finds of that into an intent.
fn misuser() -> Guest {
    load(&guest(|source| {
        let functions: String = CASES
            .iter()
            .map(|case| {
                format!(
                    r#"(func (export "{}") (local $key i64) (local $value i64) (local $count i32)
                         (i32.store (i32.const 2000) (i32.const 1)) (global.set $mark (i32.const 1))
                         (drop (call $malloc (i32.const 70000))) (call $leaves_intent) {})"#,
                    case.name,
                    (case.code)(source)
                )
            })
            .collect();
        format!(
            r#"(global $mark (mut i32) (i32.const 0))
               (func $leaves_intent (drop {}))
               (func (export "seen") (call $hostRowWriterPutInt32 {} (i32.const 1) {}
                 (i32.add (i32.add (i32.load (i32.const 2000)) (global.get $mark))
                   (i32.add (i32.sub (memory.size) (i32.const 3)) (i32.sub (global.get $heap) (global.get $first))))))
               (global $first (mut i32) (i32.const 0))
               (func (export "_start") (drop (call $malloc (i32.const 0))) (global.set $first (i32.add (global.get $heap) (i32.const 64000))))
               {functions}"#,
            source.seen(),
            source.seen(),
            source.text("left"),
        )
    }))
}

#[test]
fn all_misuse_has_its_cause_and_leaves_nothing() {
    let guest = misuser();
    for strategy in [RestoreStrategy::DirtyCards, RestoreStrategy::FullCopy, RestoreStrategy::Reinstantiate] {
        for policy in [RestorePolicy::EveryCall, RestorePolicy::OnError, RestorePolicy::Never] {
            let mut config = InstanceConfig::default();
            (config.strategy, config.policy) = (strategy, policy);
            // However busy the machine is, the misuse ends a call and not the time.
            config.deadline = Some(std::time::Duration::from_secs(60));
            (config.limits.handles, config.limits.held_bytes, config.limits.intent_bytes) = (1000, 50_000, 2000);
            let mut instance = guest.instantiate(&config, state()).unwrap();
            for case in CASES {
                let failure = instance.invoke_by_name(case.name).unwrap_err();
                assert!((case.is_right)(&failure.cause), "{}: {:?}", case.name, failure.cause);
                assert!(failure.to_string().contains(case.message), "{failure}");
                assert!(instance.is_pristine() && instance.status() == Status::Ready, "{}", case.name);
                let outcome =
                    instance.invoke_by_name("seen").unwrap_or_else(|failure| panic!("{}: {failure}", case.name));
                let intents: Vec<_> = outcome.intents().map(Result::unwrap).collect();
                let left = intents[0].value.field("left").unwrap().unwrap().as_i32();
                assert_eq!((intents.len(), left), (1, Ok(0)), "after {}", case.name);
            }
        }
    }
}

/// A state that knows two rows and fails after them.
struct Fails;

impl State for Fails {
    fn get(&mut self, _: &guest_abi::key::Key<'_>) -> Result<Option<&[u8]>, StateError> {
        Ok(None)
    }

    fn read(
        &mut self,
        _: &guest_abi::key::Key<'_>,
        after: Option<guest_abi::value::ValueRef<'_>>,
        out: &mut [u8],
    ) -> Result<usize, StateError> {
        match after {
            Some(row) if row.field("Id").unwrap().unwrap().as_i32() == Ok(2) => {
                Err(StateError::new("the disk is gone"))
            }
            last => {
                let id = if last.is_some() { 2 } else { 1 };
                let row = [0xA1, 0x62, b'I', b'd', id, 0xA0];
                out[..row.len()].copy_from_slice(&row);
                Ok(row.len())
            }
        }
    }

    fn apply(&mut self, _: &[u8]) -> Result<usize, StateError> {
        Ok(0)
    }
}

#[test]
fn an_error_inside_a_read_ends_the_call() {
    let wasm = guest(|source| {
        format!(
            r#"(global $rows (mut i32) (i32.const 0))
               (func (export "WasmOnReadValue") (param i64 i64) (global.set $rows (i32.add (global.get $rows) (i32.const 1))))
               (func (export "reads") (call $hostReadValues {}))"#,
            source.key("sys.View", "a.B")
        )
    });
    let mut instance = load(&wasm).instantiate(&InstanceConfig::default(), Fails).unwrap();
    for _ in 0..2 {
        let failure = instance.invoke_by_name("reads").unwrap_err();
        assert!(matches!(&failure.cause, Cause::State(error) if error.to_string() == "the disk is gone"), "{failure}");
        assert!(instance.is_pristine());
    }
}

/// A malloc that serves the first request, which is the buffer, and does `what` at further ones.
fn moody(what: &str) -> Vec<u8> {
    let frame = format!(
        r#"(memory (export "memory") 2) (func (export "WasmAbiVersion_0_0_1"))
           (global $asked (mut i32) (i32.const 0))
           (func (export "malloc") (param $size i32) (result i32)
             (global.set $asked (i32.add (global.get $asked) (i32.const 1)))
             (if (i32.eq (global.get $asked) (i32.const 1)) (then (return (i32.const 4096)))) {what})"#
    );
    guest_in(&frame, |source| {
        format!(
            r#"(func (export "asks") (local $value i64) (local $key i64) {} (loop $again
                 (drop (call $hostValueAsString (local.get $value) {})) (br $again)))"#,
            customer(source),
            source.text("Name")
        )
    })
}

#[test]
fn a_malloc_that_fails_in_the_middle_of_a_host_call_is_recognised() {
    let cause = |what: &str| {
        let mut config = InstanceConfig::default();
        config.exchange_size = Some(100);
        config.memory_limit = 1 << 20;
        let mut instance = load(&moody(what)).instantiate(&config, state()).unwrap();
        let first = instance.invoke_by_name("asks").unwrap_err().cause;
        let second = instance.invoke_by_name("asks").unwrap_err().cause;
        assert_eq!(first.to_string(), second.to_string());
        assert!(instance.is_pristine());
        first
    };
    let nothing = cause("(i32.const 0)");
    assert!(matches!(nothing, Cause::OutOfMemory { requested: 1000, in_use: 131_072, limit: 1_048_576 }), "{nothing}");
    // An allocator that traps has no memory: TinyGo's does that.
    let trap = cause("unreachable");
    assert!(matches!(trap, Cause::OutOfMemory { requested: 1000, .. }), "{trap}");
    let refused = cause("(if (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then unreachable)) (i32.const 0)");
    assert!(matches!(refused, Cause::OutOfMemory { requested: 1000, .. }), "{refused}");
    let outside = cause("(i32.const 131000)");
    assert!(
        matches!(outside, Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "buffer from `malloc`", .. })),
        "{outside}"
    );
    let same = cause("(i32.const 8192)");
    assert!(matches!(same, Cause::InvalidGuestData(InvalidData::BuffersOverlap)), "{same}");
    assert!(matches!(cause("(loop $again (br $again)) (i32.const 8)"), Cause::DeadlineExceeded { .. }));
}

#[test]
fn what_goes_wrong_at_the_start_is_said() {
    let instantiate = |wasm: &[u8], size: Option<u32>, limit: u64| {
        let mut config = InstanceConfig::default();
        (config.exchange_size, config.memory_limit) = (size, limit);
        load(wasm).instantiate(&config, MemoryState::new()).map(drop)
    };
    let plain = guest(|_| String::new());
    let too_large = instantiate(&plain, Some(1 << 20), 1_700_000).unwrap_err();
    assert!(
        matches!(too_large, LoadError::Config(ConfigError::BufferAboveLimit { size: 1_048_576, limit: 1_700_000 })),
        "{too_large}"
    );
    assert!(too_large.to_string().contains("170%"), "{too_large}");
    assert!(matches!(instantiate(&plain, Some(1 << 20), 1_800_000), Ok(())));
    let nothing = guest_in(&FRAME.replace("(local.get $at))\n", "(i32.const 0))\n"), |_| String::new());
    assert!(matches!(
        instantiate(&nothing, None, 1 << 20),
        Err(LoadError::Start(StartError::NoExchange { size: 64_000 }))
    ));
    let outside = guest_in(&FRAME.replace("(local.get $at))\n", "(i32.const -8))\n"), |_| String::new());
    assert!(matches!(
        instantiate(&outside, None, 1 << 20),
        Err(LoadError::Start(StartError::ExchangeOutOfBounds { .. }))
    ));
    let failed = |body: fn(&Source) -> String| instantiate(&guest(body), None, 1 << 20).unwrap_err().to_string();
    let trap = failed(|_| r#"(func (export "_start") unreachable)"#.into());
    assert!(trap.contains("initialisation failed") && trap.contains("`_start`"), "{trap}");
    let memory = failed(|_| {
        r#"(func (export "_start") (if (i32.eq (memory.grow (i32.const 100)) (i32.const -1)) (then unreachable)))"#
            .into()
    });
    assert!(memory.contains("out of memory: the guest requested 6553600 bytes"), "{memory}");
    let intent = failed(|source| format!(r#"(func (export "_start") (drop {}))"#, source.seen()));
    assert!(intent.contains("the guest left an intent during initialisation"), "{intent}");
    let early = failed(|source| format!(r#"(func $start (drop {})) (start $start)"#, source.seen()));
    assert!(early.contains("while it was being instantiated"), "{early}");
    let error = Guest::load(
        load(&plain).engine(),
        "none",
        &guest_in(&FRAME.replace("WasmAbiVersion_0_0_1", "WasmAbiVersion_9_0_0"), |_| String::new()),
        PrepareOptions::default(),
    );
    assert!(error.unwrap_err().to_string().contains("version 9.0.0 of the exttinygo contract"));
}

/// Each read has a copy of its key, so those inside one another count together, and those that have ended do not.
#[test]
fn keys_of_reads_are_held_until_the_read_ends() {
    let entity = format!("a.{}", "e".repeat(10_000));
    let wasm = guest(|source| {
        let key = source.key("sys.View", &entity);
        format!(
            r#"(global $inside (mut i32) (i32.const 0))
               (func (export "WasmOnReadValue") (param i64 i64)
                 (if (global.get $inside) (then (call $hostReadValues (global.get $key)))))
               (global $key (mut i64) (i64.const 0))
               (func (export "inside") (global.set $inside (i32.const 1)) (global.set $key {key})
                 (call $hostReadValues (global.get $key)))
               (func (export "in_turn") (local $count i32) (global.set $key {key})
                 (loop $again (call $hostReadValues (global.get $key))
                   (local.set $count (i32.add (local.get $count) (i32.const 1)))
                   (br_if $again (i32.lt_u (local.get $count) (i32.const 100)))))"#
        )
    });
    let record = format!(r#"[{{"storage": "sys.View", "entity": "{entity}", "value": {{}}}}]"#);
    let mut config = InstanceConfig::default();
    config.limits.held_bytes = 50_000;
    let mut instance =
        load(&wasm).instantiate(&config, parse_state(&record, Path::new("state.json")).unwrap()).unwrap();
    let failure = instance.invoke_by_name("inside").unwrap_err();
    assert!(
        matches!(failure.cause, Cause::InvalidGuestData(InvalidData::TooMuchHeld { limit: 50_000 })),
        "{:?}",
        failure.cause
    );
    instance.invoke_by_name("in_turn").unwrap();
}
