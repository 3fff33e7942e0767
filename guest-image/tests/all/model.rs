//! Deltas against a model: a whole memory.

use guest_image::{Base, CARD, Change, Delta, GlobalValue, ImageError};
use proptest::prelude::*;

pub(crate) const PAGE: usize = 1 << 16;

/// A snapshot of one page.
pub(crate) fn base(seed: u8) -> Base {
    let memory: Vec<u8> = (0..PAGE).map(|at| if at % 1000 < 500 { seed } else { 0 }).collect();
    let globals = vec![GlobalValue::I32(u32::from(seed)), GlobalValue::I64(5), GlobalValue::V128(9)];
    Base::new([1; 32], b"test".to_vec(), memory, globals)
}

/// A state of an instance: its whole memory, and its globals.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct State {
    pub(crate) memory: Vec<u8>,
    pub(crate) globals: Vec<GlobalValue>,
}

impl State {
    pub(crate) fn of(base: &Base) -> Self {
        Self { memory: base.memory.clone(), globals: base.globals.clone() }
    }

    /// The delta, by comparing everything.
    pub(crate) fn delta(&self, base: &Base) -> Delta {
        let mut delta = Delta::pristine(base.identity.clone(), self.memory.len() as u64);
        for (card, bytes) in (0..).zip(self.memory.chunks(CARD)) {
            let saved = base.memory.chunks(CARD).nth(card as usize).unwrap_or(&[0; CARD]);
            if bytes != saved {
                delta.cards.push(card, bytes);
            }
        }
        let globals = (0..).zip(&self.globals).filter(|(at, value)| base.globals[*at as usize] != **value);
        delta.globals = globals.map(|(at, value)| (at, *value)).collect();
        delta
    }

    /// What a delta says.
    pub(crate) fn from_delta(delta: &Delta, base: &Base) -> Self {
        let mut state = Self::of(base);
        state.memory.resize(usize::try_from(delta.memory_size).unwrap(), 0);
        for (address, bytes) in delta.cards.iter() {
            state.memory[address..address + bytes.len()].copy_from_slice(bytes);
        }
        for (at, value) in &delta.globals {
            state.globals[*at as usize] = *value;
        }
        state
    }
}

/// A change to a state.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Fill {
        at: usize,
        length: usize,
        byte: u8,
    },
    /// Puts bytes back as the snapshot has them.
    Back {
        at: usize,
        length: usize,
    },
    Global {
        at: usize,
        value: u32,
    },
    Grow,
}

impl Step {
    pub(crate) fn run(&self, state: &mut State, base: &Base) {
        match *self {
            Self::Fill { at, length, byte } => {
                let end = (at + length).min(state.memory.len());
                state.memory[at..end].fill(byte);
            }
            Self::Back { at, length } => {
                let end = (at + length).min(PAGE);
                state.memory[at..end].copy_from_slice(&base.memory[at..end]);
            }
            Self::Global { at, value } => {
                state.globals[at] = match at {
                    0 => GlobalValue::I32(value),
                    1 => GlobalValue::I64(u64::from(value) << 30),
                    _ => GlobalValue::V128(u128::from(value) << 100),
                };
            }
            Self::Grow if state.memory.len() < 4 * PAGE => state.memory.resize(state.memory.len() + PAGE, 0),
            Self::Grow => {}
        }
    }
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..PAGE, 1..2000_usize, any::<u8>()).prop_map(|(at, length, byte)| Step::Fill { at, length, byte }),
        2 => (0..PAGE, 1..5000_usize).prop_map(|(at, length)| Step::Back { at, length }),
        1 => (0..3_usize, any::<u32>()).prop_map(|(at, value)| Step::Global { at, value }),
        1 => Just(Step::Grow),
    ]
}

proptest! {
    #[test]
    fn a_change_leads_from_one_state_to_the_next(steps in prop::collection::vec(prop::collection::vec(step(), 0..6), 1..6)) {
        let base = base(3);
        let mut state = State::of(&base);
        let mut last = state.delta(&base);
        for steps in steps {
            steps.iter().for_each(|step| step.run(&mut state, &base));
            let delta = state.delta(&base);
            prop_assert_eq!(&State::from_delta(&delta, &base), &state);
            let change = Change::between(&last, &delta).unwrap();
            prop_assert_eq!(change.is_empty(&last), delta == last);
            let changed = change.cards().len() + change.cleared();
            prop_assert_eq!(&change.apply(&last).unwrap(), &delta);
            // As many cards as differ between the two, and no more.
            let differing = |one: &Delta, other: &Delta| {
                (0..1024).filter(|card| one.cards.get(*card) != other.cards.get(*card)).count()
            };
            prop_assert_eq!(changed, differing(&last, &delta));
            last = delta;
        }
    }

    #[test]
    fn a_rebased_delta_is_the_same_instance(steps in prop::collection::vec(step(), 0..12), other in 0_u8..6) {
        let (from, to) = (base(3), base(other));
        let mut state = State::of(&from);
        steps.iter().for_each(|step| step.run(&mut state, &from));
        let rebased = state.delta(&from).rebase(&from, &to).unwrap();
        prop_assert_eq!(&rebased, &state.delta(&to), "in the one form that there is");
        prop_assert_eq!(rebased.rebase(&to, &from).unwrap(), state.delta(&from));
    }
}

#[test]
fn a_change_of_another_snapshot_or_another_state_is_refused() {
    let (one, other) = (base(1), base(2));
    let mut state = State::of(&one);
    let pristine = state.delta(&one);
    state.memory[300] = 77;
    let delta = state.delta(&one);
    assert!(Change::between(&State::of(&other).delta(&other), &delta).is_err());
    let back = Change::between(&delta, &pristine).unwrap();
    assert_eq!(back.cleared(), 1);
    assert!(back.apply(&pristine).is_err(), "it clears what is not there");
    assert!(delta.rebase(&other, &one).is_err());
    let foreign = Base::new([9; 32], b"test".to_vec(), Vec::new(), Vec::new());
    // The exchange region is elsewhere, where the guest has other bytes.
    let elsewhere = Base::new([1; 32], b"another contract".to_vec(), one.memory.clone(), one.globals.clone());
    assert_eq!(delta.rebase(&one, &elsewhere), Err(ImageError::OtherSnapshot));
    assert!(delta.rebase(&one, &foreign).unwrap_err().to_string().contains("of the module 0101010101010101"));
}
