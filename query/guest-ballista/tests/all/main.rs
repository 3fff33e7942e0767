//! Functions of modules on executors: in one process, and in a cluster of real ones.

mod aggregates;
mod cluster;
mod codec;
mod ends;
mod interrupt;
mod queries;
mod support;
mod tables;
mod tampered;
