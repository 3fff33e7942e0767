//! The functions of all guests that replay, whatever their allocator.
//!
//! The trace comes in the compact form of [`alloc_trace::compact`], as records of [`storage::RECORD`] with the entity
//! [`ENTITY`]: one without a key that says how many chunks and slots there are, and one for each chunk.

mod blocks;
mod heap;

use alloc_trace::compact::Steps;
use guest_sdk::{Context, Error, KeyBuilder, Result, extension, storage};

use blocks::Blocks;
use heap::{BareHeap, Heap, NoHeap, OwnHeap};

/// The entity of the trace's records.
const ENTITY: &str = "replay.Trace";

/// Replays the trace, and leaves what came of it.
#[extension]
fn replay(cx: &mut Context) -> Result<()> {
    run(cx, &OwnHeap)
}

/// Replays the trace without checking the blocks: the allocator and the books.
#[extension]
fn serve(cx: &mut Context) -> Result<()> {
    run(cx, &BareHeap)
}

/// Reads the trace and keeps the books without allocating.
#[extension]
fn walk(cx: &mut Context) -> Result<()> {
    run(cx, &NoHeap)
}

fn run(cx: &mut Context, heap: &impl Heap) -> Result<()> {
    let trace = cx.get_value(&KeyBuilder::new(storage::RECORD, ENTITY))?;
    let (chunks, slots) = (trace.get_i64("Chunks")?, trace.get_i64("Slots")?);
    let mut blocks = Blocks::new(heap, usize::try_from(slots)?)?;
    for chunk in 0..chunks {
        cx.scope(|cx| {
            let mut key = KeyBuilder::new(storage::RECORD, ENTITY);
            key.put_i64("Chunk", chunk);
            for step in Steps::new(cx.get_value(&key)?.get_bytes("Steps")?) {
                blocks.apply(step.map_err(|_| Error::application(1, "the trace holds bytes that are no step"))?)?;
            }
            Ok::<_, Error>(())
        })?;
    }
    let counted = blocks.counted();
    let mut left = cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?;
    left.put_i64("Operations", counted.operations).put_i64("Failures", counted.failures);
    left.put_i64("LiveBytes", counted.live_bytes).put_i64("PeakLiveBytes", counted.peak_live_bytes);
    left.put_i64("TableBytes", i64::try_from(blocks.table_bytes())?).put_i64("Pages", pages());
    Ok(())
}

/// The size of memory in pages; natively none.
fn pages() -> i64 {
    #[cfg(target_arch = "wasm32")]
    return i64::try_from(core::arch::wasm32::memory_size::<0>()).unwrap_or(-1);
    #[cfg(not(target_arch = "wasm32"))]
    0
}

#[cfg(test)]
mod tests {
    use alloc_trace::compact::Program;
    use alloc_trace::{Numbering, Trace};
    use guest_sdk::testing::{Host, MemoryState, Outcome};

    use super::*;

    fn host(text: &str, chunk: usize) -> Host {
        let program = Program::of(&Trace::parse(text.as_bytes(), Numbering::FromZero).unwrap(), chunk);
        let mut state = MemoryState::new();
        state
            .put(
                storage::RECORD,
                ENTITY,
                |_| {},
                |value| {
                    value.put_i64("Chunks", i64::try_from(program.chunks.len()).unwrap());
                    value.put_i64("Slots", program.slots.into());
                },
            )
            .unwrap();
        for (number, bytes) in program.chunks.iter().enumerate() {
            let key = i64::try_from(number).unwrap();
            state
                .put(
                    storage::RECORD,
                    ENTITY,
                    |fields| {
                        fields.put_i64("Chunk", key);
                    },
                    |value| {
                        value.put_bytes("Steps", bytes);
                    },
                )
                .unwrap();
        }
        Host::new(state)
    }

    fn left(outcome: &Outcome, name: &str) -> i64 {
        outcome.unwrap();
        outcome.intents().next().unwrap().value.get_i64(name).unwrap()
    }

    const TEXT: &str = "Alloc(100),\nAlloc(0),\nRealloc(0, 3),\nFree(0),\nAlloc(1),\nRealloc(2, 70000),\nAlloc(9),\n\
                        Free(2),\nFree(1),\n";

    #[test]
    fn traces_are_replayed_served_and_walked_whatever_chunks_they_come_in() {
        for chunk in [1, 20, 1_000] {
            let functions: [fn(&mut Context) -> Result<()>; 3] = [replay, serve, walk];
            for function in functions {
                let outcome = host(TEXT, chunk).call(function);
                assert_eq!(left(&outcome, "Operations"), 9);
                assert_eq!(left(&outcome, "Failures"), 0);
                assert_eq!((left(&outcome, "LiveBytes"), left(&outcome, "PeakLiveBytes")), (9, 70_009));
            }
        }
    }

    #[test]
    fn bytes_that_are_no_step_are_an_error() {
        let mut host = host(TEXT, 1_000);
        host.state_mut()
            .put(
                storage::RECORD,
                ENTITY,
                |key| {
                    key.put_i64("Chunk", 0);
                },
                |value| {
                    value.put_bytes("Steps", &[3]);
                },
            )
            .unwrap();
        assert!(host.call(replay).unwrap_failure().to_string().contains("no step"));
    }
}
