//! A sample of the book whose tests read a file: the program runs in the folder of its package, where the file is.

include!(concat!(env!("OUT_DIR"), "/alone_count_up.rs"));
