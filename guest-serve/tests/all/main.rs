//! Tests of the server by its library and as a process.

mod admin;
#[cfg(unix)]
mod away;
mod book;
mod catalog;
mod changes;
mod client;
mod clients;
mod counters;
#[cfg(unix)]
mod counting;
mod deployments;
#[cfg(target_os = "linux")]
mod full_disk;
mod guests;
mod http_functions;
#[cfg(unix)]
mod kills;
mod modules;
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
#[cfg(unix)]
mod tenants;
#[cfg(unix)]
mod vanishing;
mod whole;
