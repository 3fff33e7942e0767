//! A state behind something slow, read by a guest that holds no thread meanwhile. Give it a guest, such as
//! `target/guests/shop-system.wasm`.

use std::time::{Duration, Instant};

use guest_abi::key::Key;
use guest_abi::value::ValueRef;
use guest_host::{
    AsyncPool, AsyncState, Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PoolConfig, PrepareOptions,
    StateError,
};

// ANCHOR: state
/// Records behind a slow connection.
struct Remote(MemoryState);

impl AsyncState for Remote {
    async fn get(&mut self, key: &Key<'_>) -> Result<Option<Vec<u8>>, StateError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(self.0.get(key)?.map(<[u8]>::to_vec))
    }

    async fn read(&mut self, key: &Key<'_>, after: Option<ValueRef<'_>>, room: usize) -> Result<Vec<u8>, StateError> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        AsyncState::read(&mut self.0, key, after, room).await
    }
}
// ANCHOR_END: state

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "target/guests/shop-system.wasm".to_owned());
    let engine = Engine::new(&EngineConfig::default())?;
    let guest = Guest::from_file(&engine, path.as_ref(), PrepareOptions::default())?;
    let config = InstanceConfig::default();
    // ANCHOR: pool
    let state = async || Ok(Remote(MemoryState::new()));
    let pool = AsyncPool::new(&guest, &config, &PoolConfig::default(), state).await?;
    let count_up = guest.function("count_up")?;
    let call = async || {
        let mut instance = pool.take().await?;
        let outcome = instance.invoke(count_up).await?;
        Ok::<_, Box<dyn std::error::Error>>(outcome.intents().count())
    };
    // ANCHOR_END: pool
    let began = Instant::now();
    let (one, two, three) = tokio::join!(call(), call(), call());
    println!("{} intents in {:?}", one? + two? + three?, began.elapsed());
    Ok(())
}
