//! The errors of the contract, and what ends a call.

/// Why a block cannot be attached, or storage not be taken, now: a guest can go on. These are the errors of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[repr(u8)]
pub enum Refused {
    /// No storage that is free and large enough.
    #[error("the guest has offered no storage that is free and large enough; offer more, or detach a block first")]
    NoStorage = 0,
    /// The block is attached already, others may read it as a frame of a topic, or there is nothing to read.
    #[error("the block is attached already, belongs to several takers, or has nothing to read")]
    Busy = 1,
    /// Storage that is too small for anything.
    #[error("the storage is too small")]
    WrongSize = 2,
    /// A block that this host cannot attach in this way.
    #[error("the host cannot attach the block in this way")]
    Internal = 3,
}

impl Refused {
    /// Its number in the contract.
    #[must_use]
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// A breach of the rules by a guest. It ends the call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// An id that the guest was not given, or that it has dropped.
    #[error(
        "{id:#x} is no block of this guest: it was dropped, is of an earlier call or another guest's, or was made up"
    )]
    UnknownBlock {
        /// The id.
        id: u32,
    },
    /// A block that is used up while it is attached.
    #[error("the block {id:#x} is attached; detach it first")]
    Attached {
        /// The id.
        id: u32,
    },
    /// A block that is detached, and was not attached.
    #[error("the block {id:#x} is not attached")]
    NotAttached {
        /// The id.
        id: u32,
    },
    /// Flags that the contract does not have.
    #[error("{flags:#x} is no combination of the flags 1 (write) and 2 (shared)")]
    Flags {
        /// The flags.
        flags: u32,
    },
    /// More bytes published or consumed than there are.
    #[error(
        "{bytes} bytes of the block {id:#x} were reported at detach, and at most {most} may be: a writer publishes no more than the \
         size, and a reader consumes no more than it has to read, and nothing of a shared block"
    )]
    Length {
        /// The id.
        id: u32,
        /// Bytes that the guest reported.
        bytes: u32,
        /// Bytes that there are; 0 consumed bytes of a shared block.
        most: u32,
    },
    /// A block, or all of them together, larger than the guest may have.
    #[error("a block of {bytes} bytes is more than the {left} bytes that the guest may have still")]
    TooLarge {
        /// Bytes of the block.
        bytes: u32,
        /// Bytes that it may have.
        left: u64,
    },
    /// More blocks than the guest may have, or more separate ranges that one attachment hands out as parts.
    #[error(
        "the guest has {most} blocks, or as many parts of one attachment, and may have no more; drop some, or detach"
    )]
    TooMany {
        /// How many it may have.
        most: usize,
    },
    /// A block that is used while the guest is initialised.
    #[error("blocks belong to calls: a guest that is initialised may offer storage, and nothing else")]
    Initialising,
    /// Storage, or a local block, outside of the memory.
    #[error("{size} bytes at {address:#x} are not in the guest's memory")]
    Outside {
        /// Its address.
        address: u32,
        /// Its bytes.
        size: u32,
    },
    /// Storage, or a local block, where something else is.
    #[error("{size} bytes at {address:#x} overlap {with}")]
    Overlaps {
        /// Its address.
        address: u32,
        /// Its bytes.
        size: u32,
        /// The other use of the memory.
        with: &'static str,
    },
    /// A part that is not within its block.
    #[error("{size} bytes at {start} are no part of the block {id:#x}, which has {most} bytes")]
    NoPart {
        /// The id of the block.
        id: u32,
        /// The part's first byte.
        start: u32,
        /// The part's bytes.
        size: u32,
        /// The block's bytes.
        most: u32,
    },
    /// A part that another holder has, or that overlaps another part.
    #[error("{size} bytes at {start} of the block {id:#x} are in use")]
    PartInUse {
        /// The id of the block.
        id: u32,
        /// The part's first byte.
        start: u32,
        /// The part's bytes.
        size: u32,
    },
    /// A local block that another guest would get.
    #[error("the block {id:#x} is local: its bytes are in this guest's memory, and nobody else can have it")]
    Local {
        /// The id of the block.
        id: u32,
    },
    /// A part of a block that has none: of a local block, or one to be written of bytes that are only read or in a ring.
    #[error(
        "the block {id:#x} has no such parts: it is local, its bytes are only read, or it is in a ring and the part would be written"
    )]
    NotParted {
        /// The id of the block.
        id: u32,
    },
    /// A mapping that the system cannot end. The guest is not to blame, and must not run again.
    #[error("the system cannot end the mapping of a block")]
    NotUnmapped,
    /// Bytes that the guest wrote, and may only read.
    #[error("the guest wrote into a block that it has attached for reading, near {address:#x}")]
    WroteWhileReading {
        /// The address of the bytes.
        address: u32,
    },
    /// Bytes that the guest wrote after it had detached the block.
    #[error("the guest wrote into a block that it had detached, near {address:#x}")]
    WroteAfterDetach {
        /// The address of the bytes.
        address: u32,
    },
    /// Bytes that the guest wrote after it had handed out the part of the block that they are in.
    #[error("the guest wrote into a part of a block that it had handed out, near {address:#x}")]
    WroteHandedOut {
        /// The address of the bytes.
        address: u32,
    },
}

/// Why a guest cannot join a ring.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JoinError {
    /// A guest that has blocks, or has offered storage since it was initialised.
    #[error("the guest has blocks, or storage that it offered in a call; join it to the ring before it is called")]
    NotPristine,
    /// Memory whose pages cannot be replaced by mappings, or a guest without a write barrier.
    #[error(
        "pages of the guest's memory cannot be mapped: the host must allow it, the system be Linux, the instance not be from a pool and \
         be restored by the marks of a write barrier"
    )]
    NotMappable,
    /// A guest without enough storage of zeros.
    #[error(
        "the guest has offered no {bytes} bytes of storage in one piece that are 0: offer them when it is initialised \
         (`block::add_ring_storage` of guest-sdk), with a memory limit that has room for them, or make the ring smaller"
    )]
    NoStorage {
        /// Bytes that the ring needs.
        bytes: usize,
    },
    /// A refusal by the system.
    #[error("the system refused to make or map the ring, which may be too large: {0}")]
    System(#[source] std::io::Error),
}
