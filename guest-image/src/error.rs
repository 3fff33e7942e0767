//! Errors of images: of their bytes, and of the files that hold them.

use std::path::{Path, PathBuf};

/// Why bytes are no image that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Bytes that do not begin as an image does.
    #[error("this is no image of an instance")]
    NoImage,
    /// A format that this version does not read.
    #[error("the image has format {found}, and this version reads format {read}; use the version that wrote it")]
    Format {
        /// The image's format.
        found: u16,
        /// The format that this version reads and writes.
        read: u16,
    },
    /// An image that ends too early.
    #[error("the image ends after {found} of {expected} bytes")]
    Truncated {
        /// Bytes that are there.
        found: u64,
        /// Bytes that its header tells.
        expected: u64,
    },
    /// A checksum that does not fit the bytes.
    #[error("the image is damaged: its checksum does not fit; use a copy of it")]
    Damaged,
    /// Contents that no instance has.
    #[error("the image contradicts itself: {what}")]
    Invalid {
        /// The contradiction.
        what: &'static str,
    },
    /// An image of one kind where another belongs.
    #[error("this is {found}, and {expected} is needed")]
    Kind {
        /// The kind that was found.
        found: &'static str,
        /// The kind that is needed.
        expected: &'static str,
    },
    /// An image of an instance of another module.
    #[error("the image is of the module {found}, and not of {expected}", found = hex(found), expected = hex(expected))]
    OtherModule {
        /// Hash of the image's module.
        found: [u8; 32],
        /// Hash of the module that it was to be used with.
        expected: [u8; 32],
    },
    /// An image of an instance of the same module that began otherwise, for instance with another exchange region.
    #[error(
        "the image is of an instance of the same module that began otherwise; make instances with the configuration that \
         it had, or rebase the image by the base that belongs to it"
    )]
    OtherSnapshot,
    /// A change that does not follow the state that it was to be applied to.
    #[error("the change follows the state {after}, and this is the state {number}")]
    NotNext {
        /// Number of the state that it follows.
        after: u64,
        /// Number of the state that is there.
        number: u64,
    },
}

/// Why an image in a file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The system's reason. The image that the file had is still there.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The operation that failed.
        action: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Contents that cannot be used.
    #[error("{}: {source}", path.display())]
    Image {
        /// The file.
        path: PathBuf,
        /// The fault of the contents.
        source: ImageError,
    },
    /// A file that another process, or another part of this one, has open.
    #[error("{}: the image is in use; close it there first", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
}

impl FileError {
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io { path: path.to_owned(), action, source }
    }

    pub(crate) fn image(path: &Path) -> impl FnOnce(ImageError) -> Self {
        move |source| Self::Image { path: path.to_owned(), source }
    }
}

/// The first bytes of a hash, which tell it apart from others.
fn hex(hash: &[u8; 32]) -> String {
    hash[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}
