//! A guest without a control block that appends to a list for ever works for ever, and nothing grows with the recoveries.

use guest_build::Allocator;
use guest_host::{Instance, InstanceConfig, MemoryState, Metrics, RestorePolicy, RestoreStrategy};

use super::heap::live_bytes;
use super::{config_with_policy, load};
use crate::allocations::{STRATEGIES, config, exhausted};

/// Recoveries in a row that leave nothing behind.
const RECOVERIES: u64 = 1000;

/// Calls `function` until it has recovered so many times, and says how often it was called.
fn recover(instance: &mut Instance, function: &str, times: u64) -> u64 {
    let mut calls = 0;
    let mut recovered = 0;
    while recovered < times {
        let outcome = instance.invoke_by_name(function).unwrap_or_else(|failure| panic!("call {calls}: {failure}"));
        recovered += u64::from(outcome.stats().retried);
        calls += 1;
    }
    calls
}

fn metric(metrics: &Metrics, result: &str) -> u64 {
    let text = metrics.text();
    let lines = text.lines().filter(|line| line.starts_with("guest_retries_total") && line.contains(result));
    lines.map(|line| line.rsplit_once(' ').and_then(|(_, value)| value.parse::<u64>().ok()).expect("a number")).sum()
}

/// Recovers a thousand times after a few, and finds pages and the host's heap as they were after those.
fn stays_flat(told: &str, guest: &guest_host::Guest, function: &str, mut config: InstanceConfig) {
    const FIRST: u64 = 3;
    let metrics = Metrics::default();
    config.metrics = Some(metrics.clone());
    let mut instance = guest.instantiate(&config, MemoryState::new()).expect("it is admitted");
    recover(&mut instance, function, FIRST);
    let (pages, bytes) = (instance.physical_pages(), live_bytes());
    let calls = recover(&mut instance, function, RECOVERIES);
    assert!(calls > RECOVERIES, "{told}: it does something between two recoveries");
    assert_eq!(instance.physical_pages(), pages, "{told}");
    assert_eq!(live_bytes(), bytes, "{told}: bytes of the host's heap");
    assert_eq!(metric(&metrics, "recovered"), FIRST + RECOVERIES, "{told}");
    assert_eq!(metric(&metrics, "failed"), 0, "{told}");
}

#[test]
fn a_guest_in_text_form_works_for_ever() {
    for (name, wasm, _) in exhausted() {
        for strategy in STRATEGIES {
            let guest = crate::allocations::load(&wasm);
            stays_flat(&format!("{name} {strategy}"), &guest, "append", config(strategy, RestorePolicy::OnError));
        }
    }
}

#[test]
fn a_guest_in_rust_works_for_ever() {
    // Of talc and lol_alloc nothing has a name that is known: the growth that the host refuses tells.
    for (name, function, limit, counted) in [
        ("bench", "append_10000", 2 << 20, true),
        ("growth", "grow_and_keep", 4 << 20, true),
        ("growth-talc", "grow_and_keep", 4 << 20, false),
        ("growth-lol-alloc", "grow_and_keep", 4 << 20, false),
    ] {
        let guest = load(name, Allocator::System);
        assert_eq!(!guest.prepared().counted.is_empty(), counted, "{name}");
        for strategy in [RestoreStrategy::FullCopy, RestoreStrategy::DirtyCards] {
            let mut config = config_with_policy(strategy, RestorePolicy::Never);
            config.memory_limit = limit;
            stays_flat(&format!("{name} {strategy}"), &guest, function, config);
        }
    }
}
