//! Stamps of files, by which a change is noticed without reading them.

use std::fs::Metadata;
use std::time::SystemTime;

/// Length and times of a file. A file that changed has another one; a file with another one need not have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    /// The inode and its own time: a copy may keep the time of its original.
    #[cfg(unix)]
    node: (u64, i64, i64),
}

impl Stamp {
    /// The stamp of a file.
    #[must_use]
    pub fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;

        Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            node: (metadata.ino(), metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}
