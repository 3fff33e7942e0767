//! An object pool: a bounded number of things that many threads borrow and give back.
//!
//! Knows nothing of instances. A taker gets an idle thing, or leave to make one, or waits; those who wait are served in
//! the order in which they came. Nothing is made or dropped here, so no lock is held for longer than it takes to move a
//! pointer.
//!
//! Each thread has a [`Slot`] of its own, in which it finds what it gave back last: a call after a call takes neither a
//! lock nor a cache line from another thread. What does not fit there, and everything while somebody waits, goes through
//! [`Central`].

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use super::slot::Slot;

#[cfg(feature = "async")]
mod turn;

/// A bounded number of things to borrow.
#[derive(Debug)]
pub(super) struct ObjectPool<T> {
    slots: Box<[Slot<T>]>,
    /// Those who wait, each once, and [`CLOSED`]: anything but 0 sends takers and givers to [`Central`]. Changed only
    /// with its lock.
    attention: AtomicUsize,
    central: Mutex<Central<T>>,
    max: usize,
}

/// Set in [`ObjectPool::attention`] for ever when the pool is closed.
const CLOSED: usize = 1 << (usize::BITS - 1);

#[derive(Debug)]
struct Central<T> {
    /// The things that did not fit into a slot.
    idle: Vec<Box<T>>,
    /// Things that exist or may be made: idle, lent, or granted as a [`Permit`].
    total: usize,
    /// First come, first served. Where this is not empty, nothing stays idle and `total` is at the bound.
    queue: VecDeque<Arc<Waiter<T>>>,
    closed: bool,
}

/// Somebody who waits: a thread, or a task.
#[derive(Debug)]
struct Waiter<T> {
    answer: Mutex<Waiting<T>>,
    answered: Condvar,
}

#[derive(Debug)]
enum Waiting<T> {
    /// For an answer. A task has left the way to wake it.
    Unanswered(Option<Waker>),
    Answered(Answer<T>),
    /// It took its answer, or no longer waits for one.
    Gone,
}

/// The answer to a taker that waited.
#[derive(Debug)]
enum Answer<T> {
    Item(Box<T>),
    /// One was lost; another may be made in its place.
    Leave,
    Closed,
}

/// The answer to a taker.
#[derive(Debug)]
pub(super) enum Grant<'a, T> {
    Item(Box<T>),
    Permit(Permit<'a, T>),
}

/// Leave to make one thing, or to drop one; gone with this value unless it was used.
#[derive(Debug)]
pub(super) struct Permit<'a, T> {
    objects: &'a ObjectPool<T>,
}

/// How long to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    None,
    UpTo(Duration),
    Endless,
}

/// Error of taking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TakeError {
    /// There is none, and no patience.
    Exhausted,
    TimedOut,
    Closed,
}

/// The numbers at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) total: usize,
    pub(super) idle: usize,
    pub(super) waiting: usize,
}

impl<T> ObjectPool<T> {
    /// Empty, for at most `max` things.
    pub(super) fn new(max: usize) -> Self {
        // Threads are numbered as they come. With some slots more than run at once, two that run seldom share one.
        let slots = thread::available_parallelism().map_or(8, |threads| (threads.get() * 4).next_power_of_two());
        Self::with_slots(max, slots.min(256))
    }

    /// The same with a number of slots, a power of two.
    fn with_slots(max: usize, slots: usize) -> Self {
        debug_assert!(slots.is_power_of_two());
        Self {
            slots: (0..slots).map(|_| Slot::new()).collect(),
            attention: AtomicUsize::new(0),
            central: Mutex::new(Central { idle: Vec::new(), total: 0, queue: VecDeque::new(), closed: false }),
            max,
        }
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    pub(super) fn is_closed(&self) -> bool {
        self.attention.load(SeqCst) & CLOSED != 0
    }

    /// Takes one that is idle, or leave to make one, or waits for either.
    #[inline]
    pub(super) fn take(&self, patience: Patience) -> Result<Grant<'_, T>, TakeError> {
        if self.attention.load(SeqCst) == 0
            && let Some(item) = self.own_slot().take()
        {
            return Ok(Grant::Item(item));
        }
        self.take_central(patience)
    }

