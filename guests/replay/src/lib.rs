//! Uses memory as programs do, with the guest's own allocator: replays allocation traces, and runs a few workloads.

mod replay;
mod workloads;
