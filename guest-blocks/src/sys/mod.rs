//! Memory files, and pages of guests that are replaced by mappings of them: all calls of the system, and all unsafe code of this crate.
//!
//! On Linux, with the feature `map`, `linux` is used, and `none` elsewhere. There a file cannot be made, so that nothing else is ever
//! called.

#[cfg(all(feature = "map", target_os = "linux"))]
mod linux;
#[cfg(not(all(feature = "map", target_os = "linux")))]
mod none;

#[cfg(all(feature = "map", target_os = "linux"))]
pub use linux::Pages;
#[cfg(all(feature = "map", target_os = "linux"))]
pub(crate) use linux::{File, RawFile};
#[cfg(not(all(feature = "map", target_os = "linux")))]
pub use none::Pages;
#[cfg(not(all(feature = "map", target_os = "linux")))]
pub(crate) use none::{File, RawFile};

/// Bytes of a page. Where the system has others, no file can be made.
pub(crate) const PAGE: usize = 4096;
