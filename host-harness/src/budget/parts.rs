//! The parts into which a budget is divided.

use std::ops::Range;

use guest_abi::names::PAGE_SIZE;
use guest_host::Instance;
use guest_host::snapshot::{RegionKind, Regions};
use guest_prepare::module_info::{ModuleInfo, Placement};
use serde::{Deserialize, Serialize};

/// A part of a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct Part {
    /// Its purpose.
    #[serde(rename = "part")]
    pub kind: PartKind,
    /// Its bytes.
    pub bytes: u64,
}

/// The purpose of a part of a guest's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PartKind {
    /// The shadow stack.
    ShadowStack,
    /// Statics with a first value: the module's data segments.
    Data,
    /// Statics that begin as zeros, and gaps between statics.
    ZeroInitialised,
    /// The allocator's control block.
    ControlBlock,
    /// The exchange region.
    ExchangeRegion,
    /// Heap that was in use when the snapshot was taken.
    HeapInUse,
    /// Heap for calls: memory that the instance has, and memory that it may grow by.
    FreeHeap,
    /// Heap of an allocator without a control block, of which the part in use is unknown.
    Heap,
    /// Memory that the instance may grow by, where the heap in use is unknown.
    Growth,
    /// Stack, statics and heap together, where the module does not say where they lie.
    Undivided,
    /// The rest of a budget that is no whole number of pages of 64 KiB, which no memory can have.
    LessThanAPage,
}

impl PartKind {
    /// The part in words.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::ShadowStack => "shadow stack",
            Self::Data => "statics: data segments",
            Self::ZeroInitialised => "statics: zero-initialised",
            Self::ControlBlock => "control block",
            Self::ExchangeRegion => "exchange region",
            Self::HeapInUse => "heap in use after initialisation",
            Self::FreeHeap => "free heap",
            Self::Heap => "heap; the part in use is unknown",
            Self::Growth => "memory to grow by",
            Self::Undivided => "stack, statics and heap; their places are unknown",
            Self::LessThanAPage => "less than a page; unusable",
        }
    }
}

/// The parts of an instance's memory with what the budget leaves, without empty ones. Without an instance, those that the
/// module's layout has.
pub(super) fn parts(info: &ModuleInfo, instance: Option<&Instance>, budget: u64) -> Vec<Part> {
    let data = data(info);
    let mut parts = match instance.and_then(|instance| Some((instance, instance.memory()?))) {
        Some((instance, (memory, snapshot))) => {
            let size = memory.len();
            let mut parts = match info.layout() {
                Ok(_) => divided(snapshot.regions(), size, &data, snapshot.control_block().is_some()),
                Err(_) => undivided(snapshot.regions().exchange(), size, &data),
            };
            let physical = instance.physical_pages().saturating_mul(PAGE_SIZE.into());
            let usable = budget - budget % u64::from(PAGE_SIZE);
            let growth = if snapshot.control_block().is_some() { PartKind::FreeHeap } else { PartKind::Growth };
            parts.push((growth, usable.saturating_sub(physical)));
            if physical <= budget {
                parts.push((PartKind::LessThanAPage, budget - usable));
            }
            parts
        }
        None => of_module(info, &data),
    };
    let mut merged: Vec<Part> = Vec::new();
    for (kind, bytes) in parts.drain(..).filter(|(_, bytes)| *bytes > 0) {
        match merged.iter_mut().find(|part| part.kind == kind) {
            Some(part) => part.bytes += bytes,
            None => merged.push(Part { kind, bytes }),
        }
    }
    merged.sort_by_key(|part| part.kind);
    merged
}

/// The addresses of active data.
fn data(info: &ModuleInfo) -> Vec<Range<u64>> {
    let address = |segment: &guest_prepare::module_info::DataSegment| match segment.placement {
        Placement::At(start) => Some(start..start.saturating_add(segment.length)),
        _ => None,
    };
    info.data_segments.iter().filter_map(address).collect()
}

