//! `memcpy`, which is the baseline of everything that moves bytes.

use std::hint::black_box;

/// Bytes that are copied, from one place to another.
#[derive(Debug)]
pub struct Copies {
    from: Vec<u8>,
    to: Vec<u8>,
}

impl Copies {
    /// So many bytes.
    #[must_use]
    pub fn new(length: usize) -> Self {
        Self { from: vec![1; length], to: vec![2; length] }
    }

    /// Copies all of them.
    pub fn copy(&mut self) {
        self.to.copy_from_slice(black_box(&self.from));
        black_box(&mut self.to);
    }
}
