//! The program as a whole, as a process of its own on a loopback address, and its store beside the in-memory state.

#[cfg(unix)]
mod book;
mod client;
mod guest;
mod killed;
mod load;
mod process;
mod routes;
mod stopping;
mod store;
