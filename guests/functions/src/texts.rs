//! Functions of texts.

use guest_sdk::{List, function};

/// Texts of so many characters are compared without the heap.
const SHORT: usize = 64;

/// The least number of characters to insert, delete or replace that makes one text the other.
#[function]
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

/// The share of a query's words that a text has: 0 to 1. Case is that of ASCII.
#[function]
fn text_score(query: &str, text: &str) -> f64 {
    let (mut found, mut words) = (0_u32, 0_u32);
    for word in query.split_whitespace() {
        words += 1;
        found += u32::from(text.split_whitespace().any(|other| other.eq_ignore_ascii_case(word)));
    }
    if words == 0 { 0.0 } else { f64::from(found) / f64::from(words) }
}

/// The text in upper case.
#[function]
fn upper(text: &str) -> String {
    text.to_uppercase()
}

/// The first of the longest texts, or null if there are none. Null is passed over.
#[function]
fn longest<'a>(texts: List<'a, Option<&'a str>>) -> Option<&'a str> {
    texts.iter().flatten().rev().max_by_key(|text| text.len())
}

/// The parts of a text that lie between separators.
#[function]
fn split<'a>(text: &'a str, separator: &str) -> Vec<&'a str> {
    text.split(separator).collect()
}

/// The numbers among the words of a text, and null for each of the other words.
#[function]
fn numbers_in(text: &str) -> Vec<Option<i64>> {
    text.split_whitespace().map(|word| word.parse().ok()).collect()
}

/// Which of the words of a text have upper-case letters.
#[function]
fn capitals(text: &str) -> Vec<bool> {
    text.split_whitespace().map(|word| word.contains(char::is_uppercase)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_as_by_hand() {
        assert_eq!((levenshtein("kitten", "sitting"), levenshtein("", "äö"), levenshtein("äö", "")), (3, 2, 2));
        let long = "ab".repeat(SHORT);
        assert_eq!((levenshtein(&long, &long), levenshtein("ab", &long)), (0, 126));
        assert_eq!((text_score("red Shoe", "a SHOE"), text_score("", "a")), (0.5, 0.0));
        assert_eq!(upper("straße"), "STRASSE");
        assert_eq!((split("a,,b", ","), split("", ",")), (vec!["a", "", "b"], vec![""]));
        assert_eq!(numbers_in(" 12 x -3"), [Some(12), None, Some(-3)]);
        assert_eq!(capitals("to Be oR"), [false, true, true]);
    }
}