/// Bytes of `range` in which data lies, that of several segments once.
fn overlap(range: &Range<u64>, data: &[Range<u64>]) -> u64 {
    let mut data: Vec<_> = data.iter().map(|part| part.start.max(range.start)..part.end.min(range.end)).collect();
    data.sort_by_key(|part| part.start);
    let mut end = 0;
    let mut bytes = 0;
    for part in data.into_iter().filter(|part| !part.is_empty()) {
        bytes += part.end.saturating_sub(part.start.max(end));
        end = end.max(part.end);
    }
    bytes
}

/// The parts of a memory whose layout is known.
fn divided(regions: &Regions, size: usize, data: &[Range<u64>], has_block: bool) -> Vec<(PartKind, u64)> {
    let mut parts = Vec::new();
    for (kind, range) in regions.iter() {
        let range = range.start.min(size) as u64..range.end.min(size) as u64;
        let bytes = range.end - range.start;
        match kind {
            RegionKind::ShadowStack => parts.push((PartKind::ShadowStack, bytes)),
            RegionKind::Statics => {
                let data = overlap(&range, data);
                parts.extend([(PartKind::Data, data), (PartKind::ZeroInitialised, bytes - data)]);
            }
            RegionKind::ControlBlock | RegionKind::HighWater => parts.push((PartKind::ControlBlock, bytes)),
            RegionKind::SnapshotHeap => parts.push((PartKind::HeapInUse, bytes)),
            RegionKind::Exchange => parts.push((PartKind::ExchangeRegion, bytes)),
            RegionKind::Heap if has_block => parts.push((PartKind::FreeHeap, bytes)),
            _ => parts.push((PartKind::Heap, bytes)),
        }
    }
    parts
}

/// The parts of a memory of which only data segments and the exchange region are known.
fn undivided(exchange: Range<usize>, size: usize, data: &[Range<u64>]) -> Vec<(PartKind, u64)> {
    let exchange = exchange.start.min(size) as u64..exchange.end.min(size) as u64;
    let size = size as u64;
    // A region among the statics is part of what the segments are of.
    let data = overlap(&(0..exchange.start), data) + overlap(&(exchange.end.max(exchange.start)..size), data);
    let exchange = exchange.end - exchange.start;
    let rest = size.saturating_sub(data + exchange);
    vec![(PartKind::Data, data), (PartKind::ExchangeRegion, exchange), (PartKind::Undivided, rest)]
}

/// The parts that the module itself has, where there is no instance.
fn of_module(info: &ModuleInfo, data: &[Range<u64>]) -> Vec<(PartKind, u64)> {
    let Ok(layout) = info.layout() else { return vec![(PartKind::Data, overlap(&(0..u64::MAX), data))] };
    let stack = layout.stack.map_or(0, |stack| u64::from(stack.end - stack.start));
    let statics = u64::from(layout.statics.start)..u64::from(layout.statics.end);
    let data = overlap(&statics, data);
    let zeros = statics.end - statics.start - data;
    vec![(PartKind::ShadowStack, stack), (PartKind::Data, data), (PartKind::ZeroInitialised, zeros)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_of_overlapping_segments_count_once() {
        let data = [10..20, 15..30, 40..50, 5..5];
        assert_eq!(overlap(&(0..100), &data), 30);
        assert_eq!(overlap(&(18..45), &data), 17);
        assert_eq!(overlap(&(50..60), &data), 0);
    }

    #[test]
    fn a_memory_without_layout_has_data_an_exchange_region_and_the_rest() {
        let parts = undivided(100..300, 1000, &[0..50, 80..120]);
        let expected = [(PartKind::Data, 70), (PartKind::ExchangeRegion, 200), (PartKind::Undivided, 730)];
        assert_eq!(parts, expected);
        assert_eq!(parts.iter().map(|(_, bytes)| bytes).sum::<u64>(), 1000);
        assert_eq!(undivided(0..0, 1000, &[0..50, 50..60])[1], (PartKind::ExchangeRegion, 0));
    }
}
