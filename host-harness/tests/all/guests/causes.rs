//! Every way to fail has its typed cause, under every allocator, and leaves a pristine instance.

use guest_abi::ErrorCode;
use guest_abi::cbor::WireError;
use guest_build::Allocator;
use guest_host::{Cause, Failure, Instance, InvalidData, Level, Residue, RestorePolicy, RestoreStrategy, Status};

use super::{MEMORY, SHORT, best, config, config_with_policy, field, instance, load};

/// A function of the adversary, the cause that it must have, and the test for it.
type Case = (&'static str, &'static str, fn(&Cause) -> bool);

macro_rules! cases {
    ($($function:literal => $pattern:pat $(if $guard:expr)?,)+) => {
        &[$((
            $function,
            stringify!($pattern $(if $guard)?),
            |cause: &Cause| matches!(cause, $pattern $(if $guard)?),
        )),+]
    };
}

/// Whether a panic's location is in the adversary's own source.
fn is_own(location: &Option<String>) -> bool {
    let mut parts = location.as_deref().unwrap_or_default().rsplitn(3, ':');
    let mut number = || parts.next().and_then(|part| part.parse::<u32>().ok()).is_some_and(|number| number > 0);
    number() && number() && parts.next().is_some_and(|file| file.ends_with("fail.rs"))
}

/// Whether a request that was refused could not be had.
fn is_refused(requested: u64, in_use: u64, limit: u64) -> bool {
    requested > 0 && in_use <= limit && limit == MEMORY
}

/// Failures that an honest guest has, traps of functions that leave something behind among them.
const FAILURES: &[Case] = cases! {
    "fail_panic" => Cause::Panic { message, location }
        if message == "this guest panics on purpose" && is_own(location),
    "fail_panic_formatted" => Cause::Panic { message, location }
        if message == "3 of four \"größe\"" && is_own(location),
    "fail_panic_index" => Cause::Panic { message, location }
        if message == "index out of bounds: the len is 3 but the index is 3" && is_own(location),
    "fail_division" => Cause::Panic { message, location }
        if message == "attempt to divide by zero" && is_own(location),
    "fail_out_of_memory_slowly" => Cause::OutOfMemory { requested, in_use, limit }
        if is_refused(*requested, *in_use, *limit),
    "fail_out_of_memory_by_growth" => Cause::OutOfMemory { requested, in_use, limit }
        if is_refused(*requested, *in_use, *limit),
    "fail_stack_overflow" => Cause::StackOverflow,
    "fail_shadow_stack_overflow" => Cause::StackOverflow,
    "fail_out_of_bounds" => Cause::OutOfBounds { .. },
    "fail_unreachable" => Cause::Unreachable,
    "fail_error" => Cause::GuestError { code: ErrorCode::Application(1007), message }
        if message == "this guest fails on purpose",
    "fail_error_long" => Cause::GuestError { code: ErrorCode::Application(1008), message }
        if message.starts_with("long long ") && message.len() < 1_000_000,
    "fail_error_reserved" => Cause::GuestError { code: ErrorCode::Unknown(999), .. },
    "fail_after_intents" => Cause::GuestError { code: ErrorCode::Application(1009), .. },
    "fail_absent" => Cause::GuestError { code: ErrorCode::Absent, message }
        if message.contains("adversary.Absent"),
    "fail_unsupported_storage" => Cause::State(error) if error.to_string().contains("adversary.Storage"),
    "fail_unsupported_storage_rows" => Cause::State(error) if error.to_string().contains("adversary.Storage"),
    "fail_wrong_type" => Cause::GuestError { code: ErrorCode::WrongType, message } if message.contains("Text"),
    "fail_out_of_range" => Cause::GuestError { code: ErrorCode::OutOfRange, message } if message.contains("Large"),
    "fail_missing_field" => Cause::GuestError { code: ErrorCode::MissingField, message }
        if message.contains("Missing"),
    "fail_missing_element" => Cause::GuestError { code: ErrorCode::MissingElement, message }
        if message.contains("99"),
    "fail_key_too_long" => Cause::GuestError { code: ErrorCode::KeyTooLong, .. },
    "fail_key_field_twice" => Cause::State(error) if error.to_string().contains("Id"),
    "fail_exchange_full" => Cause::GuestError { code: ErrorCode::ExchangeFull, .. },
    "fail_nested_too_deep" => Cause::InvalidGuestData(InvalidData::Wire {
        what: "intents",
        error: WireError::TooDeep { .. },
    }),
    "leave_static_and_fail" => Cause::GuestError { message, .. } if message == "0 calls before",
    "leave_lock_held" => Cause::Unreachable,
    "leave_stack_pointer" => Cause::Unreachable,
    "leave_intents_and_trap" => Cause::Unreachable,
};

