//! Functions of modules in queries, through SQL.

mod create;
mod ends;
mod memory;
mod plans;
mod support;
mod types;
