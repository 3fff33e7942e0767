//! Tests of the server by its library and as a process.

mod admin;
mod book;
mod catalog;
mod changes;
mod client;
mod clients;
mod counters;
mod deployments;
mod guests;
mod http_functions;
#[cfg(unix)]
mod kills;
mod neighbours;
mod pages;
mod process;
#[cfg(unix)]
mod programs;
#[cfg(unix)]
mod records;
mod requests;
mod secrets;
mod server;
#[cfg(target_os = "linux")]
mod soak;
mod stopping;
mod streams;
mod whole;
