//! The instances of a verification: an instance by itself, or one that has joined a ring of memory blocks.

use std::ops::Range;

use guest_host::blocks::{Block, Counts, Member, Refused, RingGroup};
use guest_host::{Failure, Function, Instance, LoadError, Outcome, State, Val};

use super::blocks::{self, Input};
use super::{RingOptions, RingRole};

/// An instance as verification calls it and looks at it.
pub(super) trait Tested {
    fn instance(&self) -> &Instance;

    fn invoke(&mut self, function: Function) -> Result<Outcome<'_>, Failure>;

    fn call_stage(&mut self, stage: Function, input: Option<Block>) -> Result<Option<Block>, Failure>;

    fn block_counts(&mut self) -> Counts;

    fn state_mut(&mut self) -> Option<&mut dyn State>;

    fn globals(&mut self) -> Vec<(String, Val, Val)>;

    fn changed_tables(&mut self) -> Vec<String>;

    /// The block that a call begins with.
    fn block(&mut self, input: &Input) -> Block {
        let mapped_from = self.instance().config().limits.blocks_mapped_from;
        self.block_in_slot(input).unwrap_or_else(|| input.block(mapped_from))
    }

    /// The same in a slot of its ring, if there is one for it.
    fn block_in_slot(&mut self, _input: &Input) -> Option<Block> {
        None
    }

    /// All bytes of a block that nobody has attached. All of them are published afterwards.
    fn bytes_of(&mut self, block: &Block) -> Result<Vec<u8>, Refused> {
        blocks::all_bytes(block)
    }

    /// Another block in the ring, which the call had nothing to do with.
    fn bystander(&self) -> Option<Block> {
        None
    }

    /// Bytes of the slots of its ring; 0 without a ring.
    fn slot_size(&self) -> u32 {
        0
    }

    /// The part of its memory that is a ring, with the bytes of the ring as the host sees them.
    fn ring(&mut self) -> Option<(Range<usize>, Vec<u8>)> {
        None
    }
}

impl Tested for Instance {
    fn instance(&self) -> &Instance {
        self
    }

    fn invoke(&mut self, function: Function) -> Result<Outcome<'_>, Failure> {
        self.invoke(function)
    }

    fn call_stage(&mut self, stage: Function, input: Option<Block>) -> Result<Option<Block>, Failure> {
        self.call_stage(stage, input)
    }

    fn block_counts(&mut self) -> Counts {
        self.block_counts()
    }

    fn state_mut(&mut self) -> Option<&mut dyn State> {
        self.state_mut()
    }

    fn globals(&mut self) -> Vec<(String, Val, Val)> {
        self.globals()
    }

    fn changed_tables(&mut self) -> Vec<String> {
        self.changed_tables()
    }
}

/// An instance in a ring that nobody else has joined.
struct InRing {
    group: RingGroup,
    member: Member,
    /// The block of the ring that the last call began with. It keeps its slot, so that the next block has another one.
    last: Option<Block>,
    /// The one before.
    bystander: Option<Block>,
}

impl Tested for InRing {
    fn instance(&self) -> &Instance {
        self.group.member(self.member)
    }

    fn invoke(&mut self, function: Function) -> Result<Outcome<'_>, Failure> {
        self.group.invoke(self.member, function)
    }

    fn call_stage(&mut self, stage: Function, input: Option<Block>) -> Result<Option<Block>, Failure> {
        self.group.call_stage(self.member, stage, input)
    }

    fn block_counts(&mut self) -> Counts {
        self.group.block_counts(self.member)
    }

    fn state_mut(&mut self) -> Option<&mut dyn State> {
        self.group.state_mut(self.member)
    }

    fn globals(&mut self) -> Vec<(String, Val, Val)> {
        self.group.globals(self.member)
    }

    fn changed_tables(&mut self) -> Vec<String> {
        self.group.changed_tables(self.member)
    }

    fn block_in_slot(&mut self, input: &Input) -> Option<Block> {
        self.bystander = self.last.take();
        self.last = input.block_in(&mut self.group);
        if self.last.is_none() && self.bystander.take().is_some() {
            // There is one slot.
            self.last = input.block_in(&mut self.group);
        }
        self.last.clone()
    }

    fn bystander(&self) -> Option<Block> {
        self.bystander.clone()
    }

    fn bytes_of(&mut self, block: &Block) -> Result<Vec<u8>, Refused> {
        blocks::all_bytes_in(&mut self.group, block)
    }

    fn slot_size(&self) -> u32 {
        self.group.slot_size()
    }

    fn ring(&mut self) -> Option<(Range<usize>, Vec<u8>)> {
        let place = match self.group.place(self.member) {
            Some(place) => place,
            // It joins with the next call.
            None if self.instance().last_stats().replaced.is_some() => return None,
            // No page shows the ring, though nothing was replaced.
            None => 0..0,
        };
        Some((place, self.group.bytes()))
    }
}

/// The instance by itself, or in a ring of its own if there is to be one.
///
/// # Errors
/// [`LoadError::Ring`].
pub(super) fn in_ring_or_alone(instance: Instance, ring: Option<RingOptions>) -> Result<Box<dyn Tested>, LoadError> {
    let Some(RingOptions { slots, slot_size, role }) = ring else { return Ok(Box::new(instance)) };
    let mut group = RingGroup::new(slots, slot_size).map_err(guest_host::blocks::JoinError::System)?;
    let joined = match role {
        RingRole::Writer => group.add_writer(instance),
        RingRole::Reader => group.add_reader(instance),
    };
    let member = joined.map_err(|refused| refused.error)?;
    Ok(Box::new(InRing { group, member, last: None, bystander: None }))
}
