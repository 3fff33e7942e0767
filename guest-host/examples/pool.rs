//! The samples of the book's page on pools. Give it a guest that exports `count_up`, such as
//! `target/guests/shop-bump-reset.wasm`.

use std::thread;
use std::time::Duration;

use guest_host::{
    Engine, EngineConfig, Guest, InstanceAllocation, InstanceConfig, MemoryState, Pool, PoolConfig, PoolError,
    PrepareOptions, RestoreStrategy,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "target/guests/shop-bump-reset.wasm".to_owned());
    let records = MemoryState::new();
    // ANCHOR: pool
    let mut engine = EngineConfig::default();
    engine.allocation = InstanceAllocation::pooling(40);
    let engine = Engine::new(&engine)?;
    let guest = Guest::from_file(&engine, path.as_ref(), PrepareOptions::default())?;
    let count_up = guest.function("count_up")?;

    let mut instance = InstanceConfig::default();
    instance.strategy = RestoreStrategy::BumpReset;
    let mut size = PoolConfig::default();
    (size.warm, size.max) = (2, 32);
    // Called for each new instance; each has a state of its own.
    let pool = Pool::new(&guest, &instance, &size, move || Ok(records.clone()))?;

    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..1_000 {
                    match pool.take_within(Duration::from_millis(20)) {
                        Ok(mut instance) => match instance.invoke(count_up) {
                            Ok(outcome) => drop(outcome.intents().count()),
                            Err(failure) => eprintln!("{failure}"),
                        },
                        // Too much to do: say so instead of letting callers wait.
                        Err(PoolError::TimedOut { .. }) => eprintln!("busy, try again later"),
                        Err(error) => eprintln!("{error}"),
                    }
                }
            });
        }
    });
    // ANCHOR_END: pool
    let status = pool.status();
    println!("{} instances were needed, {} are idle", status.instances, status.idle);
    Ok(())
}
