//! `verify`: the guests that it takes.

use host_harness::report::{Content, read};
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
