//! The programs. What they return is checked by their callers, which also hide the input from the compiler.

use std::collections::HashMap;
use std::fmt::Write as _;

use regex::Regex;
use sha2::{Digest, Sha256};

use crate::input::FORMATTED;

/// The number of records in a JSON array, from a tree of the whole.
pub(crate) fn parse_json(text: &str) -> Option<usize> {
    let tree: serde_json::Value = serde_json::from_str(text).ok()?;
    tree.as_array().map(Vec::len)
}

/// The numbers sorted stably, and unstably.
pub(crate) fn sort(numbers: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let (mut stable, mut unstable) = (numbers.to_vec(), numbers.to_vec());
    stable.sort();
    unstable.sort_unstable();
    (stable, unstable)
}

/// SHA-256 of bytes.
pub(crate) fn hash_sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// How many matches all patterns have.
pub(crate) fn match_regex(patterns: &[Regex], text: &str) -> usize {
    patterns.iter().map(|pattern| pattern.find_iter(text).count()).sum()
}

/// Puts all words into a map, looks each up and removes every second one. Returns how many are left.
pub(crate) fn fill_map(words: &[String]) -> usize {
    let mut map = HashMap::new();
    for (index, word) in words.iter().enumerate() {
        map.insert(word.as_str(), index);
    }
    for word in words {
        if map.get(word.as_str()).is_some_and(|index| index % 2 == 1) {
            map.remove(word.as_str());
        }
    }
    map.len()
}

/// Records with a word and some numbers each, as a CBOR array.
pub(crate) fn encode_cbor(words: &[String]) -> Vec<u8> {
    let mut encoder = minicbor::Encoder::new(Vec::new());
    // Writing to a vector cannot fail.
    let _ = encode(&mut encoder, words);
    encoder.into_writer()
}

fn encode(
    encoder: &mut minicbor::Encoder<Vec<u8>>,
    words: &[String],
) -> Result<(), minicbor::encode::Error<core::convert::Infallible>> {
    encoder.begin_array()?;
    for (index, word) in (0_u32..).zip(words.iter().step_by(4)) {
        encoder.map(4)?.str("Id")?.u32(index)?.str("Name")?.str(word)?;
        encoder.str("Amount")?.i64(i64::from(index) * -12_345_678)?.str("Share")?.f64(f64::from(index) / 7.0)?;
    }
    encoder.end()?;
    Ok(())
}

/// A line for each of the first numbers: as a decimal, as a hexadecimal, and its share of the greatest as a float.
pub(crate) fn format_numbers(numbers: &[u64]) -> String {
    let mut text = String::new();
    for number in &numbers[..FORMATTED] {
        #[expect(clippy::cast_precision_loss, reason = "a float is wanted, whichever")]
        let share = *number as f64 / u64::MAX as f64;
        let _ = writeln!(text, "{number} {number:#x} {share:.4}");
    }
    text
}
