#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod config;
pub mod deployment;
pub mod error;
pub mod files;
pub mod folder;
pub mod monitor;
pub mod registry;
pub mod server;
