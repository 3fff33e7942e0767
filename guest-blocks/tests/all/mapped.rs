//! Blocks that are mapped, and rings. On a system without memory files, or without the feature `map`, these tests find that out and end.

use guest_blocks::{Area, Block, GUARD, GuestMemory as _, JoinError, LARGEST_CARD, Refused, Ring, Violation};

use crate::guest::{Guest, STORAGE, Way};

const WRITE: u32 = 1;
const SHARED: u32 = 2;

/// A guest, and whether the system maps.
fn guest() -> (Guest, bool) {
    (Guest::new(Way::Mapped), Block::mappable(1).is_mappable())
}

/// Attaches a block that can be attached.
fn attach(guest: &mut Guest, id: u32, flags: u32) -> Area {
    guest.table.attach(&mut guest.memory, id, flags).unwrap().unwrap()
}

fn detach(guest: &mut Guest, id: u32, bytes: u32) {
    guest.table.detach(&mut guest.memory, id, bytes).unwrap();
}

/// The numbers of memory mappings and of open files of this process.
#[cfg(target_os = "linux")]
fn held() -> (usize, usize) {
    let mappings = std::fs::read_to_string("/proc/self/maps").unwrap();
    let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
    (mappings.lines().filter(|line| line.contains("guest-block")).count(), files)
}

#[test]
fn a_block_is_mapped_into_its_writer_and_its_reader() {
    let ((mut writer, maps), (mut reader, _)) = (guest(), guest());
    let id = writer.table.create(5000).unwrap();
    let area = attach(&mut writer, id, WRITE);
    assert_eq!(area.bytes, 0);
    writer.memory.store(area.address as usize + 4990, b"0123456789");
    detach(&mut writer, id, 5000);
    assert_eq!(writer.memory.bytes[area.address as usize + 4990], if maps { 0 } else { b'0' });
    let block = writer.table.take(id).unwrap();
    block.read().unwrap().bytes(|bytes| assert_eq!(bytes[4990..], *b"0123456789"));
    let id = reader.table.insert(block.clone()).unwrap();
    let area = attach(&mut reader, id, 0);
    assert_eq!(reader.memory.bytes[area.address as usize + 4990..][..10], *b"0123456789");
    assert_eq!(area.bytes, 5000);
    detach(&mut reader, id, 4995);
    assert_eq!(attach(&mut reader, id, 0).bytes, 5);
    detach(&mut reader, id, 0);
    if maps {
        assert_eq!((writer.table.counts().copied, writer.table.counts().mapped), (0, 1));
        // The last five bytes are fewer than those from which a block is mapped would be elsewhere; here all are.
        assert_eq!((reader.table.counts().copied, reader.table.counts().mapped), (0, 2));
    }
    writer.end().unwrap();
    reader.end().unwrap();
    assert!(reader.memory.bytes[STORAGE as usize..][..65_536].iter().all(|byte| *byte == 0));
}

#[test]
fn a_writer_that_ends_keeps_its_bytes_to_itself() {
    let (mut guest, _) = guest();
    let block = Block::mappable(8192);
    for is_restored in [true, false] {
        let mut writing = block.write_shared().unwrap();
        writing.bytes(|bytes| bytes.fill(7));
        writing.publish(8192);
        let id = guest.table.insert(block.clone()).unwrap();
        let area = attach(&mut guest, id, WRITE);
        guest.memory.store(area.address as usize, &[9; 100]);
        assert_eq!(block.read().unwrap_err(), Refused::Busy);
        if is_restored {
            guest.restore();
        } else {
            // Dropped with its memory.
            drop(std::mem::replace(&mut guest, Guest::new(Way::Mapped)));
        }
        assert_eq!((block.unread(), block.read().unwrap_err()), (0..0, Refused::Busy));
        block.write().unwrap().bytes(|bytes| assert!(bytes.len() == 8192 && bytes.iter().all(|byte| *byte == 0)));
    }
}

#[test]
fn a_reader_writes_to_pages_of_its_own() {
    let ((mut one, maps), (mut other, _)) = (guest(), guest());
    let block = Block::mappable(8192);
    let mut writing = block.write_shared().unwrap();
    writing.bytes(|bytes| bytes.fill(7));
    writing.publish(8192);
    let ids = [&mut one, &mut other].map(|guest| {
        let id = guest.table.insert(block.clone()).unwrap();
        (id, attach(guest, id, 0).address as usize)
    });
    one.memory.store(ids[0].1 + 4000, &[9; 100]);
    assert!(other.memory.bytes[ids[1].1..][..8192].iter().all(|byte| *byte == 7));
    block.read().unwrap().bytes(|bytes| assert!(bytes.len() == 8192 && bytes.iter().all(|byte| *byte == 7)));
    let found = Violation::WroteWhileReading { address: u32::try_from(ids[0].1).unwrap() + 4000 };
    assert_eq!(one.end(), Err(found));
    assert_eq!(other.end(), Ok(()));
    assert!(!maps || one.table.counts().mapped == 1);
    // And a place that was left is watched.
    let id = one.table.insert(block).unwrap();
    let address = attach(&mut one, id, 0).address as usize;
    detach(&mut one, id, 0);
    one.memory.store(address + 4000, &[9]);
    assert!(matches!(one.end(), Err(Violation::WroteAfterDetach { .. })));
}

