#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod admin;
pub mod call;
pub mod catalog;
pub mod cli;
pub mod config;
pub mod deployment;
pub mod error;
pub mod files;
pub mod folder;
pub mod http;
pub mod lanes;
pub mod monitor;
pub mod programs;
pub mod rate;
pub mod records;
pub mod registry;
mod room;
pub mod server;
