//! Integration tests of the harness, a file for each topic.

mod admission;
mod allocations;
mod barrier;
mod c_allocators;
mod exttinygo;
mod failing_restores;
mod guests;
mod keeping_state;
mod measure;
mod metrics;
mod prepare;
mod traps;
mod verify;
mod wasi;
