//! The imports of memory blocks. Their meaning stands in `guest_abi::block`.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use crate::testing::blocks::{
    add_storage, attach, clone, create, create_local, create_partition, detach, drop, optimum_size,
};
#[cfg(target_arch = "wasm32")]
pub(crate) use wasm::{add_storage, attach, clone, create, create_local, create_partition, detach, drop, optimum_size};

#[cfg(target_arch = "wasm32")]
mod wasm {
    #![expect(unsafe_code, reason = "imports are foreign functions, and storage is raw memory")]

    use alloc::alloc::{Layout, alloc_zeroed};
    use core::ptr::with_exposed_provenance_mut;

    use guest_abi::block::{ADD_STORAGE_RESULT, ATTACH_RESULT};

    use crate::block::Refused;

    mod imports {
        #[link(wasm_import_module = "test:shm/exchange")]
        unsafe extern "C" {
            #[link_name = "[constructor]memory-block"]
            pub(super) fn create(size: u32) -> u32;
            #[link_name = "[method]memory-block.minimum-size"]
            pub(super) fn minimum_size(id: u32) -> u32;
            #[link_name = "[static]memory-block.optimum-size"]
            pub(super) fn optimum_size(count: u32, size: u32) -> u32;
            #[link_name = "[static]memory-block.add-storage"]
            pub(super) fn add_storage(start: *mut u8, size: u32, out: *mut u8);
            #[link_name = "[method]memory-block.attach"]
            pub(super) fn attach(id: u32, flags: u32, out: *mut u8);
            #[link_name = "[method]memory-block.detach"]
            pub(super) fn detach(id: u32, bytes: u32);
            #[link_name = "[method]memory-block.clone"]
            pub(super) fn clone(id: u32) -> u32;
            #[link_name = "[static]memory-block.create-local"]
            pub(super) fn create_local(start: *mut u8, size: u32) -> u32;
            #[link_name = "[method]memory-block.create-partition"]
            pub(super) fn create_partition(id: u32, start: u32, size: u32, flags: u32) -> u32;
            #[link_name = "[resource-drop]memory-block"]
            pub(super) fn drop(id: u32);
        }
    }

    pub(crate) fn create(size: u32) -> u32 {
        // SAFETY: numbers alone cross; the host ends the call if it does not like them. The same holds below.
        unsafe { imports::create(size) }
    }

    pub(crate) fn optimum_size(count: u32, size: u32) -> u32 {
        // SAFETY: as for `create`.
        unsafe { imports::optimum_size(count, size) }
    }

    pub(crate) fn detach(id: u32, bytes: u32) {
        // SAFETY: as for `create`.
        unsafe { imports::detach(id, bytes) }
    }

    pub(crate) fn clone(id: u32) -> u32 {
        // SAFETY: as for `create`.
        unsafe { imports::clone(id) }
    }

    pub(crate) fn create_partition(id: u32, start: u32, size: u32, flags: u32) -> u32 {
        // SAFETY: as for `create`.
        unsafe { imports::create_partition(id, start, size, flags) }
    }

    pub(crate) fn drop(id: u32) {
        // SAFETY: as for `create`.
        unsafe { imports::drop(id) }
    }

    pub(crate) fn create_local(bytes: &'static mut [u8]) -> u32 {
        let size = bytes.len() as u32;
        let start = bytes.as_mut_ptr();
        start.expose_provenance();
        // SAFETY: the bytes are the block's from now on.
        unsafe { imports::create_local(start, size) }
    }

    /// Allocates storage and offers it; whether there was memory for it. Out of line, as every attachment may need it and few do.
    #[cold]
    pub(crate) fn add_storage(size: u32) -> bool {
        let Ok(layout) = Layout::from_size_align(size as usize, 16) else { return false };
        if size == 0 {
            return false;
        }
        // SAFETY: the size is not 0.
        let start = unsafe { alloc_zeroed(layout) };
        if start.is_null() {
            return false;
        }
        start.expose_provenance();
        let mut result = [0; ADD_STORAGE_RESULT];
        // SAFETY: the memory is never freed, and the host's from now on. The result has the room that the contract says.
        unsafe { imports::add_storage(start, size, result.as_mut_ptr()) };
        result[0] == 0
    }

    /// Attaches a block, with more storage if that is missing. Returns the address and the bytes.
    pub(crate) fn attach(id: u32, flags: u32) -> Result<(*mut u8, u32), Refused> {
        match attach_once(id, flags) {
            // SAFETY: as for `create`.
            Err(Refused::NoStorage) if add_storage(unsafe { imports::minimum_size(id) }) => attach_once(id, flags),
            attached => attached,
        }
    }

    fn attach_once(id: u32, flags: u32) -> Result<(*mut u8, u32), Refused> {
        let mut result = [0; ATTACH_RESULT];
        // SAFETY: the result has the room that the contract says.
        unsafe { imports::attach(id, flags, result.as_mut_ptr()) };
        let [tag, _, _, _, first @ .., a, b, c, d] = result;
        match tag {
            0 => {
                Ok((with_exposed_provenance_mut(u32::from_le_bytes(first) as usize), u32::from_le_bytes([a, b, c, d])))
            }
            _ => Err(Refused::of_code(first[0])),
        }
    }
}
