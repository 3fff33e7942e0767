//! Each violation by itself, and what becomes of the block.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use guest_blocks::{Area, Block, BlockTable, Limits, Mode, PlainMemory, Refused, Violation};

use crate::guest::{Guest, MEMORY, STORAGE, STORAGE_SIZE, Way};

const WRITE: u32 = 1;
const SHARED: u32 = 2;

/// A guest with a block that is attached with these flags after something was published.
fn attached(way: Way, flags: u32) -> (Guest, Block, u32, Area) {
    let mut guest = Guest::new(way);
    let block = Block::new(1000);
    let mut writing = block.write_shared().unwrap();
    writing.bytes(|bytes| bytes.fill(7));
    writing.publish(900);
    let id = guest.table.insert(block.clone()).unwrap();
    let area = guest.table.attach(&mut guest.memory, id, flags).unwrap().unwrap();
    (guest, block, id, area)
}

#[test]
fn a_block_goes_from_its_writer_to_its_readers() {
    let mut guest = Guest::new(Way::Barrier);
    let id = guest.table.create(5000).unwrap();
    let Guest { memory, table, .. } = &mut guest;
    assert_eq!(table.attach(memory, id, 0).unwrap(), Err(Refused::Busy), "there is nothing to read");
    // Earlier writes of the guest to its storage do not count.
    memory.store(STORAGE as usize, &[2; STORAGE_SIZE as usize]);
    let area = table.attach(memory, id, WRITE).unwrap().unwrap();
    assert_eq!((area.bytes, area.address % 4096), (0, 128));
    memory.store(area.address as usize + 1024, &[1; 100]);
    table.detach(memory, id, 2000).unwrap();
    // The bytes at the beginning, and one card with the bytes near it.
    assert_eq!((table.counts().copied, table.counts().handed_over), (5000 + 256 + 2 * 64, 2000));
    let block = table.take(id).unwrap();
    let reading = block.read().unwrap();
    assert_eq!(reading.range(), 0..2000);
    reading.bytes(|bytes| assert!(bytes[..1024] == [0; 1024] && bytes[1024..1124] == [1; 100]));
    reading.consume(1024);
    assert_eq!(block.unread(), 1024..2000);
    // The next reader begins where the last one ended, and the next writer hears how much is left.
    let id = table.insert(block.clone()).unwrap();
    let area = table.attach(memory, id, 0).unwrap().unwrap();
    assert_eq!(area.bytes, 976);
    assert_eq!(memory.bytes[area.address as usize..][..101], [[1; 100].as_slice(), &[0]].concat());
    table.detach(memory, id, 0).unwrap();
    assert_eq!(table.attach(memory, id, WRITE).unwrap().unwrap().bytes, 976);
    guest.end().unwrap();
    assert_eq!(block.unread(), 0..0, "what was being written is not published");
}

#[test]
fn a_guest_that_ends_gives_everything_back() {
    for flags in [0, SHARED, WRITE] {
        let (mut guest, block, _, area) = attached(Way::Barrier, flags);
        guest.memory.store(area.address as usize, &[1; 10]);
        guest.restore();
        assert!(guest.table.is_empty());
        if flags == WRITE {
            assert_eq!((block.unread(), block.read().unwrap_err()), (0..0, Refused::Busy));
            block.write().unwrap().bytes(|bytes| assert_eq!(*bytes, [0; 1000]));
        } else {
            block.read().unwrap().bytes(|bytes| assert_eq!(*bytes, [7; 900]));
        }
        assert!(guest.table.insert(block).is_ok());
    }
}

#[test]
fn a_reader_that_writes_is_found() {
    for way in Way::ALL {
        let has_barrier = way != Way::Plain;
        for (offset, is_found) in [(0, true), (899, true), (900, false)] {
            let (mut guest, _, id, area) = attached(way, 0);
            let address = area.address + offset;
            guest.memory.store(address as usize, &[8]);
            // A barrier finds each write to the place, also behind the bytes that are to be read.
            let (is_found, address) = if is_found { (true, address) } else { (has_barrier, address - 900 + 832) };
            let expected = if is_found { Err(Violation::WroteWhileReading { address }) } else { Ok(()) };
            assert_eq!(guest.table.end_call(&guest.memory), expected);
            assert_eq!(guest.table.detach(&mut guest.memory, id, 0), expected);
        }
    }
}

