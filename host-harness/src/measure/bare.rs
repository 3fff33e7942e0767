//! The floor that every invocation stands on: the engine's own call of a function that does nothing.

use std::hint::black_box;
use std::time::Instant;

use guest_host::{Engine, LoadError, StartError};

use super::Spread;
use super::times::{clock_cost, clock_share, per};

/// Calls in a batch: some microseconds.
const BATCH: u64 = 500;

/// wasmtime's typed call of an empty function `() -> i64`, with an epoch deadline armed once.
pub(super) struct BareCall {
    store: wasmtime::Store<()>,
    function: wasmtime::TypedFunc<(), i64>,
}

impl BareCall {
    pub(super) fn new(engine: &Engine) -> Result<Self, LoadError> {
        let module = wasmtime::Module::new(engine.wasmtime(), EMPTY_MODULE).map_err(engine_failed)?;
        let mut store = wasmtime::Store::new(engine.wasmtime(), ());
        store.set_epoch_deadline(u64::MAX >> 1);
        let instance = wasmtime::Instance::new(&mut store, &module, &[]).map_err(engine_failed)?;
        let function = instance.get_typed_func::<(), i64>(&mut store, EMPTY).map_err(engine_failed)?;
        let mut this = Self { store, function };
        for _ in 0..10 {
            this.batch()?;
        }
        Ok(this)
    }

    /// Nanoseconds per call in so many batches.
    pub(super) fn batches(&mut self, batches: u64, clock: f64) -> Result<Vec<f64>, LoadError> {
        let mut samples = Vec::new();
        for _ in 0..batches {
            let start = Instant::now();
            self.batch()?;
            samples.push(per(start.elapsed().saturating_sub(clock_share(clock)), BATCH));
        }
        Ok(samples)
    }

    fn batch(&mut self) -> Result<(), LoadError> {
        for _ in 0..BATCH {
            black_box(self.function.call(&mut self.store, ()).map_err(engine_failed)?);
        }
        Ok(())
    }
}

/// Times wasmtime's typed call of an empty function `() -> i64` on this engine, with an epoch deadline armed once, in about so
/// many calls.
///
/// # Errors
/// [`LoadError`] when the engine refuses.
pub fn bare_call(engine: &Engine, calls: u64) -> Result<Spread, LoadError> {
    let batches = (calls / BATCH).clamp(100, 10_000);
    Ok(Spread::of(BareCall::new(engine)?.batches(batches, clock_cost())?))
}

/// Name of the function that [`EMPTY_MODULE`] exports.
const EMPTY: &str = "empty";

/// A module that exports a function `() -> i64` that does nothing, in binary form.
#[rustfmt::skip]
const EMPTY_MODULE: &[u8] = &[
    0x00, b'a', b's', b'm', 1, 0, 0, 0,
    // types: () -> i64
    1, 5, 1, 0x60, 0, 1, 0x7e,
    // functions: one of type 0
    3, 2, 1, 0,
    // exports: function 0
    7, 9, 1, 5, b'e', b'm', b'p', b't', b'y', 0, 0,
    // code: no locals, i64.const 0, end
    10, 6, 1, 4, 0, 0x42, 0, 0x0b,
];

fn engine_failed(error: wasmtime::Error) -> LoadError {
    LoadError::Start(StartError::Instantiate(format!("{error:#}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest_host::EngineConfig;

    #[test]
    fn the_bare_call_can_be_timed() {
        let engine = Engine::new(&EngineConfig::default()).unwrap();
        let spread = bare_call(&engine, 1_000).unwrap();
        assert!(spread.p50 > 0.0 && spread.p50 <= spread.p99, "{spread:?}");
    }
}
