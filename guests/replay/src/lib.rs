//! Replays an allocation trace with the guest's own allocator.

mod replay;
