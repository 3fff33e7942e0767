//! The breaches. Each is exported by hand, as a stage of this name. Those that come to their end return the block that they were given.
//!
//! A breach that a host refuses with an error of the contract traps where it was not refused.
#![expect(unsafe_code, reason = "exports and imports by hand, and stores to addresses that the guest must not write")]

use core::ptr::with_exposed_provenance_mut;

use guest_abi::block::{SHARED, WRITE};

#[link(wasm_import_module = "test:shm/exchange")]
unsafe extern "C" {
    #[link_name = "[constructor]memory-block"]
    fn create(size: u32) -> u32;
    #[link_name = "[static]memory-block.add-storage"]
    fn add_storage(start: u32, size: u32, out: *mut u8);
    #[link_name = "[method]memory-block.attach"]
    fn attach(id: u32, flags: u32, out: *mut u8);
    #[link_name = "[method]memory-block.detach"]
    fn detach(id: u32, bytes: u32);
    #[link_name = "[method]memory-block.clone"]
    fn duplicate(id: u32) -> u32;
    #[link_name = "[static]memory-block.create-local"]
    fn create_local(start: u32, size: u32) -> u32;
    #[link_name = "[method]memory-block.create-partition"]
    fn create_partition(id: u32, start: u32, size: u32, flags: u32) -> u32;
    #[link_name = "[resource-drop]memory-block"]
    fn drop_block(id: u32);
}

/// Attaches a block, and returns the address and the bytes, or the error.
fn attached(id: u32, flags: u32) -> Result<(u32, u32), u8> {
    let mut out = [0; 12];
    // SAFETY: the result has room for 12 bytes. The same holds for the functions below, through which numbers alone cross.
    unsafe { attach(id, flags, out.as_mut_ptr()) };
    let word = |at: usize| u32::from_le_bytes([out[at], out[at + 1], out[at + 2], out[at + 3]]);
    if out[0] == 0 { Ok((word(4), word(8))) } else { Err(out[4]) }
}

/// Attaches a block that can be attached.
fn must(id: u32, flags: u32) -> u32 {
    match attached(id, flags) {
        Ok((address, _)) => address,
        Err(error) => panic!("not attached: error {error}"),
    }
}

/// Checks that an attachment is refused as the block is in use.
fn busy(id: u32, flags: u32) {
    assert_eq!(attached(id, flags), Err(1), "a block in use is busy");
}

/// Writes a byte.
fn poke(address: u32, byte: u8) {
    // SAFETY: none: the guest breaks the rules here. The address is in its memory, so that the store does no harm to others.
    unsafe { with_exposed_provenance_mut::<u8>(address as usize).write_volatile(byte) }
}

