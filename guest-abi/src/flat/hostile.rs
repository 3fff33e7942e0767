//! Bytes that are no value: each fault gives its error, and finding it visits each byte at most once.

extern crate std;

use std::string::String;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;

use super::read::Walk;
use super::tests::built;
use super::*;

/// The error of a value with other bytes at an offset.
fn fault<T: Flat>(value: &[u8], at: usize, bytes: &[u8]) -> ReadError {
    let mut value = value.to_vec();
    value[at..at + bytes.len()].copy_from_slice(bytes);
    visited::<T>(&value);
    read::<T>(&value).map(drop).unwrap_err()
}

/// The bytes that the check of a value looks at, which are never more than there are.
fn visited<T: Flat>(bytes: &[u8]) -> usize {
    let parts = HEADER + T::LAYOUT.size;
    if bytes.len() < parts {
        return 0;
    }
    let mut walk = Walk::new(bytes, parts);
    let _ = walk.whole::<T>(HEADER);
    assert!(walk.visited <= bytes.len(), "{} of {}", walk.visited, bytes.len());
    walk.visited
}

/// Numbers as the bytes of slots.
fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A value with this content behind the header.
fn value<T: Flat>(content: &[u32]) -> Vec<u8> {
    let mut bytes = built::<u32>(0)[..HEADER].to_vec();
    bytes.extend(words(content));
    let length = u32::try_from(bytes.len()).unwrap();
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    bytes[8..16].copy_from_slice(&T::LAYOUT.digest.to_le_bytes());
    bytes
}

#[test]
fn faults_of_the_header() {
    let text = built::<Text>("tea");
    assert_eq!(read::<Text>(&text[..15]), Err(ReadError::Truncated { needed: 16, found: 15 }));
    assert_eq!(read::<Text>(&[]), Err(ReadError::Truncated { needed: 16, found: 0 }));
    assert_eq!(read::<Text>(&text[..26]), Err(ReadError::Truncated { needed: 27, found: 26 }));
    assert_eq!(fault::<Text>(&text, 4, &[28]), ReadError::Truncated { needed: 28, found: 27 });
    assert_eq!(fault::<Text>(&text, 3, &[2]), ReadError::NoHeader);
    let (asked, found) = (Bytes::LAYOUT.digest, Text::LAYOUT.digest);
    assert_eq!(read::<Bytes>(&text), Err(ReadError::OtherType { asked, found }));
    for length in 0..24 {
        assert_eq!(fault::<Text>(&text, 4, &[length]), ReadError::OutOfBounds { at: 16 }, "{length}");
    }
    // Bytes behind a value are not its own.
    let longer = [&text[..], &[1, 2, 3]].concat();
    assert_eq!(read::<Text>(&longer), Ok("tea"));
}

#[test]
fn faults_of_texts() {
    let text = built::<Text>("größe");
    assert_eq!(fault::<Text>(&text, 27, b"x"), ReadError::NotUtf8 { at: 26 });
    assert_eq!(fault::<Text>(&text, 20, &[4]), ReadError::Unused { at: 28 });
    assert_eq!(fault::<Text>(&text, 20, &[3]), ReadError::NotUtf8 { at: 26 }, "cut in the middle of a letter");
    assert_eq!(fault::<Text>(&text, 20, &[8]), ReadError::OutOfBounds { at: 16 });
    assert_eq!(fault::<Text>(&text, 20, &[0]), ReadError::Misplaced { at: 16 }, "an empty text has the offset 0");
    assert_eq!(fault::<Text>(&text, 16, &[23]), ReadError::Misplaced { at: 16 }, "in its own slot");
    assert_eq!(fault::<Text>(&text, 16, &[25]), ReadError::OutOfBounds { at: 16 });
    assert_eq!(fault::<Text>(&text, 16, &[25, 0, 0, 0, 6]), ReadError::Misplaced { at: 16 }, "behind its place");
    assert_eq!(fault::<Text>(&text, 16, &[0xFF; 8]), ReadError::OutOfBounds { at: 16 });
    let empty = built::<Text>("");
    assert_eq!(fault::<Text>(&empty, 16, &[24]), ReadError::Misplaced { at: 16 });
}

#[test]
fn faults_of_slots() {
    assert_eq!(fault::<bool>(&built::<bool>(true), 16, &[2]), ReadError::NotBool { at: 16 });
    let none = built::<Option<u32>>(None::<u32>);
    assert_eq!(fault::<Option<u32>>(&none, 16, &[2]), ReadError::NotBool { at: 16 });
    assert_eq!(fault::<Option<u32>>(&none, 22, &[1]), ReadError::NotZero { at: 22 });
    let some = built::<Option<u32>>(Some(7));
    assert_eq!(fault::<Option<u32>>(&some, 17, &[1]), ReadError::NotZero { at: 17 });
    assert_eq!(fault::<Option<u32>>(&some, 16, &[0]), ReadError::NotZero { at: 20 });
    let record = built::<(u8, u32, u8)>((1, 2, 3));
    assert_eq!(fault::<(u8, u32, u8)>(&record, 18, &[1]), ReadError::NotZero { at: 18 });
    assert_eq!(fault::<(u8, u32, u8)>(&record, 27, &[1]), ReadError::NotZero { at: 27 });
    let records = built::<List<(u8, u32)>>([(1, 2), (3, 4)]);
    assert_eq!(fault::<List<(u8, u32)>>(&records, 33, &[1]), ReadError::NotZero { at: 33 });
    let truths = built::<List<bool>>([true, false, true]);
    assert_eq!(fault::<List<bool>>(&truths, 26, &[255]), ReadError::NotBool { at: 26 });
}

