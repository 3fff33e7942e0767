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
use crate::spans::within;
use crate::stream::GuestStream;

/// The argument of a function, and the place of its result.
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
                // The initialisation of a new instance has no stream. If no instance can be made, the attempt returns the reason.
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
        // No slice begins at address 0, not even an empty one.
        return Ok(i32::try_from(ALIGNMENT).unwrap_or_default());
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

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use super::*;
    use crate::failure::{Cause, InvalidData};
    use crate::stream::{MOST_AT_ONCE, StreamError, StreamFuture};
    use crate::{Engine, EngineConfig, Guest, InstanceConfig, MemoryState, PrepareOptions, Status};

    /// `echo` writes what it reads, until there is no more, and returns its argument. `spin` reads once and never ends. `greedy` writes
    /// 100,000 bytes. All of them count up at address 16, and trap if that was not 0.
    const GUEST: &str = r#"(module
        (import "extension" "stream_read" (func $read (param i32 i32) (result i32)))
        (import "extension" "stream_write" (func $write (param i32 i32)))
        (memory (export "memory") 4)
        (func (export "__guest_exchange") (param i32) (result i32) (i32.const 1024))
        (func $begin (if (i32.load (i32.const 16)) (then unreachable)) (i32.store (i32.const 16) (i32.const 1)))
        (func (export "__guest_function_echo") (param i32 i32) (result i64) (local $length i32)
            (call $begin)
            (loop $next
                (local.set $length (call $read (i32.const 65536) (i32.const 8)))
                (call $write (i32.const 65536) (local.get $length))
                (br_if $next (local.get $length)))
            (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1))))
        (func (export "__guest_function_spin") (param i32 i32) (result i64)
            (call $begin) (drop (call $read (i32.const 65536) (i32.const 8))) (loop $l (br $l)) (i64.const 0))
        (func (export "__guest_function_greedy") (param i32 i32) (result i64)
            (call $begin) (call $write (i32.const 65536) (i32.const 100000)) (i64.const 0))
        (func (export "__guest_function_outside") (param i32 i32) (result i64)
            (drop (call $read (i32.const 262140) (i32.const 8))) (i64.const 0))
        (@custom "guest-abi" "\01\00\00\00"))"#;

    /// Yields `left` pieces, each after the thread has slept for `wait`, and records the lengths of the writes.
    struct Pieces {
        left: usize,
        wait: Duration,
        written: Arc<std::sync::Mutex<Vec<usize>>>,
    }

    impl GuestStream for Pieces {
        fn read(&mut self, most: usize) -> StreamFuture<'_, Vec<u8>> {
            std::thread::sleep(self.wait);
            let is_there = self.left > 0;
            self.left = self.left.saturating_sub(1);
            Box::pin(async move { Ok(if is_there { vec![b'x'; most] } else { Vec::new() }) })
        }

        fn write(&mut self, bytes: Vec<u8>) -> StreamFuture<'_, ()> {
            self.written.lock().unwrap().push(bytes.len());
            Box::pin(async { Ok(()) })
        }
    }

    /// Never gives anything.
    struct Silent(#[expect(dead_code, reason = "it is counted")] Arc<()>);

    impl GuestStream for Silent {
        fn read(&mut self, _most: usize) -> StreamFuture<'_, Vec<u8>> {
            Box::pin(pending())
        }

        fn write(&mut self, _bytes: Vec<u8>) -> StreamFuture<'_, ()> {
            Box::pin(async { Err(StreamError::new("nobody listens")) })
        }
    }

    fn guest() -> Guest {
        let engine = Engine::new(&EngineConfig::default()).unwrap();
        Guest::load(&engine, "test", &wat::parse_str(GUEST).unwrap(), PrepareOptions::default()).unwrap()
    }

    fn instance(guest: &Guest, deadline: Duration) -> AsyncInstance {
        let config = InstanceConfig::default().with_deadline(Some(deadline)).with_exchange_size(Some(1024));
        block_on(guest.instantiate_async(&config, MemoryState::new())).unwrap()
    }

    /// Runs a future that is ready again at once whenever it is not ready.
    fn block_on<T>(future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return value;
            }
            std::thread::yield_now();
        }
    }

    fn pieces(left: usize, wait: Duration) -> (Box<Pieces>, Arc<std::sync::Mutex<Vec<usize>>>) {
        let written = Arc::default();
        (Box::new(Pieces { left, wait, written: Arc::clone(&written) }), written)
    }

    #[test]
    fn a_guest_has_its_time_anew_when_it_has_waited() {
        let guest = guest();
        let (echo, spin) = (guest.export("__guest_function_echo"), guest.export("__guest_function_spin"));
        let mut instance = instance(&guest, Duration::from_millis(500));
        for _ in 0..2 {
            // All in all it waits for longer than the deadline.
            let (stream, written) = pieces(3, Duration::from_millis(200));
            let result = block_on(instance.call_bytes(echo.unwrap(), b"argument", stream)).unwrap();
            assert_eq!((result.as_slice(), written.lock().unwrap().as_slice()), (&b"argument"[..], &[8, 8, 8][..]));
            assert!(instance.is_pristine());
            let (stream, _) = pieces(1, Duration::ZERO);
            let failure = block_on(instance.call_bytes(spin.unwrap(), b"", stream)).unwrap_err();
            assert!(matches!(failure.cause, Cause::DeadlineExceeded { .. }), "{failure}");
        }
    }

    #[test]
    fn a_call_that_is_given_up_gives_its_stream_back() {
        let guest = guest();
        let echo = guest.export("__guest_function_echo").unwrap();
        let mut instance = instance(&guest, Duration::from_secs(10));
        let count = Arc::new(());
        {
            let mut call = pin!(instance.call_bytes(echo, b"", Box::new(Silent(Arc::clone(&count)))));
            let polled = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert!(polled.is_pending() && Arc::strong_count(&count) == 2);
        }
        assert_eq!((Arc::strong_count(&count), instance.status()), (1, Status::Running));
        let (stream, written) = pieces(1, Duration::ZERO);
        assert_eq!(block_on(instance.call_bytes(echo, b"again", stream)).unwrap(), b"again");
        assert_eq!(*written.lock().unwrap(), [8]);
    }

    #[test]
    fn what_is_long_comes_in_pieces_and_what_fails_ends_the_call() {
        let guest = guest();
        let function = |name: &str| guest.export(&format!("__guest_function_{name}")).unwrap();
        let mut instance = instance(&guest, Duration::from_secs(10));
        let (stream, written) = pieces(0, Duration::ZERO);
        block_on(instance.call_bytes(function("greedy"), b"", stream)).unwrap();
        assert_eq!(*written.lock().unwrap(), [MOST_AT_ONCE, 100_000 - MOST_AT_ONCE]);
        let failure = block_on(instance.call_bytes(function("greedy"), b"", Box::new(Silent(Arc::default()))));
        assert_eq!(failure.unwrap_err().cause.to_string(), "the stream ended: nobody listens");
        let failure = block_on(instance.call_bytes(function("outside"), b"", pieces(1, Duration::ZERO).0)).unwrap_err();
        assert!(matches!(failure.cause, Cause::InvalidGuestData(InvalidData::OutOfBounds { .. })), "{failure}");
        let failure = block_on(instance.call_bytes(function("echo"), &[0; 1025], pieces(1, Duration::ZERO).0));
        let too_large = Cause::ArgumentsTooLarge { needed: 1025, available: 1024 };
        assert_eq!(failure.unwrap_err().cause.to_string(), too_large.to_string());
        assert_eq!(
            block_on(instance.call_bytes(function("echo"), &[1; 1024], pieces(1, Duration::ZERO).0)).unwrap(),
            [1; 1024]
        );
    }

    #[test]
    fn a_call_that_blocks_has_no_stream() {
        let guest = guest();
        let config = InstanceConfig::default().with_exchange_size(Some(1024));
        let mut instance = guest.instantiate(&config, MemoryState::new()).unwrap();
        let failure = instance.call_with(guest.export("__guest_function_echo").unwrap(), |call| {
            call.call(&mut [wasmtime::ValRaw::i32(0); 2])
        });
        let cause = failure.unwrap_err().cause;
        assert!(matches!(cause, Cause::InvalidGuestData(InvalidData::NoStream)), "{cause}");
    }
}
