//! Compiles and runs the Rust samples of the book, as they stand in its pages.
//!
//! The build script makes a module of each fenced block of Rust, and the test `pages` compiles all of them into one program. A
//! block may have a name behind a comma: blocks of one page with the same name are one module. `no_run` instead of a name
//! compiles a sample whose `main` is not run. A name that begins with `alone_` makes a program of its own, for samples that
//! state a global allocator, or read a file of this folder; `tests/` has a file for each. `tests/checks/PAGE_NAME.rs`, where there
//! is one, has tests of a sample that its page does not show.
//!
//! Each block keeps its place: line 10 of a page is line 10 of the module's file, and both have the same name. So errors of the
//! compiler and of tests say where in the book to look.
