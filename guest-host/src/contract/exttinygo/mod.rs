//! Host side of the exttinygo contract, version 0.0.1: what extensions import that TinyGo compiles for existing hosts.
//!
//! Where guests of the native contract pass keys and values as bytes, these ask for every field by a host function, and
//! handles stand for keys, intents and values. So what is in the native contract a matter of the guest's SDK is one of
//! the host here: `handles` holds what the handles stand for, `writer` encodes keys and intents, `buffers` has the
//! places in the guest's memory where text and bytes come back, and `imports`, `reads` and `rows` are the functions.

mod buffers;
mod crossing;
mod handles;
mod imports;
mod own;
mod reads;
mod rows;
mod writer;

use std::ops::Range;

use guest_abi::exttinygo as names;
use wasmtime::Linker;

use super::begin::{Begin, BeginError};
use crate::failure::Fault;
use crate::host::data::HostData;
use crate::host::mode::Mode;
pub(crate) use crossing::ExtTinyGoView;
use own::Exports;
pub(crate) use own::ExtTinyGo;

/// Defines the contract's imports.
pub(super) fn define<X: ExtTinyGoView>(linker: &mut Linker<HostData<X>>) -> wasmtime::Result<()> {
    imports::define(linker)?;
    reads::define(linker)?;
    rows::define(linker)
}

/// Defines the imports that read the state or call the guest anew, as functions that await.
#[cfg(feature = "async")]
pub(super) fn define_awaiting<X: ExtTinyGoView>(linker: &mut Linker<HostData<X>>) -> wasmtime::Result<()> {
    imports::define_awaiting(linker)?;
    reads::define_awaiting(linker)?;
    rows::define_awaiting(linker)
}

/// Bytes of the buffer through which text and bytes reach the guest, unless the embedder says otherwise.
pub(super) const EXCHANGE_SIZE: u32 = names::DEFAULT_BUFFER_SIZE;

/// Runs what the contract wants run before the snapshot, and returns the buffer. `start` is the export that initialises the
/// guest, if it has one.
pub(super) async fn begin<M: Mode, X: ExtTinyGoView>(
    begin: &mut Begin<'_, X>,
    start: Option<&'static str>,
) -> Result<Range<usize>, BeginError> {
    let (size, limit) = (begin.exchange_size, begin.memory_limit);
    // As hosts of this contract have it: the rest is for the guest.
    if u128::from(limit) * 10 <= u128::from(size) * 17 {
        return Err(BeginError::ExchangeAboveLimit { size, limit });
    }
    let malloc = begin.function(names::EXPORT_MALLOC).ok_or(BeginError::Missing(names::EXPORT_MALLOC))?;
    let on_read_value = begin.function(names::EXPORT_ON_READ_VALUE);
    let own = ExtTinyGo::new(Exports { malloc, on_read_value }, begin.limits);
    begin.store.data_mut().contract.set_exttinygo(own);
    if let Some(start) = start {
        begin.initialise::<M>(start).await?;
    }
    begin.call::<M, (), ()>(names::EXPORT_VERSION, ()).await?;
    let address = begin.call::<M, u32, u32>(names::EXPORT_MALLOC, size).await?.unwrap_or(0);
    let buffer = begin.exchange(address, size)?;
    let own = begin.store.data_mut().contract.exttinygo();
    own.map_or(Ok(()), |own| own.initialised(buffer.clone())).map_err(|fault| {
        let function = start.unwrap_or(names::EXPORT_VERSION).to_owned();
        BeginError::Failed { function, fault }
    })?;
    Ok(buffer)
}

/// Takes over what a function that returned has left.
#[inline]
pub(super) fn collect<X: ExtTinyGoView>(data: &mut HostData<X>) -> Result<(), Box<Fault>> {
    let HostData { call, contract, .. } = data;
    match contract.exttinygo() {
        Some(own) => own.finish(&mut call.intents).map_err(Box::new),
        None => Ok(()),
    }
}
