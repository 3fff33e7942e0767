//! Bytes at the edges of attachments, mappings and slots, and states between calls: each was a fault once.

use guest_host::blocks::{Block, Member, Mode, RingGroup, Violation};
use guest_host::{
    CallLimits, Cause, Guest, InstanceConfig, MemoryState, RestorePolicy, RestoreStrategy, Retention, SuspendError,
};

use super::{BARE, bare, guests_with_cards, on_demand, published};

/// The stages of the guest. The constant addresses lie at the first mapping in its memory, at the first slot of a ring, or at an end of a
/// ring with three slots of a page.
const FUNCTIONS: &str = r#"
    (func (export "noop") (param i32) (result i32) (i32.const 0))
    (func (export "lead_trap") (param i32) (result i32) (i32.store8 (i32.const 69732) (i32.const 171)) (unreachable))
    (func (export "lead_probe") (param i32) (result i32) (if (i32.load8_u (i32.const 69732)) (then (unreachable))) (i32.const 0))
    (func (export "spoil_trap") (param i32) (result i32) (i32.store8 (i32.const 77836) (i32.const 9)) (unreachable))
    (func (export "spoil") (param i32) (result i32) (i32.store8 (i32.const 77836) (i32.const 9)) (i32.const 0))
    (func (export "across_the_beginning") (param i32) (result i32)
        (i64.store (i32.const 73724) (i64.const -1)) (i32.const 0))
    (func (export "across_the_end") (param i32) (result i32)
        (call $two (i32.const 110572) (i32.const 1)) (i32.const 0))
    (func (export "across_other_slot") (param $b i32) (result i32)
        (drop (call $attached (local.get $b) (i32.const 1)))
        (call $two (i32.const 81900) (i32.const 1))
        (call $detach (local.get $b) (i32.const 4096)) (i32.const 0))
    (func (export "beside_slot") (param $b i32) (result i32)
        (drop (call $attached (local.get $b) (i32.const 1)))
        (call $two (i32.const 85996) (i32.const 1))
        (call $detach (local.get $b) (i32.const 0)) (i32.const 0))
    (func (export "across_read") (param $b i32) (result i32)
        (drop (call $attached (local.get $b) (i32.const 0)))
        (i64.store (i32.const 73724) (i64.const -1)) (i32.const 0))
    (func (export "part") (param $b i32) (result i32)
        (local $at i32)
        (local.set $at (call $attached (local.get $b) (i32.const 1)))
        (memory.fill (local.get $at) (i32.const 5) (i32.const 4096))
        (call $drop (call $part (local.get $b) (i32.const 0) (i32.const 4096) (i32.const 0)))
        (call $detach (local.get $b) (i32.const 4096)) (i32.const 0))
    (func $two (param $p i32) (param $more i32)
        (i64.store (local.get $p) (i64.const 0x0101010101010101))
        (if (local.get $more) (then (i64.store offset=100 (local.get $p) (i64.const 1)))))
    (func (export "tail") (param $b i32) (result i32)
        (local $at i32)
        (local.set $at (call $attached (local.get $b) (i32.const 1)))
        (call $two (i32.add (local.get $at) (i32.const 4088)) (i32.const 0))
        (call $detach (local.get $b) (i32.const 4096)) (i32.const 0))
    (func (export "edge") (param i32) (result i32)
        (local $at i32) (local $b i32)
        (local.set $b (call $create (i32.const 4096)))
        (local.set $at (call $attached (local.get $b) (i32.const 1)))
        (call $two (i32.sub (local.get $at) (i32.const 8)) (i32.const 0))
        (call $detach (local.get $b) (i32.const 4096)) (i32.const 0))
    (func (export "grow") (param i32) (result i32) (drop (memory.grow (i32.const 5))) (i32.const 0))
    (func (export "edge_probe") (param i32) (result i32)
        (if (i32.load8_u (i32.const 73720)) (then (unreachable))) (i32.const 0))
    (func (export "top") (param i32) (result i32)
        (drop (memory.grow (i32.sub (i32.const 65536) (memory.size))))
        (call $attach (call $local (i32.const 0xfffffff0) (i32.const 8)) (i32.const 1) (i32.const 0)) (i32.const 0))
    (func (export "many") (param i32) (result i32)
        (local $n i32) (local $b i32)
        (loop $l
            (local.set $b (call $create (i32.const 67108864)))
            (drop (call $clone (local.get $b)))
            (call $drop (local.get $b))
            (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 1000))))
        (i32.const 0))
    (func (export "leave") (param i32) (result i32)
        (i32.store8 (call $attached (call $create (i32.const 4096)) (i32.const 1)) (i32.const 9)) (i32.const 0))
    (func (export "offer") (param i32) (result i32)
        (drop (memory.grow (i32.const 2)))
        (call $add_storage (i32.const 2162688) (i32.const 65536) (i32.const 0)) (i32.const 0))"#;

