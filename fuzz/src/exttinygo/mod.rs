//! What a guest of the exttinygo contract can do to the host: any calls of its functions and of WASI's, with any handles,
//! addresses, lengths and numbers, in extension functions, in `main`, in the callback of a read, and in a `malloc` that
//! serves or does not.
//!
//! However calls end, the cause is typed, what is left is within its limits and can be read, and the instance is ready.
//! Once restored it looks like a fresh one, and gives the outcomes of a fresh one: handles, buffers and output of the
//! calls before are gone with the memory.

mod guest;
mod script;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::LazyLock;

use arbitrary::Unstructured;
use guest_abi::exttinygo::ABSENT;
use guest_host::restore::Restore;
use guest_host::wasi::Clock;
use guest_host::{
    Cause, HostCall, Instance, InstanceConfig, LoadError, MemoryState, RestorePolicy, RestoreStrategy, StartError,
    Status, TraceEntry,
};
use host_harness::parse_state;

use crate::restores::{Image, STACK_OVERFLOW, Seen};
use script::Script;

/// Calls of a sequence.
const CALLS: usize = 5;

/// Lets the guest do what the input says, by every strategy that serves it.
///
/// # Errors
/// The property that is broken.
pub fn run(input: &[u8]) -> Result<String, String> {
    let Ok(case) = Case::read(input) else { return Ok("too short".to_owned()) };
    let mut ends = BTreeSet::new();
    for strategy in [RestoreStrategy::DirtyCards, RestoreStrategy::FullCopy, RestoreStrategy::Reinstantiate] {
        ends.extend(case.check(strategy, None).map_err(|wrong| format!("{strategy}: {wrong}"))?);
    }
    let ends: Vec<&str> = ends.into_iter().collect();
    let policy = case.config.policy.to_string();
    Ok(format!("{}: {}", policy.split('=').next().unwrap_or_default(), ends.join(", ")))
}

/// The same with a restore of the caller's own.
///
/// # Errors
/// The property that is broken.
pub fn run_with(input: &[u8], restore: &dyn Fn() -> Box<dyn Restore>) -> Result<(), String> {
    match Case::read(input) {
        Ok(case) => case.check(RestoreStrategy::FullCopy, Some(restore)).map(drop),
        Err(_) => Ok(()),
    }
}

