//! The process as a program sees it: arguments, environment, time, randomness, and exit.

use wasmtime::{Caller, Linker};

use super::call::{MODULE, MOST_BYTES, MOST_ITEMS, WasiView, call};
use super::descriptors::{INPUT, put, word};
use super::errno::Errno;
use super::functions::PROC_EXIT;
use super::state::{ClockId, Strings, Wasi};
use crate::contract::crossing::{crossing, range};
use crate::failure::Fault;
use crate::host::call::HostCall;
use crate::host::data::HostData;
use crate::host::guest_memory::GuestMemory;

pub(super) fn define<X: WasiView>(linker: &mut Linker<HostData<X>>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "args_sizes_get", |caller: Caller<'_, HostData<X>>, count: u32, size: u32| {
        sizes(caller, "args_sizes_get", |wasi| &wasi.arguments, count, size)
    })?;
    linker.func_wrap(MODULE, "args_get", |caller: Caller<'_, HostData<X>>, list: u32, room: u32| {
        strings(caller, "args_get", |wasi| &mut wasi.arguments, list, room)
    })?;
    linker.func_wrap(MODULE, "environ_sizes_get", |caller: Caller<'_, HostData<X>>, count: u32, size: u32| {
        sizes(caller, "environ_sizes_get", |wasi| &wasi.environment, count, size)
    })?;
    linker.func_wrap(MODULE, "environ_get", |caller: Caller<'_, HostData<X>>, list: u32, room: u32| {
        strings(caller, "environ_get", |wasi| &mut wasi.environment, list, room)
    })?;
    linker.func_wrap(MODULE, "clock_res_get", resolution)?;
    linker.func_wrap(MODULE, "clock_time_get", time)?;
    linker.func_wrap(MODULE, "random_get", random)?;
    linker.func_wrap(MODULE, "poll_oneoff", poll)?;
    linker.func_wrap(MODULE, "sched_yield", |caller: Caller<'_, HostData<X>>| {
        call(caller, "sched_yield", |_, _, _| Ok(()))
    })?;
    linker.func_wrap(MODULE, PROC_EXIT, exit)?;
    Ok(())
}

/// How many strings there are, and how many bytes they take together.
fn sizes<X: WasiView>(
    caller: Caller<'_, HostData<X>>,
    name: &'static str,
    of: fn(&Wasi) -> &Strings,
    count: u32,
    size: u32,
) -> wasmtime::Result<i32> {
    call(caller, name, |memory, data, digest| {
        let strings = of(data.contract.wasi());
        let sizes = [strings.starts.len(), strings.bytes.len()].map(|size| u32::try_from(size).unwrap_or(u32::MAX));
        put("room for a count of strings", count, &sizes[0].to_le_bytes(), memory, data, digest)?;
        put("room for a count of bytes", size, &sizes[1].to_le_bytes(), memory, data, digest)
    })
}

/// The strings, and a list of where each begins.
fn strings<X: WasiView>(
    caller: Caller<'_, HostData<X>>,
    name: &'static str,
    of: fn(&mut Wasi) -> &mut Strings,
    list: u32,
    room: u32,
) -> wasmtime::Result<i32> {
    call(caller, name, |memory, data, digest| {
        // Taken out while the instance's other parts are needed.
        let strings = std::mem::take(of(data.contract.wasi()));
        let mut put_all = || {
            put("room for strings", room, &strings.bytes, memory, data, digest)?;
            for (index, start) in (0_u32..).zip(&strings.starts) {
                let address = list.saturating_add(index * 4);
                let string = room.wrapping_add(*start);
                put("room for a list of strings", address, &string.to_le_bytes(), memory, data, digest)?;
            }
            Ok(())
        };
        let done = put_all();
        *of(data.contract.wasi()) = strings;
        done
    })
}

fn resolution<X: WasiView>(caller: Caller<'_, HostData<X>>, id: u32, out: u32) -> wasmtime::Result<i32> {
    call(caller, "clock_res_get", |memory, data, digest| {
        ClockId::of(id)?;
        let resolution = data.contract.wasi().resolution();
        put("room for a clock's resolution", out, &resolution.to_le_bytes(), memory, data, digest)
    })
}

fn time<X: WasiView>(caller: Caller<'_, HostData<X>>, id: u32, _precision: u64, out: u32) -> wasmtime::Result<i32> {
    call(caller, "clock_time_get", |memory, data, digest| {
        let time = data.contract.wasi().read_clock(ClockId::of(id)?);
        put("room for a time", out, &time.to_le_bytes(), memory, data, digest)
    })
}

