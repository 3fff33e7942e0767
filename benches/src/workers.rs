//! Threads that do the same work at the same time.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

/// Threads that wait for work and end with this value.
pub struct Workers {
    starts: Vec<Sender<u64>>,
    ended: Receiver<()>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// A thread for each piece of work. A piece is told how many times to do it.
    ///
    /// # Panics
    /// When the system gives no more threads.
    #[must_use]
    pub fn start<W: FnMut(u64) + Send + 'static>(work: impl IntoIterator<Item = W>) -> Self {
        let (end, ended) = mpsc::channel();
        let mut starts = Vec::new();
        let start = |mut work: W| {
            let (start, started) = mpsc::channel();
            starts.push(start);
            let end = end.clone();
            thread::spawn(move || {
                for times in started {
                    work(times);
                    // Nobody listens when another worker panicked; then there is nothing more to do either.
                    let _ = end.send(());
                }
            })
        };
        let threads = work.into_iter().map(start).collect();
        Self { starts, ended, threads }
    }

    /// Lets the threads do their work `times` times together, and waits until all are done.
    ///
    /// # Panics
    /// When a worker panicked.
    pub fn run(&self, times: u64) {
        for start in &self.starts {
            start.send(times.div_ceil(self.starts.len() as u64)).expect("the worker waits");
        }
        for _ in &self.starts {
            self.ended.recv().expect("the worker is alive");
        }
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.starts.clear();
        for thread in self.threads.drain(..) {
            // Its panic was told when it happened.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    #[test]
    fn the_work_is_shared_and_done_when_run_returns() {
        let done = Arc::new(AtomicU64::new(0));
        let workers = Workers::start((0..3).map(|_| {
            let done = Arc::clone(&done);
            move |times| {
                done.fetch_add(times, Relaxed);
            }
        }));
        workers.run(300);
        assert_eq!(done.load(Relaxed), 300);
        workers.run(1);
        assert_eq!(done.load(Relaxed), 303);
    }
}
