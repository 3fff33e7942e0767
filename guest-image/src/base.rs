//! A base: the snapshot that deltas are differences to.

use std::sync::Arc;

use crate::cards::{CARD, Cards};
use crate::delta::Delta;
use crate::error::ImageError;
use crate::identity::Identity;
use crate::values::GlobalValue;

/// A snapshot as an image: what deltas are differences to. One is enough for all instances of a module that began alike.
///
/// A host that makes an instance of the same module and configuration has the snapshot already, and needs no base. A base
/// serves where it has not: [`Delta::rebase`] makes a delta to one snapshot from a delta to another.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Base {
    /// Its identity.
    pub identity: Arc<Identity>,
    /// The properties of the module's instances that the host relies on, such as the place of the exchange region; part of the
    /// identity.
    pub contract: Vec<u8>,
    /// Memory, as large as the guest saw it.
    pub memory: Vec<u8>,
    /// Values of the globals.
    pub globals: Vec<GlobalValue>,
}

impl Base {
    /// The snapshot with this memory and these globals, of the module with the hash `module`, under this contract.
    #[must_use]
    pub fn new(module: [u8; 32], contract: Vec<u8>, memory: Vec<u8>, globals: Vec<GlobalValue>) -> Self {
        let identity = Arc::new(Identity::of(module, &contract, &memory, &globals));
        Self { identity, contract, memory, globals }
    }

    /// The bytes of a card; of one behind the memory `None`, as those are zero.
    fn card(&self, card: u32) -> Option<&[u8]> {
        let at = card as usize * CARD;
        self.memory.get(at..at + CARD)
    }
}

impl Delta {
    /// The difference between the same instance and another snapshot of the same module.
    ///
    /// For instances that began with other memory under the same contract, as when a new version of the host saves something else in the
    /// control block. The guest's memory is as it was, so it goes on as if nothing had happened.
    ///
    /// # Errors
    /// [`ImageError`] if the delta does not belong to `from`, if `to` is of another module or another contract, or if `to` has a larger
    /// memory than the instance, or other globals than `from`.
    pub fn rebase(&self, from: &Base, to: &Base) -> Result<Self, ImageError> {
        from.identity.check(&self.identity)?;
        if from.identity.module != to.identity.module {
            let (found, expected) = (from.identity.module, to.identity.module);
            return Err(ImageError::OtherModule { found, expected });
        }
        self.check()?;
        let kinds = |base: &Base| base.globals.iter().map(|value| value.parts().0).collect::<Vec<_>>();
        if self.memory_size < to.memory.len() as u64 || kinds(from) != kinds(to) || from.contract != to.contract {
            return Err(ImageError::OtherSnapshot);
        }
        let mut cards = Cards::new();
        let mut changed = self.cards.each().peekable();
        let all = from.memory.len().max(to.memory.len()).max(self.cards.end()).div_ceil(CARD);
        for card in 0..u32::try_from(all).map_err(|_| ImageError::OtherSnapshot)? {
            let now =
                changed.next_if(|(number, _)| *number == card).map(|(_, bytes)| bytes).or_else(|| from.card(card));
            let now = now.unwrap_or(&ZEROS);
            if now != to.card(card).unwrap_or(&ZEROS) {
                cards.push(card, now);
            }
        }
        let mut globals = Vec::new();
        for (number, saved) in (0..).zip(&to.globals) {
            let own = self.globals.iter().find(|(own, _)| *own == number).map(|(_, value)| *value);
            let now = own.or_else(|| from.globals.get(number as usize).copied());
            globals.extend(now.filter(|now| now != saved).map(|now| (number, now)));
        }
        let (identity, block_uses) = (to.identity.clone(), self.block_uses.clone());
        Ok(Self { identity, memory_size: self.memory_size, cards, globals, host: self.host, block_uses })
    }
}

/// A card of memory that was never written.
static ZEROS: [u8; CARD] = [0; CARD];
