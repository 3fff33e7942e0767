//! The frame of a call: the arguments as they cross, and the memory that holds those which are bytes.

use guest_abi::column::{ALIGNMENT, Column};
use guest_abi::function::{Scalar, Type};
use guest_host::wasmtime::ValRaw;
use guest_host::{Function, GuestCall, GuestCallError};
use guest_prepare::module_info::ValueType;

/// Slots of a call that need no memory from the heap.
const FEW: usize = 8;

/// The slots of a call: the first few in place, or all of them on the heap where there are more. Nothing that is inlined into a
/// call of few numbers counts them at run time.
pub(crate) struct Slots {
    few: [ValRaw; FEW],
    count: usize,
    many: Vec<ValRaw>,
}

impl Slots {
    #[inline]
    pub(crate) fn new() -> Self {
        Self { few: [ValRaw::i64(0); FEW], count: 0, many: Vec::new() }
    }

    /// Forgets all slots.
    #[cfg(feature = "arrow")]
    #[inline]
    pub(crate) fn clear(&mut self) {
        self.count = 0;
        self.many.clear();
    }

    #[inline]
    pub(crate) fn push(&mut self, slot: ValRaw) {
        match self.few.get_mut(self.count) {
            Some(free) => *free = slot,
            None => self.push_many(slot),
        }
        self.count += 1;
    }

    #[cold]
    fn push_many(&mut self, slot: ValRaw) {
        if self.many.is_empty() {
            self.many.extend(self.few);
        }
        self.many.push(slot);
    }

    /// The slots, and room for a result where there is none.
    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [ValRaw] {
        if self.count <= FEW { &mut self.few[..self.count.max(1)] } else { &mut self.many }
    }
}

/// Where the bytes of arguments are placed.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Placement {
    /// In the exchange region of a guest that was made for it.
    Exchange,
    /// In memory from this function of a foreign module: its allocator.
    Allocator(Function),
    /// Nowhere: the function takes numbers.
    Numbers,
}

/// The arguments of a call while they are placed.
pub struct Frame<'c, 'g> {
    call: &'c mut GuestCall<'g>,
    slots: Slots,
    placement: Placement,
    /// The first free byte of the exchange region.
    next: usize,
}

impl<'c, 'g> Frame<'c, 'g> {
    #[inline]
    pub(crate) fn new(call: &'c mut GuestCall<'g>, placement: Placement) -> Self {
        let next = match placement {
            Placement::Exchange => call.exchange().start,
            _ => 0,
        };
        Self { call, slots: Slots::new(), placement, next }
    }

    #[inline]
    pub(crate) fn push(&mut self, slot: ValRaw) {
        self.slots.push(slot);
    }

