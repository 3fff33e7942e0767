//! Where the original module has the code of the prepared one.

/// Translates byte offsets in the prepared module to byte offsets in the original one.
///
/// An engine reports a trap in the prepared module. Debug information, which the preparation copies as it is, describes
/// the original one.
///
/// ```
/// use guest_prepare::{ModuleInfo, PrepareOptions, prepare};
///
/// let wasm = wat::parse_str("(module (memory 1) (func (drop (memory.grow (i32.const 1))) unreachable))")?;
/// let prepared = prepare(&wasm, &ModuleInfo::analyse(&wasm)?, PrepareOptions::default())?;
///
/// let unreachable = |wasm: &[u8]| wasm.windows(2).position(|code| code == [0x00, 0x0B]);
/// let (before, after) = (unreachable(&wasm).unwrap(), unreachable(&prepared.wasm).unwrap());
/// assert_ne!(before, after);
/// assert_eq!(prepared.offsets.original(after as u64), Some(before as u64));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// A sequence of runs: within a run both offsets advance together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OffsetMap {
    /// Ordered by their start.
    runs: Vec<Run>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// First byte in the prepared module.
    start: u64,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Copied from this offset on.
    Copied { from: u64 },
    /// In place of the instruction at this offset.
    Replaced { instruction: u64 },
    /// Not in the original.
    Added,
}

impl OffsetMap {
    /// The offset in the original module of the code at `offset` in the prepared one. Code in the place of an instruction,
    /// or inserted before one, has the offset of that instruction. `None` for code that the original does not have, and for
    /// bytes that are no code.
    #[must_use]
    pub fn original(&self, offset: u64) -> Option<u64> {
        let run = self.runs[..self.runs.partition_point(|run| run.start <= offset)].last()?;
        match run.kind {
            Kind::Copied { from } => from.checked_add(offset - run.start),
            Kind::Replaced { instruction } => Some(instruction),
            Kind::Added => None,
        }
    }

    pub(crate) fn copied(&mut self, start: u64, from: u64) {
        self.runs.push(Run { start, kind: Kind::Copied { from } });
    }

    pub(crate) fn replaced(&mut self, start: u64, instruction: u64) {
        self.runs.push(Run { start, kind: Kind::Replaced { instruction } });
    }

    pub(crate) fn added(&mut self, start: u64) {
        self.runs.push(Run { start, kind: Kind::Added });
    }

    /// Moves all runs, once the beginning of the code is known.
    pub(crate) fn shift(&mut self, by: u64) {
        for run in &mut self.runs {
            run.start += by;
        }
    }

    /// Joins runs that continue one another.
    pub(crate) fn simplify(&mut self) {
        self.runs.dedup_by(|next, run| match (run.kind, next.kind) {
            (Kind::Copied { from: a }, Kind::Copied { from: b }) => {
                run.start.wrapping_sub(a) == next.start.wrapping_sub(b)
            }
            (Kind::Added, Kind::Added) => true,
            _ => false,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_translated_run_by_run() {
        let mut map = OffsetMap::default();
        map.copied(10, 8);
        map.copied(20, 18);
        map.replaced(30, 28);
        map.copied(33, 30);
        map.added(40);
        map.simplify();
        assert_eq!(map.runs.len(), 4, "the first two continue one another");
        assert_eq!(map.original(9), None);
        assert_eq!((map.original(10), map.original(29)), (Some(8), Some(27)));
        assert_eq!((map.original(30), map.original(32)), (Some(28), Some(28)));
        assert_eq!((map.original(33), map.original(39)), (Some(30), Some(36)));
        assert_eq!(map.original(40), None);
    }
}
