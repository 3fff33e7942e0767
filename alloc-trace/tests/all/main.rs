//! Integration tests of traces, a file for each topic.

mod recording;
mod round_trip;
mod traces;
