#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod applier;
pub mod calls;
pub mod cli;
pub mod connect;
pub mod entries;
pub mod error;
pub mod executor;
pub mod feed;
pub mod keeper;
pub mod lease;
pub mod names;
pub mod outputs;
pub mod partition;
pub mod placement;
pub mod record;
pub mod records;
pub mod server;
pub mod told;
pub mod versions;
