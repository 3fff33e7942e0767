//! Integration tests of the harness, a file for each topic.

mod admission;
mod alignments;
mod allocations;
mod awaiting;
mod bare;
mod barrier;
mod blocks;
mod budget;
mod c_allocators;
mod empty_ranges;
mod engines;
mod exttinygo;
mod failing_restores;
mod foreign;
mod guests;
mod keeping_state;
mod measure;
mod memory;
mod metrics;
mod pipe;
mod prepare;
mod spans;
#[cfg(target_os = "linux")]
mod swap;
mod traps;
mod verify;
mod wasi;
