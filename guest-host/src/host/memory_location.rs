//! The instance's memory as bytes, at the cost of a comparison.
//!
//! Every look-up of a memory through the engine takes some nanoseconds: it checks to which store a handle belongs, finds
//! the instance, then the memory. A restore and each host function need the bytes, and where they lie changes only when
//! the memory grows; so the place is kept, and looked up again after a growth.

#![expect(unsafe_code, reason = "a slice is made from an address that was looked up earlier")]

use std::fmt;
use std::slice;

use guest_prepare::cards::{Cards, Geometry};
use wasmtime::{AsContextMut, Caller, Memory, Store};

use crate::host::data::{ContractData, HostData};
use crate::host::guest_memory::GuestMemory;

/// Where an instance's memory lies. Belongs to the [`HostData`] of the instance's store, and never leaves it.
pub(crate) struct MemoryLocation {
    memory: Memory,
    base: *mut u8,
    size: usize,
    /// The value of [`MemoryLimiter::growths`](crate::host::limits::MemoryLimiter) when the place was looked up.
    growths: u64,
    /// Where the card table lies, if the guest was prepared with one.
    cards: Option<CardLocation>,
}

/// Where a card table lies: in a memory of its own, which never grows.
#[derive(Clone, Copy)]
struct CardLocation {
    base: *mut u8,
    size: usize,
    geometry: Geometry,
}

/// A card table: its memory, and how it divides the guest's memory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CardMemory {
    pub(crate) memory: Memory,
    pub(crate) geometry: Geometry,
}

// SAFETY: the address is used only by whoever has the store exclusively (see `memory_and_data`), wherever that runs.
unsafe impl Send for MemoryLocation {}

// SAFETY: through a shared reference nothing but the handle can be had.
unsafe impl Sync for MemoryLocation {}

impl fmt::Debug for MemoryLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryLocation").field("memory", &self.memory).field("size", &self.size).finish_non_exhaustive()
    }
}

/// An exclusive holder of an instance's store: the store itself, or a host function that the guest called.
pub(crate) trait Exclusive: AsContextMut<Data = HostData<Self::Contract>> {
    type Contract: ContractData;

    fn host_data(&mut self) -> &mut HostData<Self::Contract>;
}

impl<X: ContractData> Exclusive for Store<HostData<X>> {
    type Contract = X;

    fn host_data(&mut self) -> &mut HostData<X> {
        self.data_mut()
    }
}

impl<X: ContractData> Exclusive for Caller<'_, HostData<X>> {
    type Contract = X;

    fn host_data(&mut self) -> &mut HostData<X> {
        self.data_mut()
    }
}

/// Lets the host functions of `store` find its instance's memory.
pub(crate) fn open<X: ContractData>(store: &mut Store<HostData<X>>, memory: Memory, cards: Option<CardMemory>) {
    let cards = cards.map(|cards| {
        let (base, size) = (cards.memory.data_ptr(&mut *store), cards.memory.data_size(&mut *store));
        CardLocation { base, size, geometry: cards.geometry }
    });
    let location = look(store, memory, cards);
    store.data_mut().memory_location = Some(location);
}

/// Takes the data out of a store that ends with this.
pub(crate) fn into_data<X>(store: Store<HostData<X>>) -> HostData<X> {
    let mut data = store.into_data();
    // The memory went down with the store.
    data.memory_location = None;
    data
}

