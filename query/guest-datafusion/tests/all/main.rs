//! Functions of modules in queries, through SQL.

mod aggregates;
mod create;
mod ends;
mod memory;
mod plans;
mod support;
mod tables;
mod types;