    /// Gives one back; returns it where the pool has no more use for it. It no longer counts then.
    #[inline]
    pub(super) fn put(&self, item: Box<T>) -> Option<Box<T>> {
        if self.attention.load(SeqCst) != 0 {
            return self.put_central(item);
        }
        match self.own_slot().put(item) {
            // Whoever began to wait since then has either found it there, or is seen here.
            Ok(()) if self.attention.load(SeqCst) == 0 => None,
            Ok(()) => self.put_central(self.take_from_slots()?),
            Err(item) => self.put_central(item),
        }
    }

    /// Leave to make one, where fewer than `bound` are there and nobody waits.
    pub(super) fn permit_below(&self, bound: usize) -> Result<Option<Permit<'_, T>>, TakeError> {
        let mut central = self.lock();
        match central.closed {
            true => Err(TakeError::Closed),
            false if central.total < bound.min(self.max) => {
                central.total += 1;
                Ok(Some(Permit { objects: self }))
            }
            false => Ok(None),
        }
    }

    /// Leave to drop one that was lent.
    pub(super) fn permit_for_lent(&self) -> Permit<'_, T> {
        Permit { objects: self }
    }

    /// Takes an idle one while more than `bound` are there.
    pub(super) fn take_above(&self, bound: usize) -> Option<Box<T>> {
        let mut central = self.lock();
        if central.total <= bound || !central.queue.is_empty() {
            return None;
        }
        let item = central.idle.pop().or_else(|| self.take_from_slots())?;
        central.total -= 1;
        Some(item)
    }

    /// Lends nothing from now on, sends away all who wait, and returns what was idle.
    pub(super) fn close(&self) -> Vec<Box<T>> {
        let mut central = self.lock();
        central.closed = true;
        self.attention.store(CLOSED, SeqCst);
        let waiting = std::mem::take(&mut central.queue);
        let mut idle = std::mem::take(&mut central.idle);
        while let Some(item) = self.take_from_slots() {
            idle.push(item);
        }
        central.total -= idle.len();
        drop(central);
        for waiter in waiting {
            drop(waiter.tell(Answer::Closed));
        }
        idle
    }

    pub(super) fn counts(&self) -> Counts {
        let central = self.lock();
        let in_slots = self.slots.iter().filter(|slot| !slot.is_empty()).count();
        Counts { total: central.total, idle: central.idle.len() + in_slots, waiting: central.queue.len() }
    }

    #[cold]
    fn take_central(&self, patience: Patience) -> Result<Grant<'_, T>, TakeError> {
        let mut central = self.lock();
        if central.closed {
            return Err(TakeError::Closed);
        }
        if central.queue.is_empty() {
            if let Some(item) = central.idle.pop().or_else(|| self.take_from_slots()) {
                return Ok(Grant::Item(item));
            }
            if central.total < self.max {
                central.total += 1;
                return Ok(Grant::Permit(Permit { objects: self }));
            }
        }
        if patience == Patience::None {
            return Err(TakeError::Exhausted);
        }
        let waiter = match self.queue_up(central) {
            Ok(waiter) => waiter,
            Err(item) => return Ok(Grant::Item(item)),
        };
        let answer = match waiter.wait(patience) {
            Some(answer) => answer,
            None => self.give_up(&waiter)?,
        };
        self.grant(answer)
    }

    /// Joins the queue, unless there is one to be had after all.
    fn queue_up(&self, mut central: MutexGuard<'_, Central<T>>) -> Result<Arc<Waiter<T>>, Box<T>> {
        self.attention.fetch_add(1, SeqCst);
        // Whoever gave back without having seen that somebody waits put it where it is found now.
        if central.queue.is_empty()
            && let Some(item) = self.take_from_slots()
        {
            self.attention.fetch_sub(1, SeqCst);
            return Err(item);
        }
        let waiter = Arc::new(Waiter { answer: Mutex::new(Waiting::Unanswered(None)), answered: Condvar::new() });
        central.queue.push_back(Arc::clone(&waiter));
        Ok(waiter)
    }

    fn grant(&self, answer: Answer<T>) -> Result<Grant<'_, T>, TakeError> {
        match answer {
            Answer::Item(item) => Ok(Grant::Item(item)),
            Answer::Leave => Ok(Grant::Permit(Permit { objects: self })),
            Answer::Closed => Err(TakeError::Closed),
        }
    }

    /// Leaves the queue, unless an answer is on its way: that is worth more than to have been in time.
    fn give_up(&self, waiter: &Arc<Waiter<T>>) -> Result<Answer<T>, TakeError> {
        let mut central = self.lock();
        match central.queue.iter().position(|other| Arc::ptr_eq(other, waiter)) {
            Some(place) => {
                central.queue.remove(place);
                self.attention.fetch_sub(1, SeqCst);
                Err(TakeError::TimedOut)
            }
            None => {
                drop(central);
                waiter.wait(Patience::Endless).ok_or(TakeError::TimedOut)
            }
        }
    }

    #[cold]
    fn put_central(&self, mut item: Box<T>) -> Option<Box<T>> {
        loop {
            let mut central = self.lock();
            if central.closed {
                central.total -= 1;
                return Some(item);
            }
            let Some(waiter) = self.next(&mut central) else {
                central.idle.push(item);
                return None;
            };
            drop(central);
            match waiter.tell(Answer::Item(item)) {
                // It went away meanwhile.
                Some(Answer::Item(back)) => item = back,
                _ => return None,
            }
        }
    }

    /// One thing is no more, or was never made: somebody else may make one.
    fn release(&self) {
        loop {
            let mut central = self.lock();
            let Some(waiter) = self.next(&mut central) else {
                central.total -= 1;
                return;
            };
            drop(central);
            if waiter.tell(Answer::Leave).is_none() {
                return;
            }
        }
    }

    /// Whose turn it is.
    fn next(&self, central: &mut Central<T>) -> Option<Arc<Waiter<T>>> {
        let waiter = central.queue.pop_front()?;
        self.attention.fetch_sub(1, SeqCst);
        Some(waiter)
    }

    fn take_from_slots(&self) -> Option<Box<T>> {
        self.slots.iter().find_map(Slot::take)
    }

    #[inline]
    fn own_slot(&self) -> &Slot<T> {
        // The number of slots is a power of two.
        &self.slots[thread_number() & (self.slots.len() - 1)]
    }

    fn lock(&self) -> MutexGuard<'_, Central<T>> {
        // Nothing that is done under the lock can panic half-way.
        self.central.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Permit<'_, T> {
    /// Counts the thing that this permit allowed to make.
    pub(super) fn used(self) {
        std::mem::forget(self);
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        self.objects.release();
    }
}

