//! The host's side of an instance: its memory as host functions see it, the data of a call, and the limits.

pub(crate) mod call;
pub(crate) mod control_block;
pub(crate) mod data;
pub(crate) mod dirty_ranges;
pub(crate) mod guest_memory;
pub(crate) mod limits;
pub(crate) mod memory_location;
pub(crate) mod mode;
pub(crate) mod outcome;
pub(crate) mod output;
pub(crate) mod secrets;
pub(crate) mod supervisor;
