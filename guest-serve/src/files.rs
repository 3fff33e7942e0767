//! The files that a guest serves below its mount. They are read once for each version of the guest, and served from memory.

use axum::body::Bytes;
use hyper::{HeaderMap, Method, Response};

/// The files of one version of a guest.
#[derive(Debug, Clone, Default)]
pub struct StaticFiles {}

impl StaticFiles {
    /// The response to a request for the path `rest`, which stands behind the mount of the guest; `None` if no file has
    /// it, or if the method is neither GET nor HEAD.
    ///
    /// `mount` is the guest's, for redirections to the path of a folder.
    #[must_use]
    pub fn respond(&self, method: &Method, mount: &str, rest: &str, headers: &HeaderMap) -> Option<Response<Bytes>> {
        let _ = (method, mount, rest, headers);
        None
    }
}
