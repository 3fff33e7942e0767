//! A guest that breaks each rule: its call fails with the violation, and nobody else notices.

use std::time::Duration;

use guest_build::Allocator;
use guest_host::blocks::{Block, Violation};
use guest_host::{Cause, Instance, MemoryState, RestoreStrategy};

use super::{Way, bytes, instance_by, published};
use crate::guests::load;

/// The cause of the failure of a stage, and the block that it was given.
fn breach(instance: &mut Instance, stage: &str) -> (Cause, Block) {
    let block = published(65_536, &[7; 65_536], false);
    let function = instance.guest().stage(stage).unwrap_or_else(|| panic!("there is no stage `{stage}`"));
    let failure = instance.call_stage(function, Some(block.clone())).expect_err(stage);
    (failure.cause, block)
}

/// The instance serves the next call, and the block is usable.
fn goes_on(instance: &mut Instance, stage: &str) {
    let increment = instance.guest().stage("increment").unwrap();
    let result = instance.call_stage(increment, Some(published(10, &[1, 2, 3], false))).unwrap().unwrap();
    assert_eq!(bytes(&result), [2, 2, 3], "after `{stage}`");
    assert!(instance.is_pristine());
}

fn each_way(check: impl Fn(&mut Instance, Way)) {
    for way in Way::ALL {
        let guest = way.guest(&load("exchange-adversary", Allocator::BumpReset));
        let config = way.config().with_deadline(Some(Duration::from_millis(200)));
        check(&mut guest.instantiate(&config, MemoryState::new()).unwrap(), way);
    }
}

#[test]
fn each_breach_is_its_violation() {
    type Is = fn(&Violation) -> bool;
    let breaches: [(&str, Is); 27] = [
        ("guessed", |found| matches!(found, Violation::UnknownBlock { .. })),
        ("none", |found| matches!(found, Violation::UnknownBlock { id: 0 })),
        ("stale", |found| matches!(found, Violation::UnknownBlock { .. })),
        ("reused", |found| matches!(found, Violation::UnknownBlock { .. })),
        ("dropped_twice", |found| matches!(found, Violation::UnknownBlock { .. })),
        ("dropped_attached", |found| matches!(found, Violation::Attached { .. })),
        ("detached_twice", |found| matches!(found, Violation::NotAttached { .. })),
        ("detached_by_other", |found| matches!(found, Violation::NotAttached { .. })),
        ("published_too_many", |found| matches!(found, Violation::Length { most: 65_536, .. })),
        ("consumed_too_many", |found| matches!(found, Violation::Length { most: 65_536, .. })),
        ("flags", |found| matches!(found, Violation::Flags { flags: 8 })),
        ("too_large", |found| matches!(found, Violation::TooLarge { bytes: u32::MAX, .. })),
        ("too_many", |found| matches!(found, Violation::TooMany { most: 1024 })),
        ("stack_as_storage", |found| matches!(found, Violation::Overlaps { with: "the stack", .. })),
        ("statics_as_storage", |found| matches!(found, Violation::Overlaps { with: "the statics", .. })),
        ("storage_twice", |found| matches!(found, Violation::Overlaps { with: "other storage", .. })),
        ("storage_outside", |found| matches!(found, Violation::Outside { .. })),
        ("storage_around", |found| matches!(found, Violation::Outside { .. })),
        ("local_of_storage", |found| matches!(found, Violation::Overlaps { with: "other storage", .. })),
        ("local_given", |found| matches!(found, Violation::Local { .. })),
        ("part_outside", |found| matches!(found, Violation::NoPart { most: 65_536, .. })),
        ("parts_overlap", |found| matches!(found, Violation::PartInUse { start: 1, size: 2, .. })),
        ("writes_read", |found| matches!(found, Violation::WroteWhileReading { .. })),
        ("writes_read_and_detaches", |found| matches!(found, Violation::WroteWhileReading { .. })),
        ("returns_attached", |found| matches!(found, Violation::Attached { .. })),
        ("returns_unknown", |found| matches!(found, Violation::UnknownBlock { .. })),
        ("writes_published", |found| matches!(found, Violation::WroteAfterDetach { .. })),
    ];
    each_way(|instance, way| {
        for (stage, is_it) in breaches {
            // Without marks nobody sees that bytes were written which belong to nobody.
            if stage == "writes_published" && !way.has_marks() {
                continue;
            }
            let (cause, block) = breach(instance, stage);
            assert!(matches!(&cause, Cause::Block(found) if is_it(found)), "{stage} by {way}: {cause}");
            assert_eq!(cause.kind(), "block");
            // It was given back, whatever the guest did with it.
            assert!(block.write().is_ok(), "{stage} by {way}");
            goes_on(instance, stage);
        }
    });
}

#[test]
fn writes_into_a_part_that_was_handed_out_are_found_by_their_marks() {
    for way in [Way::Copy(RestoreStrategy::DirtyCards), Way::Map] {
        let (cause, _) = breach(&mut instance_by(way, "exchange-adversary"), "writes_handed_out");
        assert!(matches!(cause, Cause::Block(Violation::WroteHandedOut { .. })), "{way}: {cause}");
    }
}

#[test]
fn a_result_outside_of_memory_is_invalid_data() {
    each_way(|instance, _| {
        let (cause, block) = breach(instance, "result_outside");
        assert_eq!(cause.kind(), "invalid-guest-data", "{cause}");
        assert_eq!(bytes(&block), [7; 65_536], "the block was not attached");
        goes_on(instance, "result_outside");
    });
}

#[test]
fn a_block_that_was_being_written_goes_back_unpublished() {
    each_way(|instance, way| {
        for stage in ["traps_writing", "spins_writing"] {
            let (cause, block) = breach(instance, stage);
            let expected = if stage == "traps_writing" { "unreachable" } else { "deadline-exceeded" };
            assert_eq!(cause.kind(), expected, "{way}: {cause}");
            assert!(block.unread().is_empty() && block.read().is_err());
            block.write().unwrap().bytes(|bytes| assert!(bytes.iter().all(|byte| *byte == 0), "{stage}"));
            goes_on(instance, stage);
        }
        // The call succeeds, and the attachment ends all the same.
        let stage = instance.guest().stage("keeps_writing").unwrap();
        let block = instance.call_stage(stage, Some(published(10, &[7], false))).unwrap().unwrap();
        assert!(block.unread().is_empty(), "{way}");
        assert!(block.write().is_ok());
    });
}

#[test]
fn other_holders_notice_nothing() {
    each_way(|instance, way| {
        let block = published(100, &[7; 100], true);
        let reading = block.read().unwrap();
        for stage in ["writes_read", "writes_read_and_detaches", "traps_writing", "consumed_too_many"] {
            let function = instance.guest().stage(stage).unwrap();
            instance.call_stage(function, Some(block.clone())).unwrap_err();
            reading.bytes(|bytes| assert_eq!(*bytes, [7; 100], "{stage} by {way}"));
        }
        drop(reading);
        assert_eq!(bytes(&block), [7; 100]);
    });
}

#[test]
fn what_can_be_refused_is_refused_and_the_guest_goes_on() {
    each_way(|instance, way| {
        for stage in ["second_writer", "read_while_written", "write_while_read", "no_storage", "nothing_to_read"] {
            let function = instance.guest().stage(stage).unwrap();
            let result = instance.call_stage(function, Some(published(100, &[7], false)));
            assert!(result.is_ok(), "{stage} by {way}: {}", result.unwrap_err());
            goes_on(instance, stage);
        }
    });
}
