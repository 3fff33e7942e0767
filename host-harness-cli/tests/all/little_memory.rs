//! Built guests in 256 KiB, from the command line: with every allocator and every strategy.

use std::path::{Path, PathBuf};

use guest_build::Allocator;
use host_harness::report::{Content, read};

use crate::folder::Folder;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A built guest beside the guests of the tests, and the state of its sources.
fn with(folder: &Folder, guest: &str, allocator: Allocator) -> String {
    let name = format!("{guest}-{allocator}.wasm");
    let module = std::fs::read(root().join("target/guests").join(&name)).expect("`cargo xtask guests` has built it");
    folder.file(&name, &module);
    let state = std::fs::read(root().join("guests").join(guest).join("state.json")).unwrap();
    folder.file("state.json", &state);
    name
}

#[test]
fn restored_instances_are_verified() {
    for allocator in Allocator::ALL {
        let folder = Folder::new();
        let shop = with(&folder, "shop", allocator);
        // Some of its calls fail as they should, of what the calls before them left in the state.
        let verdicts = |limit: &str| {
            let line = format!("verify {shop} --state state.json --calls 50 --memory-limit {limit} --format json");
            let said = folder.run(&line);
            assert_eq!(said.status, Some(0), "{allocator}: {}{}", said.stdout, said.stderr);
            let Content::Verify(report) = read(&said.stdout).unwrap().content else { panic!("{}", said.stdout) };
            report.verdicts
        };
        let found = verdicts("256KiB");
        assert!(found.len() >= 3 && found.iter().all(|verdict| verdict.calls == 50), "{allocator}: {found:?}");
        assert_eq!(found, verdicts("64MiB"), "{allocator}");
    }
}

#[test]
fn a_guest_that_needs_more_is_told_how_much() {
    for allocator in Allocator::ALL {
        let folder = Folder::new();
        let bench = with(&folder, "bench", allocator);
        let run = folder.run(&format!("run {bench} strings_300mb --state state.json --memory-limit 256KiB"));
        assert_eq!(run.status, Some(1), "{allocator}: {}", run.stdout);
        for word in ["out-of-memory", "the limit is 262144 bytes"] {
            assert!(run.stdout.contains(word), "{allocator}: `{word}` is missing in {}", run.stdout);
        }
        let fits = folder.run(&format!("inspect {bench} --state state.json --budget 256KiB"));
        assert_eq!(fits.status, Some(1), "{allocator}");
        assert!(fits.stdout.contains("out of memory in ") && fits.stdout.contains("strings_300mb"), "{}", fits.stdout);
    }
}
