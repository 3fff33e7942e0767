//! Every target on its saved corpus, and on random bytes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use fuzz::TARGETS;
use fuzz::modules::random_bytes;

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

#[test]
fn no_random_bytes_break_a_property() {
    for (name, target) in TARGETS {
        for seed in 0..60 {
            let input = random_bytes(seed, 40 + 37 * usize::try_from(seed).expect("it is small"));
            target(&input).unwrap_or_else(|wrong| panic!("{name}, seed {seed}: {wrong}"));
        }
    }
}
