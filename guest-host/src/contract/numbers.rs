//! Calls of functions whose parameters and results are numbers: those of bare modules, and typed functions.

#![expect(unsafe_code, reason = "a call of a function whose type is known only at run time")]

use wasmtime::{Func, Store, Val, ValRaw, ValType};

use super::{CallError, Data};
use crate::arguments::MissingArguments;
use crate::failure::{Fault, InvalidData};
use guest_abi::ErrorCode;

/// Slots of a call that need no memory from the heap.
const FEW: usize = 16;

/// A function of numbers, resolved once.
pub(crate) struct Numbers {
    function: Func,
    params: usize,
    results: Box<[ValType]>,
    /// The slots of a call with the arguments that the embedder configured: those, and room for the results.
    arguments: Result<Box<[ValRaw]>, Box<MissingArguments>>,
}

impl Numbers {
    /// `None` if the type has anything but numbers.
    pub(super) fn new(
        function: Func,
        arguments: Result<Vec<ValRaw>, Box<MissingArguments>>,
        store: &Store<Data>,
    ) -> Option<Self> {
        let ty = function.ty(store);
        let is_number = |ty: &ValType| matches!(ty, ValType::I32 | ValType::I64 | ValType::F32 | ValType::F64);
        if !ty.params().chain(ty.results()).all(|ty| is_number(&ty)) {
            return None;
        }
        let (params, results): (_, Box<[ValType]>) = (ty.params().len(), ty.results().collect());
        let arguments = arguments.map(|mut arguments| {
            arguments.resize(params.max(results.len()), ValRaw::i64(0));
            arguments.into_boxed_slice()
        });
        Some(Self { function, params, results, arguments })
    }

    /// Slots of a call: as many as it has parameters, or results where those are more.
    pub(crate) fn slots(&self) -> usize {
        self.params.max(self.results.len())
    }

    /// Calls it with the arguments in `slots`, and leaves the results there.
    #[inline(always)]
    pub(crate) fn call(&self, store: &mut Store<Data>, slots: &mut [ValRaw]) -> Result<(), CallError> {
        if slots.len() < self.slots() {
            return Err(CallError::slots(self.slots()));
        }
        // SAFETY: the function is one of this store's, as a call of another store's panics. The slots hold all
        // parameters and have room for all results, as was just checked. Every parameter is a number, as `new` has checked,
        // so any bits are a value of its type. The store is borrowed exclusively, and it is not an asynchronous one: the
        // callers are those of instances whose calls block.
        unsafe { self.function.call_unchecked(&mut *store, slots)? };
        reported(store)
    }

    /// Calls it with the arguments that the embedder configured, and keeps the results for the outcome.
    // Out of line, as the other kinds of functions need their registers.
    #[inline(never)]
    pub(super) fn call_configured(&self, store: &mut Store<Data>) -> Result<(), CallError> {
        let arguments = self.arguments()?;
        let (mut few, mut many) = ([ValRaw::i64(0); FEW], Vec::new());
        let slots = match few.get_mut(..arguments.len()) {
            Some(few) => few,
            None => {
                many.resize(arguments.len(), ValRaw::i64(0));
                many.as_mut_slice()
            }
        };
        slots.copy_from_slice(arguments);
        self.call(store, slots)?;
        let results = self.results.iter().zip(&*slots).map(|(ty, raw)| value(ty, *raw));
        store.data_mut().call.set_results(results);
        Ok(())
    }

    /// The same, suspended while it waits.
    #[cfg(feature = "async")]
    pub(super) async fn call_configured_async(&self, store: &mut Store<Data>) -> Result<(), CallError> {
        let arguments = self.arguments()?;
        let ty = self.function.ty(&*store);
        let params: Vec<Val> = ty.params().zip(arguments).map(|(ty, raw)| value(&ty, *raw)).collect();
        let mut results = vec![Val::I32(0); self.results.len()];
        self.function.call_async(&mut *store, &params, &mut results).await?;
        reported(store)?;
        store.data_mut().call.set_results(results.into_iter());
        Ok(())
    }

    /// Calls it with these arguments, and returns the results.
    #[cfg(feature = "async")]
    pub(crate) async fn call_async(&self, store: &mut Store<Data>, arguments: &[Val]) -> Result<Vec<Val>, CallError> {
        if arguments.len() != self.params {
            return Err(CallError::slots(self.params));
        }
        let mut results = vec![Val::I32(0); self.results.len()];
        self.function.call_async(&mut *store, arguments, &mut results).await?;
        reported(store)?;
        Ok(results)
    }

    fn arguments(&self) -> Result<&[ValRaw], CallError> {
        match &self.arguments {
            Ok(arguments) => Ok(arguments),
            Err(missing) => Err(CallError::Failed(Box::new(Fault::Arguments((**missing).clone())))),
        }
    }
}

/// The value in a slot.
fn value(ty: &ValType, raw: ValRaw) -> Val {
    match ty {
        ValType::I64 => Val::I64(raw.get_i64()),
        ValType::F32 => Val::F32(raw.get_f32()),
        ValType::F64 => Val::F64(raw.get_f64()),
        // The type was checked to be a number.
        _ => Val::I32(raw.get_i32()),
    }
}

/// The error that the guest reported before it returned, if it did.
#[inline]
fn reported(store: &mut Store<Data>) -> Result<(), CallError> {
    let call = &mut store.data_mut().call;
    match call.error_code {
        None => Ok(()),
        Some(code) => {
            let message = std::mem::take(&mut call.error_message);
            Err(CallError::Failed(Box::new(Fault::Guest { code: ErrorCode::from_number(code), message })))
        }
    }
}

impl CallError {
    #[cold]
    fn slots(wanted: usize) -> Self {
        Self::function(format!(
            "a call of it takes {wanted} slots: one for each parameter, or for each result if those are more"
        ))
    }

    #[cold]
    pub(crate) fn not_of_numbers() -> Self {
        Self::function("the function is not one of numbers; `Instance::invoke` calls extension functions".to_owned())
    }

    fn function(what: String) -> Self {
        Self::Failed(Box::new(Fault::InvalidGuestData(InvalidData::Function { what })))
    }
}