fn random<X: WasiView>(caller: Caller<'_, HostData<X>>, address: u32, length: u32) -> wasmtime::Result<i32> {
    call(caller, "random_get", |memory, data, digest| {
        let room = range("room for random bytes", address, length, memory.len())?;
        if room.len() > MOST_BYTES {
            return Err(Errno::INVAL.into());
        }
        let bytes = memory.write(room, &mut data.dirty_ranges);
        data.contract.wasi().random(bytes)?;
        digest.add(bytes);
        Ok(())
    })
}

fn exit<X: WasiView>(mut caller: Caller<'_, HostData<X>>, code: i32) -> wasmtime::Result<()> {
    crossing(&mut caller, |_, data| {
        data.trace(HostCall::Wasi(PROC_EXIT), code.into(), |_| ());
        Err(Fault::Exit { code })
    })
}

/// Waits, without waiting: time passes for the guest's clocks alone. To sleep would keep the host's thread from others,
/// and the guest's deadline is not checked meanwhile.
fn poll<X: WasiView>(
    caller: Caller<'_, HostData<X>>,
    subscriptions: u32,
    events: u32,
    count: u32,
    happened: u32,
) -> wasmtime::Result<i32> {
    call(caller, "poll_oneoff", |memory, data, digest| {
        if count == 0 || count > MOST_ITEMS {
            return Err(Errno::INVAL.into());
        }
        let all = range("list of subscriptions", subscriptions, count * Subscription::SIZE, memory.len())?;
        range("room for events", events, count * Event::SIZE, memory.len())?;
        data.dirty_ranges.add(&all);
        let places = || all.clone().step_by(Subscription::SIZE as usize);
        // What happens first has happened when this returns.
        let least = places().map(|at| Subscription::at(at, memory).wait(data.contract.wasi())).min().unwrap_or(0);
        let (mut out, mut number) = (events, 0_u32);
        for at in places() {
            let subscription = Subscription::at(at, memory);
            if subscription.wait(data.contract.wasi()) <= least {
                put("room for an event", out, &subscription.event(data.contract.wasi()).0, memory, data, digest)?;
                (out, number) = (out + Event::SIZE, number + 1);
            }
        }
        if least > 0 {
            data.contract.wasi().pass(least);
        }
        put("room for a count of events", happened, &number.to_le_bytes(), memory, data, digest)
    })
}

/// An event that a guest waits for.
struct Subscription {
    /// The guest's own identifier of it.
    user_data: u64,
    kind: u8,
    /// The clock or the descriptor.
    number: u32,
    timeout: u64,
    /// Whether the timeout is a time, and not how long it takes until then.
    absolute: bool,
}

impl Subscription {
    const SIZE: u32 = 48;
    const CLOCK: u8 = 0;

    /// The one at a place that lies in memory.
    fn at(at: usize, memory: &GuestMemory<'_>) -> Self {
        let double = |at| u64::from(word(at, memory)) | u64::from(word(at + 4, memory)) << 32;
        Self {
            user_data: double(at),
            kind: memory.read()[at + 8],
            number: word(at + 16, memory),
            timeout: double(at + 24),
            absolute: word(at + 40, memory) & 1 != 0,
        }
    }

    /// Nanoseconds until it happens. Descriptors are always ready, and mistakes are told at once.
    fn wait(&self, wasi: &Wasi) -> u64 {
        match (self.kind, ClockId::of(self.number)) {
            (Self::CLOCK, Ok(id)) if self.absolute => self.timeout.saturating_sub(wasi.time(id)),
            (Self::CLOCK, Ok(_)) => self.timeout,
            _ => 0,
        }
    }

    fn event(&self, wasi: &Wasi) -> Event {
        const READ: u8 = 1;
        const WRITE: u8 = 2;
        const HANGUP: u8 = 1;
        let wrong_end = |descriptor| (self.kind == READ) != (descriptor == INPUT);
        let error = match self.kind {
            Self::CLOCK => ClockId::of(self.number).err(),
            READ | WRITE if wrong_end(self.number) => Some(Errno::BADF),
            READ | WRITE => wasi.open(self.number).err(),
            _ => Some(Errno::INVAL),
        };
        let mut event = Event([0; Event::SIZE as usize]);
        event.0[..8].copy_from_slice(&self.user_data.to_le_bytes());
        event.0[8..10].copy_from_slice(&error.unwrap_or(Errno::SUCCESS).to_le_bytes());
        event.0[10] = self.kind;
        if self.kind == READ && error.is_none() {
            // The input has ended.
            event.0[24] = HANGUP;
        }
        event
    }
}

/// An event that happened, as it stands in the guest's memory.
struct Event([u8; Self::SIZE as usize]);

impl Event {
    const SIZE: u32 = 32;
}
