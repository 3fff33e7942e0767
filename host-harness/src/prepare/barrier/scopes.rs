//! What was marked before a site and dominates it, and what that covers.

use std::ops::Range;

use super::SLACK;
use super::sites::{Address, Site, Store};
use super::values::{Root, Value};

/// Earlier marks that are looked at, the last ones.
const LOOKED_AT: usize = 32;

/// Bytes that are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) at: Value,
    pub(super) bytes: u32,
}

impl Write {
    /// What a store writes. `None` where it traps, as its offset alone leads beyond memory.
    pub(super) fn of_store(store: &Store, address: &Address) -> Option<Self> {
        let offset = u32::try_from(store.offset).ok()?;
        Some(Self { at: address.value.plus(offset), bytes: store.bytes })
    }

    /// The lowest and the highest address of which a mark covers it, where it is short enough to be covered by one.
    pub(super) fn anchors(self) -> [Value; 2] {
        [self.at.plus(self.bytes.wrapping_sub(SLACK)), self.at.plus(SLACK)]
    }

    /// Its addresses, if they are constant. `None` also where they are not all in the address space.
    pub(super) fn constant_range(self) -> Option<Range<u32>> {
        let start = self.at.distance;
        if self.at.root == Root::Constant { start.checked_add(self.bytes).map(|end| start..end) } else { None }
    }
}

/// What was done before a site and dominates it.
#[derive(Debug)]
pub(super) struct Scopes {
    card_size: i64,
    /// Addresses that were marked.
    marks: Vec<Value>,
    /// For each open block whether it is a loop, and how many marks there were where it began.
    blocks: Vec<(bool, usize)>,
}

impl Scopes {
    pub(super) fn new(card_size: u32) -> Self {
        Self { card_size: card_size.into(), marks: Vec::new(), blocks: Vec::new() }
    }

    /// Enters and leaves blocks.
    pub(super) fn follow(&mut self, site: &Site) {
        match site {
            Site::Open { is_loop } => self.blocks.push((*is_loop, self.marks.len())),
            Site::Else => self.forget_since(self.blocks.last().copied()),
            Site::Close => {
                // What comes behind a loop comes from its end only: branches to a loop go to its beginning.
                let closed = self.blocks.pop().filter(|(is_loop, _)| !is_loop);
                self.forget_since(closed);
            }
            _ => {}
        }
    }

    fn forget_since(&mut self, block: Option<(bool, usize)>) {
        if let Some((_, marks)) = block {
            self.marks.truncate(marks);
        }
    }

    pub(super) fn add_mark(&mut self, anchor: Value) {
        self.marks.push(anchor);
    }

    /// Whether earlier marks cover a write.
    pub(super) fn is_covered(&self, write: Write) -> bool {
        self.covered_by(write, self.distances(write))
    }

    /// Whether they would if there were another one.
    pub(super) fn would_cover(&self, anchor: Value, write: Write) -> bool {
        self.covered_by(write, self.distances(write).chain(anchor.above(write.at).map(i64::from)))
    }

    /// How far above a write the marks of its root lie.
    fn distances(&self, write: Write) -> impl Iterator<Item = i64> + '_ {
        self.marks.iter().rev().take(LOOKED_AT).filter_map(move |mark| mark.above(write.at)).map(i64::from)
    }

    /// Whether marks, given by how far above a write they lie, cover it: one that is near enough, or two that it lies
    /// between and that are no further apart than a card is long.
    fn covered_by(&self, write: Write, marks: impl Iterator<Item = i64>) -> bool {
        let (slack, bytes) = (i64::from(SLACK), i64::from(write.bytes));
        // The highest mark that reaches down to its beginning, and the lowest one that reaches up to its end: the same
        // one, or in the wrong order, where each alone covers it.
        let (mut below, mut above) = (i64::MIN / 4, i64::MAX / 4);
        for mark in marks {
            if mark <= slack {
                below = below.max(mark);
            }
            if mark >= bytes - slack {
                above = above.min(mark);
            }
        }
        above - below <= self.card_size
    }

    /// Where to follow sites that are still to come without leaving what this one dominates.
    pub(super) fn nested(&self) -> Nested {
        Nested { blocks: 0, loops: self.blocks.iter().rev().take_while(|(is_loop, _)| *is_loop).count() }
    }
}

/// How deep in blocks a later site is.
#[derive(Debug)]
pub(super) struct Nested {
    /// Blocks that were entered since.
    blocks: usize,
    /// Loops around the first site, directly in each other, whose ends it dominates.
    loops: usize,
}

impl Nested {
    /// Goes on to a site; false where the first one does not dominate it.
    pub(super) fn stays_inside(&mut self, site: &Site) -> bool {
        match site {
            Site::Open { .. } => self.blocks += 1,
            Site::Else => return self.blocks > 0,
            Site::Close if self.blocks > 0 => self.blocks -= 1,
            Site::Close if self.loops > 0 => self.loops -= 1,
            Site::Close => return false,
            _ => {}
        }
        true
    }
}
