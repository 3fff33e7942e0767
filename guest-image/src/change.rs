//! The change from one delta to a later one of the same instance.

use std::sync::Arc;

use crate::cards::{CARD, Cards, RUN, Run, push_card};
use crate::delta::Delta;
use crate::error::ImageError;
use crate::identity::Identity;
use crate::values::{GlobalValue, HostState};

/// The change from one delta to a later one: the cards that differ between the two. To write it takes as many bytes as
/// changed, whatever the size of the delta.
///
/// ```
/// use std::sync::Arc;
///
/// use guest_image::{CARD, Change, Delta, Identity};
///
/// let identity = Arc::new(Identity::of([0; 32], b"", &[0; 65536], &[]));
/// let mut first = Delta::pristine(identity, 65536);
/// first.cards.push(7, &[1; CARD]);
/// let mut second = first.clone();
/// second.cards.push(8, &[2; CARD]);
///
/// let change = Change::between(&first, &second)?;
/// assert_eq!(change.cards().len(), 1);
/// assert_eq!(change.apply(&first)?, second);
/// # Ok::<(), guest_image::ImageError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub(crate) identity: Arc<Identity>,
    pub(crate) memory_size: u64,
    /// Cards with other bytes.
    pub(crate) cards: Cards,
    /// Cards that equal the snapshot again.
    pub(crate) cleared: Vec<Run>,
    /// All globals of the later delta.
    pub(crate) globals: Vec<(u32, GlobalValue)>,
    pub(crate) host: Option<HostState>,
    /// That of the later delta.
    pub(crate) block_uses: Vec<u32>,
}

impl Change {
    /// The change that leads from `earlier` to `later`.
    ///
    /// # Errors
    /// [`ImageError`] if they are of different snapshots.
    pub fn between(earlier: &Delta, later: &Delta) -> Result<Self, ImageError> {
        later.identity.check(&earlier.identity)?;
        let (mut cards, mut cleared) = (Cards::new(), Vec::new());
        let mut before = earlier.cards.each().peekable();
        for (card, bytes) in later.cards.each() {
            while let Some((gone, _)) = before.next_if(|(number, _)| *number < card) {
                push_card(&mut cleared, gone);
            }
            let same = before.next_if(|(number, _)| *number == card).is_some_and(|(_, earlier)| earlier == bytes);
            if !same {
                cards.push(card, bytes);
            }
        }
        before.for_each(|(gone, _)| push_card(&mut cleared, gone));
        Ok(Self {
            identity: later.identity.clone(),
            memory_size: later.memory_size,
            cards,
            cleared,
            globals: later.globals.clone(),
            host: later.host,
            block_uses: later.block_uses.clone(),
        })
    }

    /// Bytes that the change from `earlier` to `later` takes as an image, or a few more, without making it; `None` if they are of different
    /// snapshots, or more than the later one takes as a whole.
    pub(crate) fn bytes_between(earlier: &Delta, later: &Delta) -> Option<u64> {
        let most = later.cards.bytes().len();
        later.identity.check(&earlier.identity).ok()?;
        let mut changed = 0;
        let mut before = earlier.cards.each().peekable();
        for (card, bytes) in later.cards.each() {
            while before.next_if(|(number, _)| *number < card).is_some() {
                changed += RUN;
            }
            let same = before.next_if(|(number, _)| *number == card).is_some_and(|(_, earlier)| earlier == bytes);
            if !same {
                changed += RUN + CARD;
                if changed > most {
                    return None;
                }
            }
        }
        changed += before.count() * RUN;
        Some(later.encoded_bytes_without_cards() + changed as u64)
    }

    /// The cards with other bytes.
    #[must_use]
    pub const fn cards(&self) -> &Cards {
        &self.cards
    }

    /// Number of cards that equal the snapshot again.
    #[must_use]
    pub fn cleared(&self) -> usize {
        self.cleared.iter().map(|run| run.cards as usize).sum()
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self, earlier: &Delta) -> bool {
        self.cards.is_empty()
            && self.cleared.is_empty()
            && self.memory_size == earlier.memory_size
            && self.globals == earlier.globals
            && self.host == earlier.host
            && self.block_uses == earlier.block_uses
    }

    /// The later delta. `earlier` is the one that the change leads from.
    ///
    /// # Errors
    /// [`ImageError`] if `earlier` is of another snapshot, or the two do not fit together.
    pub fn apply(&self, earlier: &Delta) -> Result<Delta, ImageError> {
        self.identity.check(&earlier.identity)?;
        let mut cleared = self.cleared.iter().flat_map(|run| run.first..run.first + run.cards).peekable();
        let mut changed = self.cards.each().peekable();
        let mut cards = Cards::new();
        for (card, bytes) in earlier.cards.each() {
            while let Some((number, bytes)) = changed.next_if(|(number, _)| *number < card) {
                cards.push(number, bytes);
            }
            if let Some((number, bytes)) = changed.next_if(|(number, _)| *number == card) {
                cards.push(number, bytes);
            } else if cleared.next_if_eq(&card).is_none() {
                cards.push(card, bytes);
            }
        }
        changed.for_each(|(number, bytes)| cards.push(number, bytes));
        if cleared.next().is_some() {
            return Err(ImageError::Invalid { what: "it clears a card that the state before does not have" });
        }
        let later = Delta {
            identity: self.identity.clone(),
            memory_size: self.memory_size,
            cards,
            globals: self.globals.clone(),
            host: self.host,
            block_uses: self.block_uses.clone(),
        };
        later.check()?;
        Ok(later)
    }
}
