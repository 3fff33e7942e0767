//! Tests of the server by its library and as a process.

mod admin;
mod book;
mod catalog;
mod changes;
mod client;
mod clients;
mod deployments;
mod guests;
mod neighbours;
mod process;
mod requests;
mod server;
mod stopping;
mod whole;
