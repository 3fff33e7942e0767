//! Drives headless Chromium over pages on this machine, and checks what a reader would see of them.

mod browser;
mod checks;
mod events;
mod questions;
mod sorting;

pub use browser::{Browser, program};
pub use checks::{Check, Complaint, Screenshots, complaints};