/// What the guest reads: every kind of value, a storage with more rows than there may be handles, and one with more bytes
/// than may be held.
fn state() -> MemoryState {
    static STATE: LazyLock<MemoryState> = LazyLock::new(|| {
        let many: String = (0..60)
            .map(|id| format!(r#", {{"storage": "test.Many", "key": {{"Id": {id}}}, "value": {{"Id": {id}}}}}"#))
            .collect();
        let large: String = (0..3)
            .map(|id| {
                let text = "ä".repeat(300 + 700 * id);
                format!(r#", {{"storage": "test.Large", "key": {{"Id": {id}}}, "value": {{"Text": "{text}"}}}}"#)
            })
            .collect();
        let text = format!(
            r#"[
          {{"storage": "sys.Record", "entity": "shop.Customer", "key": {{"Id": 7}}, "value": {{
            "Name": "Söhne", "Age": 41, "Big": 4294967296, "Half": 0.5, "Third": 0.1, "Good": true, "Text": "{long}",
            "Logo": {{"$bytes": "AQID"}}, "Kind": {{"$qname": ["shop", "Best"]}}, "Address": {{"Name": "Ulm", "Zip": [8, 9]}},
            "Mixed": ["{long}", 5, 6.5, true, {{"$bytes": "BA=="}}, {{"$qname": ["a", "B"]}}, {{"Id": 1}}, [2], 0.1, ""]}}}},
          {{"storage": "sys.View", "entity": "a.b/c.Rows", "key": {{"Year": 2023, "Name": "one"}}, "value": {{"Amount": 1}}}},
          {{"storage": "sys.View", "entity": "a.b/c.Rows", "key": {{"Year": 2023, "Name": "two"}}, "value": {{"Amount": 20}}}},
          {{"storage": "sys.View", "entity": "a.b/c.Rows", "key": {{"Year": 2024, "Name": "three"}}, "value": {{"Amount": 3}}}}
          {many} {large}]"#,
            long = "lang ".repeat(30)
        );
        parse_state(&text, Path::new("state.json")).expect("the state is valid")
    });
    STATE.clone()
}

/// A guest's script, and what is to be called.
struct Case {
    config: InstanceConfig,
    calls: [usize; CALLS],
}

impl Case {
    fn read(input: &[u8]) -> arbitrary::Result<Self> {
        let mut bytes = Unstructured::new(input);
        let mut config = InstanceConfig::default();
        config.policy = match bytes.int_in_range(0..=5)? {
            0 => RestorePolicy::Never,
            1 => RestorePolicy::OnError,
            2 => RestorePolicy::OnHeapAbove(bytes.int_in_range(0..=200_000)?),
            _ => RestorePolicy::EveryCall,
        };
        config.memory_limit = bytes.int_in_range(2..=6)? << 16;
        config.exchange_size = Some(*bytes.choose(&[1, 16, 100, 1_000, 10_000])?);
        config.count = bytes.arbitrary()?;
        let mut calls = [0; CALLS];
        for call in &mut calls {
            *call = bytes.choose_index(3)?;
        }
        config.trace = true;
        config.deadline = None;
        // Small, so that calls come near them.
        config.limits.handles = 50;
        config.limits.held_bytes = 10_000;
        config.limits.intent_bytes = 2_000;
        config.limits.output_bytes = 100;
        config.wasi.clock = Clock::fixed(0);
        config.wasi.environment = vec![("NAME".to_owned(), "value".to_owned())];
        config.wasi.arguments = vec![Script::read(&mut bytes)?.argument()];
        Ok(Self { config, calls })
    }

    /// Makes an instance. `None` where `main` or the first `malloc` went wrong.
    fn instance(
        &self,
        strategy: RestoreStrategy,
        restore: Option<&dyn Fn() -> Box<dyn Restore>>,
    ) -> Result<Option<Instance>, String> {
        let mut config = self.config.clone();
        config.strategy = strategy;
        let made = match restore {
            Some(restore) => guest::guest().instantiate_with(restore(), &config, state()),
            None => guest::guest().instantiate(&config, state()),
        };
        match made {
            Ok(instance) => Ok(Some(instance)),
            Err(LoadError::Start(StartError::Initialise(failure))) if !matches!(failure.cause, Cause::Engine(_)) => {
                Ok(None)
            }
            Err(LoadError::Start(StartError::NoExchange { .. } | StartError::ExchangeOutOfBounds { .. })) => Ok(None),
            Err(error) => Err(format!("cannot be instantiated: {error}")),
        }
    }

    fn check(
        &self,
        strategy: RestoreStrategy,
        restore: Option<&dyn Fn() -> Box<dyn Restore>>,
    ) -> Result<BTreeSet<&'static str>, String> {
        let fresh = || self.instance(RestoreStrategy::Reinstantiate, None);
        let (pristine, mut subject, mut reference) =
            match (fresh()?.map(Image::of), self.instance(strategy, restore)?, fresh()?) {
                (Some(pristine), Some(subject), Some(reference)) => (pristine, subject, reference),
                (None, None, None) => return Ok(BTreeSet::from(["not initialised"])),
                _ => return Err("not every instance can be made".to_owned()),
            };
        let mut ends = BTreeSet::new();
        for (number, call) in self.calls.iter().enumerate() {
            let function = ["a", "b", "c"][*call];
            let told = |wrong: String| format!("call {number}, of `{function}`: {wrong}");
            let tail = subject.physical_pages() > reference.physical_pages();
            let expected = Seen::of(&mut reference, function);
            let found = Seen::of(&mut subject, function);
            self.look_at(&subject, &found).map_err(told)?;
            ends.insert(found.result.as_ref().map_or_else(|(kind, _)| *kind, |()| "success"));
            // Where the native stack ends depends on the compiled code, and behind the logical end of memory a restored
            // instance may have zeros where a fresh one traps.
            let in_the_tail = tail && expected.is("out-of-bounds");
            let comparable = !expected.is(STACK_OVERFLOW) && !found.is(STACK_OVERFLOW) && !in_the_tail;
            if comparable {
                expected.compare(&found).map_err(told)?;
                if subject.is_pristine() != reference.is_pristine() {
                    return Err(told("it is restored, and a fresh one is not, or the other way round".to_owned()));
                }
            }
            if comparable && !subject.is_pristine() {
                let (expected, found) = (Image::of_ref(&mut reference), Image::of_ref(&mut subject));
                expected.compare(&found).map_err(|wrong| told(format!("before the restore: {wrong}")))?;
                // Once more the call goes on from there.
                if number % 2 == 0 {
                    continue;
                }
            }
            if !subject.is_pristine() {
                subject.restore().map_err(|error| told(error.to_string()))?;
            }
            if !subject.is_pristine() {
                return Err(told("it is not pristine after a restore".to_owned()));
            }
            pristine
                .compare(&Image::of_ref(&mut subject))
                .map_err(|wrong| told(format!("after the restore: {wrong}")))?;
            reference = fresh()?.ok_or_else(|| told("instantiation is not repeatable".to_owned()))?;
        }
        Ok(ends)
    }

    /// What must hold of every call.
    fn look_at(&self, instance: &Instance, seen: &Seen) -> Result<(), String> {
        let limits = &self.config.limits;
        match &seen.result {
            Err((kind @ ("engine" | "not-restorable" | "missing-export"), failure)) => {
                return Err(format!("{kind}: {failure}"));
            }
            Err(_) if !instance.is_pristine() => return Err("it is not pristine after a failure".to_owned()),
            _ => {}
        }
        if instance.status() != Status::Ready {
            return Err(format!("it is {:?}", instance.status()));
        }
        if seen.intents.len() > limits.intent_bytes || seen.output.len() > limits.output_bytes {
            return Err(format!("{} bytes of intents, {} of output", seen.intents.len(), seen.output.len()));
        }
        // What a host function does on the way, in callbacks and `malloc`, is one crossing with it.
        let crossings = instance.last_stats().crossings;
        if seen.result.is_ok() && crossings != seen.trace.len() as u64 {
            return Err(format!("{crossings} crossings, of which {} are in the trace", seen.trace.len()));
        }
        guest_abi::intent::validate(&seen.intents)
            .map_err(|error| format!("intents of a call that succeeded are not valid: {error}"))?;
        let names: [&[&str]; 3] = [
            &["hostGetKey"],
            &["hostNewValue", "hostUpdateValue"],
            &["hostGetValue", "hostQueryValue", "hostValueAsValue", "hostValueGetAsValue"],
        ];
        let of = |names: &[&str], entry: &&TraceEntry| match entry.call {
            HostCall::ExtTinyGo(name) => names.contains(&name) && entry.result != ABSENT,
            _ => false,
        };
        match names.map(|names| seen.trace.iter().filter(|entry| of(names, entry)).count()) {
            counts if counts.iter().all(|count| *count <= limits.handles) => Ok(()),
            counts => Err(format!("{counts:?} handles")),
        }
    }
}
