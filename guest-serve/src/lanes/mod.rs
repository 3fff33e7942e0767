//! The slow lane: few threads of low priority, for calls that take longer than a thread that serves requests can wait.

mod low;
mod queue;
mod slow;

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

pub use queue::{Full, Turns};
pub use slow::{SlowCall, SlowCalls, SlowOptions};

use crate::folder::GuestName;

/// Threads that do jobs in turn. Dropping it ends them; jobs that wait are dropped, and those that run end.
#[derive(Debug)]
pub struct Lane<J> {
    entrance: Entrance<J>,
    threads: Vec<JoinHandle<()>>,
}

/// Where jobs enter a lane. Cheap to clone.
pub struct Entrance<J> {
    shared: Arc<Shared<J>>,
}

struct Shared<J> {
    state: Mutex<State<J>>,
    /// There is a job, or the lane is closed.
    changed: Condvar,
}

struct State<J> {
    turns: Turns<J>,
    closed: bool,
}

impl<J: Send + 'static> Lane<J> {
    /// Starts threads, each of which does jobs by what `make` makes. At most `most` jobs wait.
    ///
    /// # Errors
    /// If the system makes no thread.
    pub fn start<W: FnMut(J)>(
        threads: usize,
        most: usize,
        make: impl Fn() -> W + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let state = Mutex::new(State { turns: Turns::new(most), closed: false });
        let entrance = Entrance { shared: Arc::new(Shared { state, changed: Condvar::new() }) };
        // The threads that there are end with it if there is none for the next.
        let mut lane = Self { entrance, threads: Vec::new() };
        let make = Arc::new(make);
        for number in 0..threads {
            let (shared, make) = (Arc::clone(&lane.entrance.shared), Arc::clone(&make));
            let work = move || {
                low::lower_priority();
                shared.work(&*make);
            };
            lane.threads.push(thread::Builder::new().name(format!("slow-{number}")).spawn(work)?);
        }
        Ok(lane)
    }

    /// Where jobs enter.
    #[must_use]
    pub fn entrance(&self) -> Entrance<J> {
        self.entrance.clone()
    }
}

impl<J> Drop for Lane<J> {
    fn drop(&mut self) {
        self.entrance.close();
        for thread in self.threads.drain(..) {
            // It does not panic: jobs that do are caught.
            let _ = thread.join();
        }
    }
}

impl<J> Entrance<J> {
    /// Lets a job of a guest's tenant wait for its turn, of which `most` may wait.
    ///
    /// # Errors
    /// [`Full`], and the job is dropped.
    pub fn enter(&self, guest: &GuestName, tenant: &str, most: usize, job: J) -> Result<(), Full> {
        let mut state = self.shared.lock();
        if state.closed {
            return Err(Full::Closed);
        }
        state.turns.push(guest, tenant, most, job)?;
        drop(state);
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Jobs that wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.lock().turns.waiting()
    }

    /// Lets nobody enter, and drops the jobs that wait.
    fn close(&self) {
        let mut state = self.shared.lock();
        state.closed = true;
        let waiting = std::mem::replace(&mut state.turns, Turns::new(0));
        drop(state);
        self.shared.changed.notify_all();
        drop(waiting);
    }
}

impl<J> Shared<J> {
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job; `None` when the lane is closed.
    fn next(&self) -> Option<J> {
        let mut state = self.lock();
        loop {
            if state.closed {
                return None;
            }
            if let Some(job) = state.turns.pop() {
                return Some(job);
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn work<W: FnMut(J)>(&self, make: &impl Fn() -> W) {
        let mut work = make();
        while let Some(job) = self.next() {
            if catch_unwind(AssertUnwindSafe(|| work(job))).is_err() {
                // A fault of this program: what it worked with may be in pieces.
                work = make();
            }
        }
    }
}

impl<J> Clone for Entrance<J> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<J> fmt::Debug for Entrance<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entrance").field("waiting", &self.waiting()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
