//! Instances that hand each other blocks of a ring, without a copy.

use std::io;
use std::ops::Range;

use guest_blocks::{Block, JoinError, Refused, Ring};
use wasmtime::Val;

use super::{Instance, Status};
use crate::contract::blocks::{self, BlocksView as _};
use crate::failure::Failure;
use crate::guest::Function;
use crate::host::outcome::Outcome;
use crate::restore::policy::RestoreStrategy;
use crate::state::State;

/// Instances that hand each other blocks of a ring: pages that stay mapped into all of them, so that an attachment copies nothing and costs
/// the same whatever its size.
///
/// A block of the ring is in one of its slots. A guest that *writes* the ring attaches it for writing and publishes it, and those
/// that *read* it find the same bytes. The instances belong to the group, and one of them runs at a time: a guest that writes
/// into a block that it has published is found by the write barrier at the end of its call, before another of them runs. No block of the
/// ring can be read any more then, and one that the host reads has zeros.
///
/// The instances must not be from a pool, must be restored by `dirty-cards`, and their guests must offer storage for the whole ring when they
/// are initialised.
///
/// ```
/// use guest_host::blocks::RingGroup;
/// use guest_host::{Engine, EngineConfig, Guest, InstanceAllocation, InstanceConfig, MemoryState, PrepareOptions, RestoreStrategy};
///
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/increment.wat")))?;
/// let engine = Engine::new(&EngineConfig::default().with_allocation(InstanceAllocation::OnDemand))?;
/// let guest = Guest::load(&engine, "increment", &wasm, PrepareOptions::default())?;
/// let config = InstanceConfig::default().with_strategy(RestoreStrategy::DirtyCards);
/// let increment = guest.stage("increment").expect("the module has it");
///
/// // Without the feature `map`, and elsewhere than on Linux, there are no rings.
/// let Ok(mut group) = RingGroup::new(2, 4096) else { return Ok(()) };
/// let writer = group.add_writer(guest.instantiate(&config, MemoryState::new())?)?;
/// let block = group.slot().expect("both slots are free");
/// group.fill(&block, false, |bytes| {
///     bytes[0] = 41;
///     1
/// })?;
/// let block = group.call_stage(writer, increment, Some(block))?.expect("it returns its block");
/// assert_eq!(block.read()?.bytes(<[u8]>::to_vec), [42]);
/// assert_eq!(group.block_counts(writer).copied, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RingGroup {
    ring: Ring,
    members: Vec<Joined>,
}

/// An instance of a [`RingGroup`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Member(usize);

#[derive(Debug)]
struct Joined {
    instance: Instance,
    writes: bool,
    /// It was replaced, and cannot join again.
    has_copies: bool,
}

/// An instance that cannot join a [`RingGroup`].
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct AddError {
    /// Why.
    #[source]
    pub error: JoinError,
    /// The instance.
    pub instance: Box<Instance>,
}

impl RingGroup {
    /// Makes a group without instances. Its ring has this number of slots, and each slot has `size` bytes, rounded up to whole pages.
    ///
    /// # Errors
    /// If there are no slots, or the system has no memory files, or refuses one; always without the feature `map`.
    pub fn new(slots: usize, size: u32) -> io::Result<Self> {
        Ok(Self { ring: Ring::new(slots, size)?, members: Vec::new() })
    }

    /// Adds an instance that writes blocks of the ring and reads them. The instance is restored before.
    ///
    /// # Errors
    /// [`AddError`], with the instance, restored.
    pub fn add_writer(&mut self, instance: Instance) -> Result<Member, AddError> {
        self.add(instance, true)
    }

    /// Adds an instance that only reads blocks of the ring. The instance is restored before.
    ///
    /// # Errors
    /// [`AddError`], with the instance, restored.
    pub fn add_reader(&mut self, instance: Instance) -> Result<Member, AddError> {
        self.add(instance, false)
    }

    fn add(&mut self, mut instance: Instance, writes: bool) -> Result<Member, AddError> {
        match instance.join(&self.ring, writes) {
            Ok(()) => {
                self.members.push(Joined { instance, writes, has_copies: false });
                Ok(Member(self.members.len() - 1))
            }
            Err(error) => Err(AddError { error, instance: Box::new(instance) }),
        }
    }

    /// A free slot as a block. `None` while all slots have blocks; a slot is free again when nobody has its block any more.
    ///
    /// All bytes of the slot count as published and not consumed, so that a guest which attaches it for writing hears how many there are. Its
    /// writer finds the bytes of the block that was in the slot before; nobody reads it until something is published.
    #[must_use]
    pub fn slot(&self) -> Option<Block> {
        self.ring.slot()
    }

    /// Fills a block of the ring on the host's side: `fill` writes and returns how many bytes are valid, which are published then. Many may
    /// read them at a time if they are `shared`.
    ///
    /// # Errors
    /// As for [`Block::write`], and [`Refused::Internal`] for a block that is in no slot of the ring.
    pub fn fill(&mut self, block: &Block, shared: bool, fill: impl FnOnce(&mut [u8]) -> u32) -> Result<(), Refused> {
        let mut writing = self.ring.write(block, shared)?;
        let valid = writing.bytes(fill);
        writing.publish(valid);
        Ok(())
    }

