//! WASI preview 1, as far as an extension needs it, and nothing beyond: output that is captured, clocks, randomness, and
//! what of arguments and environment was granted. There are no files, no network and no other process.
//!
//! All functions of `wasi_snapshot_preview1` are there, so that a module which merely links them can be run; those that
//! would reach outside return the error that says so. What a guest can change here (closed descriptors, the state of the
//! random generator, time that it slept) is part of the instance, and every restore puts it back.
//!
//! A pointer that leads out of memory ends the call with [`Cause::InvalidGuestData`](crate::Cause::InvalidGuestData), as
//! under the contracts: it is misuse, and a guest that ignores `EFAULT` would go on with bytes that nobody wrote.

mod config;
mod descriptors;
mod errno;
mod functions;
mod output;
mod process;
mod state;

use std::hash::{DefaultHasher, Hasher};

use wasmtime::{Caller, FuncType, Linker, Val, ValType};

use crate::contract::crossing;
use crate::failure::Fault;
use crate::host::call::{HostCall, HostData};
use crate::host::guest_memory::GuestMemory;
use errno::Errno;
use functions::Denial;

pub use config::{Clock, Randomness, WasiConfig};
pub(crate) use functions::{FUNCTIONS, Int};
pub(crate) use output::Output;
pub use output::{is_out_of_memory, panic_message};
pub(crate) use state::Wasi;

/// Module name of every function of WASI preview 1.
pub(crate) const MODULE: &str = "wasi_snapshot_preview1";

/// Bytes that one function moves at most. The guest's deadline is not checked while a host function runs, so none may run
/// for long.
const MOST_BYTES: usize = 1 << 20;

/// Ranges, or subscriptions, that one function takes at most: as many as systems allow.
const MOST_ITEMS: u32 = 1024;

/// Defines all functions.
pub(crate) fn define(linker: &mut Linker<HostData>) -> wasmtime::Result<()> {
    descriptors::define(linker)?;
    process::define(linker)?;
    for function in &FUNCTIONS {
        if let Some(denial) = function.denied {
            let types = |ints: &'static [Int]| ints.iter().map(|int| ValType::from(*int));
            let ty = FuncType::new(linker.engine(), types(function.params), types(function.results()));
            linker.func_new(MODULE, function.name, ty, move |caller, params, results| {
                results[0] = Val::I32(denied(caller, function.name, denial, params)?);
                Ok(())
            })?;
        }
    }
    Ok(())
}

/// The errno of a function that reaches for what is not there.
fn denied(caller: Caller<'_, HostData>, name: &'static str, denial: Denial, params: &[Val]) -> wasmtime::Result<i32> {
    call(caller, name, |_, data, _| {
        Err(Stop::Errno(match (denial, params.first()) {
            (Denial::OfDescriptor(errno), Some(Val::I32(descriptor))) => {
                data.wasi.open(descriptor.cast_unsigned()).err().unwrap_or(errno)
            }
            (Denial::OfDescriptor(errno) | Denial::Always(errno), _) => errno,
        }))
    })
}

/// Why a function did not do what it was asked for.
enum Stop {
    /// The guest is told, and goes on.
    Errno(Errno),
    /// The call ends.
    Fault(Fault),
}

impl From<Errno> for Stop {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Digest of what passed between guest and host, where calls are traced.
struct Digest(Option<DefaultHasher>);

impl Digest {
    fn add(&mut self, bytes: &[u8]) {
        if let Some(hasher) = &mut self.0 {
            hasher.write(bytes);
        }
    }
}

/// Runs a function's body and returns its errno. It counts as a crossing and is in the trace.
fn call(
    mut caller: Caller<'_, HostData>,
    name: &'static str,
    body: impl FnOnce(&mut GuestMemory<'_>, &mut HostData, &mut Digest) -> Result<(), Stop>,
) -> wasmtime::Result<i32> {
    crossing(&mut caller, |mut memory, data| {
        let mut digest = Digest(data.tracing.then(DefaultHasher::new));
        let errno = match body(&mut memory, data, &mut digest) {
            Ok(()) => Errno::SUCCESS,
            Err(Stop::Errno(errno)) => errno,
            Err(Stop::Fault(fault)) => return Err(fault),
        };
        if let Digest(Some(digest)) = digest {
            data.trace(HostCall::Wasi(name), errno.number().into(), |hasher| hasher.write_u64(digest.finish()));
        }
        Ok(errno.number())
    })
}
