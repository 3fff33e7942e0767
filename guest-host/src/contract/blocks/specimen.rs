//! Blocks that are broken on purpose, for tests of what checks restores.

/// The fault of an instance whose memory blocks are broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockSpecimen {
    /// Blocks, their numbers and their attachments survive a restore.
    SurvivesRestore,
    /// The bytes of attachments survive a restore.
    KeepsBytes,
    /// An attachment has the bytes that the place had before, and not those of the block.
    StaleView,
    /// Attachments that a call leaves end as if the guest had detached the blocks: those that it was writing are published, and those
    /// that it was reading are consumed.
    PublishesEarly,
    /// The bytes of a writer do not get into the block.
    LosesCopy,
    /// A guest that only reads a ring writes to its own pages of the ring, and the restore leaves these bytes. The pages do not show the ring any
    /// more.
    KeepsRingPages,
}

impl BlockSpecimen {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::SurvivesRestore,
        Self::KeepsBytes,
        Self::StaleView,
        Self::PublishesEarly,
        Self::LosesCopy,
        Self::KeepsRingPages,
    ];
}
