//! Guests that hand each other blocks of a ring. Where the system has no rings, these tests find that out and end.

use guest_build::Allocator;
use guest_host::blocks::{Block, JoinError, Member, RingGroup, Violation};
use guest_host::{Cause, Guest, Instance, InstanceConfig, MemoryState, RestorePolicy, RestoreStrategy, Retention};

use super::{Numbers, bare, on_demand};
use crate::guests::load;

/// A bare module with a ring's storage. It fills a block of a ring with a byte and publishes some of it, sums what it reads, and breaks
/// the rules.
const FUNCTIONS: &str = r#"
    (func (export "read") (param $block i32) (result i32)
        (if (i32.ne (i32.load8_u (call $attached (local.get $block) (i32.const 0))) (i32.const 7)) (then (unreachable)))
        (call $detach (local.get $block) (i32.const 0))
        (i32.const 0))
    (func (export "write_read") (param $block i32) (result i32)
        (i32.store8 offset=2000 (call $attached (local.get $block) (i32.const 0)) (i32.const 9))
        (i32.const 0))
    (func (export "write_read_and_trap") (param $block i32) (result i32)
        (i32.store8 offset=2000 (call $attached (local.get $block) (i32.const 0)) (i32.const 9))
        (unreachable))
    (func (export "write_published") (param $block i32) (result i32)
        (i32.store8 offset=2000 (call $fill (local.get $block) (i32.const 7)) (i32.const 9))
        (local.get $block))
    (func (export "write_published_and_trap") (param $block i32) (result i32)
        (i32.store8 offset=2000 (call $fill (local.get $block) (i32.const 7)) (i32.const 9))
        (unreachable))
    (func (export "trap_writing") (param $block i32) (result i32)
        (memory.fill (call $attached (local.get $block) (i32.const 1)) (i32.const 9) (i32.const 4096))
        (unreachable))
    (func (export "grow") (param $block i32) (result i32) (drop (memory.grow (i32.const 5))) (i32.const 0))
    (func (export "read_raw") (param $address i32) (result i32) (i32.load8_u (local.get $address)))"#;

/// Bytes of a slot.
const SLOT: u32 = 303_104;

fn guest() -> Guest {
    on_demand(&bare(FUNCTIONS))
}

fn instance() -> Instance {
    let config = InstanceConfig::default().with_strategy(RestoreStrategy::DirtyCards);
    guest().instantiate(&config, MemoryState::new()).unwrap()
}

/// A group of one that writes and two that read.
fn group() -> Option<(RingGroup, Member, [Member; 2])> {
    let mut group = RingGroup::new(3, SLOT).ok()?;
    let writer = group.add_writer(instance()).unwrap();
    let readers = [(); 2].map(|()| group.add_reader(instance()).unwrap());
    Some((group, writer, readers))
}

fn call(group: &mut RingGroup, member: Member, stage: &str, block: &Block) -> Result<Option<Block>, Cause> {
    let stage = group.member(member).guest().stage(stage).unwrap();
    group.call_stage(member, stage, Some(block.clone())).map_err(|failure| failure.cause)
}

/// All of the memory is as in the snapshot but for the ring.
fn assert_restored(group: &RingGroup, member: Member) {
    let instance = group.member(member);
    let (memory, snapshot) = instance.memory().unwrap();
    let (first, last) = (65_536 + 4096, 65_536 + 4096 + 3 * (303_104 + 2 * 4096));
    let (saved, grown) = memory.split_at(snapshot.memory().len());
    assert!(instance.is_pristine() && grown.iter().all(|byte| *byte == 0));
    assert!(saved[..first] == snapshot.memory()[..first] && saved[last + 4096..] == snapshot.memory()[last + 4096..]);
}

#[test]
fn two_subscribers_read_what_was_published_and_nothing_is_copied() {
    let Some((mut group, writer, readers)) = group() else { return };
    for _ in 0..20 {
        let block = group.slot().unwrap();
        assert!(call(&mut group, writer, "write", &block).unwrap().is_some());
        assert_eq!((block.unread(), block.is_shared()), (0..SLOT, true));
        for reader in readers {
            call(&mut group, reader, "read", &block).unwrap();
            assert_restored(&group, reader);
        }
        assert_restored(&group, writer);
    }
    for member in [writer, readers[0], readers[1]] {
        let counts = group.block_counts(member);
        assert_eq!((counts.attached, counts.copied, counts.handed_over), (20, 0, 20 * u64::from(SLOT)));
    }
}

