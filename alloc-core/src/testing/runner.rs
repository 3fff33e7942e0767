//! Carries programs out and checks every step.
#![expect(unsafe_code, reason = "calls a `GlobalAlloc` and uses its allocations")]

use super::{
    fake_memory::{FakeMemory, Saved},
    model::{Allocation, Model},
    pattern,
    program::{Operation, Residue},
};
use crate::{ADDRESS_END, AllocatorKind, ControlBlockImage, Memory, PAGE_SIZE};
use core::{
    alloc::{GlobalAlloc, Layout},
    fmt,
    mem::MaybeUninit,
    ptr,
};
use std::{boxed::Box, format, string::String, vec::Vec};

/// Description of a step in which an allocator broke its rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Violation {}

/// Rules that an allocator must keep.
#[derive(Debug)]
pub struct Rules<A> {
    /// Kind that it writes to the control block.
    pub kind: AllocatorKind,
    /// Highest end of its heap.
    pub heap_end: u32,
    /// Number of bytes that it may need beyond the size and the alignment of a request. With 0, it may refuse only requests
    /// that do not fit above `top`.
    pub overhead: u64,
    /// Functions that reset it; `None` if it cannot be reset.
    pub resets: Option<ResetCalls<A>>,
}

/// The functions of an allocator that can be reset.
#[derive(Debug)]
pub struct ResetCalls<A> {
    /// Sets the mark.
    pub mark: fn(&A),
    /// Resets to the mark. The runner drops all allocations above the mark first.
    pub reset: unsafe fn(&A),
}

/// An allocator, its memory, and a model of both. See the [module](super) for an example.
pub struct Runner<'m, A> {
    memory: &'m FakeMemory,
    allocator: Box<A>,
    rules: Rules<A>,
    model: Model,
    snapshot: Option<Snapshot<A>>,
    marked: Option<Marked>,
    /// Number of patterns used so far.
    seeds: usize,
}

/// The host's snapshot.
struct Snapshot<A> {
    memory: Saved,
    /// The allocator's own state. On wasm32 it is a static, whose bytes the host copies.
    allocator: MaybeUninit<A>,
    model: Model,
    marked: Option<Marked>,
}

/// The host's copy for a reset.
#[derive(Clone)]
struct Marked {
    memory: Saved,
    model: Model,
}

impl<'m, A: GlobalAlloc> Runner<'m, A> {
    /// A runner for an allocator that has not allocated yet.
    pub fn new(memory: &'m FakeMemory, allocator: A, rules: Rules<A>) -> Self {
        Self {
            memory,
            allocator: Box::new(allocator),
            rules,
            model: Model::default(),
            snapshot: None,
            marked: None,
            seeds: 0,
        }
    }

    /// Carries out a program and checks everything at its end.
    ///
    /// # Errors
    /// The first violation, with the number of its step.
    pub fn run(&mut self, program: &[Operation]) -> Result<(), Violation> {
        for (number, operation) in program.iter().enumerate() {
            self.step(*operation)
                .map_err(|violation| Violation(format!("step {number}, {operation:?}: {violation}")))?;
        }
        self.check_all()
    }

    /// Carries out one step and checks everything that it touched.
    ///
    /// # Errors
    /// The violation.
    pub fn step(&mut self, operation: Operation) -> Result<(), Violation> {
        match operation {
            Operation::Allocate { size, align, zeroed } => self.allocate(size, align, zeroed)?,
            Operation::Deallocate(which) => self.deallocate(which)?,
            Operation::Reallocate { which, size } => self.reallocate(which, size)?,
            Operation::Mark if self.rules.resets.is_some() => {
                self.memory.mark();
                self.remember_mark();
            }
            Operation::MarkByCall => {
                if let Some(calls) = &self.rules.resets {
                    (calls.mark)(&self.allocator);
                    self.remember_mark();
                }
            }
            Operation::Reset(residue) => self.reset(residue)?,
            Operation::ResetByCall => self.reset_by_call()?,
            Operation::Snapshot => self.take_snapshot()?,
            Operation::Restore { virtual_growth } => self.restore(virtual_growth)?,
            Operation::LimitPages(spare) => self.memory.set_spare_pages(spare),
            Operation::Mark => {}
        }
        self.check_block()
    }

    /// Checks every live allocation, and that all bytes above the high-water mark are zero.
    ///
    /// # Errors
    /// The violation.
    pub fn check_all(&self) -> Result<(), Violation> {
        for allocation in &self.model.live {
            self.check_content(allocation)?;
        }
        let mark = self.memory.image().effective_high_water();
        match self.memory.first_dirty(mark) {
            None => self.check_block(),
            Some(at) => violated(format!("{at:#x} is dirty, above the high-water mark {mark:#x}")),
        }
    }

