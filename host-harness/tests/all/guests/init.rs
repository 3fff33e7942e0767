//! The initialisation hook ran before the snapshot.

use guest_build::Allocator;
use guest_host::snapshot::RegionKind;
use guest_host::{Instance, Residue, RestoreStrategy};

use super::{config, instance, module};

/// The first entries of the CRC-32 table that shop's hook builds; the rest follows from them.
const TABLE: [u32; 4] = [0, 0x7707_3096, 0xEE0E_612C, 0x9909_51BA];

#[test]
fn the_table_of_the_hook_is_in_the_snapshot() {
    let needle: Vec<u8> = TABLE.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    // The hook's table is a box.
    let in_heap = |instance: &Instance| {
        let (_, snapshot) = instance.memory().expect("a new instance is alive");
        let statics = snapshot.regions().statics();
        let mut heap = snapshot.memory()[statics.end..].windows(needle.len());
        heap.position(|bytes| bytes == needle).map(|at| snapshot.regions().at(statics.end + at))
    };
    for allocator in Allocator::ALL {
        let config = config(RestoreStrategy::FullCopy, Residue::Scrub);
        // Without a control block nobody knows how far the heap reaches.
        let region = if allocator == Allocator::System { RegionKind::Heap } else { RegionKind::SnapshotHeap };
        assert_eq!(in_heap(&instance("shop", allocator, &config)), Some(region), "{allocator}");
        assert_eq!(in_heap(&instance("bench", allocator, &config)), None, "bench has no such table");
    }
}

#[test]
fn no_call_builds_it_again() {
    for allocator in Allocator::ALL.into_iter().filter(|allocator| *allocator != Allocator::System) {
        let mut shop = instance("shop", allocator, &config(RestoreStrategy::FullCopy, Residue::Scrub));
        let (_, snapshot) = shop.memory().expect("a new instance is alive");
        let saved = snapshot.control_block().expect("the allocator keeps one").image;
        assert!(saved.allocations >= 2, "the table and the exchange region: {}", saved.allocations);
        let mut sent = || {
            let outcome = shop.invoke_by_name("send_mail").expect("the state has an order");
            outcome.stats().allocations.expect("the allocator counts")
        };
        let (first, second) = (sent(), sent());
        assert_eq!(first, second);
        assert!(first.allocated_bytes.is_some_and(|bytes| bytes < 1024), "the table alone has 1024 bytes: {first:?}");
    }
}

/// An entry as a 32-bit constant in code: signed LEB128.
fn as_constant(entry: u32) -> Vec<u8> {
    let mut rest = entry.cast_signed();
    let mut bytes = Vec::new();
    loop {
        let [low, ..] = rest.to_le_bytes();
        rest >>= 7;
        let last = (rest == 0 && low & 0x40 == 0) || (rest == -1 && low & 0x40 != 0);
        bytes.push(if last { low & 0x7F } else { low | 0x80 });
        if last {
            return bytes;
        }
    }
}

/// The hook has work to do: no entry is in the module, neither in its data nor as a constant in its code.
#[test]
fn the_compiler_has_not_computed_the_table() {
    let holds = |wasm: &[u8], bytes: &[u8]| wasm.windows(bytes.len()).any(|found| found == bytes);
    for allocator in Allocator::ALL {
        let wasm = module("shop", allocator);
        for entry in &TABLE[1..] {
            assert!(!holds(&wasm, &entry.to_le_bytes()), "{allocator}: {entry:#x} in the data");
            assert!(!holds(&wasm, &as_constant(*entry)), "{allocator}: {entry:#x} in the code");
        }
        // The polynomial is what the entries are computed from, and shows that a constant would have been found.
        let polynomial = 0xEDB8_8320;
        assert!(holds(&wasm, &as_constant(polynomial)) || holds(&wasm, &polynomial.to_le_bytes()), "{allocator}");
    }
}
