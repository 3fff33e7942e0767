//! The recording allocator.
#![expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait")]

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};

use crate::event_log::{Event, EventLog};
use crate::operation::{ALIGNMENT, MAX_SIZE, Operation};
use crate::trace::{Misuse, Trace};

/// An allocator that passes every request to another one and, during a recording, logs it. See the [crate] for an example,
/// and for threads and alignment.
///
/// Without a recording it costs a load and a branch per request. The memory of the log comes from the other allocator
/// directly, so it is never part of a trace.
#[derive(Debug)]
pub struct RecordingAllocator<A> {
    inner: A,
    /// Whether there is a log. Changed by whoever holds the lock, read by everyone.
    recording: AtomicBool,
    locked: AtomicBool,
    /// The log of the recording that is under way. Touched by whoever holds the lock.
    log: UnsafeCell<Option<EventLog>>,
}

// SAFETY: the log is only touched under the lock, and may be sent to whichever thread takes it.
unsafe impl<A: Sync> Sync for RecordingAllocator<A> {}

/// Holds the lock.
struct Locked<'a, A> {
    allocator: &'a RecordingAllocator<A>,
}

impl<A> Locked<'_, A> {
    fn log(&mut self) -> &mut Option<EventLog> {
        // SAFETY: this is the one who holds the lock, and the log is borrowed from it alone.
        unsafe { &mut *self.allocator.log.get() }
    }
}

impl<A> Drop for Locked<'_, A> {
    fn drop(&mut self) {
        self.allocator.locked.store(false, Ordering::Release);
    }
}

impl<A> RecordingAllocator<A> {
    /// Wraps an allocator.
    #[must_use]
    pub const fn new(inner: A) -> Self {
        Self { inner, recording: AtomicBool::new(false), locked: AtomicBool::new(false), log: UnsafeCell::new(None) }
    }

    /// The wrapped allocator.
    #[must_use]
    pub const fn inner(&self) -> &A {
        &self.inner
    }

    /// Waits by asking again and again: what the lock guards is short, and a lock that sleeps might allocate.
    fn lock(&self) -> Locked<'_, A> {
        while self.locked.compare_exchange_weak(false, true, Ordering::Acquire, Ordering::Relaxed).is_err() {
            core::hint::spin_loop();
        }
        Locked { allocator: self }
    }
}

impl<A: GlobalAlloc> RecordingAllocator<A> {
    /// Begins a recording. It lasts until the result is finished or dropped.
    ///
    /// ```
    /// use std::alloc::{GlobalAlloc, Layout, System};
    ///
    /// let allocator = alloc_trace::RecordingAllocator::new(System);
    /// let recording = allocator.start()?;
    /// let layout = Layout::new::<u64>();
    /// // SAFETY: the layout is not empty, and the pointer is freed with it.
    /// unsafe { allocator.dealloc(allocator.alloc(layout), layout) };
    /// assert_eq!(recording.finish()?.to_string(), "Alloc(8),\nFree(0),\n");
    /// # Ok::<(), alloc_trace::RecordError>(())
    /// ```
    ///
    /// # Errors
    /// [`RecordError::AlreadyRecording`] if another recording is under way.
    pub fn start(&self) -> Result<Recording<'_, A>, RecordError> {
        let mut locked = self.lock();
        let log = locked.log();
        if log.is_some() {
            return Err(RecordError::AlreadyRecording);
        }
        *log = Some(EventLog::new());
        self.recording.store(true, Ordering::Relaxed);
        Ok(Recording { allocator: self })
    }

    /// Records the requests of `program`. Returns its result and the trace.
    ///
    /// # Errors
    /// As for [`Self::start`] and [`Recording::finish`].
    pub fn record<R>(&self, program: impl FnOnce() -> R) -> Result<(R, Trace), RecordError> {
        let recording = self.start()?;
        let result = program();
        Ok((result, recording.finish()?))
    }

    /// Ends the recording.
    fn stop(&self) -> Option<EventLog> {
        let mut locked = self.lock();
        self.recording.store(false, Ordering::Relaxed);
        locked.log().take()
    }

    /// Has the other allocator do something, and writes down what came of it, in one turn: a block that is freed must
    /// not be another thread's before that is written down.
    #[cold]
    fn recorded<R>(&self, operation: impl FnOnce() -> (R, Option<Event>)) -> R {
        let mut locked = self.lock();
        let (result, event) = operation();
        if let (Some(log), Some(event)) = (locked.log(), event) {
            // SAFETY: every log of this allocator grows by its inner one.
            unsafe { log.push(&self.inner, event) };
        }
        result
    }

    fn is_recording(&self) -> bool {
        self.recording.load(Ordering::Relaxed)
    }

    fn recorded_allocation(&self, layout: Layout, allocate: impl FnOnce() -> *mut u8) -> *mut u8 {
        self.recorded(|| {
            let block = allocate();
            let event = Event { old: 0, new: block.addr(), size: layout.size(), align: layout.align() };
            (block, (!block.is_null()).then_some(event))
        })
    }
}

