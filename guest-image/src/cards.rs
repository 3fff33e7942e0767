//! Cards of memory that differ from a snapshot, sorted by address.

use std::ops::Range;

use crate::error::ImageError;

/// Bytes of a card.
///
/// It is the smallest card of the write barrier's table. Smaller ones would save bytes that lie between two writes, and
/// cost a comparison and an entry each.
pub const CARD: usize = 256;

/// Cards of memory: runs of cards that lie side by side, and their bytes, sorted by address.
///
/// ```
/// use guest_image::{CARD, Cards};
///
/// let mut cards = Cards::default();
/// cards.push(2, &[1; CARD]);
/// cards.push(3, &[2; CARD]);
/// cards.push(9, &[3; CARD]);
/// let runs: Vec<_> = cards.iter().map(|(address, bytes)| (address, bytes.len())).collect();
/// assert_eq!(runs, [(2 * CARD, 2 * CARD), (9 * CARD, CARD)]);
/// assert_eq!(cards.get(3), Some(&[2; CARD][..]));
/// ```
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Cards {
    runs: Vec<Run>,
    bytes: Vec<u8>,
}

/// Bytes of a run in an image.
pub(crate) const RUN: usize = 8;

/// Cards that lie side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// Number of the first card: its address in units of [`CARD`].
    pub(crate) first: u32,
    /// Number of cards.
    pub(crate) cards: u32,
}

impl Run {
    fn end(self) -> u32 {
        self.first + self.cards
    }

    /// Addresses of its bytes.
    pub(crate) fn addresses(self) -> Range<usize> {
        self.first as usize * CARD..self.end() as usize * CARD
    }
}

impl Clone for Cards {
    fn clone(&self) -> Self {
        Self { runs: self.runs.clone(), bytes: self.bytes.clone() }
    }

    /// Uses the memory again that it took before.
    fn clone_from(&mut self, other: &Self) {
        self.runs.clone_from(&other.runs);
        self.bytes.clone_from(&other.bytes);
    }
}

impl Cards {
    /// No cards.
    #[must_use]
    pub const fn new() -> Self {
        Self { runs: Vec::new(), bytes: Vec::new() }
    }

    /// Removes all cards and keeps the memory that they took.
    #[inline]
    pub fn clear(&mut self) {
        self.runs.clear();
        self.bytes.clear();
    }

    /// Appends cards that lie side by side; `first` is the number of the first one.
    ///
    /// # Panics
    /// If `bytes` are no whole cards, or the cards do not lie behind all others and within the address space of 4 GiB.
    #[inline]
    pub fn push(&mut self, first: u32, bytes: &[u8]) {
        let whole = bytes.len().is_multiple_of(CARD);
        let cards = u32::try_from(bytes.len() / CARD)
            .ok()
            .filter(|cards| first.checked_add(*cards).is_some_and(|end| end <= SPACE));
        let (true, Some(cards)) = (whole, cards) else {
            panic!("{} bytes at card {first} are no cards of an address space", bytes.len());
        };
        if cards == 0 {
            return;
        }
        match self.runs.last_mut() {
            Some(last) if last.end() == first => last.cards += cards,
            last => {
                assert!(last.is_none_or(|last| last.end() < first), "cards are appended in order of their addresses");
                self.runs.push(Run { first, cards });
            }
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Number of cards.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len() / CARD
    }

    /// Whether there are none.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes of all cards, in order of their addresses.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The runs of cards: the address of each and its bytes, in order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = (usize, &[u8])> {
        let mut rest = &self.bytes[..];
        self.runs.iter().map(move |run| {
            let (bytes, behind) = rest.split_at(run.cards as usize * CARD);
            rest = behind;
            (run.addresses().start, bytes)
        })
    }

    /// The bytes of the card with this number.
    #[must_use]
    pub fn get(&self, card: u32) -> Option<&[u8]> {
        let mut before = 0;
        for run in &self.runs {
            if run.first > card {
                return None;
            }
            if card < run.end() {
                let at = (before + (card - run.first) as usize) * CARD;
                return self.bytes.get(at..at + CARD);
            }
            before += run.cards as usize;
        }
        None
    }

