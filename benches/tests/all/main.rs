//! Tests on the built guests.

mod instructions;
