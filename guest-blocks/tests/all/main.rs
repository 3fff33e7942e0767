//! Programs of operations of several guests against a model, and each violation by itself.

mod guest;
mod model;
mod programs;
mod threads;
mod violations;
