//! Integration tests: the runner finds what is broken, pages are claimed as documented.

mod broken;
mod claiming;
