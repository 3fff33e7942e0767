//! Typed functions: called as functions, and through what a guest exports, over columns in every encoding.

mod batches;
mod columns;
mod declarations;
mod rows;
