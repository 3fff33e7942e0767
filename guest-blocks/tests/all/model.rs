//! A model of blocks that is as simple as possible: every attachment has a copy of all bytes of its block.

use std::ops::Range;

use guest_blocks::{Refused, Violation};

/// A reference: the guest, and its id there.
pub(crate) type Reference = (usize, u32);

#[derive(Debug, Clone)]
struct Block {
    /// The block whose bytes these are, and where they begin in it.
    root: (usize, usize),
    size: usize,
    unread: Range<usize>,
    is_shared: bool,
    writer: Option<Reference>,
    readers: Vec<Reference>,
    /// The block that it is a part of, where, and whether it is to be written.
    part_of: Option<(usize, Range<usize>, bool)>,
}

#[derive(Debug, Clone)]
struct Held {
    reference: Reference,
    block: usize,
    /// The bytes that the guest sees, and whether what it publishes is shared.
    view: Option<(Vec<u8>, bool)>,
    /// Of a writer, what it has handed out as parts, which may be gone.
    handed_out: Vec<Range<usize>>,
}

/// All blocks and guests.
#[derive(Debug, Default)]
pub(crate) struct Model {
    blocks: Vec<Block>,
    bytes: Vec<Vec<u8>>,
    held: Vec<Held>,
}

/// How many bytes, or why none.
pub(crate) type Told = Result<Result<usize, Refused>, ()>;

impl Model {
    pub(crate) fn create(&mut self, reference: Reference, size: usize) {
        let root = (self.bytes.len(), 0);
        self.bytes.push(vec![0; size]);
        self.add(
            reference,
            Block { root, size, unread: 0..0, is_shared: false, writer: None, readers: Vec::new(), part_of: None },
        );
    }

    fn add(&mut self, reference: Reference, block: Block) {
        self.blocks.push(block);
        self.held.push(Held { reference, block: self.blocks.len() - 1, view: None, handed_out: Vec::new() });
    }

    fn at(&self, reference: Reference) -> Option<usize> {
        self.held.iter().position(|held| held.reference == reference)
    }

    /// Parts of a block that exist.
    fn parts(&self, whole: usize) -> Vec<(Range<usize>, bool)> {
        let exists = |part: usize| self.held.iter().any(|held| held.block == part) || !self.parts(part).is_empty();
        let all = self.blocks.iter().enumerate();
        let of = |(at, block): (usize, &Block)| {
            let (of, range, writes) = block.part_of.clone()?;
            (of == whole && exists(at)).then_some((range, writes))
        };
        all.filter_map(of).collect()
    }

    /// The references that there are, and whether each is attached.
    pub(crate) fn references(&self, guest: usize) -> Vec<(u32, bool)> {
        let own = self.held.iter().filter(|held| held.reference.0 == guest);
        own.map(|held| (held.reference.1, held.view.is_some())).collect()
    }

    pub(crate) fn size(&self, reference: Reference) -> usize {
        self.at(reference).map_or(0, |at| self.blocks[self.held[at].block].size)
    }

    pub(crate) fn attach(&mut self, reference: Reference, writes: bool, shares: bool) -> Told {
        let at = self.at(reference).ok_or(())?;
        let number = self.held[at].block;
        let parts = self.parts(number);
        let block = &mut self.blocks[number];
        if self.held[at].view.is_some() {
            return Ok(Err(Refused::Busy));
        }
        let (seen, told) = if writes {
            if matches!(block.part_of, Some((.., false))) {
                return Ok(Err(Refused::Internal));
            }
            if block.writer.is_some() || !block.readers.is_empty() || !parts.is_empty() {
                return Ok(Err(Refused::Busy));
            }
            block.writer = Some(reference);
            (0..block.size, block.unread.len())
        } else {
            let is_taken = !block.is_shared && !block.readers.is_empty();
            if is_taken || block.writer.is_some() || block.unread.is_empty() || parts.iter().any(|(_, writes)| *writes)
            {
                return Ok(Err(Refused::Busy));
            }
            block.readers.push(reference);
            (block.unread.clone(), block.unread.len())
        };
        let (root, begin) = block.root;
        let view = self.bytes[root][begin + seen.start..begin + seen.end].to_vec();
        self.held[at].view = Some((view, shares));
        Ok(Ok(told))
    }

    /// The bytes that a guest sees of an attachment.
    pub(crate) fn view(&self, reference: Reference) -> Option<&[u8]> {
        self.held[self.at(reference)?].view.as_ref().map(|(view, _)| view.as_slice())
    }

    pub(crate) fn is_writer(&self, reference: Reference) -> bool {
        self.at(reference).is_some_and(|at| self.blocks[self.held[at].block].writer == Some(reference))
    }

    /// Whether some of a range of the block is a part of it.
    pub(crate) fn is_handed_out(&self, reference: Reference, range: &Range<usize>) -> bool {
        let Some(at) = self.at(reference) else { return false };
        let overlaps = |part: &Range<usize>| part.start < range.end && range.start < part.end;
        self.held[at].handed_out.iter().any(overlaps)
    }

