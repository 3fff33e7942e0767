//! Every target on its saved corpus, and on random bytes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fuzz::TARGETS;
use fuzz::modules::random_bytes;
use proptest::prelude::*;

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target)
}

#[test]
fn no_input_of_the_corpora_breaks_a_property() {
    for (name, target) in TARGETS {
        let mut led_to = BTreeSet::new();
        let mut files: Vec<PathBuf> =
            corpus(name).read_dir().expect("it has a corpus").map(|entry| entry.expect("it is read").path()).collect();
        files.sort();
        for path in &files {
            let input = std::fs::read(path).expect("it is read");
            led_to.insert(target(&input).unwrap_or_else(|wrong| panic!("{}: {wrong}", path.display())));
        }
        // The targets differ in what there is to tell apart.
        assert!(led_to.len() >= 5, "{name}: {} files lead to {led_to:?} alone", files.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_random_bytes_break_a_property(seed: u64, length in 0_usize..3_000, first in 0_u8..30) {
        let mut input = random_bytes(seed, length);
        // It says what the input is taken for, by targets that take it for several things.
        if let Some(kind) = input.first_mut() {
            *kind = first;
        }
        for (name, target) in TARGETS {
            target(&input).map_err(|wrong| TestCaseError::fail(format!("{name}: {wrong}")))?;
        }
    }
}
