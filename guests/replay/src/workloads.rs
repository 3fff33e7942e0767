//! What programs do with memory through Rust's own types. These functions are in all guests that replay, whatever their
//! allocator, for the benchmark that compares allocators; they take nothing and leave nothing.

use std::hint::black_box;
use std::mem::forget;

use guest_sdk::{Context, Result, extension};

/// Groups of vectors that are made one after the other.
const GROUPS: u64 = 100;

/// Vectors of a group: they grow side by side, so most that grow have a neighbour in their way.
const VECTORS: usize = 4;

/// Numbers that each vector grows to, four at a time.
const NUMBERS: u64 = 64;

/// Vectors that grow, and are dropped.
#[extension]
fn vectors(_cx: &mut Context) -> Result<()> {
    for group in 0..GROUPS {
        black_box(grown(black_box(group)));
    }
    Ok(())
}

fn grown(group: u64) -> [Vec<u64>; VECTORS] {
    let mut vectors: [Vec<u64>; VECTORS] = [const { Vec::new() }; VECTORS];
    for number in (0..NUMBERS).step_by(4) {
        for vector in &mut vectors {
            vector.extend_from_slice(&[group, number, group ^ number, group + number]);
        }
    }
    vectors
}

/// Lines that are written.
const LINES: usize = 1_000;

/// Lines that are alive at one time.
const WINDOW: usize = 16;

/// Strings that are made and dropped: of the three that make a line the last is kept for a while.
#[extension]
fn strings(_cx: &mut Context) -> Result<()> {
    let mut window: [String; WINDOW] = [const { String::new() }; WINDOW];
    for number in 0..LINES {
        window[number % WINDOW] = line(black_box(number));
    }
    black_box(window);
    Ok(())
}

/// What lines are made of.
const TEXT: &str =
    "the quick brown fox jumps over the lazy dog, and the dog sleeps on as if nothing had happened at all";

fn line(number: usize) -> String {
    // Lengths that differ from line to line, in no order.
    let word = String::from(&TEXT[..number * 7 % 61 + 3]);
    let sentence = [&word, ": ", &TEXT[number * 13 % 89..]].concat();
    sentence.to_ascii_uppercase()
}

/// Records that are kept.
const RECORDS: usize = 4_000;

/// A record of a list.
#[cfg_attr(not(test), expect(dead_code, reason = "made to take memory, not to be read"))]
struct Record {
    next: Option<Box<Record>>,
    number: usize,
    /// Every fourth has one.
    name: Option<Box<str>>,
}

/// A list of records, none of which is freed: nothing is reused.
#[extension]
fn kept(_cx: &mut Context) -> Result<()> {
    forget(black_box(list(black_box(RECORDS))));
    Ok(())
}

fn list(records: usize) -> Option<Box<Record>> {
    let mut list = None;
    for number in 0..records {
        let name = (number % 4 == 0).then(|| Box::from(&TEXT[..number * 7 % 61]));
        list = Some(Box::new(Record { next: list, number, name }));
    }
    list
}

#[cfg(test)]
mod tests {
    use guest_sdk::testing::{Host, MemoryState};

    use super::*;

    #[test]
    fn vectors_hold_what_was_put_into_them() {
        for vector in grown(7) {
            assert_eq!(vector.len() as u64, NUMBERS);
            assert_eq!(vector[4..8], [7, 4, 3, 11]);
        }
    }

    #[test]
    fn lines_are_written() {
        assert_eq!(line(0), format!("THE: {}", TEXT.to_uppercase()));
        assert!((0..LINES).all(|number| line(number).starts_with("THE")));
    }

    #[test]
    fn a_list_has_its_records_the_newest_first() {
        let mut list = list(6);
        let mut found = Vec::new();
        while let Some(record) = list {
            found.push((record.number, record.name.map(|name| name.len())));
            list = record.next;
        }
        assert_eq!(found, [(5, None), (4, Some(28)), (3, None), (2, None), (1, None), (0, Some(0))]);
    }

    #[test]
    fn they_succeed() {
        for function in [vectors, strings, kept] {
            Host::new(MemoryState::new()).call(function).unwrap();
        }
    }
}
