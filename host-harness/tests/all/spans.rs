//! The spans and events of the feature `tracing`, and what the feature `serde` reads and writes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use guest_host::wasi::Randomness;
use guest_host::{
    CallStats, EngineConfig, Guest, InstanceAllocation, InstanceConfig, MemoryState, PoolConfig, PrepareOptions,
    Residue, RestorePolicy, RestoreStrategy,
};
use test_support::text_guests;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps the names of spans as they begin, each with that of the span around it, and of events that are worth a debug line or
/// more.
#[derive(Clone, Default)]
struct Names {
    /// Names of all spans; a span's identity is its place, counted from 1.
    spans: Arc<Mutex<Vec<&'static str>>>,
    /// Those that are entered.
    entered: Arc<Mutex<Vec<&'static str>>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Names {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn push(&self, what: String) {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(what);
    }
}

impl Subscriber for Names {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("guest_host")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        let name = span.metadata().name();
        spans.push(name);
        let around = self.entered.lock().unwrap_or_else(PoisonError::into_inner).last().copied();
        self.push(around.map_or_else(|| name.to_owned(), |around| format!("{around}/{name}")));
        Id::from_u64(spans.len() as u64)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        if *event.metadata().level() < tracing::Level::TRACE {
            self.push(format!("event:{}", event.metadata().level().as_str().to_lowercase()));
        }
    }

    fn enter(&self, span: &Id) {
        let name = self.spans.lock().unwrap_or_else(PoisonError::into_inner)[span.into_u64() as usize - 1];
        self.entered.lock().unwrap_or_else(PoisonError::into_inner).push(name);
    }

    fn exit(&self, _span: &Id) {
        self.entered.lock().unwrap_or_else(PoisonError::into_inner).pop();
    }
}

fn load() -> Guest {
    let engine = test_support::compiled::engine();
    let wasm = text_guests::plain();
    Guest::load(&engine, "plain", &wasm, PrepareOptions::default()).expect("the guest keeps the contract")
}

/// Goes through every step once, so that its span is known, while other tests without a subscriber may do so too; then asks
/// all subscribers anew which spans they want.
fn know_all_spans() {
    let guest = load();
    for strategy in [RestoreStrategy::DirtyCards, RestoreStrategy::Reinstantiate] {
        let config = InstanceConfig::default().with_strategy(strategy);
        let mut instance = guest.instantiate(&config, MemoryState::new()).expect("the guest is admitted");
        instance.invoke_by_name("do_nothing").expect("it does nothing");
        instance.invoke_by_name("abort").expect_err("it aborts");
    }
    tracing::callsite::rebuild_interest_cache();
}

#[test]
fn each_step_has_its_span() {
    let names = Names::default();
    tracing::subscriber::with_default(names.clone(), || {
        know_all_spans();
        names.take();
        let guest = load();
        assert_eq!(names.take(), ["load", "load/prepare", "load/compile"]);
        for (strategy, made, after) in [
            (RestoreStrategy::FullCopy, &["instantiate"][..], &["invoke/restore"][..]),
            (RestoreStrategy::DirtyCards, &["prepare", "compile", "instantiate"], &["invoke/restore"]),
            (RestoreStrategy::Reinstantiate, &["instantiate"], &["invoke/restore", "invoke/replace"]),
        ] {
            let config = InstanceConfig::default().with_strategy(strategy);
            let mut instance = guest.instantiate(&config, MemoryState::new()).expect("the guest is admitted");
            assert_eq!(names.take(), made, "{strategy}");
            instance.invoke_by_name("do_nothing").expect("it does nothing");
            assert_eq!(names.take(), [&["invoke"][..], after].concat(), "{strategy}");
            instance.invoke_by_name("abort").expect_err("it aborts");
            assert_eq!(names.take(), [&["invoke"][..], after, &["event:debug"]].concat(), "{strategy}");
        }
    });
}

#[tokio::test(flavor = "current_thread")]
async fn a_call_that_is_a_future_is_in_its_span_whenever_it_is_polled() {
    let names = Names::default();
    let guest = load();
    let mut instance =
        guest.instantiate_async(&InstanceConfig::default(), MemoryState::new()).await.expect("the guest is admitted");
    let _default = tracing::subscriber::set_default(names.clone());
    instance.invoke_by_name("do_nothing").await.expect("it does nothing");
    know_all_spans();
    names.take();
    instance.invoke_by_name("do_nothing").await.expect("it does nothing");
    assert_eq!(names.take(), ["invoke", "invoke/restore"]);
}

#[test]
fn a_configuration_is_read_with_defaults_and_written_again() {
    let text = r#"{
        "strategy": "dirty-cards", "policy": {"on-heap-above": 4096}, "residue": "keep", "memory_limit": 1048576,
        "deadline": {"secs": 0, "nanos": 30000000}, "retention": {"restores": 7}, "wasi": {"randomness": {"seeded": 9}}
    }"#;
    let config: InstanceConfig = serde_json::from_str(text).expect("it is one");
    assert_eq!((config.strategy, config.policy), (RestoreStrategy::DirtyCards, RestorePolicy::OnHeapAbove(4096)));
    assert_eq!((config.residue, config.deadline), (Residue::Keep, Some(Duration::from_millis(30))));
    assert_eq!(config.retention.map(|kept| (kept.restores, kept.bytes)), Some((7, 16 << 20)));
    assert_eq!(config.wasi.randomness, Randomness::Seeded(9));
    assert_eq!(config.init_deadline, InstanceConfig::default().init_deadline, "a default");
    let written = serde_json::to_string(&config).expect("it can be written");
    assert_eq!(serde_json::from_str::<InstanceConfig>(&written).expect("it is one"), config);
    let misspelled = serde_json::from_str::<InstanceConfig>(r#"{"memroy_limit": 1}"#).expect_err("it is misspelled");
    assert!(misspelled.to_string().contains("memroy_limit"), "{misspelled}");
    let engine: EngineConfig = serde_json::from_str(r#"{"allocation": "on-demand"}"#).expect("it is one");
    assert_eq!(engine.allocation, InstanceAllocation::OnDemand);
    assert_eq!(serde_json::from_str::<PoolConfig>("{}").expect("it is one"), PoolConfig::default());
}

#[test]
fn results_are_written() {
    let config = InstanceConfig::default().with_strategy(RestoreStrategy::FullCopy).with_count(true);
    let mut instance = load().instantiate(&config, MemoryState::new()).expect("the guest is admitted");
    let failure = instance.invoke_by_name("abort").expect_err("it aborts");
    let told = serde_json::to_value(&failure).expect("it can be written");
    assert_eq!((&told["function"], &told["kind"]), (&"abort".into(), &"unreachable".into()));
    assert_eq!(told["message"], failure.cause.to_string());
    instance.invoke_by_name("do_nothing").expect("it does nothing");
    let last = instance.last_stats();
    let stats = serde_json::to_value(last).expect("it can be written");
    assert_eq!(serde_json::from_value::<CallStats>(stats.clone()).expect("it is one"), *last);
    assert_eq!((&stats["crossings"], &stats["pages"], &stats["retried"]), (&0.into(), &2.into(), &false.into()));
    assert_eq!(serde_json::to_value(instance.strategy()).expect("it can be written")["strategy"], "full-copy");
}
