//! Values as extensions read them: handles, whose fields the host reads.
#![expect(unsafe_code, reason = "reading is imports, and text lies where the host says")]

use core::cell::OnceCell;
use core::marker::PhantomData;
use core::ops::Deref;

use guest_abi::cbor::WireError;
use guest_abi::value::ValueError;

use crate::imports::{self, Placed, bytes};
use crate::{QName, Result};

/// Handles are those of the thread's running call, natively as well: they do not leave their thread.
type Call<'call> = PhantomData<&'call *mut ()>;

/// An object or an array of the host's, by its handle.
///
/// Reading a field is a call to the host. Text and bytes are views into a buffer that the host fills, and live as long as
/// the call. Reading a field that is missing or of another type ends the call: the contract cannot report it to the
/// extension. Text that is not UTF-8 is an error.
///
/// The contract cannot express the kind of a value, the names of its fields or the absence of a field, so this type lacks
/// `kind`, `fields`, `find` and `encoded` of the native SDK. For nested objects and for elements see [`Value::get`] and
/// [`Item`].
///
/// ```
/// # use guest_sdk_exttinygo::{Result, Value};
/// fn describe(order: &Value<'_>) -> Result<String> {
///     let (name, amount) = (order.get_str("Name")?, order.get_i64("Amount")?);
///     Ok(format!("{name}: {amount}"))
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Value<'call> {
    handle: i64,
    call: Call<'call>,
}

/// The fields of a row's key, by their handle. They are read as those of a [`Value`] are.
///
/// ```
/// # use guest_sdk_exttinygo::{Context, KeyBuilder, Result, storage};
/// fn latest(cx: &mut Context) -> Result<i32> {
///     let mut latest = 0;
///     let orders = KeyBuilder::new(storage::VIEW, "shop.Orders");
///     cx.read_values(&orders)?.for_each(|row| {
///         latest = latest.max(row.key().get_i32("Year")?);
///         Ok(())
///     })?;
///     Ok(latest)
/// }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct RowKey<'call> {
    handle: i64,
    call: Call<'call>,
}

/// An element of an array that is being iterated: a scalar, an object or an array.
///
/// The `as_*` functions read it as a scalar. It dereferences to a [`Value`] for an object or an array, and then asks the
/// host for the handle, once. Dereferencing an element that is a scalar ends the call.
///
/// ```
/// # use guest_sdk_exttinygo::{Result, Value};
/// fn total(order: &Value<'_>) -> Result<i64> {
///     let mut total = order.get("Discounts")?.items()?.map(|discount| discount.as_i64()).sum::<Result<i64>>()?;
///     for item in order.get("Items")?.items()? {
///         total += item.get_i64("Quantity")? * item.get_i64("Price")?;
///     }
///     Ok(total)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Item<'call> {
    array: Value<'call>,
    index: usize,
    value: OnceCell<Value<'call>>,
}

/// The elements of an array, in order. See [`Value::items`].
#[derive(Debug, Clone)]
pub struct Items<'call> {
    array: Value<'call>,
    at: usize,
    length: usize,
}

/// # Safety
/// As [`bytes`].
unsafe fn text<'call>(placed: Placed) -> Result<&'call str> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { bytes(placed) };
    core::str::from_utf8(bytes).map_err(|_| ValueError::Malformed(WireError::Malformed { at: 0 }).into())
}

/// # Safety
/// As [`bytes`], of both.
unsafe fn qname<'call>(package: Placed, entity: Placed) -> Result<QName<'call>> {
    // SAFETY: the caller's promise.
    unsafe { Ok(QName { package: text(package)?, entity: text(entity)? }) }
}

macro_rules! readers {
    ($($(#[$doc:meta])* $whole:ident $of_field:ident $of_element:ident -> $type:ty:
        |$value:ident| $convert:expr, $in_value:ident, $in_key:ident, $in_array:ident;)+) => {
        impl<'call> Value<'call> {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// Text is not UTF-8. Every other failure ends the call.
                #[inline]
                pub fn $of_field(&self, name: &str) -> Result<$type> {
                    // SAFETY: the name is borrowed; what comes back is of this call.
                    unsafe {
                        let $value = imports::$in_value(self.handle, name.as_ptr(), name.len());
                        $convert
                    }
                }

                /// The same of the array element with this index.
                ///
                /// # Errors
                /// Text is not UTF-8. Every other failure ends the call.
                #[inline]
                pub fn $of_element(&self, index: usize) -> Result<$type> {
                    // SAFETY: what comes back is of this call.
                    unsafe {
                        let $value = imports::$in_array(self.handle, index as u32);
                        $convert
                    }
                }
            )+
        }

        impl<'call> RowKey<'call> {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// Text is not UTF-8. Every other failure ends the call.
                #[inline]
                pub fn $of_field(&self, name: &str) -> Result<$type> {
                    // SAFETY: the name is borrowed; what comes back is of this call.
                    unsafe {
                        let $value = imports::$in_key(self.handle, name.as_ptr(), name.len());
                        $convert
                    }
                }
            )+
        }

        impl<'call> Item<'call> {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// Text is not UTF-8. Every other failure ends the call.
                #[inline]
                pub fn $whole(&self) -> Result<$type> {
                    self.array.$of_element(self.index)
                }
            )+
        }
    };
}

