//! [The shim](shim) under the name of the package that it stands for.
//!
//! `[patch.crates-io]` replaces a package only by one of the same name.

#![no_std]

pub use shim::*;
