//! Random stores near the edges of attachments, of a ring and of its slots: each is allowed, or is found, or changes nothing that anybody
//! can read.

use std::ops::Range;

use guest_host::blocks::{Block, Member, RingGroup};
use guest_host::{Instance, InstanceConfig, MemoryState, RestoreStrategy};

use super::{BARE, Numbers, Way, guests_with_cards, published};

/// Bytes of a slot, and of a free page.
const PAGE: usize = 4096;

const SLOTS: usize = 3;

/// Where the ring is in the memory of the guest.
const RING: usize = 73_728;

/// `poke` attaches a block for writing and `peek` one for reading. The block begins with an address, a way of storing there, a number of bytes,
/// and whether to store after the block is detached. `poke` leaves its number of the way everywhere else in the block.
const FUNCTIONS: &str = r#"
    (func $store (param $at i32) (param $way i32) (param $bytes i32)
        (block $copy (block $fill (block $wide (block $apart (block $beside (block $one
            (br_table $one $beside $apart $wide $fill $copy (local.get $way)))
            (i32.store8 (local.get $at) (i32.const 255)) (return))
            (i32.store8 (local.get $at) (i32.const 255)) (i32.store8 offset=40 (local.get $at) (i32.const 255)) (return))
            (i64.store (local.get $at) (i64.const -1)) (i64.store offset=100 (local.get $at) (i64.const -1)) (return))
            (v128.store (local.get $at) (v128.const i64x2 -1 -1)) (return))
            (memory.fill (local.get $at) (i32.const 255) (local.get $bytes)) (return))
        (memory.copy (local.get $at) (i32.const 4096) (local.get $bytes)))
    (func $run (param $block i32) (param $flags i32)
        (local $own i32) (local $at i32) (local $way i32) (local $bytes i32) (local $late i32) (local $valid i32)
        (memory.fill (i32.const 4096) (i32.const 255) (i32.const 256))
        (local.set $own (call $attached (local.get $block) (local.get $flags)))
        (local.set $at (i32.load (local.get $own)))
        (local.set $way (i32.load offset=4 (local.get $own)))
        (local.set $bytes (i32.load offset=8 (local.get $own)))
        (local.set $late (i32.load offset=12 (local.get $own)))
        (if (local.get $flags) (then
            (memory.fill (local.get $own) (local.get $way) (i32.const 4096))
            (local.set $valid (i32.const 4096))))
        (if (i32.eqz (local.get $late)) (then (call $store (local.get $at) (local.get $way) (local.get $bytes))))
        (call $detach (local.get $block) (local.get $valid))
        (if (local.get $late) (then (call $store (local.get $at) (local.get $way) (local.get $bytes)))))
    (func (export "poke") (param $block i32) (result i32) (call $run (local.get $block) (i32.const 3)) (i32.const 0))
    (func (export "peek") (param $block i32) (result i32) (call $run (local.get $block) (i32.const 0)) (i32.const 0))"#;

/// The bytes of a slot in the ring.
fn slot(index: usize) -> Range<usize> {
    let start = index * 3 * PAGE + PAGE;
    start..start + PAGE
}

/// A store of `poke` or `peek`.
#[derive(Debug)]
struct Store {
    at: usize,
    way: usize,
    bytes: usize,
    is_late: bool,
}

impl Store {
    /// One near an address.
    fn near(edge: usize, numbers: &mut Numbers) -> Self {
        let (at, way, bytes) = (edge + numbers.below(300) - 200, numbers.below(6), numbers.below(200));
        Self { at, way, bytes, is_late: numbers.below(3) == 0 }
    }

    /// As the block has it.
    fn words(&self) -> [u8; 16] {
        let words = [self.at, self.way, self.bytes, usize::from(self.is_late)];
        let words = words.map(|word| u32::try_from(word).unwrap().to_le_bytes());
        words.as_flattened().try_into().unwrap()
    }

    /// The bytes of this range that it writes, from the beginning of the range on.
    fn within(&self, range: &Range<usize>) -> Vec<Range<usize>> {
        let at = self.at;
        let none = at..at;
        let all = match self.way {
            0 => [at..at + 1, none],
            1 => [at..at + 1, at + 40..at + 41],
            2 => [at..at + 8, at + 100..at + 108],
            3 => [at..at + 16, none],
            _ => [at..at + self.bytes, none],
        };
        let within = all.into_iter().map(|one| one.start.max(range.start)..one.end.min(range.end));
        within.filter(|one| one.start < one.end).map(|one| one.start - range.start..one.end - range.start).collect()
    }

    /// What `poke` publishes of a block that is attached here.
    fn published(&self, range: &Range<usize>) -> Vec<u8> {
        let mut bytes = vec![u8::try_from(self.way).unwrap(); range.len()];
        if !self.is_late {
            self.within(range).into_iter().for_each(|one| bytes[one].fill(255));
        }
        bytes
    }
}

fn fill(group: &mut RingGroup, index: usize, bytes: &[u8]) -> Block {
    let block = group.slot().unwrap();
    let write = |to: &mut [u8]| {
        to.fill(u8::try_from(index).unwrap() + 100);
        to[..bytes.len()].copy_from_slice(bytes);
        u32::try_from(PAGE).unwrap()
    };
    group.fill(&block, true, write).unwrap();
    block
}

