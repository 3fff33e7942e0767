//! What can be seen of an instance: its memory, globals and tables beside the snapshot, and what the last call left.

use wasmtime::Val;

use super::Instance;
use super::live::Live;
use crate::host::call::{Call, LogLines, TraceEntry};
use crate::restore::snapshot::Snapshot;

impl Instance {
    /// Pages of 64 KiB that its memory physically has.
    #[must_use]
    pub fn physical_pages(&self) -> u64 {
        self.phase.live().map_or(0, |live| live.handles.memory.size(&live.store))
    }

    /// The instance's memory as it is now, and its snapshot.
    #[must_use]
    pub fn memory(&self) -> Option<(&[u8], &Snapshot)> {
        self.phase.live().map(|live| (live.handles.memory.data(&live.store), &live.snapshot))
    }

    /// The mutable globals as they are now: name, value, and the value in the snapshot.
    ///
    /// ```
    /// use guest_host::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions, RestorePolicy, Val};
    ///
    /// # let engine = Engine::new(&EngineConfig::default())?;
    /// # let wasm = wat::parse_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop.wat")))?;
    /// # let guest = Guest::load(&engine, "shop", &wasm, PrepareOptions::default())?;
    /// let config = InstanceConfig::default().with_policy(RestorePolicy::OnError);
    /// let mut instance = guest.instantiate(&config, MemoryState::new())?;
    /// instance.invoke_by_name("count_up")?;
    /// let changed = |(_, now, saved): &(String, Val, Val)| matches!((now, saved), (Val::I32(1), Val::I32(0)));
    /// assert!(instance.globals().iter().any(changed));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn globals(&mut self) -> Vec<(String, Val, Val)> {
        let Some(live) = self.phase.live_mut() else {
            return Vec::new();
        };
        let Live { store, handles, snapshot, .. } = live;
        let globals = handles.globals.iter().zip(&snapshot.globals);
        globals.map(|((name, global), saved)| (name.clone(), global.get(&mut *store), *saved)).collect()
    }

    /// Names of the tables whose elements differ from the snapshot.
    pub fn changed_tables(&mut self) -> Vec<String> {
        let Some(live) = self.phase.live_mut() else {
            return Vec::new();
        };
        let now = live.handles.table_images(&mut live.store);
        let tables = live.handles.tables.iter().zip(now.iter().zip(&live.snapshot.tables));
        tables.filter(|(_, (now, saved))| now != saved).map(|((name, _), _)| name.clone()).collect()
    }

    /// Calls of host functions by the last call, whether it succeeded or failed; empty unless the instance traces.
    #[must_use]
    pub fn last_trace(&self) -> &[TraceEntry] {
        self.last_call().map_or(&[], |call| &call.trace)
    }

    /// What the last call left with the host, also one that failed.
    fn last_call(&self) -> Option<&Call> {
        self.phase.data().map(|data| &data.call)
    }

    /// The log lines of the last call, whether it succeeded or failed, until the next call. Of a call that was tried
    /// again they are those of the second try; there are none before the first call, and of a call for which there was
    /// no instance.
    ///
    /// They are what a failed call leaves besides its [`Failure`](crate::Failure): its intents are never handed out.
    #[must_use]
    pub fn last_log(&self) -> LogLines<'_> {
        self.last_call().map(Call::log).unwrap_or_default()
    }

    /// Log lines of the last call, also of one that failed, that were cut off or dropped because it logged more than it
    /// may.
    #[must_use]
    pub fn last_log_dropped(&self) -> u64 {
        self.last_call().map_or(0, Call::log_dropped)
    }

    /// What the last call wrote to its output through WASI, whether it succeeded or failed, until the next call: the last
    /// [`CallLimits::output_bytes`](crate::CallLimits::output_bytes) of it.
    #[must_use]
    pub fn last_output(&self) -> &[u8] {
        self.last_call().map_or(&[], |call| call.output.bytes())
    }

    /// Bytes that the last call wrote to its output before those that are kept.
    #[must_use]
    pub fn last_output_dropped(&self) -> u64 {
        self.last_call().map_or(0, |call| call.output.dropped())
    }

    /// Makes later restores forget what belongs to WASI: a broken specimen that a checker of restores must catch.
    #[cfg(feature = "specimens")]
    pub fn forget_wasi(&mut self) {
        if let Some(live) = self.phase.live_mut() {
            live.store.data_mut().contract.forget_wasi();
        }
    }
}
