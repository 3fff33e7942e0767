//! Pipelines: guests that hand each other memory blocks, each on a thread of its own.
//!
//! A pipeline has one [`Source`] and any number of stages. A stage is a guest's function that takes a block and may return one. It takes
//! its blocks from the source or from an earlier stage, through a bounded queue. Several stages may take from the same one: each
//! gets the same blocks. So a pipeline is a tree, and never waits for itself.
//!
//! Two kinds of links connect stages:
//!
//! | takers | link | blocks |
//! |---|---|---|
//! | one | a queue | go from hand to hand. The taker may write them |
//! | several | a [`Topic`](guest_host::blocks::Topic) | must be shared, and nobody writes them: a guest publishes them with `write_shared` |
//!
//! Each queue has a bound and a policy for the case that it is full, [`WhenFull`]. A stage that fails either stops the pipeline or loses
//! the frame, as its [`OnFailure`] says. Nothing else passes from a stage to another. If the pipeline stops, the source ends, and every
//! other stage still handles the blocks in its queue.
//!
//! [`PipeConfig`] reads a pipeline from a TOML file, [`Pipeline`] checks and runs it, an [`Observer`] sees it run, and a [`PipeReport`] has the
//! figures.

mod config;
mod error;
mod link;
mod pipeline;
mod queue;
mod report;
mod run;
mod source;

pub use config::{OnFailure, PipeConfig, SOURCE, StageConfig, WhenFull};
pub use error::PipeError;
pub use pipeline::{Observer, Pipeline};
pub use report::{PipeReport, QueueReport, StageReport};
pub use source::{Source, generate};