#[test]
fn a_guest_that_writes_after_it_has_detached_is_found() {
    for flags in [0, WRITE] {
        let (mut guest, _, id, area) = attached(Way::Barrier, flags);
        guest.table.detach(&mut guest.memory, id, 0).unwrap();
        assert_eq!(guest.table.end_call(&guest.memory), Ok(()));
        guest.memory.store(area.address as usize + 300, &[7]);
        let found = Violation::WroteAfterDetach { address: area.address };
        // At the end, and when the place is used again.
        assert_eq!(guest.table.end_call(&guest.memory), Err(found.clone()));
        assert_eq!(guest.table.attach(&mut guest.memory, id, WRITE), Err(found.clone()));
        assert_eq!(guest.end(), Ok(()), "it was found before");
        guest.memory.store(area.address as usize + 300, &[7]);
        assert_eq!(guest.end(), Ok(()), "the next call has its storage to itself");
    }
}

#[test]
fn a_part_that_was_handed_out_is_not_the_writers_any_more() {
    let (mut guest, block, id, area) = attached(Way::Barrier, WRITE);
    let Guest { memory, table, .. } = &mut guest;
    memory.store(area.address as usize + 256, &[9; 256]);
    let part = table.create_partition(memory, id, 256, 256, WRITE).unwrap();
    let part = table.take(part).unwrap();
    let mut writing = part.write().unwrap();
    writing.bytes(|bytes| assert_eq!(*bytes, [9; 256], "what the writer had written"));
    writing.bytes(|bytes| bytes.fill(5));
    writing.publish(256);
    table.detach(memory, id, 900).unwrap();
    assert_eq!(block.read().unwrap_err(), Refused::Busy, "others can write in it");
    drop(part);
    block.read().unwrap().bytes(|bytes| assert!(bytes[255] == 7 && bytes[256..512] == [5; 256] && bytes[512] == 7));

    for flags in [0, SHARED, WRITE] {
        let (mut guest, _, id, area) = attached(Way::Barrier, WRITE);
        let Guest { memory, table, .. } = &mut guest;
        table.create_partition(memory, id, 100, 800, flags).unwrap();
        memory.store(area.address as usize + 400, &[9]);
        let found = Violation::WroteHandedOut { address: area.address + 100 };
        assert_eq!(table.detach(memory, id, 900), Err(found));
    }
}

#[test]
fn parts_lie_within_their_block_and_beside_each_other() {
    let mut guest = Guest::new(Way::Barrier);
    let id = guest.table.create(1000).unwrap();
    let Guest { memory, table, .. } = &mut guest;
    for (start, size) in [(0, 1001), (1000, 1), (1, u32::MAX), (u32::MAX, 1)] {
        let found = Violation::NoPart { id, start, size, most: 1000 };
        assert_eq!(table.create_partition(memory, id, start, size, 0), Err(found));
    }
    assert_eq!(table.create_partition(memory, id, 0, 1, 4), Err(Violation::Flags { flags: 4 }));
    let first = table.create_partition(memory, id, 0, 500, WRITE).unwrap();
    for flags in [0, WRITE, SHARED] {
        let found = Violation::PartInUse { id, start: 499, size: 10 };
        assert_eq!(table.create_partition(memory, id, 499, 10, flags), Err(found));
    }
    let second = table.create_partition(memory, id, 500, 500, WRITE).unwrap();
    assert_eq!(table.attach(memory, id, WRITE).unwrap(), Err(Refused::Busy));
    table.drop_block(first).unwrap();
    table.drop_block(second).unwrap();
    table.attach(memory, id, WRITE).unwrap().unwrap();
}

#[test]
fn what_is_used_up_was_there_and_is_not_attached() {
    let (mut guest, _, id, _) = attached(Way::Barrier, 0);
    let Guest { memory, table, .. } = &mut guest;
    assert_eq!(table.drop_block(id), Err(Violation::Attached { id }));
    assert!(matches!(table.take(id), Err(Violation::Attached { .. })));
    assert_eq!(table.attach(memory, id, 0).unwrap(), Err(Refused::Busy));
    assert_eq!(table.attach(memory, id, 4), Err(Violation::Flags { flags: 4 }));
    table.detach(memory, id, 0).unwrap();
    assert_eq!(table.detach(memory, id, 0), Err(Violation::NotAttached { id }));
    table.drop_block(id).unwrap();
    assert_eq!(table.drop_block(id), Err(Violation::UnknownBlock { id }));
    let next = table.create(1).unwrap();
    assert_ne!(next, id, "an id is not used again");
    for made_up in [0, id, next + 1, next ^ 0x1_0000, u32::MAX] {
        assert_eq!(table.minimum_size(made_up), Err(Violation::UnknownBlock { id: made_up }));
    }
}