// SAFETY: everything is done by an allocator that keeps the contract; what is done besides does not unwind.
unsafe impl<A: GlobalAlloc> GlobalAlloc for RecordingAllocator<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        let allocate = || unsafe { self.inner.alloc(layout) };
        if self.is_recording() { self.recorded_allocation(layout, allocate) } else { allocate() }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps the same contract.
        let allocate = || unsafe { self.inner.alloc_zeroed(layout) };
        if self.is_recording() { self.recorded_allocation(layout, allocate) } else { allocate() }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the same contract.
        let free = || unsafe { self.inner.dealloc(block, layout) };
        if self.is_recording() {
            self.recorded(|| (free(), Some(Event { old: block.addr(), new: 0, size: 0, align: layout.align() })));
        } else {
            free();
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let old = block.addr();
        // SAFETY: the caller keeps the same contract.
        let reallocate = || unsafe { self.inner.realloc(block, layout, new_size) };
        if !self.is_recording() {
            return reallocate();
        }
        self.recorded(|| {
            let moved = reallocate();
            let event = Event { old, new: moved.addr(), size: new_size, align: layout.align() };
            (moved, (!moved.is_null()).then_some(event))
        })
    }
}

/// A recording that is under way.
#[derive(Debug)]
#[must_use = "a recording that is dropped has recorded nothing"]
pub struct Recording<'a, A: GlobalAlloc> {
    allocator: &'a RecordingAllocator<A>,
}

impl<A: GlobalAlloc> Recording<'_, A> {
    /// Ends the recording and returns the trace.
    ///
    /// A block that was allocated before the recording is not part of the trace: the trace omits its free, and a
    /// reallocation of it becomes an allocation of the new size. The trace omits requests that were refused, too.
    ///
    /// # Errors
    /// [`RecordError`] if there was no memory for the log, or if a trace cannot represent the requests.
    pub fn finish(self) -> Result<Trace, RecordError> {
        let Some(log) = self.allocator.stop() else {
            return Ok(Trace::default());
        };
        let trace = if log.full { Err(RecordError::OutOfMemory) } else { trace(log.events()) };
        // SAFETY: the log grew by this allocator.
        unsafe { log.free(&self.allocator.inner) };
        trace
    }
}

impl<A: GlobalAlloc> Drop for Recording<'_, A> {
    fn drop(&mut self) {
        if let Some(log) = self.allocator.stop() {
            // SAFETY: the log grew by this allocator.
            unsafe { log.free(&self.allocator.inner) };
        }
    }
}

/// Reason why there is no trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecordError {
    /// A recording that is under way already.
    AlreadyRecording,
    /// No memory for the log.
    OutOfMemory,
    /// A block that is larger than a trace allows.
    SizeTooLarge {
        /// Size in bytes, including the room for its alignment.
        size: usize,
    },
    /// More allocations than 32 bits can number.
    TooManyAllocations,
}

impl fmt::Display for RecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AlreadyRecording => f.write_str("another recording is under way"),
            Self::OutOfMemory => f.write_str("there was no memory to write down all operations; record less at a time"),
            Self::SizeTooLarge { size } => {
                write!(f, "a block of {size} bytes was asked for, and a trace has blocks of at most {MAX_SIZE}")
            }
            Self::TooManyAllocations => f.write_str("there were more allocations than numbers of 32 bits"),
        }
    }
}

impl core::error::Error for RecordError {}

/// The trace of these events: addresses become numbers.
fn trace(events: &[Event]) -> Result<Trace, RecordError> {
    let mut numbers = BTreeMap::new();
    let mut operations = Vec::new();
    let mut made: u32 = 0;
    for event in events {
        let number = numbers.remove(&event.old);
        if event.new == 0 {
            operations.extend(number.map(|allocation| Operation::Free { allocation }));
            continue;
        }
        let size = recorded_size(event)?;
        let allocation = match number {
            Some(allocation) => {
                operations.push(Operation::Realloc { allocation, size });
                allocation
            }
            None => {
                operations.push(Operation::Alloc { size });
                let allocation = made;
                made = made.checked_add(1).ok_or(RecordError::TooManyAllocations)?;
                allocation
            }
        };
        numbers.insert(event.new, allocation);
    }
    Trace::new(operations).map_err(|invalid| match invalid.misuse {
        Misuse::SizeTooLarge { size } => RecordError::SizeTooLarge { size: size as usize },
        // Numbers are made up above, and taken out of the map with the block that they are of.
        _ => RecordError::TooManyAllocations,
    })
}

/// Bytes that a block has in a trace, where none has an alignment.
fn recorded_size(event: &Event) -> Result<u32, RecordError> {
    let size = event.size.saturating_add(event.align.saturating_sub(ALIGNMENT));
    u32::try_from(size).ok().filter(|size| *size <= MAX_SIZE).ok_or(RecordError::SizeTooLarge { size })
}
