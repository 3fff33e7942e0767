//! What the recording allocator writes down: a log in memory that it takes from the allocator it is wrapped around, so
//! that writing it down is not an operation of the program.
#![expect(unsafe_code, reason = "the log is raw memory: a vector would come from the allocator that is recorded")]

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

/// An event of a block, by address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Event {
    /// Where it was; 0 when it has just been allocated.
    pub(crate) old: usize,
    /// Where it is; 0 when it has just been freed.
    pub(crate) new: usize,
    /// Its bytes; of no meaning when it has been freed.
    pub(crate) size: usize,
    /// Its alignment.
    pub(crate) align: usize,
}

/// Events that the log has room for at first.
const FIRST: usize = 1 << 12;

/// A list of events that grows by the allocator that is handed to it.
#[derive(Debug)]
pub(crate) struct EventLog {
    events: *mut Event,
    length: usize,
    capacity: usize,
    /// Whether an event had no room.
    pub(crate) full: bool,
}

// SAFETY: it owns its events, which are plain numbers.
unsafe impl Send for EventLog {}

impl EventLog {
    pub(crate) const fn new() -> Self {
        Self { events: ptr::null_mut(), length: 0, capacity: 0, full: false }
    }

    /// Adds an event; when there is no more memory, [`Self::full`] is set and the log stays as it is.
    ///
    /// # Safety
    /// It is the same allocator each time.
    pub(crate) unsafe fn push(&mut self, allocator: &impl GlobalAlloc, event: Event) {
        // What follows a gap would make no sense.
        if self.full {
            return;
        }
        // SAFETY: the caller's promise.
        if self.length == self.capacity && !unsafe { self.grow(allocator) } {
            self.full = true;
            return;
        }
        // SAFETY: there is room for more events than there are.
        unsafe { self.events.add(self.length).write(event) };
        self.length += 1;
    }

    /// # Safety
    /// As for [`Self::push`].
    unsafe fn grow(&mut self, allocator: &impl GlobalAlloc) -> bool {
        let capacity = if self.capacity == 0 { FIRST } else { self.capacity.saturating_mul(2) };
        let Ok(layout) = Layout::array::<Event>(capacity) else {
            return false;
        };
        let grown = match Layout::array::<Event>(self.capacity) {
            Ok(old) if self.capacity > 0 => {
                // SAFETY: the events were allocated by this allocator with the old layout, and the new one is a
                // layout of more than no bytes.
                unsafe { allocator.realloc(self.events.cast(), old, layout.size()) }
            }
            // SAFETY: the layout has more than no bytes.
            _ => unsafe { allocator.alloc(layout) },
        };
        let Some(grown) = NonNull::new(grown) else {
            return false;
        };
        (self.events, self.capacity) = (grown.as_ptr().cast(), capacity);
        true
    }

    /// The events.
    pub(crate) fn events(&self) -> &[Event] {
        match NonNull::new(self.events) {
            // SAFETY: so many events were written, and nobody writes while the log is borrowed.
            Some(events) => unsafe { core::slice::from_raw_parts(events.as_ptr(), self.length) },
            None => &[],
        }
    }

    /// Gives its memory back.
    ///
    /// # Safety
    /// As for [`Self::push`].
    pub(crate) unsafe fn free(self, allocator: &impl GlobalAlloc) {
        if let Ok(layout) = Layout::array::<Event>(self.capacity)
            && self.capacity > 0
        {
            // SAFETY: the events were allocated by this allocator with this layout.
            unsafe { allocator.dealloc(self.events.cast(), layout) };
        }
    }
}
