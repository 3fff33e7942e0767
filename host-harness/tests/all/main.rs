//! Integration tests of the harness, a file for each topic.

mod admission;
mod prepare;
mod prepare_random;
