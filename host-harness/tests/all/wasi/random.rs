//! Every function with arguments and memory of all kinds: what comes of it is an errno or a typed error, and a restore by
//! what was marked puts back every byte.

use std::fmt::Write as _;

use guest_host::admission::wasi_imports;
use guest_host::{Cause, InstanceConfig, InvalidData, RestoreStrategy};
use rand::seq::IndexedRandom as _;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{MEMORY, guest, instance};

/// Calls of each function.
const CALLS: usize = 40;

/// A number that is likely to matter: a descriptor, an address in the middle or at the end of memory, a length, or any.
fn number(random: &mut ChaCha8Rng) -> u32 {
    let end = u32::try_from(MEMORY).expect("it is small");
    match random.random_range(0..8) {
        0..=2 => random.random_range(0..4),
        3 | 4 => random.random_range(0..end / 2),
        5 => end - random.random_range(0..70),
        6 => *[end, end + 1, u32::MAX, u32::MAX - 7, 1 << 31].choose(random).expect("there are some"),
        _ => random.random(),
    }
}

#[test]
fn whatever_is_passed_every_byte_is_restored() {
    let mut random = ChaCha8Rng::seed_from_u64(4);
    let mut body = r#"(data (i32.const 0) ""#.to_owned();
    for _ in 0..2048 {
        // What ranges and subscriptions are read from.
        number(&mut random).to_le_bytes().iter().for_each(|byte| write!(body, "\\{byte:02x}").unwrap());
    }
    body.push_str("\")");
    let known = wasi_imports();
    for (index, known) in known.iter().enumerate() {
        for call in 0..CALLS {
            write!(body, r#"(func (export "f{index}_{call}") (result i64) (call ${}"#, known.name).unwrap();
            for ty in &known.signature.params {
                write!(body, " ({ty}.const {})", number(&mut random)).unwrap();
            }
            body.push_str(if known.signature.results.is_empty() { ")" } else { ") drop" });
            body.push_str(" i64.const 0)");
        }
    }
    let names: Vec<&str> = known.iter().map(|known| known.name.as_str()).collect();
    let guest = guest(&names, &body);
    let mut config = InstanceConfig::default();
    config.strategy = RestoreStrategy::DirtyCards;
    config.wasi.arguments = vec!["a".to_owned(), "b".repeat(300)];
    config.wasi.environment = vec![("A".to_owned(), "b".to_owned())];
    let mut instance = instance(&guest, &config);
    let (mut returned, mut refused) = (0, 0);
    for (index, known) in known.iter().enumerate() {
        for call in 0..CALLS {
            match instance.invoke_by_name(&format!("f{index}_{call}")).map(drop) {
                Ok(()) => returned += 1,
                Err(failure) => match failure.cause {
                    Cause::InvalidGuestData(InvalidData::OutOfBounds { .. }) => refused += 1,
                    Cause::Exit { .. } => assert_eq!(known.name, "proc_exit"),
                    other => panic!("{}, call {call}: {other}", known.name),
                },
            }
            let (memory, snapshot) = instance.memory().expect("it is there");
            assert!(memory == snapshot.memory(), "{}, call {call}", known.name);
        }
    }
    assert!(returned > 20 * CALLS && refused > CALLS, "{returned} and {refused}: both are tried");
}