#[test]
fn parts_of_a_mapped_block_are_copied() {
    let (mut guest, _) = guest();
    let id = guest.table.create(20_000).unwrap();
    let address = attach(&mut guest, id, WRITE).address as usize;
    guest.memory.store(address, &[1; 20_000]);
    let Guest { memory, table, .. } = &mut guest;
    let part = table.create_partition(memory, id, 4000, 8000, WRITE).unwrap();
    let part = table.take(part).unwrap();
    let mut writing = part.write().unwrap();
    writing.bytes(|bytes| {
        assert!(bytes.len() == 8000 && bytes.iter().all(|byte| *byte == 1));
        bytes.fill(2);
    });
    writing.publish(8000);
    assert!(
        guest.memory.bytes[address..][..20_000].iter().all(|byte| *byte == 1),
        "the writer does not see the part any more"
    );
    guest.memory.store(address + 15_000, &[3; 100]);
    detach(&mut guest, id, 20_000);
    drop(part);
    let block = guest.table.take(id).unwrap();
    block.read().unwrap().bytes(|bytes| {
        let expected = |at: usize| match at {
            4000..12_000 => 2,
            15_000..15_100 => 3,
            _ => 1,
        };
        assert!((0..20_000).all(|at| bytes[at] == expected(at)));
    });
}

#[cfg(target_os = "linux")]
#[test]
fn mappings_and_files_end_with_their_blocks() {
    let (mut guest, maps) = guest();
    let before = held();
    for turn in 0..300 {
        let id = guest.table.create(8192).unwrap();
        let area = attach(&mut guest, id, WRITE);
        guest.memory.store(area.address as usize, &[1]);
        detach(&mut guest, id, 8192);
        attach(&mut guest, id, 0);
        if turn == 0 && maps {
            // That of the host, and that of the guest. Other tests of this process have some, too.
            assert!(held().0 >= 2);
        }
        guest.restore();
    }
    drop(guest);
    // Other tests have mappings at the same time, and not hundreds.
    let after = held();
    assert!(after.0 < before.0 + 100 && after.1 < before.1 + 100, "{before:?}, {after:?}");
}

/// Bytes of a slot: two pages.
const SLOT: u32 = 8192;

/// A ring, with a guest that writes and one that reads.
fn ring() -> Option<(Ring, Guest, Guest)> {
    let ring = Ring::new(3, SLOT).ok()?;
    let ((mut writer, _), (mut reader, _)) = (guest(), guest());
    writer.table.join(&mut writer.memory, &ring, true).unwrap();
    reader.table.join(&mut reader.memory, &ring, false).unwrap();
    Some((ring, writer, reader))
}

/// The writer publishes some bytes in a slot.
fn publish(writer: &mut Guest, block: &Block, bytes: &[u8]) -> Area {
    let id = writer.table.insert(block.clone()).unwrap();
    let area = attach(writer, id, WRITE | SHARED);
    writer.memory.store(area.address as usize, bytes);
    detach(writer, id, u32::try_from(bytes.len()).unwrap());
    area
}

#[test]
fn blocks_of_a_ring_are_handed_over_without_a_copy() {
    let Some((ring, mut writer, mut reader)) = ring() else { return };
    let mut areas = Vec::new();
    for turn in 0..10_u8 {
        let slots: Vec<_> = std::iter::from_fn(|| ring.slot()).collect();
        assert_eq!(slots.len(), 3);
        for block in &slots {
            let area = publish(&mut writer, block, &[turn + 1; 300]);
            assert_eq!(area.bytes, SLOT, "a writer hears how much there is");
            writer.end().unwrap();
            let id = reader.table.insert(block.clone()).unwrap();
            let found = attach(&mut reader, id, 0);
            assert!(reader.memory.bytes[found.address as usize..][..300].iter().all(|byte| *byte == turn + 1));
            areas.push((area.address, found.address, found.bytes));
            reader.end().unwrap();
        }
    }
    areas.sort_unstable();
    areas.dedup();
    assert_eq!(areas.len(), 3, "each slot has its place in each guest");
    assert_eq!((writer.table.counts().copied, reader.table.counts().copied), (0, 0));
    // For a guest that has not joined they are copied.
    let (mut stranger, _) = guest();
    let block = ring.slot().unwrap();
    let mut writing = ring.write(&block, true).unwrap();
    writing.bytes(|bytes| bytes[..6].copy_from_slice(b"copied"));
    writing.publish(6);
    for (guest, copied) in [(&mut reader, 0), (&mut stranger, 6)] {
        let id = guest.table.insert(block.clone()).unwrap();
        let found = attach(guest, id, 0);
        assert_eq!((guest.memory.bytes[found.address as usize..][..6].to_vec(), found.bytes), (b"copied".to_vec(), 6));
        assert_eq!(guest.table.counts().copied, copied);
        guest.end().unwrap();
        let id = guest.table.insert(block.clone()).unwrap();
        assert_eq!(guest.table.attach(&mut guest.memory, id, WRITE).unwrap(), Err(Refused::Internal));
        guest.end().unwrap();
    }
    assert_eq!(block.write().unwrap_err(), Refused::Internal);
    assert_eq!(ring.write(&Block::new(1), false).unwrap_err(), Refused::Internal);
}

