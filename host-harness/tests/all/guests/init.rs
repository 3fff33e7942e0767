//! The initialisation hook ran before the snapshot.

use guest_build::Allocator;
use host_harness::snapshot::RegionKind;
use host_harness::{Instance, Residue, RestoreStrategy};

use super::{config, instance};

/// The first entries of the CRC-32 table that shop's hook builds; the rest follows from them.
const TABLE: [u32; 4] = [0, 0x7707_3096, 0xEE0E_612C, 0x9909_51BA];

#[test]
fn the_table_of_the_hook_is_in_the_snapshot() {
    let needle: Vec<u8> = TABLE.iter().flat_map(|entry| entry.to_le_bytes()).collect();
    // The compiler may have computed the entries, in which case they are in the statics too; the hook's table is a box.
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
        assert!(first.allocated_bytes < 1024, "the table alone has 1024 bytes: {first:?}");
    }
}