/// Exports breaches.
macro_rules! breaches {
    ($($(#[$doc:meta])* $name:ident = $export:literal |$block:ident| $body:block)*) => {$(
        $(#[$doc])*
        #[unsafe(export_name = $export)]
        extern "C" fn $name($block: u32) -> u32 {
            // Some bodies need it, and some do not.
            let _ = $block;
            // SAFETY: the imports take numbers, which the host checks.
            #[allow(unused_unsafe, reason = "some bodies need none")]
            unsafe { $body }
        }
    )*};
}

static STATICS: [u8; 65_536] = [1; 65_536];

breaches! {
    /// Attaches twice for writing.
    second_writer = "__guest_stage_second_writer" |block| {
        must(block, WRITE);
        busy(block, WRITE);
        busy(duplicate(block), WRITE);
        detach(block, 1);
        block
    }

    /// Reads a block while it writes it.
    read_while_written = "__guest_stage_read_while_written" |block| {
        let other = duplicate(block);
        must(block, WRITE);
        busy(other, 0);
        detach(block, 1);
        block
    }

    /// Writes a block while it reads it.
    write_while_read = "__guest_stage_write_while_read" |block| {
        let other = duplicate(block);
        must(block, 0);
        busy(other, WRITE);
        detach(block, 0);
        block
    }

    /// Attaches a block that was made up.
    guessed = "__guest_stage_guessed" |block| {
        let _ = attached(block ^ 0x1_0000, 0);
        block
    }

    /// Attaches a block with number 0.
    none = "__guest_stage_none" |block| {
        let _ = attached(0, 0);
        block
    }

    /// Uses a block that it has dropped.
    stale = "__guest_stage_stale" |block| {
        let other = duplicate(block);
        drop_block(other);
        let _ = attached(other, 0);
        block
    }

    /// Uses a number again that now names another block.
    reused = "__guest_stage_reused" |block| {
        let other = duplicate(block);
        drop_block(other);
        let again = create(10);
        assert_ne!(again, other);
        detach(other, 0);
        block
    }

    /// Drops a block twice.
    dropped_twice = "__guest_stage_dropped_twice" |block| {
        let other = duplicate(block);
        drop_block(other);
        drop_block(other);
        block
    }

    /// Drops a block that it has attached.
    dropped_attached = "__guest_stage_dropped_attached" |block| {
        must(block, WRITE);
        drop_block(block);
        block
    }

    /// Detaches twice.
    detached_twice = "__guest_stage_detached_twice" |block| {
        must(block, 0);
        detach(block, 0);
        detach(block, 0);
        block
    }

    /// Detaches by another reference than the attached one.
    detached_by_other = "__guest_stage_detached_by_other" |block| {
        let other = duplicate(block);
        must(block, 0);
        detach(other, 0);
        block
    }

    /// Publishes more bytes than there are.
    published_too_many = "__guest_stage_published_too_many" |block| {
        must(block, WRITE);
        detach(block, u32::MAX);
        block
    }

    /// Consumes more bytes than there are.
    consumed_too_many = "__guest_stage_consumed_too_many" |block| {
        must(block, 0);
        detach(block, u32::MAX);
        block
    }

    /// Uses flags that there are not.
    flags = "__guest_stage_flags" |block| {
        let _ = attached(block, 8);
        block
    }

    /// Makes a block of nearly 4 GiB.
    too_large = "__guest_stage_too_large" |block| {
        create(u32::MAX);
        block
    }

    /// Makes blocks without end.
    too_many = "__guest_stage_too_many" |block| {
        loop {
            create(0);
        }
    }

    /// Offers its stack as storage.
    stack_as_storage = "__guest_stage_stack_as_storage" |block| {
        let mut local = [0_u8; 16_384];
        add_storage(local.as_mut_ptr().addr() as u32, 16_384, (&raw mut local).cast());
        block
    }

    /// Offers its statics as storage.
    statics_as_storage = "__guest_stage_statics_as_storage" |block| {
        let mut out = [0; 2];
        add_storage(STATICS.as_ptr().addr() as u32, 65_536, out.as_mut_ptr());
        block
    }

    /// Offers the same storage twice.
    storage_twice = "__guest_stage_storage_twice" |block| {
        let mut out = [0; 2];
        let address = Vec::leak(vec![0_u8; 65_536]).as_ptr().addr() as u32;
        add_storage(address, 65_536, out.as_mut_ptr());
        add_storage(address + 65_535, 65_536, out.as_mut_ptr());
        block
    }

    /// Offers storage that ends beyond its memory.
    storage_outside = "__guest_stage_storage_outside" |block| {
        let mut out = [0; 2];
        add_storage(65_536, u32::MAX - 65_536, out.as_mut_ptr());
        block
    }

    /// Offers storage that ends beyond all addresses.
    storage_around = "__guest_stage_storage_around" |block| {
        let mut out = [0; 2];
        add_storage(u32::MAX - 10, u32::MAX, out.as_mut_ptr());
        block
    }

    /// Has a result written outside of its memory.
    result_outside = "__guest_stage_result_outside" |block| {
        attach(block, 0, with_exposed_provenance_mut(0xFFFF_FFF8));
        block
    }

    /// Makes a local block of its storage.
    local_of_storage = "__guest_stage_local_of_storage" |block| {
        let address = must(block, 0);
        create_local(address, 1);
        block
    }

    /// Returns a local block.
    local_given = "__guest_stage_local_given" |block| {
        let address = Vec::leak(vec![0_u8; 100]).as_ptr().addr() as u32;
        create_local(address, 100)
    }

    /// Makes a part that is not in the block.
    part_outside = "__guest_stage_part_outside" |block| {
        create_partition(block, u32::MAX, u32::MAX, 0);
        block
    }

    /// Makes two parts that overlap.
    parts_overlap = "__guest_stage_parts_overlap" |block| {
        create_partition(block, 0, 2, WRITE);
        create_partition(block, 1, 2, WRITE);
        block
    }

    /// Writes into a block that it only reads, and leaves it attached.
    writes_read = "__guest_stage_writes_read" |block| {
        let address = must(block, 0);
        poke(address, 99);
        0
    }

    /// The same, and detaches.
    writes_read_and_detaches = "__guest_stage_writes_read_and_detaches" |block| {
        let address = must(block, SHARED);
        poke(address, 99);
        detach(block, 0);
        block
    }

    /// Writes into a block that it has published.
    writes_published = "__guest_stage_writes_published" |block| {
        let address = must(block, WRITE);
        poke(address, 1);
        detach(block, 1);
        poke(address, 99);
        block
    }

    /// Writes into a part that it has handed out. The block must have 64 KiB.
    writes_handed_out = "__guest_stage_writes_handed_out" |block| {
        let address = must(block, WRITE);
        poke(address + 40_000, 1);
        create_partition(block, 32_768, 32_768, WRITE);
        poke(address + 40_000, 99);
        detach(block, 1);
        block
    }

    /// Traps while it writes.
    traps_writing = "__guest_stage_traps_writing" |block| {
        let address = must(block, WRITE);
        poke(address, 99);
        core::arch::wasm32::unreachable()
    }

    /// Never ends while it writes.
    spins_writing = "__guest_stage_spins_writing" |block| {
        let address = must(block, WRITE);
        poke(address, 99);
        loop {
            core::hint::spin_loop();
        }
    }

    /// Returns while it writes.
    keeps_writing = "__guest_stage_keeps_writing" |block| {
        let other = duplicate(block);
        let address = must(other, WRITE);
        poke(address, 99);
        block
    }

    /// Returns a block that it has attached.
    returns_attached = "__guest_stage_returns_attached" |block| {
        must(block, WRITE);
        block
    }

    /// Returns a block that it does not have.
    returns_unknown = "__guest_stage_returns_unknown" |block| {
        block + 7
    }

    /// Asks for more storage than it has.
    no_storage = "__guest_stage_no_storage" |block| {
        let large = create(1 << 20);
        assert_eq!(attached(large, WRITE), Err(0), "there is no storage for it");
        block
    }

    /// Reads a block with nothing to read.
    nothing_to_read = "__guest_stage_nothing_to_read" |block| {
        busy(create(100), 0);
        block
    }
}
