//! The control block: a static in the guest through which its allocator and its host communicate without a call.
//!
//! The guest sees a [`ControlBlock`] of relaxed atomics, which compile to plain loads and stores on single-threaded wasm32.
//! The host sees the same bytes in the guest's linear memory and reads them with [`ControlBlockImage`]. It must not trust
//! them: it checks each address before it uses it.

use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

/// First word of every control block: the bytes `CBLK`.
pub const MAGIC: u32 = u32::from_le_bytes(*b"CBLK");

/// Version of the layout that this crate describes.
pub const LAYOUT_VERSION: u16 = 1;

/// Size of a control block in bytes.
pub const SIZE: usize = size_of::<ControlBlock>();

/// Bit of [`ControlBlock::flags`] that is set if the allocator maintains the counters.
pub const FLAG_COUNTERS: u32 = 1;

/// Offsets, in bytes, of the fields that a restore reads or writes one by one.
pub mod offset {
    use super::ControlBlock;

    /// Offset of [`ControlBlock::top`].
    pub const TOP: usize = core::mem::offset_of!(ControlBlock, top);
    /// Offset of [`ControlBlock::high_water`].
    pub const HIGH_WATER: usize = core::mem::offset_of!(ControlBlock, high_water);
    /// Offset of [`ControlBlock::limit`].
    pub const LIMIT: usize = core::mem::offset_of!(ControlBlock, limit);
    /// Offset of [`ControlBlock::mark`].
    pub const MARK: usize = core::mem::offset_of!(ControlBlock, mark);
    /// Offset of [`ControlBlock::lowest_stack`].
    pub const LOWEST_STACK: usize = core::mem::offset_of!(ControlBlock, lowest_stack);
}

/// The allocator that maintains a control block.
///
/// ```
/// use guest_abi::AllocatorKind;
///
/// assert_eq!(AllocatorKind::from_number(3), Some(AllocatorKind::Freelist));
/// assert_eq!(AllocatorKind::Freelist.name(), "freelist");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u16)]
pub enum AllocatorKind {
    /// `alloc-leaking`.
    Leaking = 1,
    /// `alloc-bump-reset`.
    BumpReset = 2,
    /// `alloc-freelist`.
    Freelist = 3,
    /// The `wee_alloc` shim, which is `alloc-freelist` underneath.
    Wee = 4,
}

impl AllocatorKind {
    /// The kind with this number, if this version knows it.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        Some(match number {
            1 => Self::Leaking,
            2 => Self::BumpReset,
            3 => Self::Freelist,
            4 => Self::Wee,
            _ => return None,
        })
    }

    /// The name under which reports and cargo features know the allocator, without the `alloc-` prefix.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leaking => "leaking",
            Self::BumpReset => "bump-reset",
            Self::Freelist => "freelist",
            Self::Wee => "wee",
        }
    }
}

