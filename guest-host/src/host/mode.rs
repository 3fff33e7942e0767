//! The two ways of calling a guest: a call that blocks the thread, and one that may be suspended.
//!
//! Rare operations, such as making an instance, are written once, as a future over a [`Mode`]. Under [`Blocking`] the future
//! is ready when it is first polled. The path of a call itself is written for each mode, because nanoseconds count there.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use wasmtime::{AsContextMut, Instance, InstancePre, Store, TypedFunc, UpdateDeadline, WasmParams, WasmResults};

use crate::failure::Fault;
use crate::host::data::{ContractData, HostData};
use crate::host::supervisor::Supervisor;

/// How long guest code may run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    /// Ticks of the engine's clock.
    pub(crate) ticks: u64,
    /// The time itself; `None` for ever.
    pub(crate) limit: Option<Duration>,
}

/// A way of calling a guest.
pub(crate) trait Mode: Send + 'static {
    /// Whether calls may be suspended.
    #[cfg(feature = "async")]
    const IS_ASYNC: bool;

    /// Calls a function.
    fn call<T: Send + 'static, P: WasmParams + Sync, R: WasmResults + Sync>(
        function: &TypedFunc<P, R>,
        store: impl AsContextMut<Data = T> + Send,
        params: P,
    ) -> impl Future<Output = wasmtime::Result<R>> + Send;

    /// Instantiates a module.
    fn instantiate<T: Send + 'static>(
        pre: &InstancePre<T>,
        store: &mut Store<T>,
    ) -> impl Future<Output = wasmtime::Result<Instance>> + Send;

    /// Prepares a store in which nothing was instantiated yet.
    fn prepare<X: ContractData>(store: &mut Store<HostData<X>>);

    /// Lets guest code run for this long from now on.
    fn arm<X: ContractData>(store: &mut Store<HostData<X>>, deadline: Deadline);
}

/// Calls block the thread.
pub(crate) enum Blocking {}

impl Mode for Blocking {
    #[cfg(feature = "async")]
    const IS_ASYNC: bool = false;

    async fn call<T: Send + 'static, P: WasmParams + Sync, R: WasmResults + Sync>(
        function: &TypedFunc<P, R>,
        store: impl AsContextMut<Data = T> + Send,
        params: P,
    ) -> wasmtime::Result<R> {
        function.call(store, params)
    }

    async fn instantiate<T: Send + 'static>(pre: &InstancePre<T>, store: &mut Store<T>) -> wasmtime::Result<Instance> {
        pre.instantiate(store)
    }

    fn prepare<X: ContractData>(store: &mut Store<HostData<X>>) {
        if store.data().limiter.supervisor().is_some() {
            store.epoch_deadline_callback(|mut store| {
                let data = store.data_mut();
                // Ticks that passed between two questions, for instance in a long copy of memory, are not counted one by one.
                let is_late = data.until.is_some_and(|until| Instant::now() >= until);
                Ok(match is_late || interrupted(data) {
                    true => UpdateDeadline::Interrupt,
                    false => UpdateDeadline::Continue(1),
                })
            });
        }
    }

    #[inline]
    fn arm<X: ContractData>(store: &mut Store<HostData<X>>, deadline: Deadline) {
        let data = store.data_mut();
        let ticks = match data.limiter.supervisor() {
            None => deadline.ticks,
            Some(_) => {
                data.arm(deadline);
                1
            }
        };
        store.set_epoch_deadline(ticks);
    }
}

impl<X> HostData<X> {
    /// Guest code must end when the deadline has passed, from now on. A time that the clock cannot tell never comes.
    fn arm(&mut self, deadline: Deadline) {
        self.until = deadline.limit.and_then(|limit| Instant::now().checked_add(limit));
        #[cfg(feature = "async")]
        {
            self.between = deadline.limit;
        }
    }

    /// The guest goes on after it waited for a stream: it has all its time again.
    #[cfg(feature = "async")]
    pub(crate) fn go_on(&mut self) {
        self.arm(Deadline { ticks: 0, limit: self.between });
    }
}

/// Whether the supervisor ends the call.
fn interrupted<X>(data: &mut HostData<X>) -> bool {
    let interrupted = data.limiter.supervisor().is_some_and(Supervisor::is_interrupted);
    if interrupted {
        data.call.fault = Some(Fault::Interrupted);
    }
    interrupted
}

/// Calls run on a stack of their own and are suspended with each tick of the engine's clock, and while a read of the state
/// is awaited.
#[cfg(feature = "async")]
pub(crate) enum Awaiting {}

#[cfg(feature = "async")]
impl Mode for Awaiting {
    const IS_ASYNC: bool = true;

    async fn call<T: Send + 'static, P: WasmParams + Sync, R: WasmResults + Sync>(
        function: &TypedFunc<P, R>,
        store: impl AsContextMut<Data = T> + Send,
        params: P,
    ) -> wasmtime::Result<R> {
        function.call_async(store, params).await
    }

    async fn instantiate<T: Send + 'static>(pre: &InstancePre<T>, store: &mut Store<T>) -> wasmtime::Result<Instance> {
        pre.instantiate_async(store).await
    }

    fn prepare<X: ContractData>(store: &mut Store<HostData<X>>) {
        store.epoch_deadline_callback(|mut store| {
            let data = store.data_mut();
            let is_late = data.until.is_some_and(|until| Instant::now() >= until);
            Ok(match is_late || interrupted(data) {
                true => UpdateDeadline::Interrupt,
                false => UpdateDeadline::Yield(1),
            })
        });
    }

    fn arm<X: ContractData>(store: &mut Store<HostData<X>>, deadline: Deadline) {
        let data = store.data_mut();
        // Answers are kept for one call.
        if let Some(state) = data.state.awaited() {
            state.begin_call();
        }
        data.arm(deadline);
        store.set_epoch_deadline(1);
    }
}

/// The result of a future over [`Blocking`].
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => unreachable!("a call that blocks is not suspended"),
    }
}
