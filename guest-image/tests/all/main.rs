//! Tests of images through the public interface.

mod bytes;
mod files;
mod model;
