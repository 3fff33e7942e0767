//! Integration tests of `guest-build`.

mod building;
