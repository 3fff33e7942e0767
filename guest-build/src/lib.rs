//! Finds or installs what compiles `wasm32-unknown-unknown`, and builds guest crates with it.
//!
//! [`Toolchain::find_or_install`] tries the ways there are in a fixed order and says which one it took;
//! [`GuestBuild`] compiles one guest with one [`Allocator`] and puts the module where the caller wants it. For guests in C
//! [`Clang`] is found in the same way, [`StaticLibrary`] compiles what they link, and [`CGuest`] the guest.
//! This crate starts compilers and knows nothing of any wasm engine.
//!
//! ```no_run
//! use guest_build::{Allocator, GuestBuild};
//!
//! let module = GuestBuild::new("guests/shop/Cargo.toml")
//!     .allocator(Allocator::BumpReset)
//!     .build()?;
//! println!("{}", module.display());
//! # Ok::<(), guest_build::Error>(())
//! ```

mod allocator;
mod c_guest;
mod complaint;
mod environment;
mod error;
mod guest;
mod listing;
mod package;
mod plain;
mod process;
mod running;
mod static_library;
mod toolchain;

pub use allocator::{Allocator, UnknownAllocator};
pub use c_guest::{CGuest, CModel};
pub use environment::clean;
pub use error::{Error, WayFailure};
pub use guest::GuestBuild;
pub use listing::{Guest, guests};
pub use plain::{BuiltGuest, PlainCargo, quoted};
pub use running::{end_all, start_in_groups};
pub use static_library::StaticLibrary;
pub use toolchain::{Clang, ClangWay, Finder, Toolchain, Way, begins_standard_library};

#[doc(hidden)]
pub use toolchain::install_debian_packages;

/// The target that every guest is compiled for.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The oldest Rust that compiles a guest, as guest crates state it: `(major, minor)`.
pub const MINIMUM_RUST: (u32, u32) = (1, 88);

/// What a progress line is handed to: one line of a running command, without its newline.
pub type Progress = std::sync::Arc<dyn Fn(&str) + Send + Sync>;
