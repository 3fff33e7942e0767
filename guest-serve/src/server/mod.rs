//! The life of the process: read the folder, listen, serve, watch, stop.

pub mod threads;
