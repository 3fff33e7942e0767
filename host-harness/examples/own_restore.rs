//! A strategy of the embedder's own, verified before it is used. Give it a guest, such as
//! `target/guests/shop-system.wasm`.

use guest_host::restore::{Promise, Restore, RestoreError, Restored, Target};
use guest_host::snapshot::RegionKind;
use guest_host::{Engine, EngineConfig, Guest, MemoryState, PrepareOptions, Residue};
use host_harness::verify::{VerifyOptions, verify_with};

// ANCHOR: restore
/// Copies back only the pages that differ: few writes, at the price of reading everything.
#[derive(Debug)]
struct ChangedPages;

impl Restore for ChangedPages {
    fn name(&self) -> &str {
        "changed-pages"
    }

    fn promise(&self, _region: RegionKind, _residue: Residue) -> Promise {
        Promise::Exact
    }

    fn restore(&mut self, target: &mut Target<'_>) -> Result<Restored, RestoreError> {
        const PAGE: usize = 4096;
        let mut bytes = 0;
        let (memory, snapshot) = target.memory();
        let (same_size, grown) = memory.split_at_mut(snapshot.memory().len());
        for (now, saved) in same_size.chunks_mut(PAGE).zip(snapshot.memory().chunks(PAGE)) {
            if now != saved {
                now.copy_from_slice(saved);
                bytes += saved.len() as u64;
            }
        }
        for now in grown.chunks_mut(PAGE).filter(|now| now.iter().any(|byte| *byte != 0)) {
            now.fill(0);
            bytes += now.len() as u64;
        }
        Ok(Restored { bytes })
    }
}
// ANCHOR_END: restore

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "target/guests/shop-system.wasm".to_owned());
    let engine = Engine::new(&EngineConfig::default())?;
    let guest = Guest::from_file(&engine, path.as_ref(), PrepareOptions::default())?;
    // ANCHOR: verify
    let verdict = verify_with(&guest, Box::new(ChangedPages), &VerifyOptions::default(), &MemoryState::new())?;
    for difference in &verdict.differences {
        eprintln!("{difference}");
    }
    assert!(verdict.passed());
    // ANCHOR_END: verify
    println!("{} calls, no difference", verdict.calls);
    Ok(())
}
