//! Tests of the server by its library and as a process.

mod admin;
mod catalog;
mod client;
mod deployments;
mod guests;
mod process;
mod stopping;
