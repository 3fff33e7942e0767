//! The samples of the book's guide for embedders. Give it a guest that exports `count_up`, such as
//! `target/guests/shop-bump-reset.wasm`.

use std::time::Duration;

use guest_host::{
    Cause, Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions, Residue, RestorePolicy,
    RestoreStrategy,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "target/guests/shop-bump-reset.wasm".to_owned());
    // ANCHOR: embed
    let engine = Engine::new(&EngineConfig::default())?;
    let guest = Guest::from_file(&engine, path.as_ref(), PrepareOptions::default())?;
    let mut config = InstanceConfig::default();
    config.strategy = RestoreStrategy::BumpReset;
    config.residue = Residue::Scrub;
    config.policy = RestorePolicy::EveryCall;
    config.memory_limit = 64 << 20;
    config.deadline = Some(Duration::from_millis(50));
    let mut instance = guest.instantiate(&config, MemoryState::new())?;
    let count_up = guest.function("count_up")?;
    let called = instance.invoke(count_up).map(|outcome| outcome.intent_bytes().to_vec());
    // What a call logged is there whether it succeeded or failed.
    for (level, line) in instance.last_log() {
        println!("{level}: {line}");
    }
    let intents = called.map_err(explain)?;
    instance.state_mut().ok_or("the state was lost")?.apply(&intents)?;
    // ANCHOR_END: embed
    println!("applied {} bytes of intents", intents.len());
    Ok(())
}

// ANCHOR: causes
/// The reaction to each cause of failure.
fn explain(failure: guest_host::Failure) -> String {
    match &failure.cause {
        // The extension's own answer: for whoever called.
        Cause::GuestError { code, message } => format!("{} {message}", code.number()),
        // Limits: for whoever runs the host.
        Cause::OutOfMemory { .. } | Cause::DeadlineExceeded { .. } => failure.to_string(),
        // Faults of the guest: for whoever wrote it.
        _ => format!("{failure}\n  at {}", failure.backtrace.join("\n  at ")),
    }
}
// ANCHOR_END: causes