#[test]
fn the_host_fills_a_block_and_guests_read_it() {
    let Some((mut group, _, readers)) = group() else { return };
    let block = group.slot().unwrap();
    group
        .fill(&block, true, |bytes| {
            bytes[0] = 7;
            1000
        })
        .unwrap();
    assert_eq!(block.unread(), 0..1000);
    for reader in readers {
        call(&mut group, reader, "read", &block).unwrap();
        assert_eq!(group.block_counts(reader).copied, 0);
    }
}

#[test]
fn a_reader_that_writes_harms_itself_alone() {
    let Some((mut group, writer, [one, other])) = group() else { return };
    let block = group.slot().unwrap();
    call(&mut group, writer, "write", &block).unwrap();
    let found = call(&mut group, one, "write_read", &block).unwrap_err();
    assert!(matches!(found, Cause::Block(Violation::WroteWhileReading { .. })), "{found}");
    assert_eq!(call(&mut group, one, "write_read_and_trap", &block).unwrap_err().kind(), "unreachable");
    for reader in [one, other] {
        // In the first slot, where the guest wrote.
        let address = 65_536 + 3 * 4096 + 2000;
        let (memory, _) = group.member(reader).memory().unwrap();
        assert_eq!(memory[address], 7);
        call(&mut group, reader, "read", &block).unwrap();
        assert_restored(&group, reader);
    }
    assert!(block.read().unwrap().bytes(|bytes| bytes.iter().all(|byte| *byte == 7)));
}

#[test]
fn a_writer_that_changes_what_it_has_published_takes_all_of_it_back() {
    for stage in ["write_published", "write_published_and_trap"] {
        let Some((mut group, writer, readers)) = group() else { return };
        let (one, other) = (group.slot().unwrap(), group.slot().unwrap());
        call(&mut group, writer, "write", &one).unwrap();
        let cause = call(&mut group, writer, stage, &other).unwrap_err();
        if stage == "write_published" {
            assert!(matches!(cause, Cause::Block(Violation::WroteAfterDetach { .. })), "{cause}");
        }
        for block in [&one, &other] {
            assert!(block.read().is_err(), "{stage}");
            assert_eq!(call(&mut group, readers[0], "read", block).unwrap_err().kind(), "unreachable");
        }
        assert_restored(&group, writer);
        // And it can go on.
        drop((one, other));
        let block = group.slot().unwrap();
        call(&mut group, writer, "write", &block).unwrap();
        call(&mut group, readers[1], "read", &block).unwrap();
    }
}

#[test]
fn a_writer_that_traps_leaves_nothing_to_read() {
    let Some((mut group, writer, [reader, _])) = group() else { return };
    let block = group.slot().unwrap();
    assert_eq!(call(&mut group, writer, "trap_writing", &block).unwrap_err().kind(), "unreachable");
    assert!(block.read().is_err());
    assert_eq!(call(&mut group, reader, "read", &block).unwrap_err().kind(), "unreachable");
    group
        .fill(&block, false, |bytes| {
            assert!(bytes.iter().all(|byte| *byte == 0));
            0
        })
        .unwrap();
    assert_restored(&group, writer);
}

#[test]
fn slots_are_as_many_as_there_are() {
    let Some((group, _, _)) = group() else { return };
    let blocks: Vec<_> = std::iter::from_fn(|| group.slot()).collect();
    assert_eq!(blocks.len(), 3);
    assert!(blocks[0].write().is_err(), "only the group writes");
    drop(blocks);
    assert!(group.slot().is_some());
}

#[test]
fn instances_that_cannot_join_are_given_back_with_the_reason() {
    let Ok(mut group) = RingGroup::new(3, SLOT) else { return };
    let config = InstanceConfig::default();
    let pooled = bare(FUNCTIONS);
    let of = |guest: &Guest, strategy| {
        guest.instantiate(&config.clone().with_strategy(strategy), MemoryState::new()).unwrap()
    };
    for instance in [
        of(&pooled, RestoreStrategy::DirtyCards),
        of(&guest(), RestoreStrategy::FullCopy),
        of(&guest(), RestoreStrategy::Reinstantiate),
    ] {
        let mut refused = group.add_reader(instance).unwrap_err();
        assert!(matches!(refused.error, JoinError::NotMappable), "{refused}");
        assert!(refused.instance.invoke_by_name("read_raw").is_err());
    }
    let mut large = RingGroup::new(100, SLOT).unwrap();
    let refused = large.add_writer(of(&guest(), RestoreStrategy::DirtyCards)).unwrap_err();
    assert!(refused.to_string().contains("bytes of storage in one piece"), "{refused}");
}

