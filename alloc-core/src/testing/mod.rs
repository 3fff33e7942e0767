//! What allocators are tested with natively: a fake memory and a runner of random programs. Not for guests.
//!
//! A [`Runner`] carries out a program of [`Operation`]s with an allocator over a [`FakeMemory`] and checks it against
//! a model of what every live allocation holds and what every counter says. [`programs`] makes random ones.
//! [`pages_stay_flat`] repeats a program from the same snapshot and sees that memory does not creep.
//!
//! A violation comes back as a value, so that a test can also prove that a broken allocator is caught.

mod fake_memory;
mod model;
mod pattern;
mod program;
mod runner;

pub use fake_memory::{FakeMemory, Saved};
pub use program::{Operation, Residue, programs};
pub use runner::{ResetCalls, Rules, Runner, Violation, pages_stay_flat};