fn guest() -> Guest {
    on_demand(&bare(FUNCTIONS))
}

/// The guest with cards of each size.
fn guests() -> impl Iterator<Item = Guest> {
    guests_with_cards(format!("{BARE} {FUNCTIONS}"))
}

fn config() -> InstanceConfig {
    InstanceConfig::default().with_strategy(RestoreStrategy::DirtyCards)
}

/// A group of one, which writes the ring or reads it. Its slots have a page.
fn group(config: &InstanceConfig, writes: bool) -> Option<(RingGroup, Member)> {
    group_of(&guest(), config, writes)
}

fn group_of(guest: &Guest, config: &InstanceConfig, writes: bool) -> Option<(RingGroup, Member)> {
    let mut group = RingGroup::new(3, 4096).ok()?;
    let instance = guest.instantiate(config, MemoryState::new()).unwrap();
    let member = if writes { group.add_writer(instance) } else { group.add_reader(instance) };
    Some((group, member.unwrap()))
}

fn call(group: &mut RingGroup, member: Member, stage: &str, block: Option<&Block>) -> Result<(), Cause> {
    let stage = group.member(member).guest().stage(stage).unwrap();
    group.call_stage(member, stage, block.cloned()).map(drop).map_err(|failure| failure.cause)
}

/// A block of the ring that is full of sevens.
fn sevens(group: &mut RingGroup) -> Block {
    let block = group.slot().unwrap();
    let fill = |bytes: &mut [u8]| {
        bytes.fill(7);
        4096
    };
    group.fill(&block, true, fill).unwrap();
    block
}

#[test]
fn the_pages_beside_a_ring_are_restored() {
    for writes in [true, false] {
        let Some((mut group, member)) = group(&config(), writes) else { return };
        assert_eq!(call(&mut group, member, "lead_trap", None).unwrap_err().kind(), "unreachable");
        call(&mut group, member, "lead_probe", None).unwrap();
    }
}

/// A mark may stand for bytes on both sides of an end of the ring: nothing of these is left behind.
#[test]
fn writes_across_an_end_of_a_ring_are_found() {
    for guest in guests() {
        for writes in [true, false] {
            let Some((mut group, member)) = group_of(&guest, &config(), writes) else { return };
            let place = 73_728..110_592;
            assert_eq!(group.place(member), Some(place.clone()));
            let block = sevens(&mut group);
            for stage in ["across_the_beginning", "across_the_end"] {
                let cause = call(&mut group, member, stage, None).unwrap_err();
                let is_it = match writes {
                    true => matches!(cause, Cause::Block(Violation::WroteAfterDetach { .. })),
                    false => matches!(cause, Cause::Block(Violation::WroteWhileReading { .. })),
                };
                assert!(is_it, "{stage}: {cause}");
                assert_eq!(block.read().is_err(), writes);
                let (memory, snapshot) = group.member(member).memory().unwrap();
                assert!(memory[place.clone()] == group.bytes()[..], "{stage}");
                let ring = &memory[place.clone()];
                assert!(ring[..4096].iter().chain(&ring[ring.len() - 4096..]).all(|byte| *byte == 0), "{stage}");
                assert!(memory[..place.start] == snapshot.memory()[..place.start], "{stage}");
                assert!(memory[place.end..] == snapshot.memory()[place.end..], "{stage}");
            }
        }
    }
}

