//! An instance on the way to its snapshot, as the contracts see it.

use std::ops::Range;

use wasmtime::{Instance, Memory, Store, TypedFunc, WasmParams, WasmResults};

use crate::failure::Fault;
use crate::host::call::CallLimits;
use crate::host::data::{ContractData, HostData};
use crate::host::mode::Mode;

/// An instance on the way to its snapshot.
pub(crate) struct Begin<'a, X: ContractData> {
    pub(crate) instance: &'a Instance,
    pub(crate) memory: Memory,
    pub(crate) store: &'a mut Store<HostData<X>>,
    pub(crate) limits: CallLimits,
    /// Bytes of linear memory that the instance may have.
    pub(crate) memory_limit: u64,
    /// Bytes of the exchange region.
    pub(crate) exchange_size: u32,
    /// Whether that is only the usual size, so that a smaller region is as good where there is no room for it.
    pub(crate) may_shrink_exchange: bool,
}

/// Why an instance did not come to its snapshot.
pub(crate) enum BeginError {
    /// An export that admission has seen is not there.
    Missing(&'static str),
    /// A function of the guest's did not return.
    Trapped { function: String, error: wasmtime::Error },
    /// A function of the guest's reported a failure, or left what the host does not take.
    Failed { function: String, fault: Fault },
    /// The guest could not allocate an exchange region of `size` bytes.
    NoExchange { size: u32 },
    /// The guest's exchange region does not lie in its memory.
    ExchangeOutOfBounds { size: u32, address: u32 },
    /// The contract wants more memory than the limit beside an exchange region of this size.
    ExchangeAboveLimit { size: u32, limit: u64 },
}

impl<X: ContractData> Begin<'_, X> {
    /// The exported function of this name and type, if there is one.
    pub(super) fn function<P: WasmParams, R: WasmResults>(&mut self, name: &str) -> Option<TypedFunc<P, R>> {
        self.instance.get_typed_func(&mut *self.store, name).ok()
    }

    /// Calls the exported function of this name, if there is one.
    pub(super) async fn call<M: Mode, P: WasmParams + Sync, R: WasmResults + Sync>(
        &mut self,
        name: &str,
        params: P,
    ) -> Result<Option<R>, BeginError> {
        let Some(function) = self.function::<P, R>(name) else {
            return Ok(None);
        };
        match M::call(&function, &mut *self.store, params).await {
            Ok(result) => Ok(Some(result)),
            Err(error) => Err(BeginError::Trapped { function: name.to_owned(), error }),
        }
    }

    /// Runs what initialises the guest, if there is such an export. To exit with code 0 is one way to have done it.
    pub(super) async fn initialise<M: Mode>(&mut self, name: &str) -> Result<(), BeginError> {
        let Some(function) = self.function::<(), ()>(name) else {
            return Ok(());
        };
        match M::call(&function, &mut *self.store, ()).await {
            Err(error) if self.exit_code() != Some(0) => Err(BeginError::Trapped { function: name.to_owned(), error }),
            _ => Ok(()),
        }
    }

    /// The code with which the guest ended its process, if that is why it returned no more. With 0 it has done all that it
    /// had to, and the next call begins as if it had returned. Its stack pointer stays where it was: what is on the stack
    /// may still be in use.
    fn exit_code(&mut self) -> Option<i32> {
        let fault = &mut self.store.data_mut().call.fault;
        match fault {
            Some(Fault::Exit { code: 0 }) => {
                *fault = None;
                Some(0)
            }
            Some(Fault::Exit { code }) => Some(*code),
            _ => None,
        }
    }

    /// The exchange region that the guest has allocated. One of no bytes is nowhere.
    pub(super) fn exchange(&mut self, address: u32, size: u32) -> Result<Range<usize>, BeginError> {
        if size == 0 {
            return Ok(0..0);
        }
        if address == 0 {
            return Err(BeginError::NoExchange { size });
        }
        let end = address as usize + size as usize;
        if end > self.memory.data_size(&*self.store) {
            return Err(BeginError::ExchangeOutOfBounds { size, address });
        }
        Ok(address as usize..end)
    }
}