    /// Number and bytes of each card, in order.
    pub(crate) fn each(&self) -> impl Iterator<Item = (u32, &[u8])> {
        let numbers = self.runs.iter().flat_map(|run| run.first..run.end());
        numbers.zip(self.bytes.chunks_exact(CARD))
    }

    /// End of the last card; 0 if there are none.
    pub(crate) fn end(&self) -> usize {
        self.runs.last().map_or(0, |run| run.addresses().end)
    }

    pub(crate) fn runs(&self) -> &[Run] {
        &self.runs
    }

    /// Cards from a list of runs and their bytes.
    pub(crate) fn from_owned(runs: Vec<Run>, bytes: Vec<u8>) -> Result<Self, ImageError> {
        let cards = checked(&runs)?;
        if cards.checked_mul(CARD as u64) != Some(bytes.len() as u64) {
            return Err(ImageError::Invalid { what: "it has not as many bytes as its cards" });
        }
        Ok(Self { runs, bytes })
    }

    /// Gives memory back that is not needed.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.runs.shrink_to_fit();
        self.bytes.shrink_to_fit();
    }

    /// Bytes of the host's memory that it takes.
    pub(crate) fn capacity(&self) -> usize {
        self.runs.capacity() * size_of::<Run>() + self.bytes.capacity()
    }
}

/// The number of cards in runs, which are checked: none is empty, each lies behind the one before with a gap, and all lie in an
/// address space of 4 GiB.
pub(crate) fn checked(runs: &[Run]) -> Result<u64, ImageError> {
    let mut end = None;
    let mut cards = 0;
    for run in runs {
        let behind = end.is_none_or(|end| run.first > end);
        let last = run.first.checked_add(run.cards).filter(|last| *last <= SPACE && behind && run.cards > 0);
        end = Some(last.ok_or(ImageError::Invalid { what: "its cards are not in order" })?);
        cards += u64::from(run.cards);
    }
    Ok(cards)
}

/// Number of cards of an address space.
const SPACE: u32 = (1_u64 << 32 >> CARD.ilog2()) as u32;

/// Appends a card to a list of runs. It lies behind all others.
pub(crate) fn push_card(runs: &mut Vec<Run>, card: u32) {
    match runs.last_mut() {
        Some(last) if last.end() == card => last.cards += 1,
        _ => runs.push(Run { first: card, cards: 1 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_side_by_side_are_one_run() {
        let mut cards = Cards::new();
        for card in [0, 1, 2, 5, 7, 8] {
            cards.push(card, &[u8::try_from(card).unwrap(); CARD]);
        }
        cards.push(9, &[]);
        assert_eq!(
            cards.iter().map(|(at, bytes)| (at / CARD, bytes.len() / CARD)).collect::<Vec<_>>(),
            [(0, 3), (5, 1), (7, 2)]
        );
        for card in 0..12 {
            let expected = [0, 1, 2, 5, 7, 8].contains(&card).then(|| [u8::try_from(card).unwrap(); CARD].to_vec());
            assert_eq!(cards.get(card).map(<[u8]>::to_vec), expected, "{card}");
        }
        assert_eq!((cards.len(), cards.end()), (6, 9 * CARD));
        assert_eq!(cards.each().map(|(card, _)| card).collect::<Vec<_>>(), [0, 1, 2, 5, 7, 8]);
    }

    #[test]
    fn runs_that_touch_overlap_or_leave_the_address_space_are_refused() {
        let run = |first, cards| Run { first, cards };
        assert_eq!(checked(&[run(0, 1), run(2, 3), run(SPACE - 1, 1)]), Ok(5));
        for wrong in [
            vec![run(0, 0)],
            vec![run(0, 1), run(1, 1)],
            vec![run(3, 2), run(1, 1)],
            vec![run(SPACE - 1, 2)],
            vec![run(u32::MAX, 2)],
        ] {
            assert!(checked(&wrong).is_err(), "{wrong:?}");
        }
        assert!(Cards::from_owned(vec![run(0, 2)], vec![0; CARD]).is_err());
        assert!(Cards::from_owned(vec![run(0, 1)], vec![0; CARD + 1]).is_err());
    }

    #[test]
    #[should_panic(expected = "in order")]
    fn a_card_before_another_is_refused() {
        let mut cards = Cards::new();
        cards.push(5, &[0; CARD]);
        cards.push(4, &[0; CARD]);
    }
}
