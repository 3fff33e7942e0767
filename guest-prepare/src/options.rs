//! Which passes run, and how.

use crate::passes::barrier::BarrierOptions;

/// Which steps to take. Exporting globals is not optional: every restore in place needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PrepareOptions {
    /// Whether `memory.grow` and `memory.size` work on a logical size that a restore can put back.
    pub virtual_growth: bool,
    /// Whether and how stores note what they write. A [`Guest`](crate::Guest) is prepared without a barrier at first,
    /// and a second time with one when a strategy needs it; this says how that one is made.
    pub barrier: Option<BarrierOptions>,
    /// Whether the lowest value of the shadow-stack pointer is kept in the control block, where there is one and no
    /// barrier. A [`Guest`](crate::Guest) is prepared so when a strategy needs it, and not otherwise.
    pub lowest_stack: bool,
    /// Whether calls of the allocator's functions are counted, in a module whose allocator keeps no control block. It is how
    /// the harness knows what such a guest allocates, and that it ran out of memory.
    pub count_allocations: bool,
    /// Bytes that the prepared module may have. How long it takes to compile, and how much memory that needs, grows with
    /// them; who loads modules of strangers sets it lower than the default, [`PrepareOptions::SIZE_LIMIT`].
    pub size_limit: u64,
}

impl PrepareOptions {
    /// Bytes that a prepared module may have unless it is told otherwise: many times what compilers make, and what is
    /// compiled in minutes rather than hours.
    pub const SIZE_LIMIT: u64 = 256 << 20;
}

impl PrepareOptions {
    crate::setters! {
        /// Sets [`Self::virtual_growth`].
        with_virtual_growth(virtual_growth: bool);
        /// Sets [`Self::barrier`].
        with_barrier(barrier: Option<BarrierOptions>);
        /// Sets [`Self::lowest_stack`].
        with_lowest_stack(lowest_stack: bool);
        /// Sets [`Self::count_allocations`].
        with_count_allocations(count_allocations: bool);
        /// Sets [`Self::size_limit`].
        with_size_limit(size_limit: u64);
    }
}

impl Default for PrepareOptions {
    fn default() -> Self {
        let (barrier, size_limit) = (None, Self::SIZE_LIMIT);
        Self { virtual_growth: true, barrier, lowest_stack: false, count_allocations: true, size_limit }
    }
}
