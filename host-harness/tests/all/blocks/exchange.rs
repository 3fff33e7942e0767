//! Guests that hand each other blocks.

use guest_build::Allocator;
use guest_host::blocks::Block;
use guest_host::{Cause, Instance, InstanceConfig, MemoryState, RestorePolicy, RestoreStrategy};

use super::{Way, bytes, instance, instance_by, on_demand, published, text_guest};
use crate::guests::load;

fn call(instance: &mut Instance, stage: &str, block: Option<Block>) -> Option<Block> {
    let function = instance.guest().stage(stage).unwrap_or_else(|| panic!("there is no stage `{stage}`"));
    instance.call_stage(function, block).unwrap_or_else(|failure| panic!("{stage}: {failure}"))
}

/// The lines that the last call logged.
fn logged(instance: &Instance) -> Vec<String> {
    instance.last_log().map(|(_, line)| line.to_owned()).collect()
}

#[test]
fn a_block_goes_to_another_guest_and_back() {
    for allocator in Allocator::ALL {
        for way in Way::ALL {
            let guest = way.guest(&load("exchange", allocator));
            let config = way.config();
            if guest.admission().admits(config.strategy).is_err() {
                continue;
            }
            let Ok(mut one) = guest.instantiate(&config, MemoryState::new()) else { continue };
            let mut other = guest.instantiate(&config, MemoryState::new()).unwrap();
            for _ in 0..3 {
                let block = call(&mut one, "create", None);
                let block = call(&mut other, "increment", block);
                assert_eq!(call(&mut one, "check", block).map(|block| block.size()), None, "{allocator}, {way}");
                assert!(one.is_pristine() && other.is_pristine());
            }
        }
    }
}

#[test]
fn subscribers_read_the_numbers_in_order() {
    let config = InstanceConfig::default();
    let [mut publisher, mut one, mut other] = [(); 3].map(|()| instance("exchange", &config));
    for tick in 0..20_u64 {
        let clock = [tick.to_le_bytes(), (tick * 500_000_000).to_le_bytes()].concat();
        let block = call(&mut publisher, "publish", Some(published(16, &clock, false))).unwrap();
        for subscriber in [&mut one, &mut other] {
            assert!(call(subscriber, "subscribe", Some(block.clone())).is_none());
            assert_eq!(logged(subscriber), [format!("received {}", tick * tick)]);
        }
    }
}

#[test]
fn ten_thousand_strings_are_read_in_place_by_two_guests() {
    let config = InstanceConfig::default();
    let [mut publisher, mut one, mut other] = [(); 3].map(|()| instance("exchange", &config));
    let list = call(&mut publisher, "list", None).unwrap();
    for subscriber in [&mut one, &mut other] {
        call(subscriber, "longest", Some(list.clone()));
        assert_eq!(logged(subscriber), ["10000 strings, the longest is `word 9999`"]);
        assert_eq!(subscriber.block_counts().attached, 1);
    }
}

#[test]
fn a_frame_goes_through_a_pipeline() {
    for way in Way::ALL {
        let [mut first, mut second, mut third] = [(); 3].map(|()| instance_by(way, "exchange"));
        let frame: Vec<u8> = (0..1 << 20).map(|at: u32| (at % 251) as u8).collect();
        let expected: Vec<u8> = frame.iter().map(|pixel| pixel.saturating_add(16)).collect();
        for round in 0..3 {
            let block = call(&mut first, "brighten", Some(published(1 << 20, &frame, false))).unwrap();
            assert!(bytes(&block) == expected, "{way}, round {round}");
            let block = call(&mut second, "blend", Some(block)).unwrap();
            let blended = bytes(&block);
            let mean = |at: usize| expected[at].midpoint(expected[at + 1]);
            assert!((0..(1 << 20) - 1).all(|at| blended[at] == mean(at)), "{way}, round {round}");
            call(&mut third, "measure", Some(block));
            assert_eq!(logged(&third).len(), 1);
            let counts = [&mut first, &mut second, &mut third].map(|instance| instance.block_counts());
            // One more, as `blend` reads one frame and writes another.
            let attached = 4 * (round + 1);
            assert_eq!(counts.iter().map(|counts| counts.attached).sum::<u64>(), attached);
            // Frames that this test made or another guest did, each of them mapped.
            if way == Way::Map && Block::mappable(1).is_mappable() {
                assert_eq!(
                    counts
                        .iter()
                        .map(|counts| (counts.mapped, counts.copied))
                        .fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1)),
                    (attached, 0)
                );
            }
            for instance in [&first, &second, &third] {
                let (memory, snapshot) = instance.memory().unwrap();
                assert!(snapshot.memory().is_empty() || memory == snapshot.memory(), "{way}");
            }
        }
    }
}

