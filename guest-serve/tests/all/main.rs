//! Tests of the server by its library and as a process.

mod catalog;
mod deployments;
mod guests;