/// The control block as the guest sees it. All addresses are offsets into linear memory, all sizes bytes.
///
/// For `alloc-leaking` and `alloc-bump-reset` it holds the allocator's entire mutable state: rewinding these bytes rewinds the
/// allocator.
///
/// ```
/// use core::sync::atomic::Ordering::Relaxed;
/// use guest_abi::ControlBlock;
///
/// let block = ControlBlock::new();
/// let snapshot = block.image();
/// block.top.store(0x10_0040, Relaxed);
/// block.rewind(&snapshot);
/// assert_eq!(block.image(), snapshot);
/// ```
#[derive(Debug)]
#[repr(C)]
pub struct ControlBlock {
    /// [`MAGIC`].
    pub magic: AtomicU32,
    /// [`LAYOUT_VERSION`].
    pub version: AtomicU16,
    /// Number of the [`AllocatorKind`]; 0 until the allocator first runs.
    pub kind: AtomicU16,
    /// First heap address. This project's allocators have the linker set it, so it is there before the first allocation.
    pub heap_base: AtomicU32,
    /// Bump allocators: address of the next free byte. Freelist: end of the claimed heap.
    pub top: AtomicU32,
    /// High-water mark: all bytes above it, and above `top`, are zero.
    ///
    /// Bump allocators raise it only when `top` goes down, so the mark in force is the larger of the two.
    pub high_water: AtomicU32,
    /// End of the memory that the allocator has adopted; the heap's base until the allocator first runs.
    pub limit: AtomicU32,
    /// Address to which a reset sets `top`; 0 if there is no mark.
    pub mark: AtomicU32,
    /// Bits: [`FLAG_COUNTERS`].
    pub flags: AtomicU32,
    /// Size of the last request that could not be served, saturated; 0 if there was none.
    pub failed_size: AtomicU32,
    /// Alignment of the last request that could not be served.
    pub failed_align: AtomicU32,
    /// Number of successful calls of `memory.grow`.
    pub grows: AtomicU32,
    /// Lowest value of the shadow-stack pointer since the last restore, in modules that the host has prepared for it; 0 in
    /// others. Guests must not write it.
    pub lowest_stack: AtomicU32,
    /// Number of successful calls of `alloc` and `alloc_zeroed`.
    pub allocations: AtomicU64,
    /// Number of calls of `dealloc`.
    pub deallocations: AtomicU64,
    /// Number of successful calls of `realloc`. They count nowhere else, but the difference in size goes to the bytes.
    pub reallocations: AtomicU64,
    /// Number of bytes requested.
    pub allocated_bytes: AtomicU64,
    /// Number of bytes given back.
    pub freed_bytes: AtomicU64,
    /// Largest value of `allocated_bytes - freed_bytes` so far.
    pub peak_live_bytes: AtomicU64,
}

impl ControlBlock {
    /// A control block that no allocator has used yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            magic: AtomicU32::new(MAGIC),
            version: AtomicU16::new(LAYOUT_VERSION),
            kind: AtomicU16::new(0),
            heap_base: AtomicU32::new(0),
            top: AtomicU32::new(0),
            high_water: AtomicU32::new(0),
            limit: AtomicU32::new(0),
            mark: AtomicU32::new(0),
            flags: AtomicU32::new(0),
            failed_size: AtomicU32::new(0),
            failed_align: AtomicU32::new(0),
            grows: AtomicU32::new(0),
            lowest_stack: AtomicU32::new(0),
            allocations: AtomicU64::new(0),
            deallocations: AtomicU64::new(0),
            reallocations: AtomicU64::new(0),
            allocated_bytes: AtomicU64::new(0),
            freed_bytes: AtomicU64::new(0),
            peak_live_bytes: AtomicU64::new(0),
        }
    }

    /// A copy of all fields, as a host reads them.
    #[must_use]
    pub fn image(&self) -> ControlBlockImage {
        ControlBlockImage {
            kind: self.kind.load(Relaxed),
            heap_base: self.heap_base.load(Relaxed),
            top: self.top.load(Relaxed),
            high_water: self.high_water.load(Relaxed),
            limit: self.limit.load(Relaxed),
            mark: self.mark.load(Relaxed),
            flags: self.flags.load(Relaxed),
            failed_size: self.failed_size.load(Relaxed),
            failed_align: self.failed_align.load(Relaxed),
            grows: self.grows.load(Relaxed),
            allocations: self.allocations.load(Relaxed),
            deallocations: self.deallocations.load(Relaxed),
            reallocations: self.reallocations.load(Relaxed),
            allocated_bytes: self.allocated_bytes.load(Relaxed),
            freed_bytes: self.freed_bytes.load(Relaxed),
            peak_live_bytes: self.peak_live_bytes.load(Relaxed),
        }
    }

    /// Sets every field to its value in `image`, as a restore of the statics does.
    pub fn rewind(&self, image: &ControlBlockImage) {
        self.kind.store(image.kind, Relaxed);
        self.heap_base.store(image.heap_base, Relaxed);
        self.top.store(image.top, Relaxed);
        self.high_water.store(image.high_water, Relaxed);
        self.limit.store(image.limit, Relaxed);
        self.mark.store(image.mark, Relaxed);
        self.flags.store(image.flags, Relaxed);
        self.failed_size.store(image.failed_size, Relaxed);
        self.failed_align.store(image.failed_align, Relaxed);
        self.grows.store(image.grows, Relaxed);
        self.allocations.store(image.allocations, Relaxed);
        self.deallocations.store(image.deallocations, Relaxed);
        self.reallocations.store(image.reallocations, Relaxed);
        self.allocated_bytes.store(image.allocated_bytes, Relaxed);
        self.freed_bytes.store(image.freed_bytes, Relaxed);
        self.peak_live_bytes.store(image.peak_live_bytes, Relaxed);
    }
}