    fn allocate(&mut self, size: usize, align: usize, zeroed: bool) -> Result<(), Violation> {
        let Ok(layout) = Layout::from_size_align(size, align) else { return Ok(()) };
        // SAFETY: no size in a program is 0.
        let pointer =
            unsafe { if zeroed { self.allocator.alloc_zeroed(layout) } else { self.allocator.alloc(layout) } };
        if pointer.is_null() {
            self.check_refusal(size, align, None)?;
            self.model.refused(size, align);
            return Ok(());
        }
        let allocation = Allocation { address: self.memory.address(pointer), size, align, seed: self.seeds };
        self.seeds += 1;
        self.check_place(&allocation, None)?;
        if zeroed {
            // SAFETY: `alloc_zeroed` initialises it, and it has been seen to lie in free memory that exists.
            if let Some(at) = unsafe { pattern::first_not_zero(pointer, size) } {
                return violated(format!("byte {at} of {allocation:x?} is not zero"));
            }
        }
        // SAFETY: it has been seen to lie in free memory that exists.
        unsafe { pattern::write(pointer, allocation.seed, 0..size) };
        self.model.allocated(allocation);
        Ok(())
    }

    fn deallocate(&mut self, which: usize) -> Result<(), Violation> {
        let Some(index) = self.pick(which) else { return Ok(()) };
        let allocation = self.model.live[index];
        self.check_content(&allocation)?;
        // SAFETY: it is alive and has this layout.
        unsafe { self.allocator.dealloc(self.memory.pointer(allocation.address), layout_of(&allocation)) };
        self.model.deallocated(index);
        Ok(())
    }

    fn reallocate(&mut self, which: usize, size: usize) -> Result<(), Violation> {
        let Some(index) = self.pick(which) else { return Ok(()) };
        let before = self.model.live[index];
        if Layout::from_size_align(size, before.align).is_err() {
            return Ok(());
        }
        self.check_content(&before)?;
        let old = self.memory.pointer(before.address);
        // SAFETY: it is alive and has this layout; the size is not 0 and makes a layout.
        let pointer = unsafe { self.allocator.realloc(old, layout_of(&before), size) };
        if pointer.is_null() {
            self.check_refusal(size, before.align, Some(&before))?;
            self.check_content(&before)?;
            self.model.refused(size, before.align);
            return Ok(());
        }
        let now = Allocation { address: self.memory.address(pointer), size, ..before };
        self.check_place(&now, Some(index))?;
        self.check_content(&Allocation { size: size.min(before.size), ..now })?;
        if size > before.size {
            // SAFETY: it has been seen to lie in free memory that exists.
            unsafe { pattern::write(pointer, now.seed, before.size..size) };
        }
        self.model.reallocated(index, now);
        Ok(())
    }

    fn reset(&mut self, residue: Residue) -> Result<(), Violation> {
        let Some(marked) = self.marked.clone() else { return Ok(()) };
        self.memory.reset(&marked.memory, residue);
        self.model = marked.model;
        self.check_all()
    }

    fn reset_by_call(&mut self) -> Result<(), Violation> {
        let (Some(calls), Some(_)) = (&self.rules.resets, &self.marked) else { return Ok(()) };
        let mark = u64::from(self.memory.image().mark);
        self.model.live.retain(|allocation| allocation.end() <= mark);
        // SAFETY: what reaches above the mark has just been given up.
        unsafe { (calls.reset)(&self.allocator) };
        match u64::from(self.memory.image().top) == mark {
            true => self.check_all(),
            false => violated(format!("a reset to {mark:#x} leads to {:#x}", self.memory.image().top)),
        }
    }

    fn take_snapshot(&mut self) -> Result<(), Violation> {
        self.check_all()?;
        let mut allocator = MaybeUninit::uninit();
        // SAFETY: a bitwise copy, of which no use is made but to copy it back.
        unsafe { ptr::copy_nonoverlapping(&raw const *self.allocator, allocator.as_mut_ptr(), 1) };
        let (model, marked) = (self.model.clone(), self.marked.clone());
        self.snapshot = Some(Snapshot { memory: self.memory.save(), allocator, model, marked });
        Ok(())
    }

    fn restore(&mut self, virtual_growth: bool) -> Result<(), Violation> {
        let Some(snapshot) = &self.snapshot else { return Ok(()) };
        self.memory.restore(&snapshot.memory, virtual_growth);
        // SAFETY: the allocator was there when it was copied; the memory that it refers to is as it was then.
        unsafe { ptr::copy_nonoverlapping(snapshot.allocator.as_ptr(), &raw mut *self.allocator, 1) };
        self.model = snapshot.model.clone();
        self.marked = snapshot.marked.clone();
        if !self.memory.matches(&snapshot.memory) {
            return violated("the heap is not what it was".into());
        }
        self.check_all()
    }

    fn remember_mark(&mut self) {
        self.marked = Some(Marked { memory: self.memory.save(), model: self.model.clone() });
    }