/// Failures whose time is the deadline.
const ENDLESS: &[Case] = cases! {
    "fail_endless_loop" => Cause::DeadlineExceeded { deadline } if *deadline == SHORT,
    "lie_read_endless" => Cause::DeadlineExceeded { deadline } if *deadline == SHORT,
    "lie_log_endless" => Cause::DeadlineExceeded { deadline } if *deadline == SHORT,
};

/// Lies, and what the host says of them.
const LIES: &[Case] = cases! {
    "lie_get_key_out_of_range" => Cause::InvalidGuestData(InvalidData::OutOfBounds {
        what: "key", address: 0xFFFF_0000, length: 16, ..
    }),
    "lie_get_key_endless" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "key", length: u32::MAX, .. }),
    "lie_get_key_wraps" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "key", .. }),
    "lie_get_key_empty" => Cause::InvalidGuestData(InvalidData::Wire { what: "key", .. }),
    "lie_get_key_truncated" => Cause::InvalidGuestData(InvalidData::Wire {
        what: "key", error: WireError::Truncated,
    }),
    "lie_get_key_not_utf8" => Cause::InvalidGuestData(InvalidData::Wire { what: "key", .. }),
    "lie_get_key_trailing_bytes" => Cause::InvalidGuestData(InvalidData::Wire { what: "key", .. }),
    "lie_get_key_nested" => Cause::InvalidGuestData(InvalidData::Wire { what: "key", .. }),
    "lie_get_key_not_a_map" => Cause::InvalidGuestData(InvalidData::Wire { what: "key", .. }),
    "lie_get_key_length_overflows" => Cause::InvalidGuestData(InvalidData::Wire { what: "key", .. }),
    "lie_get_key_endless_map" => Cause::InvalidGuestData(InvalidData::Wire { what: "key", .. }),
    "lie_get_out_out_of_range" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "room for a value", .. }),
    "lie_get_out_wraps" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "room for a value", .. }),
    "lie_get_out_endless" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "room for a value", .. }),
    "lie_read_key_out_of_range" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "key", .. }),
    "lie_read_after_out_of_range" => Cause::InvalidGuestData(InvalidData::OutOfBounds {
        what: "key of the last row", ..
    }),
    "lie_read_after_wraps" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "key of the last row", .. }),
    "lie_read_after_malformed" => Cause::InvalidGuestData(InvalidData::Wire { what: "key of the last row", .. }),
    "lie_read_after_not_a_map" => Cause::InvalidGuestData(InvalidData::Wire { what: "key of the last row", .. }),
    "lie_read_after_not_utf8" => Cause::InvalidGuestData(InvalidData::Wire { what: "key of the last row", .. }),
    "lie_read_out_out_of_range" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "room for rows", .. }),
    "lie_intents_out_of_range" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "intents", .. }),
    "lie_intents_wrap" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "intents", .. }),
    "lie_intents_endless_length" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "intents", .. }),
    "lie_intents_malformed" => Cause::InvalidGuestData(InvalidData::Wire { what: "intents", .. }),
    "lie_intents_truncated" => Cause::InvalidGuestData(InvalidData::Wire {
        what: "intents", error: WireError::Truncated,
    }),
    "lie_intents_flushed_truncated" => Cause::InvalidGuestData(InvalidData::Wire {
        what: "intents", error: WireError::Truncated,
    }),
    "lie_intents_second_malformed" => Cause::InvalidGuestData(InvalidData::Wire { what: "intents", .. }),
    "lie_intents_unknown_operation" => Cause::InvalidGuestData(InvalidData::Wire { what: "intents", .. }),
    "lie_intents_wrong_length" => Cause::InvalidGuestData(InvalidData::Wire { what: "intents", .. }),
    "lie_intents_not_utf8" => Cause::InvalidGuestData(InvalidData::Wire { what: "intents", .. }),
    "lie_intents_null" => Cause::InvalidGuestData(InvalidData::Wire { what: "intents", .. }),
    "lie_intents_unknown_tag" => Cause::InvalidGuestData(InvalidData::Wire { what: "intents", .. }),
    "lie_intents_too_deep" => Cause::InvalidGuestData(InvalidData::Wire {
        what: "intents", error: WireError::TooDeep { .. },
    }),
    "lie_intents_too_deep_without_end" => Cause::InvalidGuestData(InvalidData::Wire {
        what: "intents", error: WireError::TooDeep { .. },
    }),
    "lie_intents_text_length_overflows" => Cause::InvalidGuestData(InvalidData::Wire { what: "intents", .. }),
    "lie_intents_array_length_overflows" => Cause::InvalidGuestData(InvalidData::Wire { what: "intents", .. }),
    "lie_intents_endless" => Cause::InvalidGuestData(InvalidData::TooManyIntents { limit: INTENTS }),
    "lie_intents_endless_megabytes" => Cause::InvalidGuestData(InvalidData::TooManyIntents { limit: INTENTS }),
    "lie_log_out_of_range" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "log line", .. }),
    "lie_log_wraps" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "log line", .. }),
    "lie_log_not_utf8" => Cause::InvalidGuestData(InvalidData::NotUtf8 { what: "log line", at: 0 }),
    "lie_log_unknown_level" => Cause::InvalidGuestData(InvalidData::UnknownLogLevel { level: 99 }),
    "lie_fail_without_failing" => Cause::InvalidGuestData(InvalidData::ErrorWithoutFailure),
    "lie_failing_without_fail" => Cause::InvalidGuestData(InvalidData::FailureWithoutError),
    "lie_fail_twice" => Cause::GuestError { code: ErrorCode::Application(1002), message } if message == "second",
    "lie_fail_out_of_range" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "error message", .. }),
    "lie_fail_wraps" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "error message", .. }),
    "lie_fail_not_utf8" => Cause::InvalidGuestData(InvalidData::NotUtf8 { what: "error message", at: 0 }),
    "lie_panic_out_of_range" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "panic message", .. }),
    "lie_panic_wraps" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "panic message", .. }),
    "lie_panic_not_utf8" => Cause::Panic { message, .. } if message == "\u{FFFD}(",
    "lie_panic_file_out_of_range" => Cause::InvalidGuestData(InvalidData::OutOfBounds {
        what: "file name of a panic", ..
    }),
    "lie_result_out_of_range" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "intents", .. }),
    "lie_result_wraps" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "intents", .. }),
    "lie_result_endless" => Cause::InvalidGuestData(InvalidData::OutOfBounds { what: "intents", .. }),
    "lie_result_from_address_0" => Cause::InvalidGuestData(InvalidData::Wire { what: "intents", .. }),
    "lie_trap_after_fail" => Cause::Unreachable,
    "lie_trap_with_text_of_a_panic" => Cause::Unreachable,
};