impl Default for ControlBlock {
    fn default() -> Self {
        Self::new()
    }
}

/// Reason why bytes are not a control block of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseError {
    /// Fewer bytes than [`SIZE`].
    Truncated,
    /// First word other than [`MAGIC`].
    Magic(u32),
    /// Version other than [`LAYOUT_VERSION`].
    Version(u16),
}

impl core::fmt::Display for ParseError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Truncated => write!(f, "it does not lie inside the guest's memory"),
            Self::Magic(found) => write!(f, "its first word is {found:#010x} instead of {MAGIC:#010x}"),
            Self::Version(found) => {
                write!(f, "its layout has version {found}, this host knows version {LAYOUT_VERSION}")
            }
        }
    }
}

impl core::error::Error for ParseError {}

/// A copy of a control block, read from linear memory at one moment.
///
/// ```
/// use guest_abi::ControlBlockImage;
/// use guest_abi::control_block::{ParseError, SIZE};
///
/// assert_eq!(ControlBlockImage::parse(&[0; SIZE]), Err(ParseError::Magic(0)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ControlBlockImage {
    /// Copy of [`ControlBlock::kind`].
    pub kind: u16,
    /// Copy of [`ControlBlock::heap_base`].
    pub heap_base: u32,
    /// Copy of [`ControlBlock::top`].
    pub top: u32,
    /// Copy of [`ControlBlock::high_water`]. See also [`effective_high_water`](Self::effective_high_water).
    pub high_water: u32,
    /// Copy of [`ControlBlock::limit`].
    pub limit: u32,
    /// Copy of [`ControlBlock::mark`].
    pub mark: u32,
    /// Copy of [`ControlBlock::flags`].
    pub flags: u32,
    /// Copy of [`ControlBlock::failed_size`].
    pub failed_size: u32,
    /// Copy of [`ControlBlock::failed_align`].
    pub failed_align: u32,
    /// Copy of [`ControlBlock::grows`].
    pub grows: u32,
    /// Copy of [`ControlBlock::allocations`].
    pub allocations: u64,
    /// Copy of [`ControlBlock::deallocations`].
    pub deallocations: u64,
    /// Copy of [`ControlBlock::reallocations`].
    pub reallocations: u64,
    /// Copy of [`ControlBlock::allocated_bytes`].
    pub allocated_bytes: u64,
    /// Copy of [`ControlBlock::freed_bytes`].
    pub freed_bytes: u64,
    /// Copy of [`ControlBlock::peak_live_bytes`].
    pub peak_live_bytes: u64,
}

