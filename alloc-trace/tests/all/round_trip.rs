//! A written trace reads back equal; read with another numbering, it does not.

use alloc_trace::compact::{Program, Step, Steps};
use alloc_trace::{MAX_SIZE, Numbering, Operation, Trace};
use proptest::prelude::*;

/// A trace of random operations on blocks that are alive.
pub(crate) fn any_trace() -> impl Strategy<Value = Trace> {
    let size = prop_oneof![9 => 0..4_096_u32, 1 => 0..=MAX_SIZE];
    prop::collection::vec((0..4_u8, any::<prop::sample::Index>(), size), 0..200).prop_map(|choices| {
        let (mut alive, mut made, mut operations) = (Vec::new(), 0, Vec::new());
        for (kind, index, size) in choices {
            let block = (!alive.is_empty()).then(|| index.index(alive.len()));
            operations.push(match (kind, block) {
                (0, Some(block)) => Operation::Free { allocation: alive.swap_remove(block) },
                (1, Some(block)) => Operation::Realloc { allocation: alive[block], size },
                _ => {
                    alive.push(made);
                    made += 1;
                    Operation::Alloc { size }
                }
            });
        }
        Trace::new(operations).expect("only blocks that are alive are touched")
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(trace in any_trace()) {
        for numbering in [Numbering::FromZero, Numbering::FromOne] {
            let text = trace.text(numbering).to_string();
            prop_assert_eq!(Trace::parse(text.as_bytes(), numbering), Ok(trace.clone()));
        }
    }

    #[test]
    fn noise_is_refused_or_read_and_never_panics(text in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(trace) = Trace::parse(&text, Numbering::FromOne) {
            // Only comments and empty lines are made up by chance.
            prop_assert!(trace.operations().is_empty());
        }
    }

    #[test]
    fn damaged_lines_are_told_by_their_number(trace in any_trace(), line in any::<prop::sample::Index>()) {
        prop_assume!(!trace.operations().is_empty());
        let text = trace.to_string();
        let lines: Vec<&str> = text.lines().collect();
        let line = line.index(lines.len());
        let cut = &lines[line][..lines[line].len() - 1];
        let damaged = [&lines[..line], &[cut], &lines[line + 1..]].concat().join("\n");
        let error = Trace::parse(damaged.as_bytes(), Numbering::FromZero).unwrap_err();
        prop_assert_eq!(error.line, line as u64 + 1);
        prop_assert!(error.to_string().contains("expected `,`"), "{}", error);
    }

    #[test]
    fn the_compact_form_does_to_slots_what_the_trace_does_to_allocations(trace in any_trace(), chunk in 0..64_usize) {
        let program = Program::of(&trace, chunk);
        let steps = program.chunks.iter().flat_map(|chunk| Steps::new(chunk)).map(Result::unwrap);
        let (mut slots, mut made) = (vec![None; program.slots as usize], 0);
        let mut operations = Vec::new();
        for step in steps {
            operations.push(match step {
                Step::Alloc { slot, size } => {
                    prop_assert_eq!(slots[slot as usize].replace(made), None, "a slot has one block at a time");
                    made += 1;
                    Operation::Alloc { size }
                }
                Step::Free { slot } => Operation::Free { allocation: slots[slot as usize].take().unwrap() },
                Step::Realloc { slot, size } => Operation::Realloc { allocation: slots[slot as usize].unwrap(), size },
            });
        }
        prop_assert_eq!(&operations, trace.operations());
        prop_assert_eq!(u64::from(program.slots), trace.summary().peak_live_blocks);
    }
}