    /// A writer writes.
    pub(crate) fn store(&mut self, reference: Reference, offset: usize, bytes: &[u8]) {
        if let Some(at) = self.at(reference)
            && let Some((view, _)) = &mut self.held[at].view
        {
            view[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
    }

    /// The bytes of a writer become those of the block, but for these ranges.
    fn collect(&mut self, at: usize, range: Range<usize>, without: &[Range<usize>]) {
        let number = self.held[at].block;
        let (root, begin) = self.blocks[number].root;
        let Some((view, _)) = &self.held[at].view else { return };
        for offset in range {
            if !without.iter().any(|part| part.contains(&offset)) {
                self.bytes[root][begin + offset] = view[offset];
            }
        }
    }

    pub(crate) fn detach(&mut self, reference: Reference, bytes: usize) -> Result<(), ()> {
        let at = self.at(reference).ok_or(())?;
        let number = self.held[at].block;
        let size = self.blocks[number].size;
        let view = self.held[at].view.clone().ok_or(())?;
        if self.is_writer(reference) {
            if bytes > size {
                return Err(());
            }
            let handed_out = std::mem::take(&mut self.held[at].handed_out);
            self.collect(at, 0..size, &handed_out);
            let block = &mut self.blocks[number];
            (block.unread, block.is_shared, block.writer) = (0..bytes, view.1, None);
        } else {
            let block = &mut self.blocks[number];
            if bytes > if block.is_shared { 0 } else { block.unread.len() } {
                return Err(());
            }
            block.unread.start += bytes;
            block.readers.retain(|reader| *reader != reference);
        }
        self.held[at].view = None;
        Ok(())
    }

    pub(crate) fn duplicate(&mut self, reference: Reference, new: Reference) {
        if let Some(at) = self.at(reference) {
            self.held.push(Held { reference: new, block: self.held[at].block, view: None, handed_out: Vec::new() });
        }
    }

    /// Another guest gets the block, and this one has it no more.
    pub(crate) fn hand(&mut self, reference: Reference, new: Reference) {
        if let Some(at) = self.at(reference) {
            self.held[at].reference = new;
        }
    }

    pub(crate) fn remove(&mut self, reference: Reference) -> Result<(), ()> {
        let at = self.at(reference).ok_or(())?;
        if self.held[at].view.is_some() {
            return Err(());
        }
        self.held.remove(at);
        Ok(())
    }

    /// Whether a part can be made, as which `new` has a block of its own.
    pub(crate) fn part(&mut self, reference: Reference, range: Range<usize>, flags: u32, new: Option<u32>) -> bool {
        let Some(at) = self.at(reference) else { return false };
        let number = self.held[at].block;
        let block = self.blocks[number].clone();
        let writes = flags & 1 != 0;
        let overlaps = |part: &Range<usize>| part.start < range.end && range.start < part.end;
        let may = match block.writer {
            Some(writer) => writer == reference,
            None => block.readers.is_empty() || !writes,
        };
        let clashes = self.parts(number).iter().any(|(part, other)| overlaps(part) && (writes || *other));
        let is_read_only = writes && matches!(block.part_of, Some((.., false)));
        if range.end > block.size || !may || clashes || is_read_only {
            return false;
        }
        if self.is_writer(reference) {
            let handed_out = self.held[at].handed_out.clone();
            self.collect(at, range.clone(), &handed_out);
            self.held[at].handed_out.push(range.clone());
        }
        let unread = if writes { 0..0 } else { 0..range.len() };
        if let Some(new) = new {
            self.add(
                (reference.0, new),
                Block {
                    root: (block.root.0, block.root.1 + range.start),
                    size: range.len(),
                    unread,
                    is_shared: flags == 2,
                    writer: None,
                    readers: Vec::new(),
                    part_of: Some((number, range, writes)),
                },
            );
        }
        true
    }

    /// The guest has nothing more. What it was writing is not published, and zeroed but for what it handed out.
    pub(crate) fn restore(&mut self, guest: usize) {
        // In the order of the guest's table: a part that goes away first is its whole's again.
        let own: Vec<Reference> =
            self.held.iter().map(|held| held.reference).filter(|reference| reference.0 == guest).collect();
        for reference in sorted(own) {
            let Some(at) = self.at(reference) else { continue };
            let number = self.held[at].block;
            if self.is_writer(reference) {
                let size = self.blocks[number].size;
                self.held[at].view = Some((vec![0; size], false));
                let parts: Vec<_> = self.parts(number).into_iter().map(|(range, _)| range).collect();
                self.collect(at, 0..size, &parts);
                let block = &mut self.blocks[number];
                (block.unread, block.writer) = (0..0, None);
            }
            self.blocks[number].readers.retain(|reader| *reader != reference);
            self.held.remove(at);
        }
    }
}

fn sorted(mut references: Vec<Reference>) -> Vec<Reference> {
    references.sort_by_key(|(_, id)| id & 0xFFFF);
    references
}

/// A result of the table as the model has it.
pub(crate) fn told<T>(result: Result<T, Violation>) -> Result<T, ()> {
    result.map_err(drop)
}
