//! The passes. Each plans what it adds and replaces; `splice` carries the plans out.

pub(crate) mod allocations;
pub(crate) mod allocators;
pub(crate) mod barrier;
pub(crate) mod entrances;
pub(crate) mod globals;
pub(crate) mod growth;
pub(crate) mod stack;
