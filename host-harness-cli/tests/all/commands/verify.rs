//! `verify`: the guests that it takes.

use guest_host::blocks::RingGroup;
use host_harness::report::{Content, read};
use host_harness::verify::{RingOptions, RingRole};
use test_support::text_guests;

use crate::folder::Folder;

#[test]
fn a_guest_that_is_named_twice_is_taken_once() {
    let folder = Folder::new();
    let said = folder.run("verify plain.wasm ./plain.wasm plain.wasm --function grow --calls 5 --format json");
    let Content::Verify(report) = read(&said.stdout).unwrap().content else { panic!("{}", said.stdout) };
    let ways: Vec<_> =
        report.verdicts.iter().map(|verdict| (verdict.guest.as_str(), verdict.strategy.as_str())).collect();
    assert_eq!(ways, [("plain", "reinstantiate"), ("plain", "full-copy"), ("plain", "dirty-cards")]);
    // Another file with the same bytes is another guest.
    folder.file("copy.wasm", &text_guests::plain());
    let said = folder.run("verify plain.wasm copy.wasm --function grow --calls 5 --format json");
    let Content::Verify(report) = read(&said.stdout).unwrap().content else { panic!("{}", said.stdout) };
    assert_eq!(report.verdicts.len(), 6);
}

#[test]
fn suspensions_are_verified_where_instances_can_be_suspended() {
    let folder = Folder::new();
    let said = folder.run("verify plain.wasm --function grow --calls 50 --suspend --format json");
    let Content::Verify(report) = read(&said.stdout).unwrap().content else { panic!("{}", said.stdout) };
    let ways: Vec<_> = report.verdicts.iter().map(|verdict| (verdict.way(), verdict.passed)).collect();
    assert_eq!(ways, [("full-copy, suspended".to_owned(), true), ("dirty-cards, suspended".to_owned(), true)]);
    assert!(report.verdicts.iter().all(|verdict| verdict.suspensions > Some(20)), "{}", said.stdout);
    // A strategy that somebody names must be able to.
    let said = folder.run("verify plain.wasm --function grow --calls 50 --suspend --strategy reinstantiate");
    assert_eq!(said.status, Some(1), "{}", said.stderr);
    assert!(said.stdout.contains("so it has no snapshot to differ from"), "{}", said.stdout);
    let said = folder.run("verify plain.wasm --function grow --calls 1 --suspend");
    assert_eq!(said.status, Some(1), "{}", said.stderr);
    assert!(said.stdout.contains("inconclusive: it was never suspended; make more calls"), "{}", said.stdout);
}

#[test]
fn a_stage_that_is_lost_or_fails_more_often_is_worse_than_the_baseline() {
    let folder = Folder::new();
    let module = |stages: &str| {
        let text = format!(
            r#"(module (import "test:shm/exchange" "[resource-drop]memory-block" (func $drop (param i32))) (memory (export "memory") 1)
            (func (export "give") (param i32) (result i32) (local.get 0)) {stages})"#
        );
        folder.file("stages.wat", text.as_bytes());
    };
    let take = |then: &str| format!(r#"(func (export "take") (param i32) (result i32) {then} (i32.const 0))"#);
    let line = "verify stages.wat --calls 100 --strategy full-copy";
    module(&take(""));
    assert_eq!(folder.run(&format!("{line} --export-json before.json")).status, Some(0));
    let said = folder.run(&format!("{line} --baseline before.json"));
    assert_eq!(said.status, Some(0), "{}{}", said.stdout, said.stderr);
    // Without a block it fails now, which calls without one show.
    module(&take("(if (i32.eqz (local.get 0)) (then (unreachable)))"));
    let said = folder.run(&format!("{line} --baseline before.json"));
    assert!(said.status == Some(1) && said.stdout.contains("0 calls fail"), "{}{}", said.stdout, said.stderr);
    module("");
    let said = folder.run(&format!("{line} --baseline before.json"));
    assert!(said.status == Some(1) && said.stdout.contains("missing"), "{}{}", said.stdout, said.stderr);
    // Suspensions are no restores.
    module(&take(""));
    let said = folder.run(&format!("{line} --suspend --baseline before.json"));
    assert!(said.status == Some(1) && said.stdout.contains("not verified"), "{}{}", said.stdout, said.stderr);
}

