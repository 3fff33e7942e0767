#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod block;
mod content;
mod error;
mod memory;
mod ranges;
mod state;
mod storage;
mod table;
mod topic;

pub use block::{Block, Mode, Reading, Writing};
pub use error::{Refused, Violation};
pub use memory::{GUARD, GuestMemory, LARGEST_CARD, PlainMemory, Written};
pub use table::{Area, BlockTable, Counts, Limits};
pub use topic::{Frame, Full, PublishError, ReceiveError, Subscriber, SubscriberMetrics, Topic, TopicMetrics};