readers! {
    /// An `i32`.
    as_i32 get_i32 get_i32_at -> i32: |value| Ok(value), value_as_i32, key_as_i32, value_get_as_i32;
    /// An `i64`.
    as_i64 get_i64 get_i64_at -> i64: |value| Ok(value), value_as_i64, key_as_i64, value_get_as_i64;
    /// An `f32`.
    as_f32 get_f32 get_f32_at -> f32: |value| Ok(value), value_as_f32, key_as_f32, value_get_as_f32;
    /// An `f64`.
    as_f64 get_f64 get_f64_at -> f64: |value| Ok(value), value_as_f64, key_as_f64, value_get_as_f64;
    /// Text.
    as_str get_str get_str_at -> &'call str: |value| text(value), value_as_string, key_as_string, value_get_as_string;
    /// Bytes.
    as_bytes get_bytes get_bytes_at -> &'call [u8]: |value| Ok(bytes(value)), value_as_bytes, key_as_bytes,
        value_get_as_bytes;
    /// A truth value.
    as_bool get_bool get_bool_at -> bool: |value| Ok(value != 0), value_as_bool, key_as_bool, value_get_as_bool;
}

impl<'call> Value<'call> {
    pub(crate) const fn new(handle: i64) -> Self {
        Self { handle, call: PhantomData }
    }

    pub(crate) const fn handle(&self) -> i64 {
        self.handle
    }

    /// A qualified name, read in two calls to the host.
    ///
    /// # Errors
    /// Text is not UTF-8. Every other failure ends the call.
    pub fn get_qname(&self, name: &str) -> Result<QName<'call>> {
        // SAFETY: the name is borrowed; what comes back is of this call.
        unsafe {
            let package = imports::value_as_package(self.handle, name.as_ptr(), name.len());
            qname(package, imports::value_as_entity(self.handle, name.as_ptr(), name.len()))
        }
    }

    /// The same of the array element with this index.
    ///
    /// # Errors
    /// Text is not UTF-8. Every other failure ends the call.
    pub fn get_qname_at(&self, index: usize) -> Result<QName<'call>> {
        // SAFETY: what comes back is of this call.
        unsafe {
            let package = imports::value_get_as_package(self.handle, index as u32);
            qname(package, imports::value_get_as_entity(self.handle, index as u32))
        }
    }

    /// The object or the array that is the field with this name. A scalar is read by its own function, such as
    /// [`Value::get_i32`].
    ///
    /// # Errors
    /// None: a field that is missing ends the call.
    #[inline]
    pub fn get(&self, name: &str) -> Result<Value<'call>> {
        // SAFETY: the name is borrowed.
        Ok(Self::new(unsafe { imports::value_as_value(self.handle, name.as_ptr(), name.len()) }))
    }

    /// The elements of an array.
    ///
    /// # Errors
    /// None: a value that is no array ends the call.
    #[inline]
    pub fn items(&self) -> Result<Items<'call>> {
        Ok(Items { array: *self, at: 0, length: self.len()? })
    }

    /// The object or the array that is the element with this index. A scalar is read by its own function, such as
    /// [`Value::get_i32_at`].
    ///
    /// # Errors
    /// None: an element that is missing ends the call.
    #[inline]
    pub fn item(&self, index: usize) -> Result<Value<'call>> {
        // SAFETY: it takes a handle and an index alone.
        Ok(Self::new(unsafe { imports::value_get_as_value(self.handle, index as u32) }))
    }

    /// Number of elements of an array.
    ///
    /// # Errors
    /// None: a value that is no array ends the call.
    #[expect(clippy::len_without_is_empty, reason = "most values have no length")]
    #[inline]
    pub fn len(&self) -> Result<usize> {
        // SAFETY: it takes a handle alone.
        let length = unsafe { imports::value_length(self.handle) };
        Ok(usize::try_from(length).unwrap_or_default())
    }
}

impl<'call> RowKey<'call> {
    pub(crate) const fn new(handle: i64) -> Self {
        Self { handle, call: PhantomData }
    }

    /// A qualified name, read in two calls to the host.
    ///
    /// # Errors
    /// Text is not UTF-8. Every other failure ends the call.
    pub fn get_qname(&self, name: &str) -> Result<QName<'call>> {
        // SAFETY: the name is borrowed; what comes back is of this call.
        unsafe {
            let package = imports::key_as_package(self.handle, name.as_ptr(), name.len());
            qname(package, imports::key_as_entity(self.handle, name.as_ptr(), name.len()))
        }
    }
}

impl<'call> Item<'call> {
    /// A qualified name, read in two calls to the host.
    ///
    /// # Errors
    /// Text is not UTF-8. Every other failure ends the call.
    pub fn as_qname(&self) -> Result<QName<'call>> {
        self.array.get_qname_at(self.index)
    }
}

impl<'call> Deref for Item<'call> {
    type Target = Value<'call>;

    fn deref(&self) -> &Value<'call> {
        self.value.get_or_init(|| {
            // SAFETY: it takes a handle and an index alone.
            Value::new(unsafe { imports::value_get_as_value(self.array.handle, self.index as u32) })
        })
    }
}

impl<'call> Iterator for Items<'call> {
    type Item = Item<'call>;

    #[inline]
    fn next(&mut self) -> Option<Item<'call>> {
        if self.at == self.length {
            return None;
        }
        let index = self.at;
        self.at += 1;
        Some(Item { array: self.array, index, value: OnceCell::new() })
    }
}
