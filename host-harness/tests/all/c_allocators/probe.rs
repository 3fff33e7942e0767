//! An instance of the probe, or of anything that exports C's allocation functions.

use guest_abi::{ControlBlockImage, control_block, names::EXPORT_CONTROL_BLOCK};
use wasmtime::{Engine, Instance, Linker, Memory, Module, Store, StoreLimits, StoreLimitsBuilder, TypedFunc};

/// Bytes of memory that a probe may have: less than [`TOO_MUCH`](super::program::TOO_MUCH).
const LIMIT: usize = 64 << 20;

/// An instance with its functions.
pub(super) struct Probe {
    store: Store<StoreLimits>,
    instance: Instance,
    memory: Memory,
    malloc: TypedFunc<u32, u32>,
    calloc: TypedFunc<(u32, u32), u32>,
    realloc: TypedFunc<(u32, u32), u32>,
    free: TypedFunc<u32, ()>,
    aligned_alloc: TypedFunc<(u32, u32), u32>,
    posix_memalign: TypedFunc<(u32, u32, u32), i32>,
    usable_size: TypedFunc<u32, u32>,
    /// Address of the control block, where there is one.
    block: Option<usize>,
}

impl Probe {
    pub(super) fn new(wasm: &[u8]) -> Self {
        let engine = Engine::default();
        let module = Module::new(&engine, wasm).expect("the module is valid");
        let mut store = Store::new(&engine, StoreLimitsBuilder::new().memory_size(LIMIT).build());
        store.limiter(|limits| limits);
        let mut linker = Linker::new(&engine);
        linker.define_unknown_imports_as_traps(&module).expect("every import has a type");
        let instance = linker.instantiate(&mut store, &module).expect("the module can be instantiated");
        if let Ok(initialize) = instance.get_typed_func::<(), ()>(&mut store, "_initialize") {
            initialize.call(&mut store, ()).expect("it initialises itself");
        }
        let global = instance.get_global(&mut store, EXPORT_CONTROL_BLOCK);
        let block = global.map(|global| global.get(&mut store).unwrap_i32().cast_unsigned() as usize);
        macro_rules! function {
            ($name:literal) => {
                instance.get_typed_func(&mut store, $name).expect($name)
            };
        }
        Self {
            malloc: function!("malloc"),
            calloc: function!("calloc"),
            realloc: function!("realloc"),
            free: function!("free"),
            aligned_alloc: function!("aligned_alloc"),
            posix_memalign: function!("posix_memalign"),
            usable_size: function!("malloc_usable_size"),
            memory: instance.get_memory(&mut store, "memory").expect("memory"),
            block,
            instance,
            store,
        }
    }

    pub(super) fn malloc(&mut self, size: u32) -> u32 {
        self.malloc.call(&mut self.store, size).expect("malloc returns")
    }

    pub(super) fn calloc(&mut self, count: u32, size: u32) -> u32 {
        self.calloc.call(&mut self.store, (count, size)).expect("calloc returns")
    }

    pub(super) fn realloc(&mut self, address: u32, size: u32) -> u32 {
        self.realloc.call(&mut self.store, (address, size)).expect("realloc returns")
    }

    pub(super) fn free(&mut self, address: u32) {
        self.free.call(&mut self.store, address).expect("free returns");
    }

    pub(super) fn aligned_alloc(&mut self, align: u32, size: u32) -> u32 {
        self.aligned_alloc.call(&mut self.store, (align, size)).expect("aligned_alloc returns")
    }

    pub(super) fn posix_memalign(&mut self, result: u32, align: u32, size: u32) -> i32 {
        self.posix_memalign.call(&mut self.store, (result, align, size)).expect("posix_memalign returns")
    }

    pub(super) fn usable_size(&mut self, address: u32) -> u32 {
        self.usable_size.call(&mut self.store, address).expect("malloc_usable_size returns")
    }

    /// Calls another export that takes and gives nothing, or gives a number; `None` where there is no such export.
    pub(super) fn call(&mut self, name: &str) -> Option<i32> {
        let function = self.instance.get_func(&mut self.store, name)?;
        let mut results = vec![wasmtime::Val::I32(0); function.ty(&self.store).results().len()];
        function.call(&mut self.store, &[], &mut results).expect("it returns");
        Some(results.first().map_or(0, wasmtime::Val::unwrap_i32))
    }

    /// The result of a C library function with memory of its own; `None` if there is no C library.
    pub(super) fn use_libc(&mut self, number: i32) -> Option<i32> {
        let function = self.instance.get_typed_func::<i32, i32>(&mut self.store, "use_libc").ok()?;
        Some(function.call(&mut self.store, number).expect("it returns"))
    }

    /// The control block, where there is one.
    pub(super) fn block(&self) -> Option<ControlBlockImage> {
        let bytes = self.memory.data(&self.store).get(self.block?..)?;
        Some(ControlBlockImage::parse(bytes).expect("it is a control block"))
    }

    /// Writes a word of the control block, as a host does.
    fn set_word(&mut self, offset: usize, value: u32) {
        let at = self.block.expect("there is a control block") + offset;
        self.bytes_mut(u32::try_from(at).expect("an address"), 4).copy_from_slice(&value.to_le_bytes());
    }

    /// Resets as a host does that keeps residue.
    pub(super) fn reset_by_host(&mut self) {
        let image = self.block().expect("there is a control block");
        self.set_word(control_block::offset::HIGH_WATER, image.effective_high_water());
        self.set_word(control_block::offset::TOP, image.mark);
    }

    pub(super) fn bytes(&self, address: u32, length: u32) -> &[u8] {
        &self.memory.data(&self.store)[address as usize..][..length as usize]
    }

    pub(super) fn bytes_mut(&mut self, address: u32, length: u32) -> &mut [u8] {
        &mut self.memory.data_mut(&mut self.store)[address as usize..][..length as usize]
    }

    pub(super) fn end_of_memory(&self) -> u64 {
        self.memory.data_size(&self.store) as u64
    }
}