    /// Calls a stage of an instance, as [`Instance::call_stage`] does. Blocks that are not of the ring are copied.
    ///
    /// An instance that had to be replaced joins the ring again before the call. If it cannot, blocks are copied for it from then on, and it
    /// cannot write blocks of the ring.
    ///
    /// # Errors
    /// As for [`Instance::call_stage`].
    ///
    /// # Panics
    /// If the group has no such member.
    pub fn call_stage(
        &mut self,
        member: Member,
        stage: Function,
        input: Option<Block>,
    ) -> Result<Option<Block>, Failure> {
        self.joined(member).call_stage(stage, input)
    }

    /// Calls a function of an instance, as [`Instance::invoke`] does. An instance that had to be replaced joins the ring again before the call,
    /// as for [`RingGroup::call_stage`].
    ///
    /// # Errors
    /// As for [`Instance::invoke`].
    ///
    /// # Panics
    /// If the group has no such member.
    pub fn invoke(&mut self, member: Member, function: Function) -> Result<Outcome<'_>, Failure> {
        self.joined(member).invoke(function)
    }

    /// The instance, which joins the ring again if it was replaced.
    fn joined(&mut self, member: Member) -> &mut Instance {
        let Joined { instance, writes, has_copies } = &mut self.members[member.0];
        if *has_copies {
            return instance;
        }
        if instance.status() != Status::Ready {
            // Made anew before it joins. If it cannot be made now, its call tries again and says why.
            let _ = instance.restore();
        }
        if instance.status() == Status::Ready && !instance.has_rings() {
            *has_copies = instance.join(&self.ring, *writes).is_err();
        }
        instance
    }

    /// Bytes of a slot: whole pages.
    #[must_use]
    pub fn slot_size(&self) -> u32 {
        self.ring.slot_size()
    }

    /// All bytes of the ring, as the host sees them: the slots in their order, each with a free page on either side.
    ///
    /// The pages of a member at its [`place`](RingGroup::place) show the same.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.ring.bytes()
    }

    /// An instance of the group.
    ///
    /// # Panics
    /// If the group has no such member.
    #[must_use]
    pub fn member(&self, member: Member) -> &Instance {
        &self.members[member.0].instance
    }

    /// Figures of an instance of the group. It cannot be called through this.
    ///
    /// # Panics
    /// If the group has no such member.
    pub fn block_counts(&mut self, member: Member) -> guest_blocks::Counts {
        self.members[member.0].instance.block_counts()
    }

    /// The range of the memory of an instance of the group that shows the ring; `None` if blocks are copied for it, and after it was replaced
    /// until its next call.
    ///
    /// # Panics
    /// If the group has no such member.
    pub fn place(&mut self, member: Member) -> Option<Range<usize>> {
        // It has joined no other.
        self.members[member.0].instance.rings().into_iter().next()
    }

    /// The state that an instance of the group reads. See [`Instance::state_mut`].
    ///
    /// # Panics
    /// If the group has no such member.
    pub fn state_mut(&mut self, member: Member) -> Option<&mut dyn State> {
        self.members[member.0].instance.state_mut()
    }

    /// The mutable globals of an instance of the group. See [`Instance::globals`].
    ///
    /// # Panics
    /// If the group has no such member.
    pub fn globals(&mut self, member: Member) -> Vec<(String, Val, Val)> {
        self.members[member.0].instance.globals()
    }

    /// Names of the tables of an instance of the group that changed. See [`Instance::changed_tables`].
    ///
    /// # Panics
    /// If the group has no such member.
    pub fn changed_tables(&mut self, member: Member) -> Vec<String> {
        self.members[member.0].instance.changed_tables()
    }
}

impl Instance {
    /// Maps a ring into the memory of this instance. See `RingGroup` for the rules that keep this sound.
    fn join(&mut self, ring: &Ring, writes: bool) -> Result<(), JoinError> {
        // Other strategies that restore in place would put pages of the ring back. One that is made anew restores nothing.
        let by_marks = self.plan.choice.strategy == RestoreStrategy::DirtyCards && !self.plan.is_custom;
        if self.plan.is_in_place() && !by_marks {
            return Err(JoinError::NotMappable);
        }
        if !self.is_pristine() && self.restore().is_err() {
            return Err(JoinError::NotPristine);
        }
        // A strategy that it would change to does not know of rings.
        self.plan.trial = None;
        match self.phase.live_mut() {
            Some(live) => blocks::join(&mut live.store, ring, writes),
            None => Err(JoinError::NotPristine),
        }
    }

    fn has_rings(&mut self) -> bool {
        self.phase.data_mut().and_then(|data| data.contract.blocks()).is_some_and(|blocks| blocks.has_rings())
    }

    /// The ranges of the instance's memory that belong to a ring. They are no part of its state: the snapshot does not have them, and no
    /// restore writes them.
    #[must_use]
    pub fn rings(&mut self) -> Vec<Range<usize>> {
        let blocks = self.phase.data_mut().and_then(|data| data.contract.blocks());
        blocks.map_or_else(Vec::new, |blocks| blocks.rings())
    }
}
