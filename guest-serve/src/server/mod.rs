//! The life of the process: read the folder, listen, serve, watch, stop.

mod connections;
pub mod threads;
