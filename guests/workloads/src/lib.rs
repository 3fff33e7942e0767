//! Programs as extensions run them, from crates that they use. What the write barrier costs is measured on them.

mod input;
mod programs;

use std::hint::black_box;

use guest_sdk::{Context, Error, Result, extension};

use input::input;

/// Says which program went wrong.
const WRONG_RESULT: u32 = 1;

/// Ends the call with an error where a program's result is not what its input says.
fn check(right: bool, what: &'static str) -> Result<()> {
    if right { Ok(()) } else { Err(Error::application(WRONG_RESULT, what)) }
}

/// Parses a document into a tree.
#[extension]
fn parse_json(_cx: &mut Context) -> Result<()> {
    let document = programs::parse_json(black_box(&input().document));
    check(document == Some(input::RECORDS), "the document has another number of records")
}

/// Sorts numbers, stably and unstably.
#[extension]
fn sort(_cx: &mut Context) -> Result<()> {
    let (stable, unstable) = programs::sort(black_box(&input().numbers));
    check(stable.is_sorted() && stable == unstable, "the numbers are not sorted")
}

/// Digests bytes.
#[extension]
fn hash_sha256(_cx: &mut Context) -> Result<()> {
    let digest = programs::hash_sha256(black_box(input().document.as_bytes()));
    check(digest != [0; 32], "the digest is zero")
}

/// Finds all matches of some patterns in a text.
#[extension]
fn match_regex(_cx: &mut Context) -> Result<()> {
    let (patterns, text) = (&input().patterns, &input().text);
    check(programs::match_regex(patterns, black_box(text)) == input::MATCHES, "another number of matches was found")
}

/// Fills a map, looks entries up and removes some.
#[extension]
fn fill_map(_cx: &mut Context) -> Result<()> {
    let left = programs::fill_map(black_box(&input().words));
    check(left == input::WORDS / 2, "the map has another number of entries")
}

/// Encodes records.
#[extension]
fn encode_cbor(_cx: &mut Context) -> Result<()> {
    let bytes = programs::encode_cbor(black_box(&input().words));
    check(bytes.first() == Some(&0x9f) && bytes.last() == Some(&0xff), "the encoding is not an array")
}

/// Writes numbers as text.
#[extension]
fn format_numbers(_cx: &mut Context) -> Result<()> {
    let text = programs::format_numbers(black_box(&input().numbers));
    check(text.lines().count() == input::FORMATTED, "another number of lines was written")
}

#[cfg(test)]
mod tests {
    use guest_sdk::testing::{Host, MemoryState};

    #[test]
    fn every_program_comes_to_the_right_result() {
        let mut host = Host::new(MemoryState::new());
        host.call(super::parse_json).unwrap();
        host.call(super::sort).unwrap();
        host.call(super::hash_sha256).unwrap();
        host.call(super::match_regex).unwrap();
        host.call(super::fill_map).unwrap();
        host.call(super::encode_cbor).unwrap();
        host.call(super::format_numbers).unwrap();
    }
}