impl ControlBlockImage {
    /// Reads the control block at the start of `bytes`.
    ///
    /// # Errors
    /// [`ParseError`] if the bytes are too few, or not a control block of this layout.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let bytes: &[u8; SIZE] = bytes.first_chunk().ok_or(ParseError::Truncated)?;
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        macro_rules! field {
            ($read:ident, $name:ident) => {
                $read(core::mem::offset_of!(ControlBlock, $name))
            };
        }
        match (field!(u32_at, magic), field!(u16_at, version)) {
            (MAGIC, LAYOUT_VERSION) => {}
            (MAGIC, version) => return Err(ParseError::Version(version)),
            (magic, _) => return Err(ParseError::Magic(magic)),
        }
        Ok(Self {
            kind: field!(u16_at, kind),
            heap_base: field!(u32_at, heap_base),
            top: field!(u32_at, top),
            high_water: field!(u32_at, high_water),
            limit: field!(u32_at, limit),
            mark: field!(u32_at, mark),
            flags: field!(u32_at, flags),
            failed_size: field!(u32_at, failed_size),
            failed_align: field!(u32_at, failed_align),
            grows: field!(u32_at, grows),
            allocations: field!(u64_at, allocations),
            deallocations: field!(u64_at, deallocations),
            reallocations: field!(u64_at, reallocations),
            allocated_bytes: field!(u64_at, allocated_bytes),
            freed_bytes: field!(u64_at, freed_bytes),
            peak_live_bytes: field!(u64_at, peak_live_bytes),
        })
    }

    /// The allocator, if it has run and this version knows its kind.
    #[must_use]
    pub const fn allocator(&self) -> Option<AllocatorKind> {
        AllocatorKind::from_number(self.kind)
    }

    /// The high-water mark in force, the larger of [`high_water`](Self::high_water) and [`top`](Self::top): bump allocators
    /// raise the stored one only when `top` goes down.
    #[must_use]
    #[inline]
    pub fn effective_high_water(&self) -> u32 {
        self.high_water.max(self.top)
    }

    /// Whether the allocator maintains the counters.
    #[must_use]
    pub const fn counts(&self) -> bool {
        self.flags & FLAG_COUNTERS != 0
    }

    /// Number of bytes requested and not given back.
    #[must_use]
    pub const fn live_bytes(&self) -> u64 {
        self.allocated_bytes.saturating_sub(self.freed_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_is_the_documented_one() {
        assert_eq!(SIZE, 96);
        assert_eq!((offset::TOP, offset::HIGH_WATER, offset::MARK, offset::LOWEST_STACK), (12, 16, 24, 44));
        assert_eq!(core::mem::offset_of!(ControlBlock, allocations), 48);
        assert_eq!(core::mem::offset_of!(ControlBlock, peak_live_bytes), 88);
    }

    #[test]
    fn an_image_of_bytes_is_the_image_of_the_block() {
        let mut bytes = [0_u8; SIZE];
        bytes[..4].copy_from_slice(b"CBLK");
        bytes[4] = 1;
        bytes[6] = 2;
        bytes[12..16].copy_from_slice(&0x8001_0000_u32.to_le_bytes());
        bytes[88..].copy_from_slice(&u64::MAX.to_le_bytes());
        let block = ControlBlock::new();
        let image = ControlBlockImage::parse(&bytes).unwrap();
        block.rewind(&image);
        assert_eq!(block.image(), image);
        assert_eq!(image.allocator(), Some(AllocatorKind::BumpReset));
        assert_eq!((image.top, image.peak_live_bytes), (0x8001_0000, u64::MAX));
        assert_eq!(image.effective_high_water(), 0x8001_0000);
    }

    #[test]
    fn what_is_not_a_control_block_is_refused_with_its_reason() {
        assert_eq!(ControlBlockImage::parse(&[0; SIZE - 1]), Err(ParseError::Truncated));
        assert_eq!(ControlBlockImage::parse(&[0; SIZE]), Err(ParseError::Magic(0)));
        let mut bytes = [0_u8; SIZE];
        bytes[..4].copy_from_slice(b"CBLK");
        bytes[4] = 9;
        assert_eq!(ControlBlockImage::parse(&bytes), Err(ParseError::Version(9)));
    }
}
