//! Turns: one call for each tenant at a time, and a bounded number of callers.
//!
//! A call reads the tenant's records, and its intents are applied later. If two calls of one tenant did this at
//! the same time, one of them could undo what the other wrote. So the calls of a tenant are served one after the other, in
//! the order in which they came; those of different tenants do not wait for each other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as Lock, OwnedMutexGuard};

/// The queues of all tenants. Cheap to clone; the clones are the same queues.
#[derive(Debug, Clone)]
pub struct Turns {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// Callers of all tenants that there may be.
    most: usize,
    /// Callers of one tenant that there may be.
    most_of_tenant: usize,
    queues: Mutex<Queues>,
}

#[derive(Debug, Default)]
struct Queues {
    callers: usize,
    /// Those that have callers.
    tenants: HashMap<String, Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    callers: usize,
    lock: Arc<Lock<()>>,
}

/// There are as many callers as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Busy {
    /// Of all tenants together.
    #[error("the service has too much to do; try again later")]
    Service,
    /// Of this tenant.
    #[error("too many requests of this tenant wait; try again later")]
    Tenant,
}

impl Turns {
    /// Queues for at most `most` callers, of each tenant at most `most_of_tenant`.
    #[must_use]
    pub fn new(most: usize, most_of_tenant: usize) -> Self {
        Self { shared: Arc::new(Shared { most, most_of_tenant, queues: Mutex::default() }) }
    }

    /// Enters the queue of a tenant.
    ///
    /// # Errors
    /// [`Busy`] if there are as many callers as there may be.
    pub fn enter(&self, tenant: &str) -> Result<Place, Busy> {
        let mut queues = self.shared.lock();
        if queues.callers >= self.shared.most {
            return Err(Busy::Service);
        }
        let queue = queues.tenants.entry(tenant.to_owned()).or_default();
        // A tenant without callers is below any bound, so nothing was added for nothing.
        if queue.callers >= self.shared.most_of_tenant.max(1) {
            return Err(Busy::Tenant);
        }
        queue.callers += 1;
        let lock = Arc::clone(&queue.lock);
        queues.callers += 1;
        Ok(Place { turns: self.clone(), tenant: tenant.to_owned(), lock })
    }

    /// Callers that wait or are served.
    #[must_use]
    pub fn callers(&self) -> usize {
        self.shared.lock().callers
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queues> {
        // Nothing that is done under the lock can panic half-way.
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in the queue of a tenant. It is given up when this is dropped.
#[derive(Debug)]
pub struct Place {
    turns: Turns,
    tenant: String,
    lock: Arc<Lock<()>>,
}

impl Place {
    /// Waits for the turn. If the future is dropped before that, the place is given up.
    pub async fn turn(self) -> Turn {
        let guard = Arc::clone(&self.lock).lock_owned().await;
        Turn { _guard: guard, place: self }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queues = self.turns.shared.lock();
        queues.callers -= 1;
        if let Some(queue) = queues.tenants.get_mut(&self.tenant) {
            queue.callers -= 1;
            if queue.callers == 0 {
                queues.tenants.remove(&self.tenant);
            }
        }
    }
}

/// The turn of one call. The next of the tenant begins when this is dropped.
#[derive(Debug)]
pub struct Turn {
    // Dropped before the place: a caller that enters after the place was given up finds the lock free.
    _guard: OwnedMutexGuard<()>,
    place: Place,
}

impl Turn {
    /// The tenant whose turn it is.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.place.tenant
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_calls_of_a_tenant_come_one_after_the_other_and_those_of_others_do_not_wait() {
        let turns = Turns::new(10, 10);
        let first = turns.enter("a").unwrap().turn().await;
        let (second, third) = (turns.enter("a").unwrap(), turns.enter("a").unwrap());
        let other = turns.enter("b").unwrap().turn().await;
        assert_eq!((first.tenant(), other.tenant(), turns.callers()), ("a", "b", 4));
        let second = tokio::spawn(second.turn());
        tokio::task::yield_now().await;
        let third = tokio::spawn(third.turn());
        tokio::task::yield_now().await;
        assert!(!second.is_finished() && !third.is_finished());
        drop(first);
        let second = second.await.unwrap();
        tokio::task::yield_now().await;
        assert!(!third.is_finished());
        drop(second);
        drop(third.await.unwrap());
        drop(other);
        assert_eq!(turns.callers(), 0);
        assert!(turns.shared.lock().tenants.is_empty(), "nothing is kept of tenants without callers");
    }

    #[tokio::test]
    async fn callers_are_bounded_and_one_who_gives_up_makes_room() {
        let turns = Turns::new(3, 2);
        let first = turns.enter("a").unwrap().turn().await;
        let waiting = tokio::spawn(turns.enter("a").unwrap().turn());
        assert_eq!(turns.enter("a").unwrap_err(), Busy::Tenant);
        let _other = turns.enter("b").unwrap();
        assert_eq!(turns.enter("c").unwrap_err(), Busy::Service);
        tokio::task::yield_now().await;
        waiting.abort();
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert_eq!(turns.callers(), 2);
        drop(first);
        drop(turns.enter("a").unwrap().turn().await);
    }
}
