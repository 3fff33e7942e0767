//! Integration tests of the harness, a file for each topic.

mod admission;
mod barrier;
mod cli;
mod cli_guests;
mod cli_input;
mod guests;
mod measure;
mod prepare;
mod prepare_random;
mod verify;
