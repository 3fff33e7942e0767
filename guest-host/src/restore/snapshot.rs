//! What the host saved after initialisation, and the regions into which it divides a guest's memory.

use std::fmt;
use std::ops::Range;

use crate::host::control_block;
pub use crate::host::control_block::ControlBlockAt;
use crate::host::memory_location::CardMemory;
use crate::restore::aligned::AlignedBytes;
use guest_prepare::RED_ZONE;
use wasmtime::{AsContextMut, Global, Memory, Table, Val};

/// Everything that a restore puts back.
///
/// ```
/// use guest_host::snapshot::RegionKind;
/// use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions};
///
/// # let engine = Engine::new(&EngineConfig::default())?;
/// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop.wat")))?;
/// # let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
/// let mut instance = guest.instantiate(&InstanceConfig::default(), MemoryState::new())?;
/// instance.invoke_by_name("count_up")?;
/// let (memory, snapshot) = instance.memory().unwrap();
/// // The call wrote a counter among the statics, and the restore put it back.
/// assert_eq!(snapshot.regions().at(1024), RegionKind::Statics);
/// assert!(memory == snapshot.memory());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Snapshot {
    /// Linear memory, as large as the guest saw it.
    pub(crate) memory: AlignedBytes,
    /// From here on the saved memory is zero. Filling takes about half the time of a copy, as nothing is read.
    pub(crate) zeros_from: usize,
    /// Values of the mutable globals, in the order of [`Handles::globals`].
    pub(crate) globals: Vec<Val>,
    /// Digests of the tables, in the order of [`Handles::tables`].
    pub(crate) tables: Vec<TableImage>,
    /// The control block, where the guest has one.
    pub(crate) control_block: Option<ControlBlockAt>,
    pub(crate) regions: Regions,
    /// What a reset copies back, see [`reset_ranges`].
    pub(crate) reset: [Range<usize>; 2],
    /// The same up to the high-water mark.
    pub(crate) in_use: [Range<usize>; 2],
    /// Value of the shadow-stack pointer; 0 where it is not known.
    pub(crate) stack_pointer: usize,
}

/// What of memory a reset of the heap to `mark` copies back: the statics with the snapshotted heap behind them, less the
/// exchange region, which is a hole in the latter.
///
/// They are worked out once, as a reset takes hardly longer than this does.
pub(crate) fn reset_ranges(regions: &Regions, mark: usize) -> [Range<usize>; 2] {
    let (statics, exchange) = (regions.statics(), regions.exchange());
    let mark = mark.max(statics.end);
    if statics.end <= exchange.start && exchange.end <= mark {
        [statics.start..exchange.start, exchange.end..mark]
    } else {
        [statics.start..mark, mark..mark]
    }
}

/// The start of the zeros at the end of a memory, rounded up to a whole block.
pub(crate) fn zeros_from(memory: &[u8]) -> usize {
    // It compares whole blocks, which the processor does at once. Up to one block of zeros more is copied for it.
    const BLOCK: usize = 64;
    let (_, blocks) = memory.as_rchunks::<BLOCK>();
    let zeros = blocks.iter().rev().take_while(|block| block.iter().fold(0, |all, byte| all | byte) == 0).count();
    memory.len() - zeros * BLOCK
}

impl Snapshot {
    /// The part of the shadow stack that calls can have used when the pointer was never lower than `lowest`.
    pub(crate) fn used_stack(&self, lowest: u32) -> Range<usize> {
        let stack = self.regions.shadow_stack();
        let lowest = (lowest as usize).min(self.stack_pointer).min(stack.end);
        lowest.saturating_sub(RED_ZONE).max(stack.start)..stack.end
    }

    /// The saved memory; empty where the instance is replaced rather than restored in place.
    #[must_use]
    pub fn memory(&self) -> &[u8] {
        &self.memory
    }

    /// The saved values of the mutable globals.
    #[must_use]
    pub fn globals(&self) -> &[Val] {
        &self.globals
    }

    /// The saved control block and its address.
    #[must_use]
    pub fn control_block(&self) -> Option<ControlBlockAt> {
        self.control_block
    }

    /// How memory is divided.
    #[must_use]
    pub fn regions(&self) -> &Regions {
        &self.regions
    }
}

/// A table's elements, as far as they can be compared: the raw addresses of its functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TableImage(Vec<usize>);

/// An instance's parts that a restore reaches.
#[derive(Debug)]
pub(crate) struct Handles {
    pub(crate) memory: Memory,
    /// The card table, where the guest was prepared with a write barrier.
    pub(crate) cards: Option<CardMemory>,
    /// Every mutable global, with its name: exported by the guest or by the preparation.
    pub(crate) globals: Vec<(String, Global)>,
    /// Where the entrances that restore globals find their values; in the order of `globals`, the logical size aside.
    pub(crate) saved: Vec<Global>,
    /// Which of the globals is the shadow-stack pointer.
    pub(crate) stack_pointer: Option<usize>,
    /// Which of the globals is the logical memory size, in pages.
    pub(crate) logical_pages: Option<usize>,
    pub(crate) tables: Vec<(String, Table)>,
}

