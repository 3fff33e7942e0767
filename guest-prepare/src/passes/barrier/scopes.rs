//! The marks that hold at a site, because what made them dominates it, and what they cover.

use std::ops::Range;

use super::sites::{Address, Length, Site, Store};
use super::values::{Root, Value};
use crate::cards::SLACK;

/// How many earlier marks to look at, beginning with the last.
const LOOKED_AT: usize = 32;

/// Bytes that a site writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Write {
    pub(super) at: Value,
    pub(super) bytes: u32,
}

impl Write {
    /// The bytes that a store writes. `None` if it traps because its offset alone is out of bounds.
    pub(super) fn of_store(store: &Store, address: &Address) -> Option<Self> {
        let offset = u32::try_from(store.offset).ok()?;
        Some(Self { at: address.value.plus(offset), bytes: store.bytes })
    }

    /// The bytes that a site writes, if known.
    pub(super) fn of_site(site: &Site) -> Option<Self> {
        match site {
            Site::Store { store, address, .. } => Self::of_store(store, address),
            Site::Bulk { length: Length::Constant(bytes), address, .. } => {
                Some(Self { at: address.value, bytes: *bytes })
            }
            _ => None,
        }
    }

    /// The lowest and the highest address whose mark covers it, if it is short enough for one mark.
    pub(super) fn anchors(self) -> [Value; 2] {
        [self.at.plus(self.bytes.wrapping_sub(SLACK)), self.at.plus(SLACK)]
    }

    /// Whether a mark at this address covers it alone.
    pub(super) fn is_near(self, mark: Value) -> bool {
        let slack = i64::from(SLACK);
        mark.above(self.at).map(i64::from).is_some_and(|mark| mark <= slack && mark >= i64::from(self.bytes) - slack)
    }

    /// Its addresses, if they are constant and all in the address space.
    pub(super) fn constant_range(self) -> Option<Range<u32>> {
        let start = self.at.distance;
        if self.at.root == Root::Constant { start.checked_add(self.bytes).map(|end| start..end) } else { None }
    }
}

/// The marks and blocks that hold at a site.
#[derive(Debug)]
pub(super) struct Scopes {
    card_size: i64,
    /// Marked addresses.
    marks: Vec<Value>,
    blocks: Vec<Block>,
    /// How often all marks were forgotten.
    forgotten: u64,
}

/// An open block.
#[derive(Debug, Clone, Copy)]
struct Block {
    /// The number of loops, directly in each other, of which it is the innermost; 0 if it is no loop.
    loops: usize,
    /// The number of marks at its beginning.
    marks: usize,
    /// How often all marks had been forgotten then.
    forgotten: u64,
}

impl Scopes {
    pub(super) fn new(card_size: u32) -> Self {
        Self { card_size: card_size.into(), marks: Vec::new(), blocks: Vec::new(), forgotten: 0 }
    }

    /// Enters and leaves blocks.
    pub(super) fn follow(&mut self, site: &Site) {
        match site {
            Site::Open { is_loop, calls } => {
                if *calls {
                    self.forget_all();
                }
                let loops = if *is_loop { self.loops() + 1 } else { 0 };
                self.blocks.push(Block { loops, marks: self.marks.len(), forgotten: self.forgotten });
            }
            Site::Else => self.forget_since(self.blocks.last().copied()),
            Site::Close => {
                // Code behind a loop is reached from its end only: branches to a loop go to its beginning.
                let closed = self.blocks.pop().filter(|block| block.loops == 0);
                self.forget_since(closed);
            }
            Site::Call => self.forget_all(),
            _ => {}
        }
    }

    fn forget_since(&mut self, block: Option<Block>) {
        if let Some(block) = block {
            // Of the marks at its beginning there are none left if all were forgotten inside.
            self.marks.truncate(if block.forgotten == self.forgotten { block.marks } else { 0 });
        }
    }

    /// A call may have cleared each mark.
    fn forget_all(&mut self) {
        self.marks.clear();
        self.forgotten += 1;
    }

    /// The number of loops around, directly in each other.
    fn loops(&self) -> usize {
        self.blocks.last().map_or(0, |block| block.loops)
    }

    pub(super) fn add_mark(&mut self, anchor: Value) {
        self.marks.push(anchor);
    }

    /// Whether earlier marks cover a write.
    pub(super) fn is_covered(&self, write: Write) -> bool {
        self.around(write).is_covered()
    }

    /// A write with the earlier marks around it.
    pub(super) fn around(&self, write: Write) -> Surrounded {
        let mut found = Surrounded { write, card_size: self.card_size, below: i64::MIN / 4, above: i64::MAX / 4 };
        self.marks.iter().rev().take(LOOKED_AT).for_each(|mark| found.add(*mark));
        found
    }

    /// A walk over the sites to come, as far as this one dominates them.
    pub(super) fn nested(&self) -> Nested {
        Nested { blocks: 0, loops: self.loops() }
    }
}

/// A write, and the distances at which the marks lie above it that count for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surrounded {
    pub(super) write: Write,
    card_size: i64,
    /// The highest mark that reaches down to its beginning.
    below: i64,
    /// The lowest mark that reaches up to its end.
    above: i64,
}

impl Surrounded {
    fn add(&mut self, mark: Value) {
        #[cfg(test)]
        work::done();
        let (slack, bytes) = (i64::from(SLACK), i64::from(self.write.bytes));
        let Some(mark) = mark.above(self.write.at).map(i64::from) else {
            return;
        };
        if mark <= slack {
            self.below = self.below.max(mark);
        }
        if mark >= bytes - slack {
            self.above = self.above.min(mark);
        }
    }

    /// Whether the marks cover it: one that is near enough, or two that it lies between and that are no further apart than
    /// a card is long. Where the two are the same one, or in the wrong order, each alone covers it.
    pub(super) fn is_covered(&self) -> bool {
        self.above - self.below <= self.card_size
    }

    /// Whether they would if there were another one.
    pub(super) fn would_be_covered_by(&self, mark: Value) -> bool {
        let mut with = *self;
        with.add(mark);
        with.is_covered()
    }
}

/// Counts the steps of the pass, so that tests see how their number grows with a module.
#[cfg(test)]
pub(super) mod work {
    use std::cell::Cell;

    thread_local!(static DONE: Cell<u64> = const { Cell::new(0) });

    pub(in crate::passes::barrier) fn done() {
        DONE.set(DONE.get() + 1);
    }

    /// Steps of this thread since the last call.
    pub(in crate::passes::barrier) fn take() -> u64 {
        DONE.take()
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
    /// Goes on to a site; false if a mark at the first one does not hold there.
    pub(super) fn stays_inside(&mut self, site: &Site) -> bool {
        #[cfg(test)]
        work::done();
        match site {
            Site::Call | Site::Open { calls: true, .. } => return false,
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
