//! Where what a call allocates is known from: the control block, functions of the guest's own, or its allocator's calls
//! that the preparation counts.
//!
//! Functions of the guest's own are guest code. They run when nothing of a call is left to be read, their output is
//! dropped, and one that traps is not called again. They are never called before a call: what they said is known from the
//! snapshot, or from after the call before.

use guest_abi::{ControlBlockImage, exttinygo};
use wasmtime::{Global, Instance, Store, TypedFunc, Val};

use super::live::Live;
use crate::contract::Data;
use crate::host::mode::{Deadline, Mode};
use crate::host::outcome::{AllocationSource, AllocationStats};
use crate::restore::snapshot::Handles;
use guest_prepare::{CountedAs, Prepared};

/// What there is to count a guest's allocations by, beside a control block.
#[derive(Default)]
pub(super) struct Counting {
    pub(super) calls: Option<CountedCalls>,
    functions: Option<GuestFunctions>,
    /// What the policy asks for the heap in use.
    heap_in_use: Option<TypedFunc<(), i64>>,
    /// The counts at the beginning of the last call, if they are known without calling the guest.
    at_begin: Option<Counted>,
}

/// The globals in which the preparation counts.
pub(super) struct CountedCalls {
    allocations: Global,
    frees: Global,
    reallocations: Global,
    requested_bytes: Global,
    under_way: Global,
    refused_bytes: Global,
    /// Whether there is a function that frees.
    frees_are_counted: bool,
    /// Whether there is a function that reallocates.
    reallocations_are_counted: bool,
}

/// The guest's own functions, and what they said.
struct GuestFunctions {
    mallocs: TypedFunc<(), i64>,
    frees: Option<TypedFunc<(), i64>>,
    heap_in_use: Option<TypedFunc<(), i64>>,
    heap_size: Option<TypedFunc<(), i64>>,
    at_snapshot: Said,
    /// After the last call that was not followed by a restore.
    last: Option<Said>,
}

/// What a guest's own functions said.
#[derive(Debug, Clone, Copy, Default)]
struct Said {
    mallocs: i64,
    frees: Option<i64>,
    heap_in_use: Option<i64>,
    heap_size: Option<i64>,
}

/// What has been counted up to some moment, without calling the guest.
#[derive(Debug, Clone, Copy)]
enum Counted {
    Block(ControlBlockImage),
    Calls { allocations: u64, frees: u64, reallocations: u64, requested_bytes: u64 },
}

impl Counting {
    /// Finds what there is. `ask` says whether functions of the guest's own are to be asked; what they say now, before the
    /// snapshot, is remembered.
    pub(super) async fn of<M: Mode>(
        prepared: &Prepared,
        instance: &Instance,
        handles: &Handles,
        ask: bool,
        store: &mut Store<Data>,
    ) -> Self {
        let calls = CountedCalls::of(prepared, instance, store);
        let functions = if ask { GuestFunctions::of::<M>(instance, handles, store).await } else { None };
        let heap_in_use = instance.get_typed_func(store, exttinygo::EXPORT_HEAP_IN_USE).ok();
        Self { calls, functions, heap_in_use, at_begin: None }
    }
}

impl CountedCalls {
    pub(super) fn of(prepared: &Prepared, instance: &Instance, store: &mut Store<Data>) -> Option<Self> {
        let counters = prepared.counters?;
        let counted = |kind| prepared.counted.iter().any(|function| function.counted_as == kind);
        let mut global = |name| instance.get_global(&mut *store, name);
        Some(Self {
            allocations: global(counters.allocations)?,
            frees: global(counters.frees)?,
            reallocations: global(counters.reallocations)?,
            requested_bytes: global(counters.requested_bytes)?,
            under_way: global(counters.under_way)?,
            refused_bytes: global(counters.refused_bytes)?,
            frees_are_counted: counted(CountedAs::Free),
            reallocations_are_counted: counted(CountedAs::Reallocation),
        })
    }

    /// Bytes of a request to the guest's allocator that was under way when a call trapped, or that was answered with no block
    /// during it.
    pub(super) fn failed_allocation(&self, store: &mut Store<Data>) -> Option<u64> {
        match read(self.under_way, store) {
            0 | Self::NO_REQUEST => self.refused_allocation(store),
            request => Some(request - 1),
        }
    }

    /// Bytes of the last request to the guest's allocator that was answered with no block during the call.
    pub(super) fn refused_allocation(&self, store: &mut Store<Data>) -> Option<u64> {
        Some(read(self.refused_bytes, store)).filter(|refused| *refused != 0)
    }

    /// Value of the global during an operation that asks for no memory.
    const NO_REQUEST: u64 = u64::MAX;
}

impl GuestFunctions {
    /// `None` where the guest has none, or they trap.
    async fn of<M: Mode>(instance: &Instance, handles: &Handles, store: &mut Store<Data>) -> Option<Self> {
        let mut function = |name| instance.get_typed_func::<(), i64>(&mut *store, name).ok();
        let mut found = Self {
            mallocs: function(exttinygo::EXPORT_MALLOCS)?,
            frees: function(exttinygo::EXPORT_FREES),
            heap_in_use: function(exttinygo::EXPORT_HEAP_IN_USE),
            heap_size: function(exttinygo::EXPORT_HEAP_SYS),
            at_snapshot: Said::default(),
            last: None,
        };
        found.at_snapshot = found.ask::<M>(handles, store).await?;
        Some(found)
    }

