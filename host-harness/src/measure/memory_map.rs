//! A guest's memory by regions, and what each way of restoring puts back of it after a call.

use serde::{Deserialize, Serialize};

use super::{NO_RESTORE, Variant};
use guest_host::snapshot::{RegionKind, Regions};
use guest_host::{Guest, InstanceConfig, LoadError, MemoryState, RestorePolicy, RestoreStrategy};

/// Bytes of a memory that is compared at most.
const LARGEST: usize = 64 << 20;

/// Bytes that are compared at once; most of a memory is equal.
const BLOCK: usize = 4096;

/// The regions of a guest's memory, and what became of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MemoryMap {
    /// The guest.
    pub guest: String,
    /// The function that was called once before each restore.
    pub function: String,
    /// The regions in the order of their addresses.
    pub regions: Vec<MapRegion>,
    /// The ways of restoring.
    pub ways: Vec<MapWay>,
}

/// A region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MapRegion {
    /// Its kind. A kind may have several regions.
    pub region: RegionKind,
    /// Its first address.
    pub start: u64,
    /// The address behind it.
    pub end: u64,
}

/// What one way of restoring did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MapWay {
    /// The strategy, `none` where nothing was restored.
    pub strategy: String,
    /// `scrub` or `keep`; null where the strategy leaves no residue.
    pub residue: Option<String>,
    /// Bytes that the restore wrote; null where there was none in place.
    pub restored_bytes: Option<u64>,
    /// What became of each kind of region; empty where the instance was replaced.
    pub regions: Vec<MapCell>,
}

/// What became of the regions of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct MapCell {
    /// The kind.
    pub region: RegionKind,
    /// Bytes that the call had changed and that were as in the snapshot after the restore.
    pub put_back: u64,
    /// Bytes that were other than in the snapshot after the restore, or not zero where memory was grown since.
    pub left: u64,
}

/// Calls a function once in each way of restoring, and compares memory before and after the restore. Ways in which there is no
/// instance, or in which the call fails, are left out. `None` if all are, or if the memory is larger than 64 MiB.
///
/// # Errors
/// [`LoadError`] when there is no such function, or when an instance can be neither restored nor replaced.
pub fn memory_map(
    guest: &Guest,
    function: &str,
    variants: &[Variant],
    config: &InstanceConfig,
    state: &MemoryState,
) -> Result<Option<MemoryMap>, LoadError> {
    let mut map = MemoryMap {
        guest: guest.name().to_owned(),
        function: function.to_owned(),
        regions: Vec::new(),
        ways: Vec::new(),
    };
    for variant in variants {
        let Some((regions, way)) = way(guest, function, *variant, config, state)? else { continue };
        if map.regions.iter().map(|region| region.end).max() < regions.iter().map(|region| region.end).max() {
            map.regions = regions;
        }
        map.ways.push(way);
    }
    Ok((!map.regions.is_empty()).then_some(map))
}

/// What one way does, with the regions of the memory as it was after the call. `None` if the call fails.
fn way(
    guest: &Guest,
    function: &str,
    variant: Variant,
    config: &InstanceConfig,
    state: &MemoryState,
) -> Result<Option<(Vec<MapRegion>, MapWay)>, LoadError> {
    let handle = guest.function(function).map_err(LoadError::Function)?;
    // Without a restore there is a snapshot to compare with only where the strategy keeps one.
    let base = Variant { strategy: variant.strategy.or(Some(RestoreStrategy::FullCopy)), ..variant };
    let config = base.config(config).with_policy(RestorePolicy::Never).with_count(false).with_trace(false);
    let Ok(mut instance) = guest.instantiate(&config, state.clone()) else { return Ok(None) };
    if instance.invoke(handle).is_err() {
        return Ok(None);
    }
    let mut way = MapWay {
        strategy: variant.strategy_name().to_owned(),
        residue: variant.residue_name().map(str::to_owned),
        restored_bytes: None,
        regions: Vec::new(),
    };
    let Some((called, snapshot)) = instance.memory() else { return Ok(None) };
    if way.strategy == RestoreStrategy::Reinstantiate.name() {
        return Ok(Some((Vec::new(), way)));
    }
    if called.len() > LARGEST {
        return Ok(None);
    }
    let regions = regions(snapshot.regions(), called.len());
    let called = called.to_vec();
    if way.strategy != NO_RESTORE {
        way.restored_bytes = instance.restore()?.map(|restored| restored.bytes);
    }
    let Some((memory, snapshot)) = instance.memory() else { return Ok(None) };
    way.regions = cells(&regions, &called, memory, snapshot.memory());
    Ok(Some((regions, way)))
}

/// The regions of a memory of `size` bytes.
fn regions(regions: &Regions, size: usize) -> Vec<MapRegion> {
    let region = |(region, range): (RegionKind, std::ops::Range<usize>)| MapRegion {
        region,
        start: range.start.min(size) as u64,
        end: range.end.min(size) as u64,
    };
    regions.iter().map(region).filter(|region| region.start < region.end).collect()
}

fn cells(regions: &[MapRegion], called: &[u8], restored: &[u8], saved: &[u8]) -> Vec<MapCell> {
    let mut cells: Vec<MapCell> = Vec::new();
    for found in regions {
        let (mut put_back, mut left) = (0, 0);
        #[expect(clippy::cast_possible_truncation, reason = "addresses of a memory that is there")]
        let (start, end) = (found.start as usize, found.end as usize);
        for block in (start..end).step_by(BLOCK).map(|at| at..(at + BLOCK).min(end)) {
            let equal = saved.get(block.clone()).is_some_and(|saved| {
                called.get(block.clone()) == Some(saved) && restored.get(block.clone()) == Some(saved)
            });
            for at in block.filter(|_| !equal) {
                let saved = saved.get(at).copied().unwrap_or(0);
                // One that was replaced by a smaller memory has no bytes there that could be left.
                let now = restored.get(at).copied().unwrap_or(saved);
                put_back += u64::from(called[at] != saved && now == saved);
                left += u64::from(now != saved);
            }
        }
        match cells.iter_mut().find(|cell| cell.region == found.region) {
            Some(cell) => (cell.put_back, cell.left) = (cell.put_back + put_back, cell.left + left),
            None => cells.push(MapCell { region: found.region, put_back, left }),
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_back_and_what_was_left_is_counted_by_kind() {
        let region = |region, start, end| MapRegion { region, start, end };
        let regions =
            [region(RegionKind::Statics, 0, 2), region(RegionKind::Heap, 2, 4), region(RegionKind::Statics, 4, 6)];
        let cells = cells(&regions, &[1, 1, 0, 5, 9, 7], &[0, 1, 0, 5, 0, 7], &[0, 1, 0, 0]);
        let expected = [
            MapCell { region: RegionKind::Statics, put_back: 2, left: 1 },
            MapCell { region: RegionKind::Heap, put_back: 0, left: 1 },
        ];
        assert_eq!(cells, expected);
    }
}
