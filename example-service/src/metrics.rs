//! Metrics of the service, beside those of its guests.

use guest_host::Metrics;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Names and values of labels.
type Labels = [(&'static str, String); 1];

/// Counts requests and commits. Cheap to clone; the clones count into the same metrics.
///
/// No label has a tenant's name: their number would be unbounded.
#[derive(Debug, Clone, Default)]
pub struct ServiceMetrics {
    /// Metrics of the guests.
    pub guests: Metrics,
    requests: Family<Labels, Counter>,
    running: Gauge,
    transactions: Counter,
    commits: Counter,
}

/// A request that is being served. It counts as running until this is dropped.
#[derive(Debug)]
pub struct Running(Gauge);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl ServiceMetrics {
    /// A request begins.
    #[must_use]
    pub fn begin(&self) -> Running {
        self.running.inc();
        Running(self.running.clone())
    }

    /// A request is answered with this status.
    pub fn answered(&self, status: u16) {
        self.requests.get_or_create(&[("status", status.to_string())]).inc();
    }

    /// A transaction made this many commits durable.
    pub fn committed(&self, commits: usize) {
        self.transactions.inc();
        self.commits.inc_by(commits as u64);
    }

    /// All metrics, in the text format that Prometheus scrapes.
    #[must_use]
    pub fn text(&self) -> String {
        let mut registry = Registry::default();
        registry.register("service_requests", "Requests that were answered, by status", self.requests.clone());
        registry.register("service_requests_running", "Requests that are being served", self.running.clone());
        registry.register("service_transactions", "Transactions of the store", self.transactions.clone());
        registry.register(
            "service_commits",
            "Commits that the transactions of the store made durable",
            self.commits.clone(),
        );
        registry.register_collector(Box::new(self.guests.clone()));
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }
}
