//! Runs a function of an artefact, in a program without a compiler:
//!
//! ```sh
//! cargo run -p wasm-guest-host --no-default-features --features artefacts --example run_artefact -- ARTEFACT KEY FUNCTION
//! ```
//!
//! Make the artefact by `host-harness compile GUEST -o ARTEFACT --artefact-key KEY`.

use guest_host::{
    ArtefactKey, ArtefactTrust, Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(artefact), Some(key), Some(function)) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: run_artefact ARTEFACT KEY FUNCTION".into());
    };
    let trust = ArtefactTrust::key(ArtefactKey::from_file(key.as_ref())?);
    let engine = Engine::new(&EngineConfig::default().with_artefact_trust(trust))?;
    let guest = Guest::from_file(&engine, artefact.as_ref(), PrepareOptions::default())?;
    println!("code: {:?}", guest.code_origin());
    let mut instance = guest.instantiate(&InstanceConfig::default(), MemoryState::new())?;
    let outcome = instance.invoke_by_name(&function)?;
    println!("{} intents", outcome.intents().count());
    Ok(())
}
