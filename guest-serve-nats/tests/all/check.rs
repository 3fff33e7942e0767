//! What must hold of events and outputs, whatever happened meanwhile.

use std::collections::BTreeMap;

/// An output of the guest `count`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) count: u32,
    pub(crate) sum: u64,
    pub(crate) event: String,
}

impl Counted {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        Self {
            count: u32::from_le_bytes(bytes[..4].try_into().unwrap()),
            sum: u64::from_le_bytes(bytes[4..12].try_into().unwrap()),
            event: String::from_utf8(bytes[12..].to_vec()).unwrap(),
        }
    }
}

/// The history of one tenant.
#[derive(Debug, Clone, Default)]
pub(crate) struct History {
    /// Events that were acknowledged, by their sequence in the stream.
    pub(crate) acknowledged: BTreeMap<u64, String>,
    /// Its outputs, in the order of the stream.
    pub(crate) outputs: Vec<Counted>,
}

/// Checks that each event was applied once and in order, on the memory that all events before it left: none is missing, none came
/// twice, and no two lived beside each other.
pub(crate) fn check(history: &History) -> Result<(), String> {
    let mut sum = 0u64;
    for (index, (output, event)) in history.outputs.iter().zip(history.acknowledged.values()).enumerate() {
        sum = event.bytes().fold(sum, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let expected = Counted { count: u32::try_from(index).unwrap() + 1, sum, event: event.clone() };
        if *output != expected {
            return Err(format!("{expected:?} was to come, and not {output:?}"));
        }
    }
    match (history.outputs.len(), history.acknowledged.len()) {
        (outputs, events) if outputs == events => Ok(()),
        (outputs, events) => Err(format!("there are {events} events and {outputs} outputs")),
    }
}

#[test]
fn the_check_finds_what_is_wrong() {
    let counted = |count, events: &[&str]| Counted {
        count,
        sum: events.concat().bytes().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())),
        event: (*events.last().unwrap()).to_owned(),
    };
    let acknowledged = BTreeMap::from([(3, "a".to_owned()), (7, "b".to_owned())]);
    let with = |outputs: &[Counted]| check(&History { acknowledged: acknowledged.clone(), outputs: outputs.to_vec() });
    let (first, second) = (counted(1, &["a"]), counted(2, &["a", "b"]));
    with(&[first.clone(), second.clone()]).unwrap();
    for (wrong, why) in [
        (vec![first.clone()], "one is missing at the end"),
        (vec![second.clone()], "one is missing"),
        (vec![first.clone(), first.clone(), second.clone()], "one came twice"),
        (vec![second.clone(), first.clone()], "the order"),
        (vec![first.clone(), counted(1, &["b"])], "two tenants of one name"),
        (vec![first, Counted { sum: 5, ..second }], "other memory"),
    ] {
        assert!(with(&wrong).is_err(), "{why}");
    }
}