/// Bytes of intents that a call may leave in these tests.
const INTENTS: usize = 1 << 20;

/// Functions that show whether an instance is pristine: statics, a lock, the heap, the stack, the memory's size.
const PROBES: [(&str, &str); 6] = [
    ("leave_static", "CallsBefore"),
    ("leave_lock_held_seen", "Free"),
    ("leave_leaked_vec", "Address"),
    ("leave_dirty_zeroed", "Sum"),
    ("leave_stack_pointer_seen", "Address"),
    ("leave_memory_grown_by_hand", "PagesBefore"),
];

fn probe(instance: &mut Instance) -> [i64; PROBES.len()] {
    PROBES.map(|(function, name)| {
        let outcome = instance.invoke_by_name(function).unwrap_or_else(|failure| panic!("{failure}"));
        field(&outcome, name)
    })
}

/// An instance restored by what its allocator is made for, leaving as much residue as that leaves.
fn adversary(allocator: Allocator, deadline: std::time::Duration) -> Instance {
    let mut config = config(best(allocator), Residue::Keep);
    config.deadline = Some(deadline);
    config.limits.intent_bytes = INTENTS;
    instance("adversary", allocator, &config)
}

fn check(instance: &mut Instance, (function, expected, is_right): &Case, allocator: Allocator) -> Failure {
    let Err(failure) = instance.invoke_by_name(function) else { panic!("`{function}` with {allocator} succeeded") };
    assert!(is_right(&failure.cause), "`{function}` with {allocator}: expected {expected}, found {:?}", failure.cause);
    assert_eq!(failure.function, *function);
    assert!(!failure.retried);
    failure
}

fn every_failure_has_its_cause(cases: &[Case], deadline: std::time::Duration) {
    for allocator in Allocator::ALL {
        let mut instance = adversary(allocator, deadline);
        let fresh = probe(&mut instance);
        for case in cases {
            check(&mut instance, case, allocator);
            assert_eq!(instance.status(), Status::Ready, "`{}` with {allocator}", case.0);
            assert_eq!(probe(&mut instance), fresh, "after `{}` with {allocator}", case.0);
        }
    }
}

