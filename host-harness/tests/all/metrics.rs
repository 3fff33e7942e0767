//! Metrics: exact counts for known calls, from one thread and from many, and a text that keeps its format.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use guest_host::restore::{Promise, Restore, RestoreError, Restored, Target};
use guest_host::snapshot::RegionKind;
use guest_host::{
    Cause, Guest, InstanceConfig, MemoryState, Metrics, Pool, PoolConfig, Residue, RestorePolicy, RestoreStrategy,
    Retention,
};
use guest_prepare::PrepareOptions;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use test_support::exposition::{check, value};
use test_support::text_guests;

/// The value of a counter of a function of the guest `plain`, 0 where there is none.
fn counted(metrics: &Metrics, counter: &str, function: &str, label: &str) -> f64 {
    let series = format!(r#"guest_{counter}_total{{guest="plain",function="{function}"{label}}}"#);
    value(&metrics.text(), &series).unwrap_or(0.0)
}

fn plain() -> Guest {
    let engine = test_support::compiled::engine();
    Guest::load(&engine, "plain", &text_guests::plain(), PrepareOptions::default()).unwrap()
}

/// A configuration that counts, and where.
fn counting(policy: RestorePolicy) -> (InstanceConfig, Metrics) {
    let metrics = Metrics::default();
    let mut config = InstanceConfig::default();
    config.policy = policy;
    config.memory_limit = 2 << 20;
    config.deadline = None;
    config.metrics = Some(metrics.clone());
    (config, metrics)
}

/// A full copy that says that it wrote 1,000 bytes, and fails while it is told to.
#[derive(Debug, Default)]
struct Thousand(Arc<AtomicBool>);

impl Restore for Thousand {
    fn name(&self) -> &str {
        "thousand"
    }

    fn promise(&self, _region: RegionKind, _residue: Residue) -> Promise {
        Promise::Exact
    }

    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
        if self.0.load(Relaxed) {
            return Err(RestoreError::GaveUp { reason: "it was told to".to_owned() });
        }
        let (memory, snapshot) = target.memory();
        let saved = snapshot.memory();
        memory[..saved.len()].copy_from_slice(saved);
        memory[saved.len()..].fill(0);
        Ok(Restored { bytes: 1000 })
    }
}

#[test]
fn the_check_sees_what_is_wrong() {
    let (head, sample) = ("# HELP a A.\n# TYPE a counter\n", "a_total{x=\"y\"} 1\n");
    check(&format!("{head}{sample}# EOF\n")).unwrap();
    let histogram = "# HELP h H.\n# TYPE h histogram\n";
    for broken in [
        format!("{head}{sample}"),
        format!("# TYPE a counter\n{sample}# EOF\n"),
        format!("{sample}# EOF\n"),
        format!("{head}{head}# EOF\n"),
        format!("{head}a{{x=\"y\"}} 1\n# EOF\n"),
        format!("{head}a_total{{x=\"y\"}}\n# EOF\n"),
        format!("{head}a_total{{x=y}} 1\n# EOF\n"),
        format!("{head}a_total{{x=\"y\"}} one\n# EOF\n"),
        format!("{histogram}h_bucket{{le=\"1\"}} 2\nh_bucket{{le=\"2\"}} 1\n# EOF\n"),
        format!("{histogram}h_total{{x=\"y\"}} 2\n# EOF\n"),
    ] {
        assert!(check(&broken).is_err(), "{broken}");
    }
}

