//! WASI preview 1, as far as an extension needs it, and nothing beyond: output that is captured, clocks, randomness, and
//! what of arguments and environment was granted. There are no files, no network and no other process.
//!
//! All functions of `wasi_snapshot_preview1` are there, so that a module which merely links them can be run; those that
//! would reach outside return the error that says so. What a guest can change here (closed descriptors, the state of the
//! random generator, time that it slept) is part of the instance, and every restore puts it back.
//!
//! A pointer that leads out of memory ends the call with [`Cause::InvalidGuestData`](crate::Cause::InvalidGuestData), as
//! under the contracts: it is misuse, and a guest that ignores `EFAULT` would go on with bytes that nobody wrote.

mod call;
mod config;
mod descriptors;
mod errno;
mod functions;
mod process;
mod state;

use wasmtime::{Caller, FuncType, Linker, Val, ValType};

use crate::host::data::HostData;
use call::{WasiError, call};
use functions::Denial;

pub(crate) use call::{MODULE, WasiView};
pub use config::{Clock, Randomness, WasiConfig};
pub(crate) use functions::{FUNCTIONS, Int};
pub(crate) use state::Wasi;

pub use crate::host::output::{is_out_of_memory, panic_message};

/// Defines all functions.
pub(crate) fn define<X: WasiView>(linker: &mut Linker<HostData<X>>) -> wasmtime::Result<()> {
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
fn denied<X: WasiView>(
    caller: Caller<'_, HostData<X>>,
    name: &'static str,
    denial: Denial,
    params: &[Val],
) -> wasmtime::Result<i32> {
    call(caller, name, |_, data, _| {
        Err(WasiError::Errno(match (denial, params.first()) {
            (Denial::OfDescriptor(errno), Some(Val::I32(descriptor))) => {
                data.contract.wasi().open(descriptor.cast_unsigned()).err().unwrap_or(errno)
            }
            (Denial::OfDescriptor(errno) | Denial::Always(errno), _) => errno,
        }))
    })
}
