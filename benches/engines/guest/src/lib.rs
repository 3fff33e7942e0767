//! The functions of the guest `functions` that are compared, as they are there, on the contract of arrow-udf.

use arrow_udf::function;

/// The greatest common divisor. That of 0 and 0 is 0.
#[function("gcd(int64, int64) -> int64")]
fn gcd(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a.unsigned_abs(), b.unsigned_abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a.cast_signed()
}

/// One more, or null for null and for the largest number.
#[function("nullable(int64) -> int64")]
fn nullable(number: Option<i64>) -> Option<i64> {
    number?.checked_add(1)
}

/// Longest text, in characters, that is compared without the heap.
const SHORT: usize = 64;

/// The least number of characters to insert, delete or replace that makes one text the other.
#[function("levenshtein(string, string) -> int64")]
fn levenshtein(a: &str, b: &str) -> i64 {
    let length = b.chars().count();
    let mut row = [0; SHORT + 1];
    let mut characters = ['\0'; SHORT];
    let (mut long_row, mut long_characters) = (Vec::new(), Vec::new());
    let (row, characters) = match length {
        ..=SHORT => (&mut row[..=length], &mut characters[..length]),
        _ => {
            long_row.resize(length + 1, 0);
            long_characters.resize(length, '\0');
            (long_row.as_mut_slice(), long_characters.as_mut_slice())
        }
    };
    row.iter_mut().zip(0..).for_each(|(distance, index)| *distance = index);
    characters.iter_mut().zip(b.chars()).for_each(|(to, character)| *to = character);
    for (index, of_a) in (1..).zip(a.chars()) {
        let mut diagonal = std::mem::replace(&mut row[0], index);
        for (at, of_b) in characters.iter().enumerate() {
            let replaced = diagonal + i64::from(of_a != *of_b);
            diagonal = row[at + 1];
            row[at + 1] = replaced.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[length]
}