impl Handles {
    /// Bytes of memory that the guest sees: without virtual growth all that there physically are.
    pub(crate) fn logical_size(&self, mut store: impl AsContextMut) -> usize {
        match self.logical_pages.map(|index| self.globals[index].1.get(&mut store)) {
            Some(Val::I32(pages)) => pages.cast_unsigned() as usize * guest_abi::names::PAGE_SIZE as usize,
            _ => self.memory.data_size(&store),
        }
    }

    /// Reads the tables.
    pub(crate) fn table_images(&self, mut store: impl AsContextMut) -> Vec<TableImage> {
        let mut images = Vec::with_capacity(self.tables.len());
        for (_, table) in &self.tables {
            let size = table.size(&store);
            let mut image = Vec::new();
            for index in 0..size {
                let raw = match table.get(&mut store, index) {
                    Some(wasmtime::Ref::Func(Some(function))) => function.to_raw(&mut store).addr(),
                    _ => 0,
                };
                image.push(raw);
            }
            images.push(TableImage(image));
        }
        images
    }
}

/// What a part of a guest's memory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RegionKind {
    /// The shadow stack, all of it dead between two calls.
    ShadowStack,
    /// Statics other than the control block; everything below the heap where no layout is known.
    Statics,
    /// The allocator's control block, which is one of the statics, other than its high-water mark.
    ControlBlock,
    /// The high-water mark in the allocator's control block.
    HighWater,
    /// Heap that was in use when the snapshot was taken, other than the exchange region.
    SnapshotHeap,
    /// The exchange region.
    Exchange,
    /// Heap above what the snapshot used, inside the snapshotted memory.
    Heap,
    /// Memory that was grown since the snapshot.
    Tail,
}

impl RegionKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::ShadowStack,
        Self::Statics,
        Self::ControlBlock,
        Self::HighWater,
        Self::SnapshotHeap,
        Self::Exchange,
        Self::Heap,
        Self::Tail,
    ];

    /// The region's name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ShadowStack => "shadow stack",
            Self::Statics => "statics",
            Self::ControlBlock => "control block",
            Self::HighWater => "high-water mark",
            Self::SnapshotHeap => "snapshotted heap",
            Self::Exchange => "exchange region",
            Self::Heap => "heap",
            Self::Tail => "grown tail",
        }
    }
}

impl fmt::Display for RegionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// As its name.
#[cfg(feature = "serde")]
impl serde::Serialize for RegionKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// From its name.
#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for RegionKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| {
            serde::de::Error::custom(format_args!("`{}` is no region of memory", crate::text::cut(&name, 100)))
        })
    }
}

/// One of the names.
#[cfg(feature = "schema")]
impl schemars::JsonSchema for RegionKind {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RegionKind".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names = Self::ALL.map(Self::name);
        schemars::json_schema!({ "type": "string", "enum": names, "description": "A region of a guest's memory." })
    }
}

/// How a guest's memory is divided. All ranges are addresses; together they cover the whole memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Regions {
    /// Sorted by address, without gaps, the last one without an end.
    regions: Vec<(RegionKind, Range<usize>)>,
    shadow_stack: Range<usize>,
    statics: Range<usize>,
    snapshot_heap: Range<usize>,
    exchange: Range<usize>,
}

/// What [`Regions`] are made from.
#[derive(Debug, Default)]
pub(crate) struct RegionPlan {
    pub(crate) shadow_stack: Range<usize>,
    pub(crate) statics: Range<usize>,
    pub(crate) control_block: Option<usize>,
    pub(crate) snapshot_heap: Range<usize>,
    pub(crate) exchange: Range<usize>,
    /// Bytes of the snapshotted memory.
    pub(crate) memory: usize,
}

impl Regions {
    pub(crate) fn new(plan: RegionPlan) -> Self {
        let memory = plan.memory;
        let clip = |range: &Range<usize>| range.start.min(memory)..range.end.min(memory);
        let (shadow_stack, statics) = (clip(&plan.shadow_stack), clip(&plan.statics));
        let (snapshot_heap, exchange) = (clip(&plan.snapshot_heap), clip(&plan.exchange));
        let block = plan.control_block.map_or(0..0, control_block::whole);
        let high_water = plan.control_block.map_or(0..0, control_block::high_water);
        // From the least to the most specific; a later region takes its part out of an earlier one.
        let layers = [
            (RegionKind::Statics, 0..memory),
            (RegionKind::Heap, statics.end.min(memory)..memory),
            (RegionKind::SnapshotHeap, snapshot_heap.clone()),
            (RegionKind::Exchange, exchange.clone()),
            (RegionKind::Statics, statics.clone()),
            (RegionKind::ShadowStack, shadow_stack.clone()),
            (RegionKind::ControlBlock, clip(&block)),
            (RegionKind::HighWater, clip(&high_water)),
        ];
        let mut cuts: Vec<usize> = layers.iter().flat_map(|(_, range)| [range.start, range.end]).collect();
        cuts.sort_unstable();
        cuts.dedup();
        let mut regions: Vec<(RegionKind, Range<usize>)> = Vec::new();
        for pair in cuts.windows(2) {
            let kind = layers.iter().rev().find(|(_, range)| range.contains(&pair[0])).map(|(kind, _)| *kind);
            let Some(kind) = kind else { continue };
            match regions.last_mut() {
                Some((last, range)) if *last == kind => range.end = pair[1],
                _ => regions.push((kind, pair[0]..pair[1])),
            }
        }
        regions.push((RegionKind::Tail, memory..usize::MAX));
        Self { regions, shadow_stack, statics, snapshot_heap, exchange }
    }