    /// Asks the guest. Where one of the functions traps, the globals are put back to what they were, the shadow-stack
    /// pointer above all. What the functions leave with the host is dropped.
    async fn ask<M: Mode>(&self, handles: &Handles, store: &mut Store<Data>) -> Option<Said> {
        let globals: Vec<Val> = handles.globals.iter().map(|(_, global)| global.get(&mut *store)).collect();
        let call = std::mem::take(&mut store.data_mut().call);
        let said = self.said::<M>(store).await;
        store.data_mut().call = call;
        if said.is_err() {
            for ((_, global), value) in handles.globals.iter().zip(globals) {
                // Its own value, so it is of its type.
                let _ = global.set(&mut *store, value);
            }
        }
        said.ok()
    }

    async fn said<M: Mode>(&self, store: &mut Store<Data>) -> wasmtime::Result<Said> {
        let mut said = Said::default();
        for (function, word) in [
            (&self.frees, &mut said.frees),
            (&self.heap_in_use, &mut said.heap_in_use),
            (&self.heap_size, &mut said.heap_size),
        ] {
            if let Some(function) = function {
                *word = Some(M::call(function, &mut *store, ()).await?);
            }
        }
        said.mallocs = M::call(&self.mallocs, &mut *store, ()).await?;
        Ok(said)
    }
}

impl Live {
    /// Takes note of the counts at the beginning of a call.
    #[inline(never)]
    pub(super) fn begin_counting(&mut self) {
        self.counting.at_begin = self.counted();
    }

    /// What has been counted so far, where that is known without calling the guest.
    fn counted(&mut self) -> Option<Counted> {
        if let Some(block) = self.control_block() {
            return block.image.counts().then_some(Counted::Block(block.image));
        }
        let calls = self.counting.calls.as_ref()?;
        let store = &mut self.store;
        Some(Counted::Calls {
            allocations: read(calls.allocations, store),
            frees: read(calls.frees, store),
            reallocations: read(calls.reallocations, store),
            requested_bytes: read(calls.requested_bytes, store),
        })
    }

    /// The allocations since the beginning of the last call.
    #[inline(never)]
    pub(super) fn counted_since_begin(&mut self) -> Option<AllocationStats> {
        match (self.counting.at_begin?, self.counted()?) {
            (Counted::Block(before), Counted::Block(after)) => Some(AllocationStats::between(&before, &after)),
            (
                Counted::Calls { allocations, frees, reallocations, requested_bytes },
                Counted::Calls {
                    allocations: allocations_after,
                    frees: frees_after,
                    reallocations: reallocations_after,
                    requested_bytes: requested_bytes_after,
                },
            ) => {
                let calls = self.counting.calls.as_ref()?;
                let frees = frees_after.wrapping_sub(frees);
                let reallocations = reallocations_after.wrapping_sub(reallocations);
                Some(AllocationStats {
                    source: AllocationSource::CountedCalls,
                    allocations: allocations_after.wrapping_sub(allocations),
                    deallocations: calls.frees_are_counted.then_some(frees),
                    reallocations: calls.reallocations_are_counted.then_some(reallocations),
                    allocated_bytes: Some(requested_bytes_after.wrapping_sub(requested_bytes)),
                    ..AllocationStats::default()
                })
            }
            _ => None,
        }
    }

    /// Asks the guest's own functions after a call, where it has any. `pristine` says that the call began at the snapshot.
    pub(super) async fn guest_counts<M: Mode>(
        &mut self,
        pristine: bool,
        deadline: Deadline,
    ) -> Option<AllocationStats> {
        let functions = self.counting.functions.as_mut()?;
        let before = if pristine { Some(functions.at_snapshot) } else { functions.last };
        M::arm(&mut self.store, deadline);
        functions.last = functions.ask::<M>(&self.handles, &mut self.store).await;
        let Some(after) = functions.last else {
            self.counting.functions = None;
            return None;
        };
        let before = before?;
        let since = |before: i64, after: i64| after.wrapping_sub(before).cast_unsigned();
        Some(AllocationStats {
            source: AllocationSource::GuestFunctions,
            allocations: since(before.mallocs, after.mallocs),
            deallocations: before.frees.zip(after.frees).map(|(before, after)| since(before, after)),
            heap_in_use: after.heap_in_use.map(i64::cast_unsigned),
            heap_size: after.heap_size.map(i64::cast_unsigned),
            ..AllocationStats::default()
        })
    }

    /// Bytes of heap that the guest itself says to be in use, where it has a function for that. One that traps says that it
    /// is more than can be.
    pub(super) async fn said_heap_in_use<M: Mode>(&mut self, deadline: Deadline) -> Option<u64> {
        let function = self.counting.heap_in_use.as_ref()?;
        M::arm(&mut self.store, deadline);
        let call = std::mem::take(&mut self.store.data_mut().call);
        let said = M::call(function, &mut self.store, ()).await;
        self.store.data_mut().call = call;
        Some(said.map_or(u64::MAX, i64::cast_unsigned))
    }

    /// Nothing is under way any more in an allocator that a call trapped inside.
    pub(super) fn leave_allocator(&mut self) {
        if let Some(calls) = &self.counting.calls {
            clear(calls.under_way, &mut self.store);
        }
    }

    /// Takes note that no request of the call to come was refused so far.
    #[cold]
    pub(super) fn forget_refused_allocation(&mut self) {
        if let Some(calls) = &self.counting.calls {
            clear(calls.refused_bytes, &mut self.store);
        }
    }
}

fn read(global: Global, store: &mut Store<Data>) -> u64 {
    match global.get(store) {
        Val::I64(value) => value.cast_unsigned(),
        _ => 0,
    }
}

fn clear(global: Global, store: &mut Store<Data>) {
    // It is a mutable global of this type.
    let _ = global.set(store, Val::I64(0));
}
