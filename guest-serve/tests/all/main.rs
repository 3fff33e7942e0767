//! Tests of the server by its library and as a process.

mod deployments;
mod guests;