    /// The regions in the order of their addresses.
    pub fn iter(&self) -> impl Iterator<Item = (RegionKind, Range<usize>)> + '_ {
        self.regions.iter().cloned()
    }

    /// The region that holds `address`.
    #[must_use]
    pub fn at(&self, address: usize) -> RegionKind {
        let found = self.regions.iter().find(|(_, range)| range.contains(&address));
        found.map_or(RegionKind::Tail, |(kind, _)| *kind)
    }

    /// The shadow stack; empty where it is unknown.
    #[must_use]
    pub fn shadow_stack(&self) -> Range<usize> {
        self.shadow_stack.clone()
    }

    /// The statics, the control block among them.
    #[must_use]
    pub fn statics(&self) -> Range<usize> {
        self.statics.clone()
    }

    /// The heap that was in use when the snapshot was taken, the exchange region included.
    #[must_use]
    pub fn snapshot_heap(&self) -> Range<usize> {
        self.snapshot_heap.clone()
    }

    /// The exchange region.
    #[must_use]
    pub fn exchange(&self) -> Range<usize> {
        self.exchange.clone()
    }
}

#[cfg(test)]
impl Snapshot {
    /// Of an instance that has nothing but this memory.
    pub(crate) fn of_memory(memory: &[u8]) -> Self {
        Self {
            memory: AlignedBytes::copy_of(memory),
            zeros_from: zeros_from(memory),
            globals: Vec::new(),
            tables: Vec::new(),
            control_block: None,
            regions: Regions::new(RegionPlan::default()),
            reset: [0..0, 0..0],
            in_use: [0..0, 0..0],
            stack_pointer: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use guest_abi::control_block::offset;

    use super::*;

    #[test]
    fn regions_cover_the_memory_once() {
        let regions = Regions::new(RegionPlan {
            shadow_stack: 0..100,
            statics: 100..400,
            control_block: Some(200),
            snapshot_heap: 400..700,
            exchange: 600..700,
            memory: 1000,
        });
        let found: Vec<_> = regions.iter().collect();
        assert_eq!(
            found,
            [
                (RegionKind::ShadowStack, 0..100),
                (RegionKind::Statics, 100..200),
                (RegionKind::ControlBlock, 200..200 + offset::HIGH_WATER),
                (RegionKind::HighWater, 200 + offset::HIGH_WATER..204 + offset::HIGH_WATER),
                (RegionKind::ControlBlock, 204 + offset::HIGH_WATER..296),
                (RegionKind::Statics, 296..400),
                (RegionKind::SnapshotHeap, 400..600),
                (RegionKind::Exchange, 600..700),
                (RegionKind::Heap, 700..1000),
                (RegionKind::Tail, 1000..usize::MAX),
            ]
        );
        assert_eq!(regions.at(295), RegionKind::ControlBlock);
        assert_eq!(regions.at(1 << 40), RegionKind::Tail);
    }

    #[test]
    fn a_reset_leaves_the_exchange_region_out() {
        let regions = |exchange| {
            let (statics, snapshot_heap) = (100..400, 400..700);
            Regions::new(RegionPlan { statics, snapshot_heap, exchange, memory: 1000, ..RegionPlan::default() })
        };
        assert_eq!(reset_ranges(&regions(500..600), 700), [100..500, 600..700]);
        assert_eq!(reset_ranges(&regions(400..700), 700), [100..400, 700..700]);
        assert_eq!(reset_ranges(&regions(0..0), 700), [100..700, 700..700]);
        assert_eq!(reset_ranges(&regions(600..800), 700), [100..700, 700..700], "partly above the mark");
    }

    #[test]
    fn the_zeros_at_the_end_begin_behind_the_last_other_byte() {
        for size in [0, 1, 63, 64, 65, 1000] {
            assert_eq!(zeros_from(&vec![0; size]), size % 64, "all of it but what is less than a block");
            for last in 0..size {
                let mut memory = vec![0; size];
                memory[last] = 1;
                let from = zeros_from(&memory);
                assert!(from > last && from - last <= 64, "{from} for {last} of {size}");
            }
        }
    }

    #[test]
    fn without_a_layout_everything_is_statics() {
        let plan = RegionPlan { statics: 0..1000, memory: 1000, ..RegionPlan::default() };
        let found: Vec<_> = Regions::new(plan).iter().collect();
        assert_eq!(found, [(RegionKind::Statics, 0..1000), (RegionKind::Tail, 1000..usize::MAX)]);
    }
}
