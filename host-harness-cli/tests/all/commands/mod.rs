//! A file for each command, and one for the behaviour that commands share.

mod answer;
mod build;
mod compile;
mod every;
mod find;
mod functions;
mod generate;
mod inspect;
mod measure;
pub(crate) mod new;
mod pipe;
mod program;
mod replay;
mod run;
mod run_metrics;
mod verify;
mod watch;
