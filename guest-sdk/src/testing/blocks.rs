//! Memory blocks of the process's own, under the functions of the contract.

use std::boxed::Box;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::vec::Vec;

use guest_abi::block::{SHARED, WRITE};

use crate::block::Refused;

/// The blocks of the process. Guests that run natively share it, as those of a host do not.
static TABLE: Mutex<Option<Table>> = Mutex::new(None);

#[derive(Default)]
struct Table {
    entries: HashMap<u32, Entry>,
    last: u32,
}

struct Entry {
    block: guest_blocks::Block,
    /// The bytes of a local block.
    local: Option<Local>,
    attached: Option<Attached>,
}

/// The bytes of a local block: address and length.
#[derive(Clone, Copy)]
struct Local(usize);

struct Attached {
    /// As the guest sees them. A local block has none.
    bytes: Box<[u8]>,
    holds: Holds,
}

enum Holds {
    Writing(guest_blocks::Writing),
    Reading(guest_blocks::Reading),
}

impl Table {
    fn enter(&mut self, block: guest_blocks::Block, local: Option<Local>) -> u32 {
        self.last += 1;
        self.entries.insert(self.last, Entry { block, local, attached: None });
        self.last
    }

    fn entry(&mut self, id: u32) -> &mut Entry {
        self.entries.get_mut(&id).unwrap_or_else(|| panic!("there is no block {id}: a host would end the call"))
    }
}

fn with<T>(body: impl FnOnce(&mut Table) -> T) -> T {
    let mut table: MutexGuard<'_, _> = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    body(table.get_or_insert_default())
}

pub(crate) fn create(size: u32) -> u32 {
    with(|table| table.enter(guest_blocks::Block::new(size), None))
}

/// Natively attachments need no storage.
pub(crate) fn optimum_size(_count: u32, size: u32) -> u32 {
    size
}

/// Natively attachments need no storage.
pub(crate) fn add_storage(_size: u32) -> bool {
    true
}

pub(crate) fn create_local(bytes: &'static mut [u8]) -> u32 {
    let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let local = Local(bytes.as_mut_ptr().expose_provenance());
    with(|table| table.enter(guest_blocks::Block::new(size), Some(local)))
}

pub(crate) fn attach(id: u32, flags: u32) -> Result<(*mut u8, u32), Refused> {
    with(|table| {
        let entry = table.entry(id);
        if entry.attached.is_some() {
            return Err(Refused::Busy);
        }
        let (mut bytes, length, offset, holds) = if flags & WRITE != 0 {
            let mut writing = entry.block.write_as(flags & SHARED != 0)?;
            let bytes = writing.bytes(|bytes| bytes.to_vec());
            (bytes, writing.unconsumed(), 0, Holds::Writing(writing))
        } else {
            let reading = entry.block.read()?;
            let (bytes, range) = (reading.bytes(<[u8]>::to_vec), reading.range());
            (bytes, range.end - range.start, range.start, Holds::Reading(reading))
        };
        if entry.local.is_some() {
            bytes = Vec::new();
        }
        let attached = entry.attached.insert(Attached { bytes: bytes.into_boxed_slice(), holds });
        let start = match entry.local {
            Some(Local(address)) => core::ptr::with_exposed_provenance_mut(address + offset as usize),
            None => attached.bytes.as_mut_ptr(),
        };
        Ok((start, length))
    })
}

pub(crate) fn detach(id: u32, bytes: u32) {
    with(|table| {
        let Attached { bytes: own, holds } =
            table.entry(id).attached.take().unwrap_or_else(|| panic!("block {id} is not attached"));
        match holds {
            Holds::Writing(mut writing) => {
                writing.bytes(|block| block[..own.len()].copy_from_slice(&own));
                writing.publish(bytes);
            }
            Holds::Reading(reading) => {
                assert!(
                    bytes == 0 || !reading.is_shared(),
                    "nobody consumes a shared block: a host would end the call"
                );
                reading.consume(bytes);
            }
        }
    });
}

pub(crate) fn clone(id: u32) -> u32 {
    with(|table| {
        let entry = table.entry(id);
        let (block, local) = (entry.block.clone(), entry.local);
        table.enter(block, local)
    })
}

pub(crate) fn create_partition(id: u32, start: u32, size: u32, flags: u32) -> u32 {
    with(|table| {
        let mode = match flags {
            0 => guest_blocks::Mode::Read,
            SHARED => guest_blocks::Mode::ReadShared,
            _ => guest_blocks::Mode::Write,
        };
        let part = table.entry(id).block.part(start..start.saturating_add(size), mode);
        let part = part.unwrap_or_else(|error| panic!("a part of block {id}: {error}: a host would end the call"));
        table.enter(part, None)
    })
}

pub(crate) fn drop(id: u32) {
    with(|table| table.entries.remove(&id));
}

impl From<guest_blocks::Refused> for Refused {
    fn from(refused: guest_blocks::Refused) -> Self {
        match refused {
            guest_blocks::Refused::NoStorage => Self::NoStorage,
            guest_blocks::Refused::Busy => Self::Busy,
            guest_blocks::Refused::WrongSize => Self::WrongSize,
            guest_blocks::Refused::Internal => Self::Internal,
        }
    }
}