impl<T> Waiter<T> {
    /// The answer, or `None` when patience ends before it.
    fn wait(&self, patience: Patience) -> Option<Answer<T>> {
        let until = match patience {
            // A time that the clock cannot tell never comes.
            Patience::UpTo(limit) => Instant::now().checked_add(limit),
            Patience::None | Patience::Endless => None,
        };
        let mut answer = self.lock();
        loop {
            if let Some(answer) = answer.take() {
                return Some(answer);
            }
            answer = match until {
                None => self.answered.wait(answer).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    self.answered.wait_timeout(answer, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Tells the answer, or returns it where nobody waits for it any more.
    fn tell(&self, answer: Answer<T>) -> Option<Answer<T>> {
        let mut waiting = self.lock();
        let waker = match &mut *waiting {
            Waiting::Unanswered(waker) => waker.take(),
            Waiting::Answered(_) | Waiting::Gone => return Some(answer),
        };
        *waiting = Waiting::Answered(answer);
        drop(waiting);
        match waker {
            Some(waker) => waker.wake(),
            None => self.answered.notify_one(),
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Waiting<T> {
    /// The answer, once.
    fn take(&mut self) -> Option<Answer<T>> {
        match std::mem::replace(self, Self::Gone) {
            Self::Answered(answer) => Some(answer),
            other => {
                *self = other;
                None
            }
        }
    }
}

/// The thread's number, counted from 0 in the order in which threads first ask.
#[inline]
fn thread_number() -> usize {
    const UNNUMBERED: usize = usize::MAX;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static NUMBER: Cell<usize> = const { Cell::new(UNNUMBERED) });
    let number = NUMBER.get();
    if number != UNNUMBERED {
        return number;
    }
    let number = NEXT.fetch_add(1, Relaxed);
    NUMBER.set(number);
    number
}

#[cfg(test)]
mod tests;
