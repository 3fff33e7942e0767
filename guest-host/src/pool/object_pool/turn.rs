//! Waiting in the queue as a task.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll};

use super::{Answer, Grant, ObjectPool, Patience, Permit, TakeError, Waiter, Waiting};

/// A future that takes as [`ObjectPool::take`] does. Dropped, it leaves the queue, and hands on what it was about to get.
#[derive(Debug)]
pub(in crate::pool) struct Turn<'a, T> {
    objects: &'a ObjectPool<T>,
    /// Its place in the queue, once it waits.
    waiter: Option<Arc<Waiter<T>>>,
}

impl<T> ObjectPool<T> {
    /// Takes one that is idle, or leave to make one, or awaits either.
    pub(in crate::pool) fn turn(&self) -> Turn<'_, T> {
        Turn { objects: self, waiter: None }
    }
}

impl<'a, T> Future for Turn<'a, T> {
    type Output = Result<Grant<'a, T>, TakeError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let objects = self.objects;
        let waiter = loop {
            if let Some(waiter) = self.waiter.take() {
                break waiter;
            }
            match objects.take(Patience::None) {
                Err(TakeError::Exhausted) => {}
                taken => return Poll::Ready(taken),
            }
            let central = objects.lock();
            // One may have come back or been lost since, or the pool was closed.
            let is_full = central.idle.is_empty() && central.total == objects.max;
            if !central.closed && (is_full || !central.queue.is_empty()) {
                match objects.queue_up(central) {
                    Ok(waiter) => break waiter,
                    Err(item) => return Poll::Ready(Ok(Grant::Item(item))),
                }
            }
        };
        let mut waiting = waiter.lock();
        if let Some(answer) = waiting.take() {
            return Poll::Ready(objects.grant(answer));
        }
        *waiting = Waiting::Unanswered(Some(context.waker().clone()));
        drop(waiting);
        self.waiter = Some(waiter);
        Poll::Pending
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        let Some(waiter) = self.waiter.take() else {
            return;
        };
        let mut central = self.objects.lock();
        if let Some(place) = central.queue.iter().position(|other| Arc::ptr_eq(other, &waiter)) {
            central.queue.remove(place);
            self.objects.attention.fetch_sub(1, SeqCst);
        }
        drop(central);
        // A thread that is about to answer it finds it gone, and answers the next waiter.
        match std::mem::replace(&mut *waiter.lock(), Waiting::Gone) {
            Waiting::Answered(Answer::Item(item)) => drop(self.objects.put(item)),
            Waiting::Answered(Answer::Leave) => drop(Permit { objects: self.objects }),
            Waiting::Answered(Answer::Closed) | Waiting::Unanswered(_) | Waiting::Gone => {}
        }
    }
}