#[test]
fn a_reader_of_a_ring_that_writes_spoils_its_own_copy_and_loses_it() {
    let Some((ring, mut writer, mut reader)) = ring() else { return };
    let block = ring.slot().unwrap();
    publish(&mut writer, &block, &[7; 5000]);
    for fails in [false, true] {
        let id = reader.table.insert(block.clone()).unwrap();
        let address = attach(&mut reader, id, 0).address as usize;
        assert!(reader.memory.bytes[address..][..5000].iter().all(|byte| *byte == 7));
        reader.memory.store(address + 1000, &[9; 100]);
        block.read().unwrap().bytes(|bytes| assert!(bytes.len() == 5000 && bytes.iter().all(|byte| *byte == 7)));
        if fails {
            // A call that fails is not looked at, and restored.
            reader.restore();
        } else {
            assert!(matches!(reader.end(), Err(Violation::WroteWhileReading { .. })));
        }
    }
    let id = reader.table.insert(block).unwrap();
    let address = attach(&mut reader, id, 0).address as usize;
    assert!(reader.memory.bytes[address..][..5000].iter().all(|byte| *byte == 7));
    reader.end().unwrap();
}

#[test]
fn a_writer_of_a_ring_that_writes_what_it_has_published_takes_the_ring_with_it() {
    for fails in [false, true] {
        let Some((ring, mut writer, mut reader)) = ring() else { return };
        let (one, other) = (ring.slot().unwrap(), ring.slot().unwrap());
        publish(&mut writer, &one, &[7; 100]);
        writer.end().unwrap();
        let address = publish(&mut writer, &other, &[7; 100]).address as usize;
        writer.memory.store(address + 1000, &[9; 100]);
        if fails {
            writer.restore();
        } else {
            assert!(matches!(writer.end(), Err(Violation::WroteAfterDetach { .. })));
        }
        for block in [one, other] {
            assert_eq!(block.read().unwrap_err(), Refused::Busy);
            let id = reader.table.insert(block).unwrap();
            assert_eq!(reader.table.attach(&mut reader.memory, id, 0).unwrap(), Err(Refused::Busy));
        }
        reader.end().unwrap();
        // The next call of the writer begins anew.
        let block = ring.slot();
        drop(block);
        let block = ring.slot().unwrap();
        publish(&mut writer, &block, &[8; 100]);
        writer.end().unwrap();
        block.read().unwrap().bytes(|bytes| assert!(bytes.len() == 100 && bytes.iter().all(|byte| *byte == 8)));
    }
}

#[test]
fn a_writer_of_a_ring_that_gives_up_leaves_zeros() {
    let Some((ring, mut writer, _)) = ring() else { return };
    let block = ring.slot().unwrap();
    let id = writer.table.insert(block.clone()).unwrap();
    let address = attach(&mut writer, id, WRITE).address as usize;
    writer.memory.store(address, &[9; 5000]);
    writer.restore();
    assert!(block.read().is_err());
    ring.write(&block, false)
        .unwrap()
        .bytes(|bytes| assert!(bytes.len() == SLOT as usize && bytes.iter().all(|byte| *byte == 0)));
}

#[test]
fn a_guest_joins_before_it_is_called() {
    let Ok(ring) = Ring::new(100, 5000) else { return };
    let (mut guest, _) = guest();
    let join = |guest: &mut Guest, ring: &Ring| guest.table.join(&mut guest.memory, ring, false);
    // With a page at either end, wherever the storage begins.
    let needed = ring.storage_size() + 2 * 4096 + 2 * GUARD + LARGEST_CARD - 1;
    let refused = join(&mut guest, &ring);
    assert!(matches!(refused, Err(JoinError::NoStorage { bytes }) if bytes == needed), "{refused:?}");
    let ring = Ring::new(1, 10).unwrap();
    assert!(matches!(join(&mut Guest::new(Way::Barrier), &ring), Err(JoinError::NotMappable)));
    let id = guest.table.create(1).unwrap();
    assert!(matches!(join(&mut guest, &ring), Err(JoinError::NotPristine)));
    guest.table.drop_block(id).unwrap();
    join(&mut guest, &ring).unwrap();
    assert_eq!(guest.table.rings().count(), 1);
    assert!(guest.memory.pages(0..4096).is_some());
}