#[test]
fn nothing_is_mapped_over_memory_from_a_pool_or_without_marks() {
    let block = published(1 << 20, &vec![7; 1 << 20], true);
    let limits = Way::Map.config().limits;
    let pooled = (load("exchange", Allocator::BumpReset), RestoreStrategy::DirtyCards);
    let without_marks = (on_demand(&pooled.0), RestoreStrategy::FullCopy);
    for (guest, strategy) in [pooled, without_marks] {
        let config = InstanceConfig::default().with_strategy(strategy).with_limits(limits);
        let mut reader = guest.instantiate(&config, MemoryState::new()).unwrap();
        call(&mut reader, "measure", Some(block.clone()));
        let counts = reader.block_counts();
        assert_eq!((counts.attached, counts.mapped, counts.copied), (1, 0, 1 << 20), "{strategy}");
    }
}

#[test]
fn bytes_of_the_embedders_are_read_without_a_block_of_their_own() {
    let block = Block::from_bytes(vec![7_u8; 65_536]).unwrap();
    let mut reader = instance("exchange", &InstanceConfig::default());
    call(&mut reader, "measure", Some(block.clone()));
    assert_eq!(logged(&reader), ["65536 pixels, mean 7"]);
    assert!(block.write().is_err());
}

/// A bare module that writes one word of a block of 1 MiB.
const WRITES_A_WORD: &str = r#"(module
    (import "test:shm/exchange" "[static]memory-block.add-storage" (func $add_storage (param i32 i32 i32)))
    (import "test:shm/exchange" "[method]memory-block.attach" (func $attach (param i32 i32 i32)))
    (import "test:shm/exchange" "[method]memory-block.detach" (func $detach (param i32 i32)))
    (memory (export "memory") 18)
    (func (export "_initialize") (call $add_storage (i32.const 65536) (i32.const 1114112) (i32.const 0)))
    (func (export "write") (param $block i32) (result i32)
        (call $attach (local.get $block) (i32.const 1) (i32.const 0))
        (memory.fill (i32.add (i32.load (i32.const 4)) (i32.const 500000)) (i32.const 9) (i32.const 1024))
        (call $detach (local.get $block) (i32.const 1048576))
        (local.get $block))
    (func (export "read") (param $block i32) (result i32)
        (call $attach (local.get $block) (i32.const 0) (i32.const 0))
        (if (i32.ne (i32.load8_u (i32.add (i32.load (i32.const 4)) (i32.const 500000))) (i32.const 9)) (then (unreachable)))
        (i32.const 0))
    (func (export "many") (param $block i32) (result i32)
        (local $left i32)
        (local.set $left (i32.const 1000))
        (loop
            (call $attach (local.get $block) (i32.const 0) (i32.const 0))
            (call $detach (local.get $block) (i32.const 0))
            (br_if 0 (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
        (local.get $block)))"#;

#[test]
fn a_writer_copies_the_cards_that_it_has_written() {
    let guest = text_guest(WRITES_A_WORD);
    let config = InstanceConfig::default().with_strategy(RestoreStrategy::DirtyCards);
    let mut instance = guest.instantiate(&config, MemoryState::new()).unwrap();
    let block = published(1 << 20, &vec![1; 1 << 20], true);
    let block = call(&mut instance, "write", Some(block)).unwrap();
    let counts = instance.block_counts();
    // All bytes on the way in. On the way out 1 KiB lies in two cards of 1 KiB, which count with the bytes near them.
    assert_eq!((counts.attached, counts.copied - (1 << 20)), (1, 2 * 1024 + 2 * 64));
    assert_eq!(counts.handed_over, 1 << 20);
    call(&mut instance, "read", Some(block.clone()));
    let written = bytes(&block);
    assert!((0..1 << 20).all(|at| written[at] == if (500_000..501_024).contains(&at) { 9 } else { 1 }));
}

#[test]
fn attachments_are_counted_over_all_calls() {
    for way in Way::ALL {
        let mut instance = instance_by(way, "exchange");
        for calls in 1..=3 {
            call(&mut instance, "increment", Some(published(100, &[1; 10], false)));
            let counts = instance.block_counts();
            assert_eq!((counts.attached, counts.handed_over), (calls, 10 * calls), "{way}");
        }
    }
}

#[test]
fn attachments_without_end_take_no_more_memory_of_the_guest() {
    let guest = text_guest(WRITES_A_WORD);
    for strategy in [RestoreStrategy::DirtyCards, RestoreStrategy::FullCopy] {
        let config = InstanceConfig::default().with_strategy(strategy).with_deadline(None);
        let mut instance = guest.instantiate(&config, MemoryState::new()).unwrap();
        let block = published(4096, &[1; 4096], true);
        for _ in 0..100 {
            call(&mut instance, "many", Some(block.clone()));
        }
        assert_eq!((instance.block_counts().attached, instance.physical_pages()), (100_000, 18));
        let (memory, snapshot) = instance.memory().unwrap();
        assert!(memory == snapshot.memory());
    }
}

#[test]
fn a_guest_that_keeps_its_memory_gives_its_blocks_back_when_its_call_ends() {
    let guest = text_guest(WRITES_A_WORD);
    let config =
        InstanceConfig::default().with_strategy(RestoreStrategy::DirtyCards).with_policy(RestorePolicy::OnError);
    let mut instance = guest.instantiate(&config, MemoryState::new()).unwrap();
    let block = published(1 << 20, &vec![9; 1 << 20], false);
    for _ in 0..2000 {
        // It returns with the block attached.
        call(&mut instance, "read", Some(block.clone()));
        assert!(!instance.is_pristine());
    }
    assert_eq!(bytes(&block).len(), 1 << 20);
    assert!(block.write().is_ok());
    instance.restore().unwrap();
    let (memory, snapshot) = instance.memory().unwrap();
    assert!(memory == snapshot.memory());
}

#[test]
fn bytes_that_attachments_left_are_in_an_image() {
    let guest = text_guest(WRITES_A_WORD);
    let config =
        InstanceConfig::default().with_strategy(RestoreStrategy::DirtyCards).with_policy(RestorePolicy::OnError);
    let [mut one, mut other] = [(); 2].map(|()| guest.instantiate(&config, MemoryState::new()).unwrap());
    let block = published(1 << 20, &vec![3; 1 << 20], false);
    call(&mut one, "write", Some(block)).unwrap();
    let before = one.memory().unwrap().0.to_vec();
    assert!(before.iter().filter(|byte| **byte == 3).count() > 1_000_000);
    let asleep = one.suspend().unwrap();
    let (memory, snapshot) = one.memory().unwrap();
    assert!(memory == snapshot.memory());
    other.resume(&asleep).unwrap();
    assert!(other.memory().unwrap().0 == before);
}

#[test]
fn a_guest_without_the_functions_is_given_no_block() {
    let mut instance = text_guest("(module (func (export \"f\") (param i32) (result i32) (local.get 0)))")
        .instantiate(&InstanceConfig::default(), MemoryState::new())
        .unwrap();
    assert!(instance.guest().stage("f").is_none());
    let function = instance.guest().export("f").unwrap();
    let failure = instance.call_stage(function, Some(Block::new(1))).unwrap_err();
    assert!(failure.to_string().contains("imports no functions of memory blocks"), "{failure}");
}

#[test]
fn blocks_are_not_for_guests_that_are_initialised() {
    let make = r#"(module (import "test:shm/exchange" "[constructor]memory-block" (func $create (param i32) (result i32)))
        (memory (export "memory") 1) (func (export "_initialize") (drop (call $create (i32.const 1)))))"#;
    let refused = text_guest(make).instantiate(&InstanceConfig::default(), MemoryState::new()).unwrap_err();
    assert!(refused.to_string().contains("blocks belong to calls"), "{refused}");
    // The exchange region lies in storage.
    let overlaps = r#"(module
        (import "test:shm/exchange" "[static]memory-block.add-storage" (func $add_storage (param i32 i32 i32)))
        (memory (export "memory") 3)
        (func (export "__guest_init") (result i32)
            (call $add_storage (i32.const 65536) (i32.const 131072) (i32.const 0)) (i32.const 0))
        (func (export "__guest_exchange") (param i32) (result i32) (i32.const 131072))
        (@custom "guest-abi" "\01\00\00\00"))"#;
    let refused = text_guest(overlaps).instantiate(&InstanceConfig::default(), MemoryState::new()).unwrap_err();
    assert!(refused.to_string().contains("overlap the exchange region"), "{refused}");
}

#[test]
fn calls_that_succeed_and_fail_are_told_apart_by_a_stage_of_the_sdk() {
    let mut instance = instance("exchange", &InstanceConfig::default());
    let check = instance.guest().stage("check").unwrap();
    let failure = instance.call_stage(check, Some(published(1, &[41], false))).unwrap_err();
    assert!(
        matches!(&failure.cause, Cause::GuestError { message, .. } if message.contains("41 and not 42")),
        "{failure}"
    );
    let failure = instance.call_stage(check, None).unwrap_err();
    assert!(failure.to_string().contains("the host passed none"), "{failure}");
}
