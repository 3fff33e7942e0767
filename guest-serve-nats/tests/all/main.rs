//! Tests with a real NATS server and with processes of the program.

mod applying;
mod check;
mod client;
#[cfg(unix)]
mod faults;
mod guests;
mod nats;
mod process;
#[cfg(unix)]
mod serving;
mod sizes;
mod turns;
