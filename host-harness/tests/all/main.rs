//! Integration tests of the harness, a file for each topic.

mod admission;
mod allocations;
mod barrier;
mod c_allocators;
mod counted_calls;
mod exttinygo;
mod failing_restores;
mod foreign;
mod guests;
mod keeping_state;
mod lowest_stack;
mod measure;
mod metrics;
mod prepare;
mod traps;
mod verify;
mod wasi;