#[test]
fn a_restored_guest_sees_the_ids_and_addresses_of_a_fresh_one() {
    let mut guest = Guest::new(Way::Barrier);
    let call = |guest: &mut Guest| {
        let Guest { memory, table, .. } = guest;
        let ids = [table.create(10).unwrap(), table.create(5000).unwrap()];
        let area = table.attach(memory, ids[1], WRITE).unwrap().unwrap();
        table.drop_block(ids[0]).unwrap();
        let again = table.create(1).unwrap();
        guest.end().unwrap();
        (ids, area, again)
    };
    let fresh = call(&mut guest);
    assert!((0..3).all(|_| call(&mut guest) == fresh));
}

#[test]
fn an_id_does_not_come_again_within_a_call() {
    let mut guest = Guest::new(Way::Barrier);
    let first = guest.table.create(1).unwrap();
    guest.table.drop_block(first).unwrap();
    for _ in 0..1 << 17 {
        let id = guest.table.create(1).unwrap();
        guest.table.drop_block(id).unwrap();
        assert_ne!(id, first);
    }
}

#[test]
fn what_outlives_a_call_without_a_restore_meets_nothing_else() {
    for (way, flags) in Way::ALL.into_iter().flat_map(|way| [(way, 0), (way, WRITE)]) {
        let mut guest = Guest::new(way);
        let Guest { memory, table, .. } = &mut guest;
        let id = table.create(1000).unwrap();
        let area = table.attach(memory, id, WRITE).unwrap().unwrap();
        memory.store(area.address as usize, &[7; 1000]);
        let area = match flags {
            WRITE => area,
            _ => {
                table.detach(memory, id, 1000).unwrap();
                table.attach(memory, id, 0).unwrap().unwrap()
            }
        };
        table.end_attachments(memory).unwrap();
        assert!(table.is_empty());
        // The bytes stay, the number names nothing, and the place is not used again.
        let kept = area.address as usize..area.address as usize + 1000;
        assert_eq!(memory.bytes[kept.clone()], [7; 1000], "{way:?}, {flags}");
        let other = table.create(1000).unwrap();
        assert_eq!(table.attach(memory, id, 0), Err(Violation::UnknownBlock { id }));
        let area = table.attach(memory, other, WRITE).unwrap().unwrap();
        assert!(kept.end <= area.address as usize || area.address as usize + 1000 <= kept.start);
        memory.store(kept.start, &[9; 1000]);
        assert_eq!(table.end_call(memory), Ok(()));
        guest.restore();
        assert_eq!(guest.table.create(1000).unwrap(), id);
    }
}

#[test]
fn a_part_stays_out_of_bounds_for_its_writer_when_it_is_gone() {
    for way in Way::ALL {
        let mut guest = Guest::new(way);
        let Guest { memory, table, .. } = &mut guest;
        let id = table.create(1000).unwrap();
        let whole = table.attach(memory, id, WRITE).unwrap().unwrap();
        let part = table.create_partition(memory, id, 100, 50, WRITE).unwrap();
        let area = table.attach(memory, part, WRITE).unwrap().unwrap();
        memory.store(area.address as usize, &[3; 50]);
        table.detach(memory, part, 50).unwrap();
        table.drop_block(part).unwrap();
        memory.store(whole.address as usize, &[1; 10]);
        table.detach(memory, id, 1000).unwrap();
        let block = table.take(id).unwrap();
        block.read().unwrap().bytes(|bytes| {
            assert_eq!((bytes[..10].to_vec(), bytes[100..150].to_vec()), (vec![1; 10], vec![3; 50]), "{way:?}");
        });
    }
}

