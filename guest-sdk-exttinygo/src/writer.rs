//! Writing intents, field by field.

use core::marker::PhantomData;

use guest_abi::exttinygo::WRITER_INTENT;

use crate::QName;

/// Writes the fields of an intent.
///
/// Putting a field is a call to the host. It returns no error: if the host refuses the field, the call ends.
///
/// The contract cannot express nested objects and arrays in an intent, so this type lacks `put_object`, `put_array` and
/// `put_value` of the native SDK.
///
/// ```
/// use guest_sdk_exttinygo::testing::{Host, MemoryState};
/// use guest_sdk_exttinygo::{KeyBuilder, storage};
///
/// let outcome = Host::new(MemoryState::new()).call(|cx| {
///     let mut mail = cx.new_value(&KeyBuilder::new(storage::SEND_MAIL, ""))?;
///     mail.put_str("Subject", "Your order").put_i32("Priority", 1);
///     Ok(())
/// });
/// let intent = outcome.intents().next().unwrap();
/// assert_eq!(intent.value.get_str("Subject"), Ok("Your order"));
/// ```
#[derive(Debug)]
#[must_use = "an intent without fields is rarely meant; put some, or drop it"]
pub struct IntentWriter<'a> {
    handle: i64,
    /// Handles are those of the thread's running call, natively as well: they do not leave their thread.
    call: PhantomData<&'a mut *mut ()>,
}

impl IntentWriter<'_> {
    pub(crate) const fn new(handle: i64) -> Self {
        Self { handle, call: PhantomData }
    }

    /// Puts an `i32`.
    #[inline]
    pub fn put_i32(&mut self, name: &str, value: i32) -> &mut Self {
        put::int32(self.handle, WRITER_INTENT, name.as_bytes(), value);
        self
    }

    /// Puts an `i64`.
    #[inline]
    pub fn put_i64(&mut self, name: &str, value: i64) -> &mut Self {
        put::int64(self.handle, WRITER_INTENT, name.as_bytes(), value);
        self
    }

    /// Puts an `f32`.
    #[inline]
    pub fn put_f32(&mut self, name: &str, value: f32) -> &mut Self {
        put::float32(self.handle, WRITER_INTENT, name.as_bytes(), value);
        self
    }

    /// Puts an `f64`.
    #[inline]
    pub fn put_f64(&mut self, name: &str, value: f64) -> &mut Self {
        put::float64(self.handle, WRITER_INTENT, name.as_bytes(), value);
        self
    }

    /// Puts text.
    #[inline]
    pub fn put_str(&mut self, name: &str, value: &str) -> &mut Self {
        put::text(self.handle, WRITER_INTENT, name.as_bytes(), value.as_bytes());
        self
    }

    /// Puts bytes.
    #[inline]
    pub fn put_bytes(&mut self, name: &str, value: &[u8]) -> &mut Self {
        put::bytes(self.handle, WRITER_INTENT, name.as_bytes(), value);
        self
    }

    /// Puts a truth value.
    #[inline]
    pub fn put_bool(&mut self, name: &str, value: bool) -> &mut Self {
        put::truth(self.handle, WRITER_INTENT, name.as_bytes(), value);
        self
    }

    /// Puts a qualified name.
    #[inline]
    pub fn put_qname(&mut self, name: &str, value: QName<'_>) -> &mut Self {
        let (package, entity) = (value.package.as_bytes(), value.entity.as_bytes());
        put::qname(self.handle, WRITER_INTENT, name.as_bytes(), package, entity);
        self
    }

    /// Its name before it was [`put_str`](Self::put_str).
    #[deprecated(since = "0.1.0", note = "use `put_str`, as readers have `get_str`")]
    #[doc(hidden)]
    #[inline]
    pub fn put_string(&mut self, name: &str, value: &str) -> &mut Self {
        self.put_str(name, value)
    }
}

pub(crate) mod put {
    //! The imports that put, for keys and intents alike. Texts are bytes here, which they cross as.
    #![expect(unsafe_code, reason = "everything here is an import")]

    use crate::imports;

    macro_rules! scalars {
        ($($function:ident $import:ident $type:ty;)+) => {$(
            #[inline]
            pub(crate) fn $function(writer: i64, kind: i32, name: &[u8], value: $type) {
                // SAFETY: the name is borrowed.
                unsafe { imports::$import(writer, kind, name.as_ptr(), name.len(), value.into()) }
            }
        )+};
    }

    macro_rules! texts {
        ($($function:ident $import:ident $($value:ident)+;)+) => {$(
            #[inline]
            pub(crate) fn $function(writer: i64, kind: i32, name: &[u8], $($value: &[u8]),+) {
                // SAFETY: name and value are borrowed.
                unsafe { imports::$import(writer, kind, name.as_ptr(), name.len(), $($value.as_ptr(), $value.len()),+) }
            }
        )+};
    }

    scalars! {
        int32 put_i32 i32;
        int64 put_i64 i64;
        float32 put_f32 f32;
        float64 put_f64 f64;
        truth put_bool bool;
    }

    texts! {
        text put_string value;
        bytes put_bytes value;
        qname put_qname package entity;
    }
}
