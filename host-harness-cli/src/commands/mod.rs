//! One file for each command: it reads what was named, calls the library, and returns what was found.

pub(super) mod build;
pub(super) mod call;
pub(super) mod compare;
pub(super) mod compile;
pub(super) mod find;
pub(super) mod functions;
pub(super) mod generate;
pub(super) mod inspect;
pub(super) mod measure;
pub(super) mod new;
pub(super) mod pipe;
pub(super) mod program;
pub(super) mod replay;
pub(super) mod run;
pub(super) mod schema;
pub(super) mod verify;
pub(super) mod watch;

mod building;
mod memory;
mod starving;
mod table;
