#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
#![cfg_attr(not(any(feature = "map", test)), forbid(unsafe_code))]

mod block;
mod content;
mod error;
mod memory;
mod ranges;
mod ring;
mod slots;
mod state;
mod storage;
mod sys;
mod table;
mod topic;

pub use block::{Block, Mode, Reading, Writing};
pub use error::{JoinError, Refused, Violation};
pub use memory::{GUARD, GuestMemory, LARGEST_CARD, PlainMemory, Written};
pub use ring::Ring;
pub use sys::Pages;
pub use table::{Area, BlockTable, Counts, Limits};
pub use topic::{Frame, Full, PublishError, ReceiveError, Subscriber, SubscriberMetrics, Topic, TopicMetrics};
