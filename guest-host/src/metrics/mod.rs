//! Metrics of invocations, in the text format that Prometheus scrapes.
//!
//! Each instance counts for itself, in counters that no other instance writes (`counters`), so that threads which call at the
//! same time never wait for each other or share a cache line. What a scrape reads is their sum. This file knows the
//! names, the labels and the text.

mod counters;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::failure::Cause;
use crate::guest::{Function, Guest};
use crate::host::outcome::Replaced;
use counters::{FunctionCounters, Totals};

/// Counts what instances do: invocations and their seconds, errors, retries, replacements and restored bytes, for each
/// function of each guest.
///
/// Cheap to clone; all clones are the same metrics. Whatever instances and pools are made with it in their
/// [`InstanceConfig::metrics`](crate::InstanceConfig::metrics) count into it, from any thread. What an instance counted
/// stays when it is dropped.
///
/// A call that the embedder's own code ends by a panic is not counted.
///
/// [`Metrics::text`] is all that an endpoint needs. Who has a registry of the crate `prometheus-client` already registers
/// a clone there instead, with a prefix or labels of its own if that is wanted:
///
/// ```
/// use guest_host::{InstanceConfig, Metrics};
/// use prometheus_client::registry::Registry;
///
/// let metrics = Metrics::default();
/// let mut config = InstanceConfig::default();
/// config.metrics = Some(metrics.clone());
///
/// let mut registry = Registry::with_prefix("shop");
/// registry.register_collector(Box::new(metrics));
/// ```
#[derive(Clone, Default)]
pub struct Metrics {
    functions: Arc<Mutex<Functions>>,
}

/// Counters by guest and function, each for as many instances as ever counted at the same time.
type Functions = BTreeMap<(String, String), Vec<Arc<FunctionCounters>>>;

impl Metrics {
    /// Type of what [`Metrics::text`] returns, for the header `Content-Type`.
    pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

    /// The metrics as they are now, in the OpenMetrics text format, with `# EOF` at its end.
    #[must_use]
    pub fn text(&self) -> String {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(self.clone()));
        let mut text = String::new();
        // It fails only where what it writes to does, and a string takes everything.
        let _ = text::encode(&mut text, &registry);
        text
    }

    /// Counters of a function that are nobody else's, from now on until they are dropped.
    fn counters(&self, guest: &str, function: &str) -> Arc<FunctionCounters> {
        let mut functions = self.functions();
        let all = functions.entry((guest.to_owned(), function.to_owned())).or_default();
        // Those of an instance that is gone are taken over with what it counted. That nobody else has them is seen
        // together with all that was written to them.
        if let Some(free) =
            all.iter_mut().find_map(|counters| Arc::get_mut(counters).is_some().then(|| Arc::clone(counters)))
        {
            return free;
        }
        let counters = Arc::<FunctionCounters>::default();
        all.push(Arc::clone(&counters));
        counters
    }

    fn functions(&self) -> MutexGuard<'_, Functions> {
        self.functions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn totals(&self) -> Vec<((String, String), Totals)> {
        let functions = self.functions();
        functions.iter().map(|(labels, counters)| (labels.clone(), Totals::of(counters))).collect()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("functions", &self.functions().len()).finish_non_exhaustive()
    }
}

/// Whether both are the same metrics, not whether they have the same counts.
impl PartialEq for Metrics {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.functions, &other.functions)
    }
}

impl Eq for Metrics {}

/// A counter of [`Totals`]: the names of its further label's values, with their counts.
type Counts = fn(&Totals) -> Vec<(&'static str, u64)>;

/// A counter by guest and function: its name, what it counts, its further label, and where it is in [`Totals`].
const COUNTERS: [(&str, &str, &str, Counts); 3] = [
    ("guest_errors", "Calls that failed, by cause.", "cause", |totals| totals.errors()),
    (
        "guest_retries",
        "Calls that ran out of memory and were tried again on the restored instance, and whether that helped.",
        "result",
        |totals| vec![("recovered", totals.recovered), ("failed", totals.failed_again)],
    ),
    ("guest_replacements", "Instances that were replaced by new ones, by reason.", "reason", |totals| {
        totals.replacements()
    }),
];

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let all = self.totals();

        let help = "Calls of extension functions, whether they succeeded or failed.";
        let mut family = encoder.encode_descriptor("guest_invocations", help, None, MetricType::Counter)?;
        for ((guest, function), totals) in &all {
            let labels = [("guest", guest.as_str()), ("function", function)];
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&totals.calls(), None)?;
        }

        let help = "Time of a call with its retry and the restore that follows it.";
        let unit = Some(&Unit::Seconds);
        let mut family = encoder.encode_descriptor("guest_invocation", help, unit, MetricType::Histogram)?;
        for ((guest, function), totals) in &all {
            let labels = [("guest", guest.as_str()), ("function", function)];
            let (seconds, buckets) = (totals.seconds(), totals.buckets());
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(seconds, totals.calls(), &buckets, None)?;
        }

        let help = "Bytes that restores in place wrote.";
        let unit = Some(&Unit::Bytes);
        let mut family = encoder.encode_descriptor("guest_restored", help, unit, MetricType::Counter)?;
        for ((guest, function), totals) in &all {
            let labels = [("guest", guest.as_str()), ("function", function)];
            family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&totals.restored_bytes, None)?;
        }

        for (name, help, label, counts) in COUNTERS {
            let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
            for ((guest, function), totals) in &all {
                for (value, count) in counts(totals) {
                    let labels = [("guest", guest.as_str()), ("function", function), (label, value)];
                    family.encode_family(&labels)?.encode_counter::<NoLabelSet, _, f64>(&count, None)?;
                }
            }
        }
        Ok(())
    }
}

