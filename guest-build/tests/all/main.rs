//! Integration tests of `guest-build`.

mod building;
mod c_guests;
mod foreign_guests;
