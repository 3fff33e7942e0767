//! The host's side of the contracts: the functions that guests import, how an instance begins, and what a call's result
//! means. Each contract has a room of its own; outside of this folder nothing depends on which one a guest speaks.
//!
//! The host trusts nothing that a guest passes: each range is checked against the memory and each byte against the value
//! model, and what is wrong ends the call with [`Cause::InvalidGuestData`](crate::Cause::InvalidGuestData). A range of no
//! bytes names nothing, so it is right whatever its address.

#[cfg(feature = "async")]
mod awaiting;
mod bare;
mod begin;
pub(crate) mod blocks;
mod crossing;
mod exttinygo;
mod native;
mod numbers;
mod streams;
pub mod wasi;

use std::ops::Range;

use guest_blocks::Violation;
use guest_image::HostState;
use guest_prepare::module_info::{ContractKind, ModuleInfo};
use wasmtime::{Linker, Store, TypedFunc, ValRaw};

use crate::arguments::MissingArguments;
use crate::failure::Fault;
use crate::host::data::{ContractData, HostData};
use crate::host::mode::Mode;
pub(crate) use begin::{Begin, BeginError};
use blocks::{Blocks, BlocksView};
use exttinygo::{ExtTinyGo, ExtTinyGoView};
pub(crate) use numbers::Numbers;
use wasi::{Wasi, WasiView};

/// The data of an instance's store, whichever contract it speaks.
pub(crate) type Data = HostData<ContractState>;

/// The host's side of an instance under its contract.
pub(crate) struct ContractState {
    /// Descriptors, clocks and randomness of the guest.
    wasi: Wasi,
    /// `None` before an instance is initialised, and where it speaks another contract.
    exttinygo: Option<Box<ExtTinyGo>>,
    /// `None` where the guest imports no functions of memory blocks.
    blocks: Option<Box<Blocks>>,
}

impl ContractState {
    /// That of an instance that has not begun.
    pub(crate) fn new(wasi: &wasi::WasiConfig) -> Self {
        Self { wasi: Wasi::new(wasi), exttinygo: None, blocks: None }
    }

    /// An instance is made anew, with blocks if its guest imports their functions.
    pub(crate) fn start(&mut self, blocks: Option<Blocks>) {
        self.exttinygo = None;
        let before = self.blocks.take();
        self.blocks = blocks.map(Box::new);
        if let (Some(blocks), Some(before)) = (&mut self.blocks, before) {
            blocks.count_from(before.counts());
        }
        self.wasi.start();
    }

    /// Makes later restores forget what belongs to WASI.
    #[cfg(feature = "specimens")]
    pub(crate) fn forget_wasi(&mut self) {
        self.wasi.forgetful = true;
    }

    /// The state of the host side, if the guest changed it since the snapshot.
    pub(crate) fn changed_since_snapshot(&self) -> Option<HostState> {
        self.wasi.changed_since_snapshot()
    }

    /// Goes on where another instance stopped.
    pub(crate) fn resume(&mut self, host: &HostState) {
        self.wasi.resume(host);
    }

    /// The instance is as restores have to leave it, with this memory and this exchange region.
    ///
    /// # Errors
    /// [`Violation::Overlaps`] if the guest has offered that as storage.
    pub(crate) fn snapshot(&mut self, memory: &mut [u8], exchange: Range<usize>) -> Result<(), Violation> {
        self.wasi.snapshot();
        self.blocks.as_mut().map_or(Ok(()), |blocks| blocks.snapshot(memory, exchange))
    }
}

impl ContractData for ContractState {
    #[inline]
    fn begin_call(&mut self) {
        if let Some(exttinygo) = &mut self.exttinygo {
            exttinygo.begin_call();
        }
    }

    #[inline]
    fn restored(&mut self) {
        self.wasi.restore();
        if let Some(exttinygo) = &mut self.exttinygo {
            exttinygo.restore();
        }
    }
}

impl WasiView for ContractState {
    #[inline]
    fn wasi(&mut self) -> &mut Wasi {
        &mut self.wasi
    }
}

impl ExtTinyGoView for ContractState {
    #[inline]
    fn exttinygo(&mut self) -> Option<&mut ExtTinyGo> {
        self.exttinygo.as_deref_mut()
    }

    fn set_exttinygo(&mut self, own: ExtTinyGo) {
        self.exttinygo = Some(Box::new(own));
    }
}

impl BlocksView for ContractState {
    #[inline]
    fn blocks(&mut self) -> Option<&mut Blocks> {
        self.blocks.as_deref_mut()
    }
}

