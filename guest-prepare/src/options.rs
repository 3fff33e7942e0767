//! Which passes run, and how.

use crate::passes::barrier::BarrierOptions;

/// Which passes run, and how. Every module gets exports for its globals, because every restore in place needs them.
///
/// ```
/// use guest_prepare::{BarrierOptions, PrepareOptions};
///
/// let options = PrepareOptions::default()
///     .with_barrier(Some(BarrierOptions::default()))
///     .with_size_limit(16 << 20);
/// assert!(options.virtual_growth, "the default");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct PrepareOptions {
    /// Whether `memory.grow` and `memory.size` work on a logical size that a restore can put back. Default: true.
    pub virtual_growth: bool,
    /// Whether stores mark the memory that they write, and how. Default: no.
    ///
    /// `guest-host` decides by the strategy of an instance whether its module gets a barrier. There this option only says
    /// how to make it.
    pub barrier: Option<BarrierOptions>,
    /// Whether the control block keeps the lowest value of the shadow-stack pointer, if the module has a control block and
    /// no barrier. Default: false.
    ///
    /// `guest-host` decides this by the strategy of an instance and ignores the option.
    pub lowest_stack: bool,
    /// Whether to count the calls of the allocator's functions, in a module whose allocator keeps no control block. From the
    /// counts a host knows what such a guest allocates, and that it ran out of memory. Default: true.
    pub count_allocations: bool,
    /// Most bytes that a prepared module may have. Compile time and its memory grow with the size of a module: if you
    /// load untrusted modules, set the limit just above your largest guest. Default: [`Self::SIZE_LIMIT`].
    pub size_limit: u64,
}

impl PrepareOptions {
    /// The default of [`Self::size_limit`]: 256 MiB. That is many times what compilers make, and engines compile it in
    /// minutes rather than hours.
    pub const SIZE_LIMIT: u64 = 256 << 20;

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
