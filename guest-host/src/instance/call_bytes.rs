//! A call of a typed function from bytes to bytes that may wait for a stream.

use std::ops::Range;

use guest_abi::column::ALIGNMENT;
use guest_abi::names;
use wasmtime::{Store, Val};

use super::awaiting::AsyncInstance;
use super::{GuestCallError, Instance};
use crate::contract::{CallError, Callable, Data};
use crate::failure::Failure;
use crate::guest::Function;
use crate::host::data::visible_bytes;
use crate::host::memory_location::memory_and_data;
use crate::host::mode::Awaiting;
use crate::host::stream::GuestStream;
use crate::spans::within;

/// What a function gets, and where its result goes.
pub(super) enum Asked<'a> {
    /// The arguments that were configured, or none.
    Configured,
    /// Bytes, and the bytes that it returns.
    Bytes { argument: &'a [u8], result: &'a mut Vec<u8> },
}

/// The stream of a call. It is taken back when the call ends or is given up, so that nobody waits for its other end.
struct Lent<'a>(&'a mut Instance);

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        if let Some(data) = self.0.phase.data_mut() {
            data.stream = None;
        }
    }
}

impl AsyncInstance {
    /// Calls a typed function `(bytes) -> bytes` of the native contract, with a restore after it, as [`Instance::call_with`] does. While the
    /// call runs, the guest may read and write `stream`.
    ///
    /// The deadline of the instance counts from the beginning of the call, and anew each time that the guest goes on after it waited for
    /// the stream: it bounds guest code, and not the client at the other end. To bound all of it, give the call up.
    ///
    /// A call is not tried again if it runs out of memory, as the stream has gone on.
    ///
    /// # Errors
    /// [`Failure`] with its cause.
    pub async fn call_bytes(
        &mut self,
        function: Function,
        argument: &[u8],
        stream: Box<dyn GuestStream>,
    ) -> Result<Vec<u8>, Failure> {
        let began = self.instance.begin_counting(function);
        let mut result = Vec::new();
        let called = {
            let Lent(instance) = &mut Lent(&mut self.instance);
            if !instance.phase.is_ready() {
                // What initialises a new instance has no stream. If none can be made, the attempt says why.
                let why = instance.why_replaced();
                let _ = instance.replace_uncalled::<Awaiting>(why).await;
            }
            if let Some(data) = instance.phase.data_mut() {
                data.stream = Some(stream);
            }
            let asked = &mut Asked::Bytes { argument, result: &mut result };
            within!(debug_span, "invoke", guest = instance.guest.name(),
                function = instance.guest.function_name(function); instance.attempt_async(function, false, asked))
        };
        self.instance.ended(function, began, called)?;
        Ok(result)
    }
}

/// Calls a function with bytes in the exchange region, and returns a copy of those that it returned.
pub(super) async fn called_with_bytes(
    function: &Callable,
    store: &mut Store<Data>,
    exchange: Range<usize>,
    argument: &[u8],
) -> Result<Vec<u8>, CallError> {
    let Callable::Numbers(function) = function else { return Err(CallError::not_of_numbers()) };
    let address = place(store, exchange, argument)?;
    let length = i32::try_from(argument.len()).unwrap_or(i32::MAX);
    let results = function.call_async(store, &[Val::I32(address), Val::I32(length)]).await?;
    match *results {
        [Val::I64(packed)] => taken(store, packed),
        _ => Err(CallError::not_of_numbers()),
    }
}

fn place(store: &mut Store<Data>, exchange: Range<usize>, argument: &[u8]) -> Result<i32, CallError> {
    if argument.is_empty() {
        return Ok(ALIGNMENT as i32);
    }
    let start = exchange.start.next_multiple_of(ALIGNMENT);
    let end = start.saturating_add(argument.len());
    let Some((mut memory, data)) = memory_and_data(store).filter(|_| end <= exchange.end) else {
        let needed = end - exchange.start;
        return Err(GuestCallError::arguments_too_large(needed as u64, exchange.len() as u64).into_inner());
    };
    memory.write(start..end, &mut data.dirty_ranges).copy_from_slice(argument);
    Ok(u32::try_from(start).unwrap_or(u32::MAX).cast_signed())
}

fn taken(store: &mut Store<Data>, packed: i64) -> Result<Vec<u8>, CallError> {
    let (address, length) = names::unpack(packed);
    if length == 0 {
        return Ok(Vec::new());
    }
    let physical = memory_and_data(store).map_or(0, |(memory, _)| memory.len());
    let visible = visible_bytes(physical, &mut *store);
    let range = address as usize..address as usize + length as usize;
    let Some((memory, _)) = memory_and_data(store) else { return Err(CallError::not_of_numbers()) };
    match memory.up_to(visible).read().get(range) {
        Some(bytes) => Ok(bytes.to_vec()),
        None => Err(GuestCallError::invalid(format!(
            "the result: {length} bytes at address {address:#x} are outside the guest's memory of {visible} bytes"
        ))
        .into_inner()),
    }
}