/// A mark beside the slot that the guest writes may stand for the last bytes of another one.
#[test]
fn writes_into_another_slot_are_found() {
    for guest in guests() {
        let Some((mut group, member)) = group_of(&guest, &config(), true) else { return };
        let first = sevens(&mut group);
        let second = group.slot().unwrap();
        let cause = call(&mut group, member, "across_other_slot", Some(&second)).unwrap_err();
        assert!(matches!(cause, Cause::Block(Violation::WroteAfterDetach { .. })), "{cause}");
        assert!(first.read().is_err());
    }
}

#[test]
fn writes_between_slots_leave_nothing() {
    for guest in guests() {
        let Some((mut group, member)) = group_of(&guest, &config(), true) else { return };
        let first = sevens(&mut group);
        let second = group.slot().unwrap();
        // Whether or not it is found depends on where the barrier marks it.
        let found = call(&mut group, member, "beside_slot", Some(&second));
        assert_eq!(found.is_err(), first.read().is_err(), "{found:?}");
        let bytes = group.bytes();
        assert!(bytes[2 * 4096..4 * 4096].iter().all(|byte| *byte == 0));
        let place = group.place(member).unwrap();
        assert!(group.member(member).memory().unwrap().0[place] == bytes[..]);
    }
}

#[test]
fn writes_across_the_beginning_of_a_mapped_block_are_found() {
    for guest in guests() {
        let config = config().with_limits(CallLimits::default().with_blocks_mapped_from(1));
        let mut instance = guest.instantiate(&config, MemoryState::new()).unwrap();
        let block = published(4096, &[7; 4096], true);
        let cause = instance.call_stage_by_name("across_read", Some(block.clone())).unwrap_err().cause;
        assert!(matches!(cause, Cause::Block(Violation::WroteWhileReading { .. })), "{cause}");
        assert!(!block.is_mappable() || instance.block_counts().mapped > 0);
        let (memory, snapshot) = instance.memory().unwrap();
        assert!(instance.is_pristine() && memory == snapshot.memory());
    }
}

#[test]
fn a_spoiled_ring_is_found_after_calls_that_were_not_restored() {
    let Some((mut group, member)) = group(&config().with_policy(RestorePolicy::OnError), true) else { return };
    let block = sevens(&mut group);
    call(&mut group, member, "noop", None).unwrap();
    assert_eq!(call(&mut group, member, "spoil_trap", None).unwrap_err().kind(), "unreachable");
    assert!(block.read().is_err());
    call(&mut group, member, "noop", None).unwrap();
}

#[test]
fn a_spoiled_ring_is_found_if_the_instance_is_replaced() {
    let retention = Retention::default().with_bytes(0).with_restores(1);
    let Some((mut group, member)) = group(&config().with_retention(Some(retention)), true) else { return };
    let block = sevens(&mut group);
    call(&mut group, member, "grow", None).unwrap();
    call(&mut group, member, "spoil_trap", None).unwrap_err();
    assert!(group.member(member).last_stats().replaced.is_some());
    assert!(block.read().is_err());
    call(&mut group, member, "noop", None).unwrap();
}

#[test]
fn a_part_of_a_slot_leaves_the_ring_as_it_is() {
    let Some((mut group, member)) = group(&config(), true) else { return };
    let block = group.slot().unwrap();
    call(&mut group, member, "part", Some(&block)).unwrap();
    call(&mut group, member, "noop", None).unwrap();
    assert_eq!(block.read().unwrap().bytes(|bytes| bytes[12]), 5);
}