/// The memory of the store's instance, as large as it physically is, and the store's data; `None` before there is one.
#[inline]
pub(crate) fn memory_and_data<S: Exclusive>(store: &mut S) -> Option<(GuestMemory<'_>, &mut HostData<S::Contract>)> {
    let data = store.host_data();
    let growths = data.limiter.growths;
    let location = data.memory_location.as_ref()?;
    if location.growths != growths {
        look_again(store);
    }
    let data = store.host_data();
    let location = data.memory_location.as_ref()?;
    // SAFETY: `base` and `size` are what the engine gave for a memory of the store that holds `data`: only `look` makes a
    // location, only `open` puts one into a store's data, of the same store, and `into_data` is the only place where data
    // leave a store and takes the location away. They still hold, as the memory has not grown since: no growth gets by
    // the store's limiter, which counts it first, and a memory neither shrinks nor moves otherwise. The slice is
    // exclusive and lives no longer than the instance: `store` is borrowed exclusively for as long as the slice lives,
    // and without the store neither can the guest run nor can anybody reach its memory or drop it. Guest memory is
    // mapped by the engine and has no byte in common with `data`. It is not shared with other threads: admission
    // refuses shared memories.
    let bytes = unsafe { slice::from_raw_parts_mut(location.base, location.size) };
    let cards = location.cards.map(|cards| {
        // SAFETY: as above, and the table's memory, which is another one, was made with the only size that it may have.
        let table = unsafe { slice::from_raw_parts_mut(cards.base, cards.size) };
        Cards::new(table, cards.geometry)
    });
    Some((GuestMemory::new(bytes, cards), data))
}

#[cold]
fn look_again<S: Exclusive>(store: &mut S) {
    if let Some((memory, cards)) =
        store.host_data().memory_location.as_ref().map(|location| (location.memory, location.cards))
    {
        let location = look(store, memory, cards);
        store.host_data().memory_location = Some(location);
    }
}

fn look<S: Exclusive>(store: &mut S, memory: Memory, cards: Option<CardLocation>) -> MemoryLocation {
    let growths = store.host_data().limiter.growths;
    // Panics where the memory is of another store.
    let (base, size) = (memory.data_ptr(&mut *store), memory.data_size(&mut *store));
    MemoryLocation { memory, base, size, growths, cards }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::call::CallLimits;
    use crate::host::data::NoContract;
    use wasmtime::{Engine, Instance, Module};

    const MODULE: &str = r#"(module
        (memory (export "memory") 1)
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
        (func (export "store") (param i32 i32) (i32.store8 (local.get 0) (local.get 1))))"#;

    fn instance() -> (Store<HostData<NoContract>>, Instance) {
        let engine = Engine::default();
        let module = Module::new(&engine, wat::parse_str(MODULE).unwrap()).unwrap();
        let state = Box::new(guest_state::MemoryState::new());
        let mut store =
            Store::new(&engine, HostData::new(state, 4 << 16, None, CallLimits::default(), false, NoContract));
        store.limiter(|data| &mut data.limiter);
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        assert!(memory_and_data(&mut store).is_none());
        open(&mut store, memory, None);
        (store, instance)
    }

    fn call(store: &mut Store<HostData<NoContract>>, instance: Instance, pages: u32) -> i32 {
        instance.get_typed_func::<u32, i32>(&mut *store, "grow").unwrap().call(store, pages).unwrap()
    }

    #[test]
    fn the_bytes_are_those_that_the_guest_sees_after_every_growth() {
        let (mut store, instance) = instance();
        let write = instance.get_typed_func::<(u32, u32), ()>(&mut store, "store").unwrap();
        for (more, pages) in [(0, 1), (1, 2), (2, 4)] {
            assert_ne!(call(&mut store, instance, more), -1);
            let last = (pages << 16) - 1;
            write.call(&mut store, (last, pages)).unwrap();
            let (mut bytes, data) = memory_and_data(&mut store).unwrap();
            assert_eq!(bytes.len(), last as usize + 1);
            assert_eq!(u32::from(bytes.read()[last as usize]), pages);
            bytes.write(0..1, &mut data.dirty_ranges)[0] = 9;
            let memory = instance.get_memory(&mut store, "memory").unwrap();
            assert_eq!(memory.data(&store)[0], 9);
            assert_eq!(memory.data(&store).len(), last as usize + 1);
        }
    }

    #[test]
    fn a_refused_growth_changes_nothing() {
        let (mut store, instance) = instance();
        assert_eq!(call(&mut store, instance, 9), -1);
        assert_eq!(memory_and_data(&mut store).unwrap().0.len(), 1 << 16);
    }

    #[test]
    fn data_that_leave_their_store_have_no_memory() {
        let (store, _) = instance();
        assert!(into_data(store).memory_location.is_none());
    }
}