#[test]
fn an_instance_that_was_replaced_joins_again() {
    let Ok(mut group) = RingGroup::new(3, SLOT) else { return };
    // Memory that a call grew has the instance replaced.
    let mut retention = Retention::default();
    (retention.bytes, retention.restores) = (0, 1);
    let config = InstanceConfig::default().with_strategy(RestoreStrategy::DirtyCards);
    let config = config.with_retention(Some(retention));
    let member = group.add_writer(guest().instantiate(&config, MemoryState::new()).unwrap()).unwrap();
    let block = group.slot().unwrap();
    for turn in 1..4 {
        call(&mut group, member, "write", &block).unwrap();
        call(&mut group, member, "grow", &block).unwrap();
        assert_eq!(group.member(member).physical_pages(), 38);
        call(&mut group, member, "read", &block).unwrap();
        assert_eq!(group.member(member).physical_pages(), 33, "it was replaced");
        call(&mut group, member, "read", &block).unwrap();
        assert_eq!((group.block_counts(member).attached, group.block_counts(member).copied), (3 * turn, 0));
    }
}

/// Functions that the host asks after a call. One writes into the first slot of the ring, if there are sevens, and says how much of the heap
/// is in use.
const SPOILS_WHEN_ASKED: &str = r#"
    (func (export "WasmGetMallocs") (result i64) (i64.const 0))
    (func (export "WasmGetHeapInuse") (result i64)
        (if (i32.eq (i32.load8_u (i32.const 77824)) (i32.const 7)) (then (i32.store8 (i32.const 77824) (i32.const 9))))
        (i64.const IN_USE))"#;

#[test]
fn a_guest_that_spoils_a_frame_when_it_is_asked_is_found_before_others_run() {
    for in_use in ["0", "-1"] {
        let functions = SPOILS_WHEN_ASKED.replace("IN_USE", in_use);
        spoils_when_asked(&on_demand(&bare(&format!("{FUNCTIONS}{functions}"))));
    }
}

fn spoils_when_asked(guest: &Guest) {
    let config = InstanceConfig::default().with_strategy(RestoreStrategy::DirtyCards);
    let by_heap = config.clone().with_policy(RestorePolicy::OnHeapAbove(1 << 30));
    for (config, fails) in [(config.with_count(true), true), (by_heap, false)] {
        let Ok(mut group) = RingGroup::new(3, SLOT) else { return };
        let writer = group.add_writer(guest.instantiate(&config, MemoryState::new()).unwrap()).unwrap();
        let reader = group.add_reader(instance()).unwrap();
        let block = group.slot().unwrap();
        let called = call(&mut group, writer, "write", &block);
        assert_eq!(matches!(called, Err(Cause::Block(Violation::WroteAfterDetach { .. }))), fails, "{called:?}");
        assert!(block.read().is_err() && group.member(writer).is_pristine());
        assert_eq!(call(&mut group, reader, "read", &block).unwrap_err().kind(), "unreachable");
    }
}

#[test]
fn a_ring_has_slots() {
    assert!(RingGroup::new(0, 4096).is_err());
    assert!(RingGroup::new(usize::MAX / 4096, 1).is_err(), "the system has no such file");
}

#[test]
fn a_hundred_thousand_attachments_take_nothing() {
    let Some((mut group, writer, [reader, _])) = group() else { return };
    let held = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let resident: usize = resident.trim().trim_end_matches(" kB").trim().parse().unwrap();
        let files = std::fs::read_dir("/proc/self/fd").unwrap().count();
        (resident, files, std::fs::read_to_string("/proc/self/maps").unwrap().lines().count())
    };
    let turn = |group: &mut RingGroup| {
        let block = group.slot().unwrap();
        call(group, writer, "write", &block).unwrap();
        call(group, reader, "read", &block).unwrap();
    };
    (0..100).for_each(|_| turn(&mut group));
    let before = held();
    (0..2000).for_each(|_| turn(&mut group));
    let after = held();
    // Other tests run at the same time. What each turn left would be thousands.
    assert!(
        after.0 < before.0 + (64 << 10) && after.1 < before.1 + 500 && after.2 < before.2 + 1000,
        "{before:?}, {after:?}"
    );
    assert_eq!(group.block_counts(reader).attached, 2100);
}

