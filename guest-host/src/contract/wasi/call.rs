//! The frame of every function of WASI: its errno, its place in the trace, and where its data are.

use std::hash::{DefaultHasher, Hasher};

use wasmtime::Caller;

use super::errno::Errno;
use super::state::Wasi;
use crate::contract::crossing::crossing;
use crate::failure::Fault;
use crate::host::call::HostCall;
use crate::host::data::{ContractData, HostData};
use crate::host::guest_memory::GuestMemory;

/// An instance that WASI belongs to.
pub(crate) trait WasiView: ContractData {
    /// Its WASI state.
    fn wasi(&mut self) -> &mut Wasi;
}

/// Module name of every function of WASI preview 1.
pub(crate) const MODULE: &str = "wasi_snapshot_preview1";

/// Bytes that one function moves at most. The guest's deadline is not checked while a host function runs, so none may run
/// for long.
pub(super) const MOST_BYTES: usize = 1 << 20;

/// Ranges, or subscriptions, that one function takes at most: as many as systems allow.
pub(super) const MOST_ITEMS: u32 = 1024;

/// Error of a function of WASI.
pub(super) enum WasiError {
    /// A number that the function returns to the guest, which goes on.
    Errno(Errno),
    /// A reason to end the call.
    Fault(Fault),
}

impl From<Errno> for WasiError {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<Fault> for WasiError {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Digest of what passed between guest and host, where calls are traced.
pub(super) struct Digest(Option<DefaultHasher>);

impl Digest {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        if let Some(hasher) = &mut self.0 {
            hasher.write(bytes);
        }
    }
}

/// Runs a function's body and returns its errno. It counts as a crossing and is in the trace.
pub(super) fn call<X: WasiView>(
    mut caller: Caller<'_, HostData<X>>,
    name: &'static str,
    body: impl FnOnce(&mut GuestMemory<'_>, &mut HostData<X>, &mut Digest) -> Result<(), WasiError>,
) -> wasmtime::Result<i32> {
    crossing(&mut caller, |mut memory, data| {
        let mut digest = Digest(data.tracing.then(DefaultHasher::new));
        let errno = match body(&mut memory, data, &mut digest) {
            Ok(()) => Errno::SUCCESS,
            Err(WasiError::Errno(errno)) => errno,
            Err(WasiError::Fault(fault)) => return Err(fault),
        };
        if let Digest(Some(digest)) = digest {
            data.trace(HostCall::Wasi(name), errno.number().into(), |hasher| hasher.write_u64(digest.finish()));
        }
        Ok(errno.number())
    })
}
