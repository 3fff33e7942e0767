//! Integration tests: the interface over a fake memory, the static libraries inside wasm, and the headers.

mod broken;
mod calls;
mod programs;
mod through;