/// The bytes that can be read of a block, and whether many may read them; none if it cannot be read.
fn to_read(block: &Block) -> Option<(Vec<u8>, bool)> {
    let reading = block.read().ok()?;
    Some((reading.bytes(<[u8]>::to_vec), block.is_shared()))
}

/// A ring means the same as copies: random calls of three guests on both, breaches among them.
#[test]
fn a_ring_means_what_copies_mean() {
    const STAGES: [&str; 8] = [
        "write",
        "read",
        "write_read",
        "write_read_and_trap",
        "write_published",
        "write_published_and_trap",
        "trap_writing",
        "grow",
    ];
    let Some((mut group, writer, readers)) = group() else { return };
    let config = InstanceConfig::default().with_strategy(RestoreStrategy::DirtyCards);
    let mut numbers = Numbers(1);
    let mut random = |below| numbers.below(below);
    let mut copying = guest().instantiate(&config, MemoryState::new()).unwrap();
    let (mut succeeded, mut failed) = (0, 0);
    for _ in 0..300 {
        let block = group.slot().unwrap();
        let copied = Block::new(SLOT);
        let (valid, shared) = (u32::try_from(random(3)).unwrap() * 2500, random(2) == 0);
        let fill = |bytes: &mut [u8]| {
            bytes.fill(7);
            valid
        };
        group.fill(&block, shared, fill).unwrap();
        let mut writing = copied.write_as(shared).unwrap();
        let valid = writing.bytes(fill);
        writing.publish(valid);
        for _ in 0..3 {
            let member = if random(2) == 0 { writer } else { readers[random(2)] };
            // A guest that reads the ring cannot write it, which it could if it had a copy.
            let stage =
                if member == writer { STAGES[random(STAGES.len())] } else { ["read", "write_read", "grow"][random(3)] };
            let found = call(&mut group, member, stage, &block).map(|block| block.is_some());
            let function = copying.guest().stage(stage).unwrap();
            let expected = copying.call_stage(function, Some(copied.clone())).map(|block| block.is_some());
            let kind = |cause: Cause| cause.kind();
            assert_eq!(found.map_err(kind), expected.map_err(|failure| kind(failure.cause)), "{stage}");
            // A guest that writes the ring and changes what others may read takes that back, and has harmed nobody where it is copied.
            let is_spoiled =
                member == writer && (stage.starts_with("write_published") || stage.starts_with("write_read"));
            match is_spoiled {
                true => assert!(to_read(&block).is_none(), "{stage}"),
                false => assert!(to_read(&block) == to_read(&copied), "{stage}"),
            }
            match expected_failed(stage) {
                true => failed += 1,
                false => succeeded += 1,
            }
            assert_restored(&group, member);
            if is_spoiled {
                break;
            }
        }
    }
    assert!(succeeded > 150 && failed > 150, "{succeeded}, {failed}");
}

/// Whether each call of a stage fails, whatever its block.
fn expected_failed(stage: &str) -> bool {
    !["write", "read", "grow"].contains(&stage)
}

#[test]
fn guests_of_the_sdk_join_too() {
    let Ok(mut group) = RingGroup::new(2, 200_000) else { return };
    let guest = on_demand(&load("exchange", Allocator::BumpReset));
    let config = InstanceConfig::default().with_strategy(RestoreStrategy::DirtyCards);
    let [writer, reader] = [RingGroup::add_writer, RingGroup::add_reader]
        .map(|add| add(&mut group, guest.instantiate(&config, MemoryState::new()).unwrap()).unwrap());
    let block = group.slot().unwrap();
    group
        .fill(&block, false, |bytes| {
            bytes.fill(100);
            200_000
        })
        .unwrap();
    let block = group.call_stage(writer, guest.stage("brighten").unwrap(), Some(block)).unwrap().unwrap();
    group.call_stage(reader, guest.stage("measure").unwrap(), Some(block)).unwrap();
    let logged: Vec<_> = group.member(reader).last_log().map(|(_, line)| line.to_owned()).collect();
    assert_eq!(logged, ["200000 pixels, mean 116"]);
    assert_eq!((group.block_counts(writer).copied, group.block_counts(reader).copied), (0, 0));
}
