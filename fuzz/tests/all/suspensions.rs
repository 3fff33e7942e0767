//! The target `suspensions` catches an image that lacks something.

use fuzz::modules::random_bytes;
use fuzz::suspensions::{Break, run_with};
use guest_host::guest_image::{CARD, Cards};

/// The first of some random guests for which a broken image is noticed.
fn first_caught(broken: Break) -> Option<String> {
    (0..60).find_map(|seed| run_with(&random_bytes(seed, 1_500), broken).err())
}

#[test]
fn an_image_that_lacks_something_is_caught() {
    let breaks: [(&str, Break); 4] = [
        ("a card", |delta| {
            let mut cards = Cards::new();
            for (address, bytes) in delta.cards.iter().skip(1) {
                cards.push(u32::try_from(address / CARD).unwrap(), bytes);
            }
            delta.cards = cards;
        }),
        ("all cards", |delta| delta.cards.clear()),
        ("a global", |delta| delta.globals.truncate(delta.globals.len().saturating_sub(1))),
        ("memory", |delta| {
            let end = delta.cards.iter().last().map_or(0, |(address, bytes)| (address + bytes.len()) as u64);
            let least = 65_536.max(end.next_multiple_of(65_536));
            delta.memory_size = delta.memory_size.saturating_sub(65_536).max(least.min(delta.memory_size));
        }),
    ];
    for (lacks, broken) in breaks {
        assert!(first_caught(broken).is_some(), "{lacks}");
    }
}

#[test]
fn one_that_lacks_nothing_is_not() {
    assert_eq!(first_caught(|_| {}), None);
}