#[test]
fn every_honest_failure_has_its_cause_and_leaves_nothing_behind() {
    every_failure_has_its_cause(FAILURES, super::NEVER_REACHED);
}

#[test]
fn every_lie_has_its_cause_and_leaves_nothing_behind() {
    every_failure_has_its_cause(LIES, super::NEVER_REACHED);
}

#[test]
fn what_never_ends_is_ended_by_the_deadline() {
    for allocator in Allocator::ALL {
        let mut instance = adversary(allocator, SHORT);
        for case in ENDLESS {
            check(&mut instance, case, allocator);
        }
        // Probes are not invoked here: on a busy machine one of them may take as long as this deadline.
        let Err(failure) = instance.invoke_by_name("fail_endless_allocation") else { panic!("it ended") };
        let kind = failure.cause.kind();
        match allocator {
            Allocator::Leaking => assert!(["deadline-exceeded", "out-of-memory"].contains(&kind), "{failure}"),
            _ => assert_eq!(kind, "deadline-exceeded", "{allocator}: {failure}"),
        }
        assert_eq!(instance.status(), Status::Ready);
    }
}

#[test]
fn a_request_that_no_memory_could_serve_is_out_of_memory() {
    for allocator in Allocator::ALL {
        let mut instance = adversary(allocator, super::NEVER_REACHED);
        let Err(failure) = instance.invoke_by_name("fail_out_of_memory") else { panic!("2 GiB were served") };
        assert!(
            matches!(&failure.cause, Cause::OutOfMemory { requested, .. } if *requested >= 1 << 30),
            "{allocator}: {:?}",
            failure.cause
        );
    }
}

/// Also where the host sets no bound but that of 32-bit addresses, and nobody is asked before the engine refuses.
#[test]
fn what_exceeds_four_gibibytes_is_out_of_memory() {
    for allocator in Allocator::ALL {
        // Nothing is copied or zeroed: the guest has touched next to nothing of these 4 GiB.
        let mut config = config(RestoreStrategy::Reinstantiate, Residue::Scrub);
        config.memory_limit = 4 << 30;
        let mut instance = instance("adversary", allocator, &config);
        let Err(failure) = instance.invoke_by_name("fail_out_of_memory") else { panic!("6 GiB were served") };
        let Cause::OutOfMemory { requested, in_use, limit } = failure.cause else { panic!("{allocator}: {failure}") };
        assert_eq!(limit, 4 << 30, "{allocator}");
        // The first of the three is there.
        assert!(in_use > 0x7FFF_0000 && requested > limit - in_use, "{allocator}: {requested} beside {in_use}");
        if allocator != Allocator::System {
            assert_eq!(requested, 0x7FFF_0000, "{allocator}");
        }
    }
}

/// Functions that succeed, although they look as if they should not, and how many intents they leave.
const ALLOWED: [(&str, usize); 6] = [
    ("lie_get_out_over_key", 0),
    ("lie_intents_twice", 2),
    ("lie_log_escape_sequences", 0),
    // No bytes, at an address that is not in memory.
    ("lie_result_negative", 0),
    ("lie_result_without_length", 0),
    ("fail_update_of_absent", 1),
];

#[test]
fn lies_that_are_allowed_succeed() {
    for allocator in Allocator::ALL {
        let mut instance = adversary(allocator, super::NEVER_REACHED);
        let fresh = probe(&mut instance);
        for (function, intents) in ALLOWED {
            let outcome = instance.invoke_by_name(function).unwrap_or_else(|failure| panic!("{allocator}: {failure}"));
            assert_eq!(outcome.intents().count(), intents, "`{function}` with {allocator}");
            assert_eq!(probe(&mut instance), fresh, "after `{function}` with {allocator}");
        }
    }
}

/// Lies in the control block, which only the allocators of this family have.
const CONTROL_BLOCK: [&str; 6] = [
    "lie_control_block_top",
    "lie_control_block_high_water",
    "lie_control_block_mark",
    "lie_control_block_magic",
    "lie_control_block_kind",
    "lie_control_block_counters",
];

/// The one that makes its failure look like another.
const MADE_UP: &str = "lie_control_block_out_of_memory";

