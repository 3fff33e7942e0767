//! The files that a guest serves below its mount. They are read once for each version of the guest, and served from memory:
//! a request finds what was read, or nothing, so no path of a request leads out of the folder.

mod kind;
mod read;
mod respond;

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Bytes;
use hyper::header::HeaderValue;

use crate::folder::Stamp;
pub use read::{Listed, list};

/// The files of one version of a guest. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct StaticFiles {
    /// By the path behind the mount, which begins with `/` and is not encoded.
    by_path: Arc<HashMap<String, File>>,
}

#[derive(Debug, Clone)]
struct File {
    contents: Bytes,
    content_type: &'static str,
    etag: HeaderValue,
    stamp: Stamp,
}

impl StaticFiles {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_path.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_path.is_empty()
    }

    /// Bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.by_path.values().map(|file| file.contents.len() as u64).sum()
    }

    /// Whether both have the same files with the same contents.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let has =
            |path: &String, file: &File| other.by_path.get(path).is_some_and(|other| other.contents == file.contents);
        self.by_path.len() == other.by_path.len() && self.by_path.iter().all(|(path, file)| has(path, file))
    }
}

#[cfg(test)]
mod tests;
