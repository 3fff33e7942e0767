//! The bytes of many states: in one buffer, as most have few bytes and keep their length.

use std::ops::Range;

/// The states of groups, as bytes. A group of no rows has none.
#[derive(Debug, Clone, Default)]
pub(super) struct States {
    bytes: Vec<u8>,
    places: Vec<Place>,
    /// Bytes in the buffer that belong to no state any more.
    free: usize,
}

/// Where the bytes of a state are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    start: usize,
    length: usize,
    /// Bytes from `start` on that are this state's.
    room: usize,
}

/// The place of a group of no rows: its state has no bytes, not even a version.
const NONE: Place = Place { start: usize::MAX, length: 0, room: 0 };

impl States {
    /// Number of groups.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Sets the number of groups. New ones have no rows.
    pub(super) fn resize(&mut self, groups: usize) {
        for place in self.places.drain(groups.min(self.places.len())..) {
            self.free += place.room;
        }
        self.places.resize(groups, NONE);
        self.compact();
    }

    /// The bytes of a group's state.
    pub(super) fn get(&self, group: usize) -> Option<&[u8]> {
        let place = self.places.get(group).filter(|place| **place != NONE)?;
        self.bytes.get(place.start..place.start + place.length)
    }

    /// Sets the bytes of a group's state. A group that there is not is left out.
    pub(super) fn set(&mut self, group: usize, state: &[u8]) {
        let Some(place) = self.places.get_mut(group) else { return };
        if state.len() > place.room || *place == NONE {
            self.free += place.room;
            *place = Place { start: self.bytes.len(), length: state.len(), room: state.len() };
            self.bytes.extend_from_slice(state);
            self.compact();
        } else {
            place.length = state.len();
            self.bytes[place.start..place.start + state.len()].copy_from_slice(state);
        }
    }

    /// Removes the first groups; those behind them move up.
    pub(super) fn remove_first(&mut self, groups: usize) {
        for place in self.places.drain(..groups.min(self.places.len())) {
            self.free += place.room;
        }
        self.compact();
    }

    /// Bytes of the states of some groups.
    pub(super) fn bytes_of(&self, groups: Range<usize>) -> usize {
        self.places[groups].iter().map(|place| place.length).sum()
    }

    /// Bytes of memory that the states take.
    pub(super) fn size(&self) -> usize {
        self.bytes.capacity() + self.places.capacity() * size_of::<Place>()
    }

    /// Bytes of all states, about.
    pub(super) fn total(&self) -> usize {
        self.bytes.len() - self.free
    }

    /// Moves the states together once half of the buffer is free: what moves was written before, so this adds a constant factor.
    fn compact(&mut self) {
        if self.free <= self.bytes.len() / 2 {
            return;
        }
        let mut bytes = Vec::with_capacity(self.total());
        for place in self.places.iter_mut().filter(|place| **place != NONE) {
            let start = bytes.len();
            bytes.extend_from_slice(&self.bytes[place.start..place.start + place.length]);
            *place = Place { start, length: place.length, room: place.length };
        }
        (self.bytes, self.free) = (bytes, 0);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Resize(usize),
        Set(usize, Vec<u8>),
        RemoveFirst(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            1 => (0_usize..8).prop_map(Step::Resize),
            6 => (0_usize..8, proptest::collection::vec(any::<u8>(), 0..20)).prop_map(|(group, state)| Step::Set(group, state)),
            1 => (0_usize..4).prop_map(Step::RemoveFirst),
        ]
    }

    proptest! {
        #[test]
        fn states_are_those_of_a_list_of_vectors(steps in proptest::collection::vec(step(), 0..60)) {
            let (mut states, mut model) = (States::default(), Vec::<Option<Vec<u8>>>::new());
            for step in steps {
                match step {
                    Step::Resize(groups) => {
                        states.resize(groups);
                        model.resize(groups, None);
                    }
                    Step::Set(group, state) => {
                        states.set(group, &state);
                        if let Some(of) = model.get_mut(group) {
                            *of = Some(state);
                        }
                    }
                    Step::RemoveFirst(groups) => {
                        states.remove_first(groups);
                        model.drain(..groups.min(model.len()));
                    }
                }
                let found: Vec<_> = (0..states.len()).map(|group| states.get(group).map(<[u8]>::to_vec)).collect();
                prop_assert_eq!(&found, &model);
                let bytes: usize = model.iter().flatten().map(Vec::len).sum();
                prop_assert_eq!(states.bytes_of(0..states.len()), bytes);
                prop_assert!(states.bytes.len() <= 2 * states.total() + 20, "{states:?}");
            }
        }
    }
}
