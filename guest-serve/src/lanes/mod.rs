//! The slow lane: few threads of low priority, for calls that take longer than a thread that serves requests can wait.

mod low;
mod queue;
mod slow;

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub(crate) use low::lower_priority;
pub use queue::{Full, Turns};
pub use slow::{SlowCall, SlowOptions};

use crate::call::Stop;
use crate::folder::GuestName;

/// Threads that do jobs in turn. Dropping it ends them; jobs that wait are dropped, and those that run are stopped.
#[derive(Debug)]
pub struct Lane<J> {
    stop: Stop,
    entrance: Entrance<J>,
    threads: Vec<JoinHandle<()>>,
}

/// Does the jobs of one thread.
pub trait Work<J> {
    /// Does a job.
    fn work(&mut self, job: J);

    /// Is called about each second while there is no job.
    fn rest(&mut self) {}
}

impl<J, W: FnMut(J)> Work<J> for W {
    fn work(&mut self, job: J) {
        self(job);
    }
}

/// How long a thread waits for a job before it [rests](Work::rest).
const REST: Duration = Duration::from_secs(1);

/// Where jobs enter a lane. Cheap to clone.
pub struct Entrance<J> {
    shared: Arc<Shared<J>>,
}

struct Shared<J> {
    state: Mutex<State<J>>,
    /// There is a job, or the lane is closed.
    changed: Condvar,
}

enum Next<J> {
    Job(GuestName, J),
    Rest,
    End,
}

struct State<J> {
    turns: Turns<J>,
    closed: bool,
}

impl<J: Send + 'static> Lane<J> {
    /// Starts threads, each of which does jobs by what `make` makes. Calls of its jobs heed the [`Stop`]. At most `most` jobs wait.
    /// No guest has all threads, if there are several.
    ///
    /// # Errors
    /// If the system makes no thread.
    pub fn start<W: Work<J>>(
        threads: usize,
        most: usize,
        make: impl Fn(&Stop) -> W + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let state = Mutex::new(State { turns: Turns::new(most, threads.saturating_sub(1).max(1)), closed: false });
        let entrance = Entrance { shared: Arc::new(Shared { state, changed: Condvar::new() }) };
        // The threads that there are end with it if there is none for the next.
        let mut lane = Self { stop: Stop::default(), entrance, threads: Vec::new() };
        let stop = lane.stop.clone();
        let make = Arc::new(move || make(&stop));
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
        self.stop.set();
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
        let waiting = std::mem::replace(&mut state.turns, Turns::new(0, 0));
        drop(state);
        self.shared.changed.notify_all();
        drop(waiting);
    }
}

impl<J> Shared<J> {
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What there is to do next.
    fn next(&self) -> Next<J> {
        let mut state = self.lock();
        let mut rests = false;
        loop {
            if state.closed {
                return Next::End;
            }
            if let Some((guest, job)) = state.turns.pop() {
                return Next::Job(guest, job);
            }
            if rests {
                return Next::Rest;
            }
            let (woken, waited) = self.changed.wait_timeout(state, REST).unwrap_or_else(PoisonError::into_inner);
            (state, rests) = (woken, waited.timed_out());
        }
    }

    fn work<W: Work<J>>(&self, make: &impl Fn() -> W) {
        let mut worker = make();
        loop {
            let done = match self.next() {
                Next::Job(guest, job) => {
                    let done = catch_unwind(AssertUnwindSafe(|| worker.work(job)));
                    // Nobody is woken: this thread looks for the next job itself.
                    self.lock().turns.done(&guest);
                    done
                }
                Next::Rest => catch_unwind(AssertUnwindSafe(|| worker.rest())),
                Next::End => return,
            };
            if done.is_err() {
                // A fault of this program: what it worked with may be in pieces.
                worker = make();
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