#[test]
fn stages_are_verified_with_blocks_in_a_ring() {
    if RingGroup::new(1, 1).is_err() {
        return;
    }
    let folder = Folder::new();
    folder.file("increment.wat", include_bytes!("../../../../guest-host/examples/increment.wat"));
    for (options, role) in [("", RingRole::Writer), (" --ring-role reader", RingRole::Reader)] {
        // A guest that only reads the ring gets no block of it to write.
        let said = folder.run(&format!(
            "verify increment.wat --ring 2x4KiB{options} --calls 50 --allow-failing increment --format json"
        ));
        assert_eq!(said.status, Some(0), "{}{}", said.stderr, said.stdout);
        let Content::Verify(report) = read(&said.stdout).unwrap().content else { panic!("{}", said.stdout) };
        let ways: Vec<_> = report.verdicts.iter().map(|verdict| (verdict.way(), verdict.passed)).collect();
        assert_eq!(ways, [("dirty-cards".to_owned(), true)]);
        assert_eq!(report.settings.ring, Some(RingOptions { slots: 2, slot_size: 4096, role }));
        assert_eq!(report.verdicts[0].never_succeeded.len(), usize::from(!options.is_empty()), "{}", said.stdout);
    }
    // Stages are verified asleep, too.
    let said = folder.run("verify increment.wat --suspend --calls 50 --strategy dirty-cards --format json");
    assert_eq!(said.status, Some(0), "{}{}", said.stderr, said.stdout);
    let Content::Verify(report) = read(&said.stdout).unwrap().content else { panic!("{}", said.stdout) };
    assert!(report.verdicts[0].suspensions > Some(20), "{}", said.stdout);
    // A guest without the storage fails; another one would have its verdict.
    let said = folder.run("verify increment.wat --ring 100x4KiB --calls 50");
    assert_eq!(said.status, Some(1), "{}", said.stderr);
    for words in [
        "the guest has offered no 1241343 bytes of storage in one piece",
        "100 x 4 KiB, which the guest writes and reads",
    ] {
        assert!(said.stdout.contains(words), "{words}: {}", said.stdout);
    }
    // Reports of rings and of copies are not alike.
    folder.run("verify increment.wat --strategy dirty-cards --calls 50 --export-json copies.json");
    let said = folder.run("verify increment.wat --ring 2x4KiB --calls 50 --baseline copies.json");
    assert!(said.stdout.contains("instances had other settings in the baseline"), "{}{}", said.stdout, said.stderr);
    let said = folder.run("verify plain.wasm increment.wat --ring 2x4KiB --calls 50");
    assert_eq!(said.status, Some(1), "{}", said.stderr);
    for words in ["--ring is for guests with stages, and none of this one is called", "passed"] {
        assert!(said.stdout.contains(words), "{words}: {}", said.stdout);
    }
    for (command, status, words) in [
        (
            "increment.wat --map-blocks-from 1B --strategy watermark",
            2,
            "and not by watermark: leave out --map-blocks-from",
        ),
        ("increment.wat --map-blocks-from 4GiB", 2, "less than 4GiB"),
        ("increment.wat --ring 2x4KiB --strategy full-copy", 2, "restored by dirty-cards, and not by full-copy"),
        ("increment.wat --ring 2x4KiB --suspend", 2, "cannot be used with '--suspend'"),
        ("increment.wat --ring two", 2, "such as 4x256KiB"),
    ] {
        let said = folder.run(&format!("verify {command}"));
        assert!(said.status == Some(status) && said.stderr.contains(words), "{command}: {}", said.stderr);
    }
}
