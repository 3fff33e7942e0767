//! Tests of the server by its library and as a process.

mod catalog;
mod client;
mod clients;
mod deployments;
mod guests;
mod neighbours;
mod requests;
mod server;