#[test]
fn lies_in_the_control_block_end_with_the_restore() {
    for allocator in Allocator::ALL.into_iter().filter(|allocator| *allocator != Allocator::System) {
        let mut instance = adversary(allocator, super::NEVER_REACHED);
        let fresh = probe(&mut instance);
        for function in CONTROL_BLOCK {
            instance.invoke_by_name(function).unwrap_or_else(|failure| panic!("{allocator}: {failure}"));
            assert_eq!(instance.status(), Status::Ready, "`{function}` with {allocator}");
            assert_eq!(probe(&mut instance), fresh, "after `{function}` with {allocator}");
        }
        let failure = instance.invoke_by_name(MADE_UP).expect_err("it traps");
        assert!(matches!(failure.cause, Cause::OutOfMemory { requested: 123, .. }), "{allocator}: {failure}");
        assert_eq!(probe(&mut instance), fresh, "after `{MADE_UP}` with {allocator}");
    }
}

#[test]
fn no_function_of_the_adversary_is_forgotten() {
    let cases = [FAILURES, ENDLESS, LIES].into_iter().flatten().map(|case| case.0);
    let allowed = ALLOWED.iter().map(|(function, _)| *function);
    let others = ["fail_out_of_memory", "fail_endless_allocation", MADE_UP];
    let known: Vec<_> = cases.chain(allowed).chain(CONTROL_BLOCK).chain(others).collect();
    let guest = load("adversary", Allocator::Leaking);
    let functions = guest.functions().iter().map(String::as_str);
    let claimed = functions.filter(|name| name.starts_with("fail_") || name.starts_with("lie_"));
    let forgotten: Vec<_> = claimed.filter(|name| !known.contains(name)).collect();
    assert!(forgotten.is_empty(), "no test says how these end: {forgotten:?}");
    let missing: Vec<_> = known.iter().filter(|name| guest.function(name).is_err()).collect();
    assert!(missing.is_empty(), "the adversary has none of these: {missing:?}");
}

#[test]
fn no_intent_of_a_failed_call_is_handed_out_but_its_log_is_kept() {
    // Restored in place, and replaced.
    for strategy in [RestoreStrategy::BumpReset, RestoreStrategy::Reinstantiate] {
        let mut instance = instance("adversary", Allocator::BumpReset, &config(strategy, Residue::Keep));
        assert_eq!(instance.last_log().count(), 0);
        assert!(instance.invoke_by_name("fail_after_intents").is_err());
        assert_eq!(instance.last_log().collect::<Vec<_>>(), [(Level::Info, "before")], "{strategy}");
        let outcome = instance.invoke_by_name("do_nothing").expect("it does nothing");
        assert_eq!((outcome.intents().count(), outcome.log().count()), (0, 0));
        assert_eq!(instance.last_log().count(), 0);
        let outcome = instance.invoke_by_name("lie_log_escape_sequences").expect("it is allowed");
        let logged: Vec<String> = outcome.log().map(|(_, line)| line.to_owned()).collect();
        let lines: Vec<&str> = instance.last_log().map(|(_, line)| line).collect();
        assert_eq!((lines, instance.last_log_dropped()), (logged.iter().map(String::as_str).collect(), 0));
    }
}

#[test]
fn a_backtrace_names_the_guests_own_functions() {
    let mut instance = adversary(Allocator::System, super::NEVER_REACHED);
    let failure = instance.invoke_by_name("leave_stack_pointer").expect_err("it traps");
    let own = failure.backtrace.iter().any(|name| name.contains("leave_stack_pointer"));
    assert!(own, "{:?}", failure.backtrace);
    assert!(failure.backtrace.iter().all(|name| !name.contains("__harness")), "{:?}", failure.backtrace);
}

/// A call that was refused memory, went on, and then trapped for another reason: nobody but its source can tell.
#[test]
fn a_trap_behind_a_refused_request_is_taken_for_out_of_memory() {
    for allocator in Allocator::ALL {
        let mut instance = instance("allocator-probe", allocator, &config(best(allocator), Residue::Keep));
        let failure = instance.invoke_by_name("refused_and_trap").expect_err("it traps");
        assert!(matches!(failure.cause, Cause::OutOfMemory { .. }), "{allocator}: {:?}", failure.cause);
    }
}

/// A request that an earlier call could not get is not the cause of a later failure, even without a restore in between.
#[test]
fn a_request_refused_in_an_earlier_call_is_not_taken_for_the_cause() {
    for allocator in Allocator::ALL {
        let config = config_with_policy(best(allocator), RestorePolicy::Never);
        let mut instance = instance("allocator-probe", allocator, &config);
        instance.invoke_by_name("refused_and_served").unwrap_or_else(|failure| panic!("{allocator}: {failure}"));
        let failure = instance.invoke_by_name("trap_only").expect_err("it traps");
        assert!(matches!(failure.cause, Cause::Unreachable), "{allocator}: {:?}", failure.cause);
        assert!(!failure.retried);
    }
}
