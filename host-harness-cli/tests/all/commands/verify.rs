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
