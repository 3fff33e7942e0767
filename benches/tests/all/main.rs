//! Tests on the built guests.

mod heap_start;
mod instructions;
