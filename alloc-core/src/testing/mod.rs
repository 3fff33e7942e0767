//! Native tests of allocators: a fake memory and a runner of random programs.
//!
//! A [`Runner`] carries out a program of [`Operation`]s with an allocator over a [`FakeMemory`], and checks the content of
//! every live allocation and every counter against a model. [`programs`] makes random programs. [`pages_stay_flat`] repeats
//! a program from the same snapshot and checks that memory does not grow from round to round.
//!
//! A violation is returned as a value, so that a test can also prove that a broken allocator is caught.
//!
//! ```
//! use alloc_core::testing::{FakeMemory, Operation, Rules, Runner};
//! use alloc_core::{ADDRESS_END, AllocatorKind, BumpAllocator, Leaking};
//!
//! let memory = FakeMemory::new(0x10_0000, 4);
//! let allocator = BumpAllocator::<Leaking, _>::over(&memory);
//! let rules = Rules { kind: AllocatorKind::Leaking, heap_end: ADDRESS_END, overhead: 0, resets: None };
//! let program = [
//!     Operation::Allocate { size: 100, align: 8, zeroed: false },
//!     Operation::Snapshot,
//!     Operation::Reallocate { which: 0, size: 5000 },
//!     Operation::Restore { virtual_growth: false },
//!     Operation::Deallocate(0),
//! ];
//! Runner::new(&memory, allocator, rules).run(&program)?;
//! # Ok::<(), alloc_core::testing::Violation>(())
//! ```

mod fake_memory;
mod model;
mod pattern;
mod program;
mod runner;

pub use fake_memory::{FakeMemory, Saved};
pub use program::{Operation, Residue, programs};
pub use runner::{ResetCalls, Rules, Runner, Violation, pages_stay_flat};