#[test]
fn the_ranges_that_a_writer_hands_out_are_limited() {
    let mut guest = Guest::new(Way::Barrier);
    let Guest { memory, table, .. } = &mut guest;
    let id = table.create(5000).unwrap();
    table.attach(memory, id, WRITE).unwrap().unwrap();
    let mut hand_out = |start: u32| {
        let part = table.create_partition(memory, id, start, 1, WRITE)?;
        table.drop_block(part)
    };
    let most = Limits::default().blocks;
    (0..most as u32).for_each(|number| hand_out(2 * number).unwrap());
    assert_eq!(hand_out(4000), Err(Violation::TooMany { most }));
    hand_out(1).unwrap();
}

#[test]
fn nobody_reports_more_than_there_is() {
    let (mut guest, _, id, _) = attached(Way::Barrier, WRITE);
    let found = Violation::Length { id, bytes: 1001, most: 1000 };
    assert_eq!(guest.table.detach(&mut guest.memory, id, 1001), Err(found));
    let (mut guest, _, id, _) = attached(Way::Barrier, 0);
    let found = Violation::Length { id, bytes: 1, most: 0 };
    assert_eq!(guest.table.detach(&mut guest.memory, id, 1), Err(found), "nobody consumes what is shared");
}

#[test]
fn storage_is_the_guests_own_memory_and_nothing_else() {
    let mut guest = Guest::new(Way::Barrier);
    let Guest { memory, table, .. } = &mut guest;
    let taken = [("the stack", 0..4096), ("static data", 4096..5000)];
    let (end, page) = (u32::try_from(MEMORY).unwrap(), 4096);
    for (address, size) in [(end, 1), (end - page, page + 1), (u32::MAX, u32::MAX), (0, u32::MAX)] {
        assert_eq!(table.add_storage(memory, address, size, &[]), Err(Violation::Outside { address, size }));
    }
    for (address, size, with) in [
        (0, 8192, "the stack"),
        (4999, 8192, "static data"),
        (STORAGE - 1, 2, "other storage"),
        (STORAGE + STORAGE_SIZE - 1, page, "other storage"),
    ] {
        let found = Violation::Overlaps { address, size, with };
        assert_eq!(table.add_storage(memory, address, size, &taken), Err(found.clone()));
        assert_eq!(table.create_local(memory, address, size, &taken), Err(found));
    }
    assert_eq!(table.add_storage(memory, 5000, 4096, &taken).unwrap(), Err(Refused::WrongSize));
    table.add_storage(memory, 5000, 8192, &taken).unwrap().unwrap();
    let local = table.create_local(memory, 20_000, 100, &taken).unwrap();
    let found = Violation::Overlaps { address: 20_099, size: 1, with: "a local block" };
    assert_eq!(table.create_local(memory, 20_099, 1, &taken), Err(found));
    // Restores keep what was offered before the first call, and nothing that a call offered.
    guest.restore();
    assert_eq!(guest.table.minimum_size(local), Err(Violation::UnknownBlock { id: local }));
    assert!(guest.table.add_storage(&guest.memory, 5000, 8192, &taken).unwrap().is_ok());
}

#[test]
fn a_local_block_stays_where_it_is() {
    let mut guest = Guest::new(Way::Barrier);
    let Guest { memory, table, .. } = &mut guest;
    let id = table.create_local(memory, 20_480, 1000, &[]).unwrap();
    assert_eq!(table.attach(memory, id, WRITE).unwrap(), Ok(Area { address: 20_480, bytes: 0 }));
    memory.store(20_480, &[3; 1000]);
    table.detach(memory, id, 1000).unwrap();
    let other = table.duplicate(id).unwrap();
    assert_eq!(table.attach(memory, other, 0).unwrap(), Ok(Area { address: 20_480, bytes: 1000 }));
    assert_eq!(table.counts().copied, 0);
    // A mark for its first byte could stand for the bytes before it.
    memory.store(20_480, &[4]);
    assert_eq!(table.end_call(memory), Ok(()));
    memory.store(20_480 + 300, &[4]);
    assert!(matches!(table.end_call(memory), Err(Violation::WroteWhileReading { .. })));
    assert!(matches!(table.take(id), Err(Violation::Local { .. })));
    assert!(matches!(table.create_partition(memory, id, 0, 1, 0), Err(Violation::NotParted { .. })));
}

