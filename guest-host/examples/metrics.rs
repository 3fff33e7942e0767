//! The samples of the book's section on metrics. Give it a guest that exports `count_up`, such as
//! `target/guests/shop-bump-reset.wasm`.

use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, Metrics, Pool, PoolConfig, PrepareOptions};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "target/guests/shop-bump-reset.wasm".to_owned());
    let engine = Engine::new(&EngineConfig::default())?;
    let guest = Guest::from_file(&engine, path.as_ref(), PrepareOptions::default())?;
    let count_up = guest.function("count_up")?;

    // ANCHOR: metrics
    let metrics = Metrics::default();
    let mut config = InstanceConfig::default();
    config.metrics = Some(metrics.clone());
    let pool = Pool::new(&guest, &config, &PoolConfig::default(), || Ok(MemoryState::new()))?;
    // ANCHOR_END: metrics
    for _ in 0..100 {
        if let Err(failure) = pool.take()?.invoke(count_up) {
            eprintln!("{failure}");
        }
    }
    println!("{}\n\n{}", Metrics::CONTENT_TYPE, metrics.text());

    // ANCHOR: registry
    let mut registry = Registry::with_prefix("shop");
    registry.register_collector(Box::new(metrics.clone()));
    // ANCHOR_END: registry
    let mut text = String::new();
    encode(&mut text, &registry)?;
    println!("{text}");
    Ok(())
}