#[test]
fn faults_of_lists() {
    type Both = (Text, List<u64>);
    let list = built::<Both>(("a", [1, 2]));
    assert_eq!(list.len(), 56);
    assert_eq!(fault::<Both>(&list, 24, &[41]), ReadError::OutOfBounds { at: 24 });
    assert_eq!(fault::<Both>(&list, 24, &[33]), ReadError::Misplaced { at: 24 }, "not aligned");
    assert_eq!(fault::<Both>(&list, 24, &[32]), ReadError::Misplaced { at: 24 }, "in the text");
    assert_eq!(fault::<Both>(&list, 28, &[1]), ReadError::Unused { at: 48 });
    assert_eq!(fault::<Both>(&list, 28, &[0xFF; 4]), ReadError::OutOfBounds { at: 24 });
    assert_eq!(fault::<Both>(&list, 35, &[1]), ReadError::NotZero { at: 35 }, "between text and list");
    let words = built::<List<Text>>(["ab", "cd"]);
    // At 24 the texts, and at 28 the slots.
    assert_eq!(fault::<List<Text>>(&words, 36, &[24]), ReadError::Misplaced { at: 36 }, "the first text again");
    assert_eq!(fault::<List<Text>>(&words, 36, &[25]), ReadError::Misplaced { at: 36 }, "overlapping");
    assert_eq!(fault::<List<Text>>(&words, 28, &[26]), ReadError::Misplaced { at: 28 }, "out of order");
    assert_eq!(fault::<List<Text>>(&words, 40, &[3]), ReadError::Misplaced { at: 36 }, "a text in the slots");
}

/// Lists of lists, in which all items of a level refer to the same list of the next one.
fn shared<T: Flat>(levels: u32, width: u32) -> Vec<u8> {
    // The root, and then one list for each level, from the innermost one on.
    let list = |level: u32| 24 + level * width * 8;
    let mut content = vec![list(levels - 1), width];
    for level in 0..levels {
        for _ in 0..width {
            content.extend(if level == 0 { [0, 0] } else { [list(level - 1), width] });
        }
    }
    value::<T>(&content)
}

#[test]
fn lists_that_share_their_items_cost_no_more_than_their_bytes() {
    type Eight = List<List<List<List<List<List<List<List<Text>>>>>>>>;
    // Following each offset would take 1000 to the power of 8 steps.
    let bytes = shared::<Eight>(8, 1000);
    assert_eq!(bytes.len(), 64_024);
    let second_of_the_second_level = 24 + 1000 * 8 + 8;
    assert_eq!(read::<Eight>(&bytes), Err(ReadError::Misplaced { at: second_of_the_second_level }));
    assert!(visited::<Eight>(&bytes) < bytes.len() / 4);
    // With one item in each list nothing is shared.
    let single = shared::<Eight>(8, 1);
    assert!(read::<Eight>(&single).is_ok());
    assert_eq!(visited::<Eight>(&single), single.len() - HEADER);
}

#[test]
fn a_list_in_its_own_items_is_misplaced() {
    type Two = List<List<Text>>;
    let bytes = value::<Two>(&[24, 2, 24, 2, 24, 2]);
    assert_eq!(read::<Two>(&bytes), Err(ReadError::Misplaced { at: 24 }));
    assert_eq!(visited::<Two>(&bytes), 16);
}

#[test]
fn the_cost_of_a_valid_value_is_its_bytes() {
    let count = 10_000_u32;
    let all = (0..count).map(|number| (number, std::format!("number {number}"), number % 3 == 0));
    let all: Vec<(u32, String, bool)> = all.collect();
    type Rows = List<(u32, Text, bool)>;
    let bytes = built::<Rows>(&all);
    // Apart from the numbers, which may have any bytes.
    assert_eq!(visited::<Rows>(&bytes), bytes.len() - HEADER - 4 * count as usize);
    let numbers = built::<List<u64>>(vec![7; 10_000]);
    assert_eq!(visited::<List<u64>>(&numbers), 8);
}

type Nested = List<(Option<Text>, List<List<bool>>, Bytes)>;
type NestedValue = Vec<(Option<String>, Vec<Vec<bool>>, Vec<u8>)>;

fn nested() -> impl Strategy<Value = NestedValue> {
    let truths = prop::collection::vec(prop::collection::vec(any::<bool>(), 0..4), 0..4);
    let record = (prop::option::of("[a-zé]{0,6}"), truths, prop::collection::vec(any::<u8>(), 0..6));
    prop::collection::vec(record, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2048) })]

    #[test]
    fn each_byte_is_visited_at_most_once(
        all in nested(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..64), 0..4),
    ) {
        let mut bytes = built::<Nested>(&all);
        // All bytes are visited but those of byte strings.
        let unseen: usize = all.iter().map(|(_, _, bytes)| bytes.len()).sum();
        prop_assert_eq!(visited::<Nested>(&bytes), bytes.len() - HEADER - unseen);
        for (at, byte) in changes {
            let at = HEADER + at.index(bytes.len() - HEADER);
            bytes[at] = byte;
        }
        visited::<Nested>(&bytes);
    }

    #[test]
    fn any_slots_are_visited_at_most_once(content in prop::collection::vec(0_u32..80, 2..24)) {
        visited::<Nested>(&value::<Nested>(&content));
        visited::<List<List<List<Text>>>>(&value::<List<List<List<Text>>>>(&content));
    }
}
