//! The program, with a scheduler and executors as processes, and the page of the book that leads to it, followed as it is written.
#![cfg(unix)]

mod guide;
mod page;
mod program;
mod shell;