#[test]
fn storage_that_does_not_suffice_costs_nothing() {
    let (mut guest, block, _, _) = attached(Way::Barrier, SHARED);
    let Guest { memory, table, .. } = &mut guest;
    let large = table.create(6 * 4096).unwrap();
    assert_eq!(table.attach(memory, large, WRITE).unwrap(), Err(Refused::NoStorage));
    let mut writing = Block::new(6 * 4096);
    let mut first = writing.write().unwrap();
    first.bytes(|bytes| bytes[0] = 1);
    first.publish(6 * 4096);
    let id = table.insert(writing.clone()).unwrap();
    for flags in [0, WRITE] {
        assert_eq!(table.attach(memory, id, flags).unwrap(), Err(Refused::NoStorage));
        assert_eq!(writing.unread(), 0..6 * 4096, "it is to be read still");
    }
    guest.restore();
    writing = block;
    assert!(writing.read().is_ok());
}

#[test]
fn a_guest_has_as_much_as_its_limits_say() {
    let mut limits = Limits::default();
    (limits.blocks, limits.bytes) = (2, 1000);
    let mut table = BlockTable::new(limits);
    assert_eq!(table.create(1), Err(Violation::Initialising));
    table.snapshot(&PlainMemory(&mut []));
    assert_eq!(table.create(u32::MAX), Err(Violation::TooLarge { bytes: u32::MAX, left: 1000 }));
    let first = table.create(600).unwrap();
    assert_eq!(table.create(401), Err(Violation::TooLarge { bytes: 401, left: 400 }));
    table.create(400).unwrap();
    assert_eq!(table.create(0), Err(Violation::TooMany { most: 2 }));
    table.drop_block(first).unwrap();
    table.create(600).unwrap();
    table.restore(&mut PlainMemory(&mut []), true).unwrap();
    table.create(1000).unwrap();
}

#[test]
fn bytes_that_are_lent_are_read_and_never_written() {
    let block = Block::from_bytes(b"lent".as_slice()).unwrap();
    assert_eq!(block.write().unwrap_err(), Refused::Internal);
    assert_eq!(block.part(0..2, Mode::Write).unwrap_err(), Refused::Internal);
    assert_eq!(block.part(3..5, Mode::Read).unwrap_err(), Refused::WrongSize);
    let part = block.part(1..3, Mode::ReadShared).unwrap();
    let (one, other) = (part.read().unwrap(), part.read().unwrap());
    assert_eq!(one.bytes(<[u8]>::to_vec), other.bytes(<[u8]>::to_vec));
    let mut memory = [0; 8448];
    let mut table = BlockTable::new(Limits::default());
    table.add_storage(&PlainMemory(&mut memory), 0, 8448, &[]).unwrap().unwrap();
    table.snapshot(&PlainMemory(&mut memory));
    let id = table.insert(part.clone()).unwrap();
    let area = table.attach(&mut PlainMemory(&mut memory), id, 0).unwrap().unwrap();
    assert_eq!((area, &memory[4224..4227]), (Area { address: 4224, bytes: 2 }, b"en\0".as_slice()));
}

/// Bytes of an owner that panics once.
struct Panics(AtomicBool);

#[test]
fn an_attachment_that_panics_is_none() {
    let bytes = |owner: &Panics| -> &[u8] {
        assert!(!owner.0.swap(false, Ordering::Relaxed), "the owner panics");
        b"lent"
    };
    let owner = Arc::new(Panics(AtomicBool::new(false)));
    let block = Block::from_owner((Arc::clone(&owner), bytes), |(owner, bytes)| bytes(owner)).unwrap();
    let part = block.part(0..4, Mode::Read).unwrap();
    let mut guest = Guest::new(Way::Barrier);
    let id = guest.table.insert(part.clone()).unwrap();
    owner.0.store(true, Ordering::Relaxed);
    let Guest { memory, table, .. } = &mut guest;
    let attached = std::panic::catch_unwind(AssertUnwindSafe(|| table.attach(memory, id, 0)));
    assert!(attached.is_err());
    assert_eq!(part.read().unwrap().bytes(<[u8]>::to_vec), b"lent");
}

#[test]
fn a_table_has_the_usual_limits_by_default() {
    let [own, usual] = [BlockTable::default(), BlockTable::new(Limits::default())];
    assert_eq!(own.optimum_size(1, 10), usual.optimum_size(1, 10));
}