/// Defines the imports of a contract, WASI's, and those of memory blocks for a guest that imports them.
pub(crate) fn define(info: &ModuleInfo, linker: &mut Linker<Data>) -> wasmtime::Result<()> {
    if info.imports_blocks() {
        blocks::define(linker)?;
    }
    match info.contract() {
        ContractKind::Native => native::define(linker)?,
        ContractKind::ExtTinyGo => exttinygo::define(linker)?,
        ContractKind::Bare => {}
    }
    wasi::define(linker)
}

/// Defines them for guests that are suspended while a read of the state is awaited.
#[cfg(feature = "async")]
pub(crate) fn define_awaiting(info: &ModuleInfo, linker: &mut Linker<Data>) -> wasmtime::Result<()> {
    define(info, linker)?;
    linker.allow_shadowing(true);
    match info.contract() {
        ContractKind::Native => native::define_awaiting(linker),
        ContractKind::ExtTinyGo => exttinygo::define_awaiting(linker),
        ContractKind::Bare => Ok(()),
    }
}

/// Bytes of the exchange region unless the embedder says otherwise.
pub(crate) const fn default_exchange_size(kind: ContractKind) -> u32 {
    match kind {
        ContractKind::Native => native::EXCHANGE_SIZE,
        ContractKind::ExtTinyGo => exttinygo::EXCHANGE_SIZE,
        ContractKind::Bare => bare::EXCHANGE_SIZE,
    }
}

/// Runs what the contract wants run before the snapshot, and returns the exchange region.
pub(crate) async fn begin<M: Mode>(
    kind: ContractKind,
    start: Option<&'static str>,
    begin: &mut Begin<'_, ContractState>,
) -> Result<Range<usize>, BeginError> {
    match kind {
        ContractKind::Native => native::begin::<M, _>(begin).await,
        ContractKind::ExtTinyGo => exttinygo::begin::<M, _>(begin, start).await,
        ContractKind::Bare => bare::begin::<M, _>(begin).await.map(|()| 0..0),
    }
}

/// A function, resolved once.
pub(crate) enum Callable {
    Native(TypedFunc<(), i64>),
    ExtTinyGo(TypedFunc<(), ()>),
    /// A function of a bare module, or a typed function.
    Numbers(Numbers),
}

/// Why a call did not leave a result.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The guest's code did not return.
    Trapped(wasmtime::Error),
    /// It returned, and reported a failure or left what the host does not take. Boxed, as a large error would be copied
    /// around for every call that succeeds.
    Failed(Box<Fault>),
}

impl From<wasmtime::Error> for CallError {
    fn from(error: wasmtime::Error) -> Self {
        Self::Trapped(error)
    }
}

impl From<Box<Fault>> for CallError {
    fn from(fault: Box<Fault>) -> Self {
        Self::Failed(fault)
    }
}

impl Callable {
    /// Finds an extension function of an instance by the name of its export.
    pub(crate) fn find(
        kind: ContractKind,
        name: &str,
        instance: wasmtime::Instance,
        store: &mut Store<Data>,
    ) -> Option<Self> {
        match kind {
            ContractKind::Native => instance.get_typed_func(store, name).ok().map(Self::Native),
            ContractKind::ExtTinyGo => instance.get_typed_func(store, name).ok().map(Self::ExtTinyGo),
            ContractKind::Bare => None,
        }
    }

    /// Finds a function of numbers by the name of its export. `arguments` are those that the embedder configured for it.
    pub(crate) fn find_numbers(
        name: &str,
        arguments: Result<Vec<ValRaw>, Box<MissingArguments>>,
        instance: wasmtime::Instance,
        store: &mut Store<Data>,
    ) -> Option<Self> {
        let function = instance.get_func(&mut *store, name)?;
        Numbers::new(function, arguments, store).map(Self::Numbers)
    }

    /// Calls it and takes over what it has left.
    #[inline(always)]
    pub(crate) fn call(&self, store: &mut Store<Data>) -> Result<(), CallError> {
        match self {
            Self::Native(function) => {
                let result = function.call(&mut *store, ())?;
                Ok(native::collect(store, result)?)
            }
            Self::ExtTinyGo(function) => {
                function.call(&mut *store, ())?;
                Ok(exttinygo::collect(store.data_mut())?)
            }
            Self::Numbers(function) => function.call_configured(store),
        }
    }

    /// The same, suspended while it waits.
    #[cfg(feature = "async")]
    pub(crate) async fn call_async(&self, store: &mut Store<Data>) -> Result<(), CallError> {
        match self {
            Self::Native(function) => {
                let result = function.call_async(&mut *store, ()).await?;
                Ok(native::collect(store, result)?)
            }
            Self::ExtTinyGo(function) => {
                function.call_async(&mut *store, ()).await?;
                Ok(exttinygo::collect(store.data_mut())?)
            }
            Self::Numbers(function) => function.call_configured_async(store).await,
        }
    }
}
