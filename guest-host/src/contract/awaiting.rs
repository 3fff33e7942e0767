//! The asynchronous frame of a host function that reads the state.

use wasmtime::Caller;

use crate::host::data::{ContractData, HostData};

/// Runs a host function's body. Where it reads what the state has no answer for, awaits the answer and runs it again: a body
/// reads before it does anything.
pub(crate) async fn awaiting<X: ContractData, R>(
    caller: &mut Caller<'_, HostData<X>>,
    mut body: impl FnMut(&mut Caller<'_, HostData<X>>) -> wasmtime::Result<R> + Send,
) -> wasmtime::Result<R> {
    loop {
        // It is one crossing, however often the body runs.
        let crossings = caller.data().call.crossings;
        let result = body(caller);
        let data = caller.data_mut();
        match data.state.awaited() {
            Some(state) if result.is_err() && state.wants() => {}
            _ => return result,
        }
        drop(result);
        data.call.fault = None;
        data.call.crossings = crossings;
        if let Some(state) = data.state.awaited() {
            state.fetch().await;
        }
    }
}
