//! Grows its memory with each call, with whichever allocator it was built.

mod grow;