#[test]
fn stores_near_edges_are_allowed_or_found_or_change_nothing() {
    let config = InstanceConfig::default().with_strategy(RestoreStrategy::DirtyCards);
    let mut numbers = Numbers(1);
    let (mut allowed, mut found) = (0, 0);
    for guest in guests_with_cards(format!("{BARE} {FUNCTIONS}")) {
        for writes in [true, false] {
            let Ok(mut group) = RingGroup::new(SLOTS, u32::try_from(PAGE).unwrap()) else { return };
            let instance = guest.instantiate(&config, MemoryState::new()).unwrap();
            let member = if writes { group.add_writer(instance) } else { group.add_reader(instance) }.unwrap();
            assert_eq!(group.place(member).unwrap().start, RING);
            for _ in 0..400 {
                match turn(&mut group, member, writes, &mut numbers) {
                    true => allowed += 1,
                    false => found += 1,
                }
            }
        }
    }
    assert!(allowed > 300 && found > 1000, "{allowed}, {found}");
}

/// One call with a random store. Returns whether it was allowed.
fn turn(group: &mut RingGroup, member: Member, writes: bool, numbers: &mut Numbers) -> bool {
    // An edge of a page of the ring, or of a page beside it.
    let store = Store::near(RING + numbers.below(SLOTS * 3 + 3) * PAGE - PAGE, numbers);
    let (own, words) = (numbers.below(SLOTS), store.words());
    let blocks: Vec<_> = (0..SLOTS).map(|index| fill(group, index, if index == own { &words } else { &[] })).collect();
    let before = group.bytes();
    // Whichever slot each got.
    let place =
        |index: usize| (0..SLOTS).map(slot).find(|slot| usize::from(before[slot.start + 100]) == index + 100).unwrap();
    let stage = group.member(member).guest().stage(if writes { "poke" } else { "peek" }).unwrap();
    let called = group.call_stage(member, stage, Some(blocks[own].clone()));
    let told = format!("{store:?}, a block in {:?}, writes: {writes}, {called:?}", place(own));
    let after = group.bytes();
    let (memory, snapshot) = group.member(member).memory().unwrap();
    let shown = RING..RING + after.len();
    assert!(memory[shown.clone()] == after[..], "{told}");
    assert!(memory[..shown.start] == snapshot.memory()[..shown.start], "{told}");
    assert!(memory[shown.end..] == snapshot.memory()[shown.end..], "{told}");
    for index in 0..SLOTS {
        let slot = slot(index);
        assert!(
            after[slot.start - PAGE..slot.start].iter().chain(&after[slot.end..slot.end + PAGE]).all(|byte| *byte == 0),
            "{told}"
        );
    }
    let mut is_allowed = true;
    for (index, block) in blocks.iter().enumerate() {
        let slot = place(index);
        let attached = RING + slot.start..RING + slot.end;
        let is_own = index == own && writes;
        if !store.within(&attached).is_empty() && (!is_own || store.is_late) {
            assert!(called.is_err(), "{told}");
        }
        let Ok(reading) = block.read() else {
            assert!(called.is_err() && writes, "{told}");
            is_allowed = false;
            continue;
        };
        let expected = if is_own { store.published(&attached) } else { before[slot].to_vec() };
        assert!(reading.bytes(|bytes| bytes == expected), "{told}");
    }
    is_allowed && called.is_ok()
}

#[test]
fn stores_near_edges_of_copies_and_mappings_are_allowed_or_found_or_change_nothing() {
    // A place for one block, and the block in it.
    let (copied, mapped) = (69_760..69_760 + PAGE, RING..RING + PAGE);
    let mut numbers = Numbers(2);
    let (mut allowed, mut found) = (0, 0);
    for guest in guests_with_cards(format!("{BARE} {FUNCTIONS}")) {
        for way in [Way::Copy(RestoreStrategy::DirtyCards), Way::Map] {
            let mut instance = guest.instantiate(&way.config(), MemoryState::new()).unwrap();
            let is_mapped = way == Way::Map && Block::mappable(1).is_mappable();
            let attached = if is_mapped { &mapped } else { &copied };
            for _ in 0..400 {
                let store = Store::near(attached.start + numbers.below(4) * PAGE - PAGE, &mut numbers);
                match call(&mut instance, &store, attached, numbers.below(2) == 0) {
                    true => allowed += 1,
                    false => found += 1,
                }
            }
            assert_eq!(instance.block_counts().mapped > 0, is_mapped);
        }
    }
    assert!(allowed > 1000 && found > 500, "{allowed}, {found}");
}

/// One call with a block that is attached at a place. Returns whether it was allowed.
fn call(instance: &mut Instance, store: &Store, attached: &Range<usize>, writes: bool) -> bool {
    let mut before = vec![100; PAGE];
    before[..16].copy_from_slice(&store.words());
    let block = published(u32::try_from(PAGE).unwrap(), &before, true);
    let called = instance.call_stage_by_name(if writes { "poke" } else { "peek" }, Some(block.clone()));
    let told = format!("{store:?}, writes: {writes}, {called:?}");
    if !store.within(attached).is_empty() && (!writes || store.is_late) {
        assert!(called.is_err(), "{told}");
    }
    let (memory, snapshot) = instance.memory().unwrap();
    assert!(memory == snapshot.memory(), "{told}");
    // Nobody else has seen anything but what was published.
    let expected = if writes { store.published(attached) } else { before };
    assert!(block.read().unwrap().bytes(|bytes| bytes == expected), "{told}");
    called.is_ok()
}
