//! A place for one idle thing, which threads fill and empty without a lock.

#![expect(unsafe_code, reason = "a box goes through an atomic pointer")]

use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

/// Holds one box or none.
///
/// Filling and emptying are sequentially consistent: of a thread that fills a slot and then looks for those who wait, and
/// one that says that it waits and then looks into the slot, at least one sees what the other did.
// Aligned, so that threads with slots side by side do not write into the same cache line, or the pair of them that
// processors fetch.
#[repr(align(128))]
pub(super) struct Slot<T> {
    /// Null where the slot is empty.
    held: AtomicPtr<T>,
    /// The slot owns what it holds.
    owns: PhantomData<Box<T>>,
}

// SAFETY: through a shared slot a thread can do nothing but move whole boxes in and out, each out once, so what may be
// sent to another thread may be so through a slot. No reference into a slot is ever given out, so `Sync` is not needed.
unsafe impl<T: Send> Sync for Slot<T> {}

impl<T> Slot<T> {
    pub(super) const fn new() -> Self {
        Self { held: AtomicPtr::new(ptr::null_mut()), owns: PhantomData }
    }

    /// Empties the slot.
    #[inline]
    pub(super) fn take(&self) -> Option<Box<T>> {
        // A look alone leaves the cache line where it is.
        if self.is_empty() {
            return None;
        }
        let held = self.held.swap(ptr::null_mut(), SeqCst);
        // SAFETY: only `put` stores an address that is not null, and it is that of a box that it gave away. The swap
        // took it out, so no other thread can find it any more: this is its only owner.
        (!held.is_null()).then(|| unsafe { Box::from_raw(held) })
    }

    /// Fills the slot, or returns what it has no room for.
    #[inline]
    pub(super) fn put(&self, item: Box<T>) -> Result<(), Box<T>> {
        let item = Box::into_raw(item);
        match self.held.compare_exchange(ptr::null_mut(), item, SeqCst, Relaxed) {
            Ok(_) => Ok(()),
            // SAFETY: the address is that of the box that was taken apart above, and was stored nowhere.
            Err(_) => Err(unsafe { Box::from_raw(item) }),
        }
    }

    /// Whether there is nothing in it at this moment.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.held.load(SeqCst).is_null()
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        drop(self.take());
    }
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "Slot(empty)" } else { "Slot(full)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn it_holds_one_and_returns_what_does_not_fit() {
        let slot = Slot::new();
        assert!(slot.take().is_none());
        slot.put(Box::new(1)).unwrap();
        assert_eq!(slot.put(Box::new(2)), Err(Box::new(2)));
        assert_eq!(slot.take(), Some(Box::new(1)));
        assert!(slot.is_empty());
    }

    #[test]
    fn what_it_holds_is_dropped_with_it_once() {
        let held = Arc::new(());
        let slot = Slot::new();
        slot.put(Box::new(Arc::clone(&held))).unwrap();
        assert_eq!(Arc::strong_count(&held), 2);
        drop(slot);
        assert_eq!(Arc::strong_count(&held), 1);
    }

    #[test]
    fn threads_never_get_the_same_box_and_lose_none() {
        const ITEMS: u32 = 4;
        let slots: Vec<Slot<u32>> = (0..2).map(|_| Slot::new()).collect();
        let mut left: Vec<u32> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..ITEMS)
                .map(|number| {
                    let slots = &slots;
                    scope.spawn(move || {
                        let mut own = vec![Box::new(number)];
                        for round in 0..if cfg!(miri) { 50 } else { 20_000 } {
                            let slot = &slots[round % 2];
                            match own.pop() {
                                Some(item) if round % 3 > 0 => own.extend(slot.put(item).err()),
                                kept => own.extend(kept.into_iter().chain(slot.take())),
                            }
                        }
                        own
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).map(|item| *item).collect()
        });
        left.extend(slots.iter().filter_map(Slot::take).map(|item| *item));
        left.sort_unstable();
        assert_eq!(left, (0..ITEMS).collect::<Vec<_>>());
    }
}
