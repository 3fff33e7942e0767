//! Programs of operations of several guests against a model, and each violation by itself; topics likewise, and on threads.

mod bytes;
mod guest;
mod mapped;
mod model;
mod programs;
mod threads;
mod topic_programs;
mod topic_threads;
mod topics;
mod violations;