/// The counts of one instance.
#[derive(Debug)]
pub(crate) struct Tally {
    metrics: Metrics,
    guest: Guest,
    /// Counters by function, and one more for functions that there are not; found when they are first needed.
    counters: Vec<Option<Arc<FunctionCounters>>>,
    /// The function that was called last, to which restores and replacements count.
    last: Option<usize>,
}

impl Tally {
    /// Of an instance of this guest.
    pub(crate) fn new(metrics: &Metrics, guest: &Guest) -> Self {
        let counters = vec![None; guest.callables() + 1];
        Self { metrics: metrics.clone(), guest: guest.clone(), counters, last: None }
    }

    /// A call begins, now.
    pub(crate) fn begin(&mut self, function: Function) -> Instant {
        // One of another guest is none of this one.
        self.last = Some(function.index.min(self.guest.callables()));
        Instant::now()
    }

    /// The call ended.
    pub(crate) fn end(&mut self, began: Instant, retried: bool, failed: Option<&Cause>) {
        let elapsed = began.elapsed();
        if let Some(counters) = self.of_last() {
            counters.called(elapsed);
            if retried {
                counters.retried(failed.is_none());
            }
            if let Some(cause) = failed {
                counters.failed(cause.kind());
            }
        }
    }

    /// A function was to be called that there is not.
    #[cold]
    pub(crate) fn missing(&mut self, cause: &Cause) {
        let counters = self.of(self.guest.callables());
        counters.called(Duration::ZERO);
        counters.failed(cause.kind());
    }

    /// The instance was restored in place.
    pub(crate) fn restored(&mut self, bytes: u64) {
        if let Some(counters) = self.of_last() {
            counters.restored(bytes);
        }
    }

    /// The instance was replaced.
    #[cold]
    pub(crate) fn replaced(&mut self, why: Replaced) {
        if let Some(counters) = self.of_last() {
            counters.replaced(why.kind());
        }
    }

    fn of_last(&mut self) -> Option<&FunctionCounters> {
        self.last.map(|index| self.of(index))
    }

    fn of(&mut self, index: usize) -> &FunctionCounters {
        self.counters[index].get_or_insert_with(|| {
            self.metrics.counters(self.guest.name(), self.guest.function_name(Function { index }))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_of_one_instance_at_a_time_and_keep_their_counts() {
        let metrics = Metrics::default();
        let (first, second) = (metrics.counters("g", "f"), metrics.counters("g", "f"));
        assert!(!Arc::ptr_eq(&first, &second));
        let gone = Arc::as_ptr(&first);
        first.called(Duration::from_micros(1));
        second.called(Duration::from_micros(1));
        drop(first);
        let third = metrics.counters("g", "f");
        assert_eq!(Arc::as_ptr(&third), gone);
        third.called(Duration::from_micros(1));
        assert!(!Arc::ptr_eq(&third, &metrics.counters("g", "other")));
        let calls: Vec<_> = metrics.totals().into_iter().map(|(labels, totals)| (labels.1, totals.calls())).collect();
        assert_eq!(calls, [("f".to_owned(), 3), ("other".to_owned(), 0)]);
    }

    #[test]
    fn the_text_has_every_metric_with_its_labels() {
        let metrics = Metrics::default();
        let counters = metrics.counters("a \"guest\"\n", "f");
        counters.called(Duration::from_nanos(250));
        counters.called(Duration::from_secs(3));
        counters.failed("panic");
        counters.restored(12);
        counters.retried(true);
        counters.replaced("shrunk");
        let text = metrics.text();
        for line in [
            r#"guest_invocations_total{guest="a \"guest\"\n",function="f"} 2"#,
            r#"guest_invocation_seconds_sum{guest="a \"guest\"\n",function="f"} 3.00000025"#,
            r#"guest_invocation_seconds_count{guest="a \"guest\"\n",function="f"} 2"#,
            r#"guest_invocation_seconds_bucket{le="1e-7",guest="a \"guest\"\n",function="f"} 0"#,
            r#"guest_invocation_seconds_bucket{le="2.5e-7",guest="a \"guest\"\n",function="f"} 1"#,
            r#"guest_invocation_seconds_bucket{le="1.0",guest="a \"guest\"\n",function="f"} 1"#,
            r#"guest_invocation_seconds_bucket{le="+Inf",guest="a \"guest\"\n",function="f"} 2"#,
            r#"guest_restored_bytes_total{guest="a \"guest\"\n",function="f"} 12"#,
            r#"guest_errors_total{guest="a \"guest\"\n",function="f",cause="panic"} 1"#,
            r#"guest_retries_total{guest="a \"guest\"\n",function="f",result="recovered"} 1"#,
            r#"guest_retries_total{guest="a \"guest\"\n",function="f",result="failed"} 0"#,
            r#"guest_replacements_total{guest="a \"guest\"\n",function="f",reason="shrunk"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
        }
    }

    #[test]
    fn metrics_are_equal_where_they_are_the_same() {
        let metrics = Metrics::default();
        assert_eq!(metrics, metrics.clone());
        assert_ne!(metrics, Metrics::default());
    }
}