#[test]
fn a_writer_may_write_the_last_bytes_of_a_slot() {
    let Some((mut group, member)) = group(&config(), true) else { return };
    let block = group.slot().unwrap();
    call(&mut group, member, "tail", Some(&block)).unwrap();
    assert_eq!(block.read().unwrap().bytes(|bytes| (bytes.len(), bytes[4087], bytes[4095])), (4096, 0, 1));
}

#[test]
fn nothing_of_a_spoiled_ring_is_read() {
    let Some((mut group, member)) = group(&config(), true) else { return };
    let block = sevens(&mut group);
    let part = block.part(0..100, Mode::ReadShared).unwrap();
    let reading = block.read().unwrap();
    let cause = call(&mut group, member, "spoil", None).unwrap_err();
    assert!(matches!(cause, Cause::Block(Violation::WroteAfterDetach { .. })), "{cause}");
    assert!(block.read().is_err() && part.read().is_err());
    assert!(reading.bytes(|bytes| bytes.len() == 4096 && bytes.iter().all(|byte| *byte == 0)));
    drop((reading, part, block));
    let block = sevens(&mut group);
    assert!(block.read().unwrap().bytes(|bytes| bytes.iter().all(|byte| *byte == 7)));
}

#[test]
fn nobody_reads_a_slot_before_it_is_written() {
    let Some((mut group, _)) = group(&config(), true) else { return };
    drop(sevens(&mut group));
    for block in std::iter::from_fn(|| group.slot()).collect::<Vec<_>>() {
        assert!(block.read().is_err());
        assert_eq!(block.unread(), 0..4096);
    }
}

#[test]
fn bytes_beside_a_mapped_block_are_restored() {
    let config = config().with_limits(CallLimits::default().with_blocks_mapped_from(1));
    let mut instance = guest().instantiate(&config, MemoryState::new()).unwrap();
    for _ in 0..3 {
        instance.call_stage_by_name("edge", None).unwrap();
        assert!(!Block::mappable(1).is_mappable() || instance.block_counts().mapped > 0);
        let (memory, snapshot) = instance.memory().unwrap();
        assert!(instance.is_pristine() && memory == snapshot.memory());
        instance.call_stage_by_name("edge_probe", None).unwrap();
    }
}

#[test]
fn references_to_a_block_count_until_the_last_is_gone() {
    let mut instance = guest().instantiate(&config(), MemoryState::new()).unwrap();
    let cause = instance.call_stage_by_name("many", None).unwrap_err().cause;
    assert!(matches!(cause, Cause::Block(Violation::TooLarge { left: 0, .. })), "{cause}");
}

#[test]
fn blocks_may_lie_at_the_end_of_the_address_space() {
    let config = config().with_memory_limit(4 << 30).with_deadline(None);
    let mut instance = guest().instantiate(&config, MemoryState::new()).unwrap();
    instance.call_stage_by_name("top", None).unwrap();
    instance.call_stage_by_name("noop", None).unwrap();
}

#[test]
fn what_a_call_leaves_of_blocks_is_in_no_image() {
    for (stage, refused) in [("offer", SuspendError::OffersStorage), ("leave", SuspendError::LeftAttached)] {
        let config = config().with_policy(RestorePolicy::OnError);
        let mut instance = guest().instantiate(&config, MemoryState::new()).unwrap();
        for without_effect in ["noop", "edge"] {
            instance.call_stage_by_name(without_effect, None).unwrap();
            instance.delta().unwrap();
        }
        instance.call_stage_by_name(stage, None).unwrap();
        assert_eq!(instance.suspend().unwrap_err(), refused);
        // The next call does not change that.
        instance.call_stage_by_name("edge", None).unwrap();
        assert_eq!(instance.suspend().unwrap_err(), refused);
        instance.restore().unwrap();
        instance.suspend().unwrap();
    }
}

#[test]
fn an_unknown_stage_is_named_with_those_there_are() {
    let mut instance = guest().instantiate(&config(), MemoryState::new()).unwrap();
    let failure = instance.call_stage_by_name("writ", None).unwrap_err();
    assert!(failure.to_string().contains("did you mean `write`"), "{failure}");
}
