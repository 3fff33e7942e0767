//! Whether this process is a member: for how long others will not take its partitions.

use std::time::{Duration, Instant};

use tokio::sync::watch;

/// The time until which a process is a member in any case. Cheap to clone; the clones are the same.
///
/// It saves work that would be refused, and nothing depends on it: a record is written only in the place of the last one.
#[derive(Debug, Clone)]
pub struct Lease {
    until: watch::Sender<Option<Instant>>,
}

impl Default for Lease {
    fn default() -> Self {
        Self { until: watch::Sender::new(None) }
    }
}

impl Lease {
    /// The entry of the member was written by a request that began at this time.
    pub fn renewed(&self, began: Instant, lease: Duration) {
        self.until.send_replace(Some(began + lease));
    }

    /// The process is no member any more.
    pub fn end(&self) {
        self.until.send_replace(None);
    }

    /// Whether it is a member.
    #[must_use]
    pub fn is_valid(&self) -> bool {
        self.until.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Waits until it is a member.
    pub async fn valid(&self) {
        let mut until = self.until.subscribe();
        // The sender is this lease's own.
        let _ = until.wait_for(|until| until.is_some_and(|until| Instant::now() < until)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_lease_is_valid_from_when_it_is_renewed_until_it_ends() {
        let lease = Lease::default();
        assert!(!lease.is_valid());
        let now = Instant::now();
        lease.renewed(now, Duration::from_secs(3600));
        lease.valid().await;
        assert!(lease.is_valid());
        lease.renewed(now, Duration::ZERO);
        assert!(!lease.is_valid());
        lease.renewed(now, Duration::from_secs(3600));
        lease.end();
        assert!(!lease.is_valid());
    }
}
