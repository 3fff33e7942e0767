//! The runner's model: the live allocations, and the values that the counters must have.

use crate::ControlBlockImage;
use core::fmt::Write;
use std::{string::String, vec::Vec};

/// An allocation that the guest holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Allocation {
    pub(super) address: u32,
    pub(super) size: usize,
    pub(super) align: usize,
    /// Number of the pattern in it.
    pub(super) seed: usize,
}

impl Allocation {
    pub(super) fn end(&self) -> u64 {
        u64::from(self.address) + self.size as u64
    }
}

/// The counters, as the contract of the control block defines them, and the live allocations, oldest first.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    pub(super) live: Vec<Allocation>,
    allocations: u64,
    deallocations: u64,
    reallocations: u64,
    allocated_bytes: u64,
    freed_bytes: u64,
    peak_live_bytes: u64,
    failed: (u32, u32),
}

impl Model {
    pub(super) fn allocated(&mut self, allocation: Allocation) {
        self.allocations += 1;
        self.requested(allocation.size);
        self.live.push(allocation);
    }

    pub(super) fn deallocated(&mut self, index: usize) {
        self.deallocations += 1;
        self.freed_bytes += self.live.remove(index).size as u64;
    }

    pub(super) fn reallocated(&mut self, index: usize, now: Allocation) {
        self.reallocations += 1;
        let before = self.live[index].size;
        match now.size.checked_sub(before) {
            Some(more) => self.requested(more),
            None => self.freed_bytes += (before - now.size) as u64,
        }
        self.live[index] = now;
    }

    pub(super) fn refused(&mut self, size: usize, align: usize) {
        let saturate = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        self.failed = (saturate(size), saturate(align));
    }

    /// The live allocation, other than the one at `except`, that shares bytes with this one.
    pub(super) fn overlap(&self, of: &Allocation, except: Option<usize>) -> Option<Allocation> {
        let others = self.live.iter().enumerate().filter(|(index, _)| Some(*index) != except);
        others
            .map(|(_, other)| *other)
            .find(|other| u64::from(other.address) < of.end() && u64::from(of.address) < other.end())
    }

    /// Describes the fields of a control block that differ from the values that they must have.
    pub(super) fn differences(&self, image: &ControlBlockImage) -> Option<String> {
        let mut text = String::new();
        let mut compare = |name: &str, found: u64, expected: u64| {
            if found != expected {
                let _ = write!(text, "{name} is {found} instead of {expected}; ");
            }
        };
        if image.counts() {
            compare("allocations", image.allocations, self.allocations);
            compare("deallocations", image.deallocations, self.deallocations);
            compare("reallocations", image.reallocations, self.reallocations);
            compare("allocated_bytes", image.allocated_bytes, self.allocated_bytes);
            compare("freed_bytes", image.freed_bytes, self.freed_bytes);
            compare("peak_live_bytes", image.peak_live_bytes, self.peak_live_bytes);
        } else {
            compare("allocations", image.allocations, 0);
            compare("allocated_bytes", image.allocated_bytes, 0);
        }
        compare("failed_size", image.failed_size.into(), self.failed.0.into());
        compare("failed_align", image.failed_align.into(), self.failed.1.into());
        (!text.is_empty()).then_some(text)
    }

    fn requested(&mut self, size: usize) {
        self.allocated_bytes += size as u64;
        self.peak_live_bytes = self.peak_live_bytes.max(self.allocated_bytes - self.freed_bytes);
    }
}
