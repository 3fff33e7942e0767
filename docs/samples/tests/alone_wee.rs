//! A sample of the book that states a global allocator: the program that it is in runs with it.

include!(concat!(env!("OUT_DIR"), "/alone_wee.rs"));

#[test]
fn the_allocator_serves() {
    assert_eq!(vec![7_u8; 1000].len(), 1000);
}
