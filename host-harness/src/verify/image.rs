//! Comparing what an instance looks like: with its snapshot, as far as its strategy promises; and where it is new, with
//! another new one.

use std::ops::Range;

use guest_abi::control_block::offset;
use wasmtime::Val;

use super::tested::Tested;
use super::{RegionFinding, Residual, What};
use guest_host::Instance;
use guest_host::restore::Promise;
use guest_host::snapshot::RegionKind;

/// Compares memory, globals and tables with the snapshot. What differs against the strategy's promise is a difference;
/// what may differ is returned. `findings` learns of each region how it looks.
pub(super) fn compare(
    tested: &mut dyn Tested,
    differences: &mut Vec<What>,
    findings: &mut Vec<RegionFinding>,
) -> Vec<Residual> {
    let ring = tested.ring();
    let instance = tested.instance();
    let residue = instance.config().residue;
    let mut residuals = Vec::new();
    // A region can lie in several places.
    let mut regions: Vec<RegionFinding> = Vec::new();
    if let Some((memory, snapshot)) = instance.memory() {
        for (region, range) in snapshot.regions().iter() {
            // A new instance has nothing to be compared with.
            let Some(restore) = instance.in_place() else { return residuals };
            let promise = restore.promise(region, residue);
            // The pages of a ring are no part of the instance's state.
            let parts = ring.as_ref().map_or_else(|| vec![range.clone()], |(place, _)| beside(&range, place).into());
            let found = parts.into_iter().filter_map(|part| compare_range(memory, snapshot.memory(), region, part));
            let found: Vec<Residual> = found.collect();
            let bytes = found.iter().map(|found| found.bytes).sum();
            match regions.iter_mut().find(|known| known.region == region) {
                Some(known) => known.bytes += bytes,
                None => regions.push(RegionFinding { region, promise, restores: 0, bytes }),
            }
            match promise {
                // The mark explains nothing: a reset leaves it raised on purpose.
                Promise::Residue if region == RegionKind::HighWater => {}
                Promise::Residue => residuals.extend(found),
                Promise::Exact => differences.extend(found.into_iter().map(broken)),
            }
        }
        let of_ring = ring.and_then(|(place, bytes)| compare_ring(memory, place, &bytes));
        differences.extend(of_ring);
    }
    for finding in regions {
        RegionFinding::add(findings, finding);
    }
    for (name, now, saved) in tested.globals() {
        if bits(&now) != bits(&saved) {
            let (expected, found) = (format!("{saved:?}"), format!("{now:?}"));
            differences.push(What::Global { name, expected, found });
        }
    }
    differences.extend(tested.changed_tables().into_iter().map(|name| What::Table { name }));
    residuals
}

/// Compares the memory of a new instance with that of `fresh`, whose memory the system has just mapped. Both were
/// initialised in the same way, and no function of either was called yet.
pub(super) fn compare_new(instance: &Instance, fresh: &Instance, differences: &mut Vec<What>) {
    let (Some((memory, snapshot)), Some((expected, _))) = (instance.memory(), fresh.memory()) else {
        return;
    };
    for (region, range) in snapshot.regions().iter() {
        let parts = match region {
            // The host writes this word, and its value depends on how the module is prepared.
            RegionKind::ControlBlock => {
                let word = snapshot.control_block().map_or(0, |block| block.address) + offset::LOWEST_STACK;
                beside(&range, &(word..word + 4)).into()
            }
            _ => vec![range],
        };
        let found = parts.into_iter().filter_map(|part| compare_range(memory, expected, region, part));
        differences.extend(found.map(|Residual { region, address, expected, found, bytes }| What::NewMemory {
            region,
            address,
            expected,
            found,
            bytes,
        }));
    }
}

fn broken(found: Residual) -> What {
    let Residual { region, address, expected, found, bytes } = found;
    What::Memory { region, address, expected, found, bytes }
}

/// The parts of a range before and behind another one.
fn beside(range: &Range<usize>, other: &Range<usize>) -> [Range<usize>; 2] {
    let within = |address: usize| address.clamp(range.start, range.end);
    [range.start..within(other.start), within(other.end)..range.end]
}

/// Compares the pages of a ring with its bytes as the host sees them.
fn compare_ring(memory: &[u8], place: Range<usize>, bytes: &[u8]) -> Option<What> {
    let pages = memory.get(place.clone()).unwrap_or_default();
    if pages == bytes {
        return None;
    }
    let (first, differing) = differing(0..bytes.len(), |at| pages.get(at) != Some(&bytes[at]))?;
    Some(What::Ring {
        address: (place.start + first) as u64,
        expected: bytes[first],
        found: pages.get(first).copied().unwrap_or(0),
        bytes: differing,
    })
}

/// The first of the addresses whose bytes differ, and how many these are.
fn differing(addresses: impl Iterator<Item = usize>, differs: impl Fn(usize) -> bool) -> Option<(usize, u64)> {
    let mut differing = addresses.filter(|address| differs(*address));
    let first = differing.next()?;
    Some((first, 1 + differing.count() as u64))
}

/// The first byte of the range that differs from what was saved, or from zero beyond it.
fn compare_range(memory: &[u8], saved: &[u8], region: RegionKind, range: Range<usize>) -> Option<Residual> {
    let range = range.start.min(memory.len())..range.end.min(memory.len());
    let split = range.end.min(saved.len()).max(range.start);
    let (in_snapshot, beyond) = (range.start..split, split..range.end);
    if memory[in_snapshot.clone()] == saved[in_snapshot.clone()] && is_zero(&memory[beyond.clone()]) {
        return None;
    }
    let expected = |address: usize| saved.get(address).copied().unwrap_or(0);
    let (first, bytes) = differing(in_snapshot.chain(beyond), |address| memory[address] != expected(address))?;
    Some(Residual { region, address: first as u64, expected: expected(first), found: memory[first], bytes })
}

fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|chunk| *chunk == ZEROS[..chunk.len()])
}

/// A number's bits, so that one NaN equals itself.
pub(super) fn bits(value: &Val) -> (u8, u128) {
    match value {
        Val::I32(value) => (0, value.cast_unsigned().into()),
        Val::I64(value) => (1, value.cast_unsigned().into()),
        Val::F32(bits) => (2, (*bits).into()),
        Val::F64(bits) => (3, (*bits).into()),
        Val::V128(value) => (4, value.as_u128()),
        // Modules with mutable references are not restored in place.
        _ => (5, 0),
    }
}
