//! Integration tests of `guest-build`.

mod building;
mod c_guests;