    /// The index of a live allocation, counted from the newest.
    fn pick(&self, which: usize) -> Option<usize> {
        let live = self.model.live.len();
        (live > 0).then(|| live - 1 - which % live)
    }

    fn check_place(&self, allocation: &Allocation, moved_from: Option<usize>) -> Result<(), Violation> {
        let image = self.memory.image();
        let pages_end = u64::from(self.memory.pages()) * u64::from(PAGE_SIZE);
        let end = pages_end.min(image.limit.into()).min(image.top.into());
        if !allocation.address.is_multiple_of(allocation.align as u32) {
            return violated(format!("{allocation:x?} is not aligned"));
        }
        if allocation.address < image.heap_base || allocation.end() > end {
            return violated(format!("{allocation:x?} is outside of {:#x}..{end:#x}", image.heap_base));
        }
        match self.model.overlap(allocation, moved_from) {
            None => Ok(()),
            Some(other) => violated(format!("{allocation:x?} overlaps {other:x?}")),
        }
    }

    fn check_content(&self, allocation: &Allocation) -> Result<(), Violation> {
        let pointer = self.memory.pointer(allocation.address);
        // SAFETY: it is alive, and was filled when it was allocated.
        match unsafe { pattern::first_difference(pointer, allocation.seed, allocation.size) } {
            None => Ok(()),
            Some(at) => violated(format!("byte {at} of {allocation:x?} is not what was written")),
        }
    }

    /// Whether a request that was refused could have been served above `top`.
    fn check_refusal(&self, size: usize, align: usize, grown: Option<&Allocation>) -> Result<(), Violation> {
        let image = self.memory.image();
        let top = u64::from(image.top);
        let end = match grown {
            Some(grown) if grown.end() == top => u64::from(grown.address).saturating_add(size as u64),
            _ => top.next_multiple_of(align as u64).saturating_add(size as u64),
        };
        let slack = if self.rules.overhead == 0 { 0 } else { self.rules.overhead + align as u64 };
        let reachable = self.memory.reachable_end().min(self.rules.heap_end.into());
        if end.saturating_add(slack) <= reachable {
            return violated(format!("refused, though {end:#x} is below {reachable:#x}"));
        }
        Ok(())
    }

    fn check_block(&self) -> Result<(), Violation> {
        let image = self.memory.image();
        let ControlBlockImage { heap_base, top, limit, mark, .. } = image;
        if let Some(text) = self.model.differences(&image) {
            return violated(text);
        }
        let kind = image.allocator();
        if !(heap_base <= top && top <= limit && limit <= ADDRESS_END) {
            return violated(format!("not in order: {heap_base:#x}, {top:#x}, {limit:#x}"));
        }
        if u64::from(limit) > u64::from(self.memory.pages()) * u64::from(PAGE_SIZE) {
            return violated(format!("the limit {limit:#x} is behind the last page"));
        }
        if mark != 0 && self.rules.resets.is_none() {
            return violated(format!("a mark at {mark:#x}"));
        }
        match kind {
            Some(kind) if kind != self.rules.kind => violated(format!("it calls itself {}", kind.name())),
            None if top != heap_base => violated("it does not say what it is".into()),
            _ => Ok(()),
        }
    }
}

impl<A> fmt::Debug for Runner<'_, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner").field("model", &self.model).finish_non_exhaustive()
    }
}

/// Repeats a program from the same snapshot, restoring after each round, and checks that there are as many pages after
/// every round as after the first.
///
/// # Errors
/// The first violation.
pub fn pages_stay_flat<A: GlobalAlloc>(
    memory: &FakeMemory,
    allocator: A,
    rules: Rules<A>,
    program: &[Operation],
    virtual_growth: bool,
) -> Result<(), Violation> {
    let mut runner = Runner::new(memory, allocator, rules);
    runner.step(Operation::Snapshot)?;
    let restore = Operation::Restore { virtual_growth };
    // Another snapshot, or other page limits, would make the rounds differ; a host virtualises growth or does not.
    let steps = program.iter().filter_map(|operation| match operation {
        Operation::Snapshot | Operation::LimitPages(_) => None,
        Operation::Restore { .. } => Some(restore),
        other => Some(*other),
    });
    let steps: Vec<_> = steps.chain([restore]).collect();
    let mut first = None;
    for round in 1..=10 {
        runner.run(&steps)?;
        let pages = memory.physical_pages();
        let expected = *first.get_or_insert(pages);
        if pages != expected {
            return violated(format!("{pages} pages after round {round}, {expected} after the first"));
        }
    }
    Ok(())
}

fn layout_of(allocation: &Allocation) -> Layout {
    Layout::from_size_align(allocation.size, allocation.align).expect("it was allocated with this layout")
}

fn violated<T>(text: String) -> Result<T, Violation> {
    Err(Violation(text))
}
