//! Lists as results: the items of all rows, one behind the other, and where each row ends.
#![expect(
    unsafe_code,
    reason = "a trait of columns in the host's memory is implemented, whose promises lists do not need"
)]

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use guest_abi::column::Column;
use guest_abi::function::Type;
use guest_abi::names::pack;

use super::address::address;
use super::output::{FixedWidth, Output, Rows, Runs, kept_at, too_long};
use super::param::DatumType;
use crate::Result;

/// A value that can be an item of a list, and is not null.
///
/// It is not for implementing: the types that cross are those of the ABI.
pub trait ItemValue: Sized {
    /// The type in a signature.
    const TYPE: Type;
    /// Where the items of all rows are kept.
    #[doc(hidden)]
    type Store: Store<Self>;
}

/// An item of a list in a result: a value that is not null, or an `Option` of one.
///
/// It is not for implementing: the types that cross are those of the ABI.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be an item of a list in the result of a typed function",
    note = "items are numbers, `bool`, `&str`, `String`, `&[u8]`, `Vec<u8>`, `Date`, `Timestamp`, `Decimal`, and `Option` of these"
)]
pub trait Item: Sized {
    /// The type in a signature.
    const TYPE: Type;
    /// Where the items of all rows are kept.
    #[doc(hidden)]
    type Store: Store<Self>;
}

impl<T: ItemValue> Item for T {
    const TYPE: Type = T::TYPE;
    type Store = T::Store;
}

impl<T: ItemValue> Item for Option<T> {
    const TYPE: Type = T::TYPE.nullable();
    type Store = Nullable<T::Store>;
}

/// Items as they become a column.
#[doc(hidden)]
pub trait Store<I>: Default {
    /// How many there are.
    fn count(&self) -> usize;

    /// Appends an item.
    fn push(&mut self, item: I) -> Result<()>;

    /// Appends an item in the place of one that is null.
    fn push_null(&mut self) -> Result<()>;

    /// Appends all items of a list.
    fn append(&mut self, items: Vec<I>) -> Result<()> {
        items.into_iter().try_for_each(|item| self.push(item))
    }

    /// Removes all items, and keeps their memory.
    fn clear(&mut self);

    /// Their column. It is right until an item is appended or all are removed, and until this is gone.
    fn column(&self) -> Column;
}

impl<I: FixedWidth> ItemValue for I {
    const TYPE: Type = <I as DatumType>::TYPE;
    type Store = Vec<I>;
}

impl<I: FixedWidth> Store<I> for Vec<I> {
    fn count(&self) -> usize {
        self.len()
    }

    fn push(&mut self, item: I) -> Result<()> {
        Vec::push(self, item);
        Ok(())
    }

    fn push_null(&mut self) -> Result<()> {
        Vec::push(self, I::default());
        Ok(())
    }

    fn append(&mut self, items: Vec<I>) -> Result<()> {
        // A single list is not copied.
        if self.capacity() == 0 {
            *self = items;
        } else {
            self.extend_from_slice(&items);
        }
        Ok(())
    }

    fn clear(&mut self) {
        Vec::clear(self);
    }

    fn column(&self) -> Column {
        Column { rows: self.len() as u32, values: kept_at(self).0, ..Column::default() }
    }
}

/// A bit for each item.
#[derive(Debug, Default)]
pub struct Flags {
    bytes: Vec<u8>,
    count: usize,
}

impl Flags {
    fn push_bit(&mut self, bit: bool) {
        if self.count.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(bit) << (self.count % 8);
        }
        self.count += 1;
    }

    fn reset(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }
}

impl ItemValue for bool {
    const TYPE: Type = <Self as DatumType>::TYPE;
    type Store = Flags;
}

impl Store<bool> for Flags {
    fn count(&self) -> usize {
        self.count
    }

    fn push(&mut self, item: bool) -> Result<()> {
        self.push_bit(item);
        Ok(())
    }

    fn push_null(&mut self) -> Result<()> {
        self.push_bit(false);
        Ok(())
    }

    fn clear(&mut self) {
        self.reset();
    }

    fn column(&self) -> Column {
        Column { rows: self.count as u32, values: kept_at(&self.bytes).0, ..Column::default() }
    }
}

macro_rules! texts {
    ($($type:ty as $datum:ty;)+) => {$(
        impl ItemValue for $type {
            const TYPE: Type = <$datum as DatumType>::TYPE;
            type Store = Runs;
        }
    )+};
}

texts! {
    &str as &str;
    String as &str;
    &[u8] as &[u8];
    Vec<u8> as &[u8];
}

impl<T: AsRef<[u8]>> Store<T> for Runs {
    fn count(&self) -> usize {
        self.rows()
    }

    fn push(&mut self, item: T) -> Result<()> {
        Runs::push(self, item.as_ref())
    }

    fn push_null(&mut self) -> Result<()> {
        Runs::push(self, &[])
    }

    fn clear(&mut self) {
        self.reset();
    }

    fn column(&self) -> Column {
        let (offsets, values) = self.kept();
        Column { rows: self.rows() as u32, values, offsets, ..Column::default() }
    }
}

/// Items of which some may be null.
#[derive(Debug, Default)]
pub struct Nullable<S> {
    items: S,
    validity: Flags,
}

impl<I, S: Store<I>> Store<Option<I>> for Nullable<S> {
    fn count(&self) -> usize {
        self.items.count()
    }

    fn push(&mut self, item: Option<I>) -> Result<()> {
        self.validity.push_bit(item.is_some());
        match item {
            Some(item) => self.items.push(item),
            None => self.items.push_null(),
        }
    }

    fn push_null(&mut self) -> Result<()> {
        self.push(None)
    }

    fn clear(&mut self) {
        self.items.clear();
        self.validity.reset();
    }

    fn column(&self) -> Column {
        Column { validity: kept_at(&self.validity.bytes).0, ..self.items.column() }
    }
}

/// Lists: the items of all rows lie in a column of their own.
#[derive(Debug)]
pub struct Lists<S> {
    items: S,
    offsets: Vec<i32>,
}

/// Gives the column of items to the host: its address.
fn placed(column: Column) -> u32 {
    let column = Box::leak(Box::new(column));
    address(core::ptr::from_ref(column).cast(), size_of::<Column>())
}

impl<I: Item> Rows<Vec<I>> for Lists<I::Store> {
    unsafe fn begin(_result: &Column, rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { items: I::Store::default(), offsets }
    }

    unsafe fn begin_again(&mut self, _result: &Column, _rows: usize) {
        self.items.clear();
        self.offsets.truncate(1);
    }

    unsafe fn put(&mut self, _row: usize, value: Vec<I>) -> Result<()> {
        self.items.append(value)?;
        self.offsets.push(i32::try_from(self.items.count()).map_err(|_| too_long())?);
        Ok(())
    }

    fn skip(&mut self) {
        self.offsets.push(self.offsets.last().copied().unwrap_or_default());
    }

    fn finish(&mut self, result: &mut Column) {
        result.offsets = kept_at(&self.offsets).0;
        result.child = placed(self.items.column());
    }
}

impl<I: Item> Output for Vec<I> {
    const TYPE: Type = <I as Item>::TYPE.list();
    type Slot = i64;
    type Rows = Lists<I::Store>;

    fn into_slot(self) -> Result<i64> {
        self.into_packed()
    }

    fn into_packed(self) -> Result<i64> {
        let mut items = I::Store::default();
        items.append(self)?;
        let column = placed(items.column());
        // The host reads them, and then restores the memory that they have.
        core::mem::forget(items);
        Ok(pack(column, 0))
    }
}
