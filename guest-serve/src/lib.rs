#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod admin;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod deployment;
pub mod error;
pub mod files;
pub mod folder;
pub mod monitor;
pub mod registry;
pub mod server;