#[test]
fn each_call_counts_once_with_its_cause_and_its_restore() {
    let guest = plain();
    let (config, metrics) = counting(RestorePolicy::EveryCall);
    let mut instance = guest.instantiate_with(Box::new(Thousand::default()), &config, MemoryState::new()).unwrap();
    for (function, calls) in [("do_nothing", 3), ("refuse", 2), ("abort", 1)] {
        for _ in 0..calls {
            let _ = instance.invoke_by_name(function);
        }
    }
    let missing = instance.invoke_by_name("none_such").unwrap_err();
    assert!(matches!(missing.cause, Cause::MissingExport { .. }));

    let text = metrics.text();
    check(&text).unwrap();
    for (function, calls, bytes) in [("do_nothing", 3.0, 3000.0), ("refuse", 2.0, 2000.0), ("abort", 1.0, 1000.0)] {
        assert_eq!(counted(&metrics, "invocations", function, ""), calls, "{function}");
        assert_eq!(counted(&metrics, "restored_bytes", function, ""), bytes, "{function}");
        let labels = format!(r#"{{guest="plain",function="{function}"}}"#);
        assert_eq!(value(&text, &format!("guest_invocation_seconds_count{labels}")), Some(calls));
        assert!(value(&text, &format!("guest_invocation_seconds_sum{labels}")).unwrap() > 0.0);
        let last = format!(r#"guest_invocation_seconds_bucket{{le="+Inf",guest="plain",function="{function}"}}"#);
        assert_eq!(value(&text, &last), Some(calls), "{text}");
    }
    let errors: Vec<_> = text.lines().filter(|line| line.starts_with("guest_errors_total")).collect();
    assert_eq!(
        errors,
        [
            r#"guest_errors_total{guest="plain",function="",cause="missing-export"} 1"#,
            r#"guest_errors_total{guest="plain",function="abort",cause="unreachable"} 1"#,
            r#"guest_errors_total{guest="plain",function="refuse",cause="guest-error"} 2"#,
        ]
    );
    assert_eq!(counted(&metrics, "invocations", "", ""), 1.0);
    assert!(!text.contains("guest_replacements_total{"), "{text}");
}

#[test]
fn a_retry_counts_with_its_result_and_the_restores_of_both_tries() {
    let guest = plain();
    let (mut config, metrics) = counting(RestorePolicy::OnError);
    let mut instance = guest.instantiate_with(Box::new(Thousand::default()), &config, MemoryState::new()).unwrap();
    // 16 pages more of 2 to 32: every call but the first finds no room, and then there is.
    for _ in 0..5 {
        instance.invoke_by_name("grow_or_abort").unwrap();
    }
    let retries = |result: &str| counted(&metrics, "retries", "grow_or_abort", &format!(r#",result="{result}""#));
    assert_eq!(counted(&metrics, "invocations", "grow_or_abort", ""), 5.0);
    assert_eq!((retries("recovered"), retries("failed")), (4.0, 0.0));
    assert_eq!(counted(&metrics, "restored_bytes", "grow_or_abort", ""), 4000.0);
    assert!(!metrics.text().contains("guest_errors_total{"));

    config.memory_limit = 512 << 10;
    let mut instance = guest.instantiate_with(Box::new(Thousand::default()), &config, MemoryState::new()).unwrap();
    instance.invoke_by_name("grow_or_abort").unwrap_err();
    assert_eq!(counted(&metrics, "invocations", "grow_or_abort", ""), 6.0);
    assert_eq!((retries("recovered"), retries("failed")), (4.0, 1.0));
    assert_eq!(counted(&metrics, "errors", "grow_or_abort", r#",cause="out-of-memory""#), 1.0);
    assert_eq!(counted(&metrics, "restored_bytes", "grow_or_abort", ""), 6000.0);
}

#[test]
fn replacements_count_with_their_reason() {
    let guest = plain();
    let (mut config, metrics) = counting(RestorePolicy::EveryCall);
    let of =
        |function: &str, reason: &str| counted(&metrics, "replacements", function, &format!(r#",reason="{reason}""#));

    config.strategy = RestoreStrategy::Reinstantiate;
    let mut instance = guest.instantiate(&config, MemoryState::new()).unwrap();
    for _ in 0..3 {
        instance.invoke_by_name("do_nothing").unwrap();
    }
    assert_eq!(of("do_nothing", "by-strategy"), 3.0);
    assert_eq!(counted(&metrics, "restored_bytes", "do_nothing", ""), 0.0);

    let fails = Arc::new(AtomicBool::new(true));
    let restore = Box::new(Thousand(Arc::clone(&fails)));
    let mut instance = guest.instantiate_with(restore, &config, MemoryState::new()).unwrap();
    instance.invoke_by_name("say_hello").unwrap();
    fails.store(false, Relaxed);
    instance.invoke_by_name("say_hello").unwrap();
    assert_eq!((of("say_hello", "not-restorable"), of("do_nothing", "not-restorable")), (1.0, 0.0));
    assert_eq!(counted(&metrics, "restored_bytes", "say_hello", ""), 1000.0);

    config.strategy = RestoreStrategy::FullCopy;
    let mut retention = Retention::default();
    (retention.bytes, retention.restores) = (1 << 17, 2);
    config.retention = Some(retention);
    let mut instance = guest.instantiate(&config, MemoryState::new()).unwrap();
    instance.invoke_by_name("grow_or_abort").unwrap();
    for _ in 0..6 {
        instance.invoke_by_name("do_nothing").unwrap();
    }
    assert_eq!((of("do_nothing", "shrunk"), of("grow_or_abort", "shrunk")), (1.0, 0.0));
}

#[test]
fn restores_that_the_embedder_asks_for_count_for_the_function_that_was_called_last() {
    let guest = plain();
    let (config, metrics) = counting(RestorePolicy::Never);
    let fails = Arc::new(AtomicBool::new(false));
    let restore = Box::new(Thousand(Arc::clone(&fails)));
    let mut instance = guest.instantiate_with(restore, &config, MemoryState::new()).unwrap();
    instance.restore().unwrap();
    instance.invoke_by_name("do_nothing").unwrap();
    instance.invoke_by_name("say_hello").unwrap();
    assert_eq!(counted(&metrics, "restored_bytes", "say_hello", ""), 0.0);
    instance.restore().unwrap();
    fails.store(true, Relaxed);
    instance.restore().unwrap();
    assert_eq!(counted(&metrics, "restored_bytes", "say_hello", ""), 1000.0);
    assert_eq!(counted(&metrics, "replacements", "say_hello", r#",reason="not-restorable""#), 1.0);
    assert_eq!(counted(&metrics, "restored_bytes", "do_nothing", ""), 0.0);
}

#[test]
fn many_threads_and_pools_count_into_the_same_metrics_and_none_is_lost() {
    const THREADS: u32 = 4;
    const CALLS: u32 = 200;
    let guest = plain();
    let (config, metrics) = counting(RestorePolicy::EveryCall);
    let mut of_pool = PoolConfig::default();
    of_pool.max = 3;
    for pools in 1..=2 {
        // The pool before is gone, and what its instances counted is not.
        let pool = Pool::new(&guest, &config, &of_pool, || Ok(MemoryState::new())).unwrap();
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    for call in 0..CALLS {
                        let mut instance = pool.take().unwrap();
                        instance.invoke_by_name("do_nothing").unwrap();
                        instance.invoke_by_name("refuse").unwrap_err();
                        instance.invoke_by_name("say_hello").unwrap();
                        // Whatever comes in its place counts on where it stopped.
                        if call % 10 == 0 {
                            instance.discard();
                        }
                    }
                });
            }
            scope.spawn(|| (0..50).for_each(|_| check(&metrics.text()).unwrap()));
        });
        let calls = f64::from(THREADS * CALLS * pools);
        for function in ["do_nothing", "refuse", "say_hello"] {
            assert_eq!(counted(&metrics, "invocations", function, ""), calls, "{function}");
        }
        assert_eq!(counted(&metrics, "errors", "refuse", r#",cause="guest-error""#), calls);
    }
}

#[test]
fn an_embedders_own_registry_has_them_with_its_prefix_and_labels() {
    let (config, metrics) = counting(RestorePolicy::EveryCall);
    let mut instance = plain().instantiate(&config, MemoryState::new()).unwrap();
    let mut registry = Registry::with_prefix("shop");
    let labelled = registry.sub_registry_with_label(("host".into(), "a".into()));
    labelled.register_collector(Box::new(metrics));
    instance.invoke_by_name("do_nothing").unwrap();
    let mut text = String::new();
    encode(&mut text, &registry).unwrap();
    check(&text).unwrap();
    let series = r#"shop_guest_invocations_total{host="a",guest="plain",function="do_nothing"}"#;
    assert_eq!(value(&text, series), Some(1.0), "{text}");
}
