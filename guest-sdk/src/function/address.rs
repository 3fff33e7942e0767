//! Addresses as they cross, and pointers.
//!
//! On wasm32 an address is a pointer. Natively pointers have 64 bits, so addresses are those of segments that the thread has
//! registered: the same code then runs in tests, and an address outside of every segment panics.

#[cfg(target_arch = "wasm32")]
mod imp {
    /// The pointer to an address.
    #[inline(always)]
    #[must_use]
    pub fn pointer(address: u32) -> *mut u8 {
        core::ptr::with_exposed_provenance_mut(address as usize)
    }

    /// The address of `_bytes` bytes, which the host reads or the SDK finds again by [`pointer`].
    #[inline(always)]
    #[must_use]
    pub fn address(start: *const u8, _bytes: usize) -> u32 {
        start.expose_provenance() as u32
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod imp {
    use core::cell::RefCell;
    use std::vec::Vec;

    struct Segment {
        address: u32,
        start: *mut u8,
        bytes: usize,
    }

    std::thread_local! {
        static SEGMENTS: RefCell<Vec<Segment>> = const { RefCell::new(Vec::new()) };
    }

    /// The first address is not 0, which stands for nothing.
    const FIRST: u32 = 64;

    /// The pointer to an address, in the segment that has it. That behind a segment's last byte is part of it.
    ///
    /// # Panics
    /// If no segment has the address.
    #[must_use]
    pub fn pointer(address: u32) -> *mut u8 {
        SEGMENTS.with_borrow(|segments| {
            let at = segments.partition_point(|segment| segment.address <= address);
            let segment = at.checked_sub(1).and_then(|at| segments.get(at));
            let found = segment.and_then(|segment| {
                let offset = (address - segment.address) as usize;
                (offset <= segment.bytes).then(|| segment.start.wrapping_add(offset))
            });
            found.unwrap_or_else(|| panic!("no segment has the address {address}"))
        })
    }

    /// Registers `bytes` bytes as a segment and returns its address, a multiple of 64.
    ///
    /// # Panics
    /// If the addresses of 32 bits are used up.
    #[must_use]
    pub fn address(start: *const u8, bytes: usize) -> u32 {
        SEGMENTS.with_borrow_mut(|segments| {
            let behind = segments.last().map_or(FIRST as usize, |last| last.address as usize + last.bytes + 1);
            let address = u32::try_from(behind.next_multiple_of(64)).expect("segments of less than 4 GiB");
            segments.push(Segment { address, start: start.cast_mut(), bytes });
            address
        })
    }

    /// Forgets the thread's segments.
    pub fn forget_segments() {
        SEGMENTS.take();
    }
}

pub use imp::*;