    /// The call, once everything is placed.
    #[inline]
    pub(crate) fn guest(&mut self) -> &mut GuestCall<'g> {
        self.call
    }

    /// Calls the function with what was placed, and returns its first result.
    #[inline]
    pub(crate) fn call(&mut self) -> Result<ValRaw, GuestCallError> {
        let slots = self.slots.as_mut_slice();
        self.call.call(slots)?;
        Ok(slots[0])
    }

    /// The same for a call of many rows. If the guest reports an error, `failed` gets the row that it returned.
    #[cfg(feature = "arrow")]
    pub(crate) fn call_batch(&mut self, failed: &mut Option<usize>) -> Result<ValRaw, GuestCallError> {
        *failed = None;
        let slots = self.slots.as_mut_slice();
        if let Err(error) = self.call.call(slots) {
            // A guest that trapped has left the arguments in the slots.
            if error.is_reported() {
                *failed = usize::try_from(slots[0].get_i32()).ok();
            }
            return Err(error);
        }
        Ok(slots[0])
    }

    /// The first free byte of the exchange region.
    #[cfg(feature = "arrow")]
    pub(crate) fn next(&self) -> usize {
        self.next
    }

    /// Leaves what lies before this byte of the exchange region as it is.
    #[cfg(feature = "arrow")]
    pub(crate) fn skip_to(&mut self, next: usize) {
        self.next = next;
    }

    /// Memory of the guest's for `length` bytes, and its address.
    #[inline]
    pub(crate) fn room(&mut self, length: usize) -> Result<(u32, &mut [u8]), GuestCallError> {
        if length == 0 {
            // No slice of Rust or C begins at address 0, not even an empty one.
            return Ok((ALIGNMENT as u32, &mut []));
        }
        let address = match self.placement {
            Placement::Exchange => {
                let region = self.call.exchange();
                let start = self.next.next_multiple_of(ALIGNMENT);
                match start.checked_add(length) {
                    Some(end) if end <= region.end => self.next = end,
                    _ => {
                        let needed = (start - region.start).saturating_add(length);
                        return Err(GuestCallError::arguments_too_large(needed as u64, region.len() as u64));
                    }
                }
                start
            }
            Placement::Allocator(allocator) => {
                let size = u32::try_from(length).map_err(|_| GuestCallError::out_of_memory(length as u64))?;
                let mut slots = [ValRaw::u32(size)];
                self.call.call_other(allocator, &mut slots)?;
                match slots[0].get_u32() {
                    0 => return Err(GuestCallError::out_of_memory(size.into())),
                    address => address as usize,
                }
            }
            Placement::Numbers => {
                return Err(GuestCallError::invalid("the function takes numbers alone, and the host passed bytes"));
            }
        };
        // Guest addresses have 32 bits, as admission refuses memories of 64.
        Ok((address as u32, self.call.write(address..address + length)?))
    }

    /// Places bytes, and returns their address.
    #[inline]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<u32, GuestCallError> {
        let (address, room) = self.room(bytes.len())?;
        room.copy_from_slice(bytes);
        Ok(address)
    }

    /// Places bytes, and passes their address and length.
    #[inline]
    pub(crate) fn push_bytes(&mut self, bytes: &[u8]) -> Result<(), GuestCallError> {
        let address = self.bytes(bytes)?;
        self.push(ValRaw::u32(address));
        self.push(ValRaw::u32(bytes.len() as u32));
        Ok(())
    }

    /// Places the column of a list, and passes its address.
    pub(crate) fn push_column(&mut self, column: Column) -> Result<(), GuestCallError> {
        let address = self.bytes(&column.to_bytes())?;
        self.push(ValRaw::u32(address));
        Ok(())
    }

    /// Passes null for a parameter of this type.
    pub(crate) fn push_null(&mut self, ty: Type) {
        self.push(ValRaw::i32(0));
        let slots = match (ty.list, ty.scalar) {
            (None, scalar) if scalar.is_bytes() => 2,
            (None, Scalar::Decimal { .. }) => 2,
            _ => 1,
        };
        for _ in 0..slots {
            self.push(ValRaw::i64(0));
        }
    }
}

/// The types of the WebAssembly parameters as which a parameter of this type crosses.
pub(crate) fn crossing(ty: Type) -> Vec<ValueType> {
    use ValueType::{F32, F64, I32, I64};
    let mut crossing = if ty.nullable { vec![I32] } else { Vec::new() };
    match (ty.list, ty.scalar) {
        (Some(_), _) | (None, Scalar::Bool | Scalar::I32 | Scalar::Date) => crossing.push(I32),
        (None, Scalar::I64 | Scalar::U64 | Scalar::Timestamp) => crossing.push(I64),
        (None, Scalar::F32) => crossing.push(F32),
        (None, Scalar::F64) => crossing.push(F64),
        (None, Scalar::Decimal { .. }) => crossing.extend([I64, I64]),
        (None, _) => crossing.extend([I32, I32]),
    }
    crossing
}

/// The type of the WebAssembly result as which a result of this type crosses.
pub(crate) fn crossing_result(ty: Type) -> ValueType {
    match ty.is_direct() {
        true => crossing(ty).remove(0),
        false => ValueType::I64,
    }
}
