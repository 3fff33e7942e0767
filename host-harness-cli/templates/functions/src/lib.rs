//! Functions for query engines. `host-harness functions` lists them with these comments.

use guest_sdk::{Result, State, aggregate, function};

/// How alike two texts are, from 0 to 1: the share of their pairs of neighbouring letters that both have. Case does not count.
#[function]
pub fn similarity(a: &str, b: &str) -> f64 {
    let (a, mut b) = (pairs(a), pairs(b));
    let all = a.len() + b.len();
    let mut common = 0;
    for pair in &a {
        if let Some(at) = b.iter().position(|other| other == pair) {
            b.swap_remove(at);
            common += 2;
        }
    }
    if all == 0 {
        0.0
    } else {
        f64::from(common) / all as f64
    }
}

/// Each letter of a text with the one that follows.
fn pairs(text: &str) -> Vec<(char, char)> {
    let text = text.to_lowercase();
    text.chars().zip(text.chars().skip(1)).collect()
}

/// The price reduced by a percentage, from 0 to 100.
#[function]
pub fn reduced(price: f64, percent: f64) -> Result<f64> {
    if !(0.0..=100.0).contains(&percent) {
        return Err("a price is reduced by 0 to 100 percent".into());
    }
    Ok(price * (100.0 - percent) / 100.0)
}

/// The smallest and the largest number so far: the state of `spread`.
#[derive(Default, State)]
pub struct Spread {
    smallest: Option<f64>,
    largest: Option<f64>,
}

/// The difference of the largest and the smallest number; null for no rows.
#[aggregate]
impl Spread {
    fn accumulate(&mut self, number: f64) {
        self.smallest = Some(
            self.smallest
                .map_or(number, |smallest| smallest.min(number)),
        );
        self.largest = Some(self.largest.map_or(number, |largest| largest.max(number)));
    }

    fn merge(&mut self, other: Self) {
        for number in [other.smallest, other.largest].into_iter().flatten() {
            self.accumulate(number);
        }
    }

    fn evaluate(&self) -> Option<f64> {
        Some(self.largest? - self.smallest?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_alike_by_the_pairs_that_both_have() {
        assert_eq!(similarity("night", "nacht"), 0.25);
        assert_eq!(similarity("Tree", "tree"), 1.0);
        assert_eq!(similarity("", "tree"), 0.0);
        assert_eq!(similarity("", ""), 0.0);
    }

    #[test]
    fn a_price_is_reduced_by_a_share_of_it() {
        assert_eq!(reduced(80.0, 25.0), Ok(60.0));
        assert!(reduced(80.0, 101.0).is_err());
        assert!(reduced(80.0, f64::NAN).is_err());
    }

    #[test]
    fn the_spread_of_two_groups_is_that_of_all_their_rows() {
        let [mut one, mut other] = [Spread::default(), Spread::default()];
        assert_eq!(one.evaluate(), None);
        one.accumulate(3.0);
        other.accumulate(-1.0);
        other.accumulate(2.0);
        one.merge(other);
        assert_eq!(one.evaluate(), Some(4.0));
    }
}
