#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

pub mod answer;
pub mod arguments;
mod connections;
pub mod invoker;
pub mod json;
pub mod metrics;
pub mod run;
pub mod service;
pub mod state;
pub mod store;
pub mod turns;
