//! Writing intents, straight into where the host reads them.

use guest_abi::cbor::encode::{self, Sink};
use guest_abi::intent::{self, Operation};
use guest_abi::value::QName;

use crate::intent_sink::IntentSink;
use crate::{Result, Value};

/// Writes the fields of an intent; the intent is complete when the writer is dropped.
///
/// Putting never fails and takes nothing from the heap; an intent may be of any size. Of a name that is put twice, the
/// last value counts.
///
/// ```
/// use guest_sdk::testing::{Host, MemoryState};
/// use guest_sdk::{KeyBuilder, storage};
///
/// let outcome = Host::new(MemoryState::new()).call(|cx| {
///     let mut mail = cx.new_value(&KeyBuilder::new(storage::SEND_MAIL, ""))?;
///     mail.put_str("Subject", "Your order").put_i32("Priority", 1);
///     mail.put_object("To", |to| {
///         to.put_str("Address", "somebody@example.com");
///     });
///     Ok(())
/// });
/// let intent = outcome.intents().next().unwrap();
/// assert_eq!(intent.value.get("To")?.get_str("Address")?, "somebody@example.com");
/// # Ok::<(), guest_sdk::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "an intent without fields is rarely meant; put some, or drop it"]
pub struct IntentWriter<'a> {
    sink: &'a mut IntentSink,
}

/// Writes the fields of a nested object.
///
/// ```
/// # use guest_sdk::{Context, KeyBuilder, Result, storage};
/// fn order(cx: &mut Context) -> Result<()> {
///     let mut value = cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?;
///     value.put_object("Customer", |customer| {
///         customer.put_str("Name", "Ada").put_i32("Number", 7);
///     });
///     Ok(())
/// }
/// # guest_sdk::testing::Host::default().call(order).unwrap();
/// ```
#[derive(Debug)]
pub struct ObjectWriter<'a> {
    sink: &'a mut IntentSink,
}

/// Writes the elements of a nested array.
///
/// ```
/// # use guest_sdk::{Context, KeyBuilder, Result, storage};
/// fn order(cx: &mut Context) -> Result<()> {
///     let mut value = cx.new_value(&KeyBuilder::new(storage::RESULT, ""))?;
///     value.put_array("Items", |items| {
///         items.push_str("tea").push_object(|item| {
///             item.put_str("Name", "cup").put_i32("Quantity", 2);
///         });
///     });
///     Ok(())
/// }
/// # guest_sdk::testing::Host::default().call(order).unwrap();
/// ```
#[derive(Debug)]
pub struct ArrayWriter<'a> {
    sink: &'a mut IntentSink,
}

impl<'a> IntentWriter<'a> {
    #[inline]
    pub(crate) fn begin(sink: &'a mut IntentSink, operation: Operation, key: &[u8]) -> Self {
        intent::begin(sink, operation, key);
        Self { sink }
    }
}

impl Drop for IntentWriter<'_> {
    #[inline]
    fn drop(&mut self) {
        encode::mark(self.sink, encode::END);
    }
}

macro_rules! object_writer {
    ($writer:ident) => {
        impl $writer<'_> {
            /// Puts an `i32`.
            #[inline]
            pub fn put_i32(&mut self, name: &str, value: i32) -> &mut Self {
                self.put_i64(name, value.into())
            }

            /// Puts an `i64`.
            #[inline]
            pub fn put_i64(&mut self, name: &str, value: i64) -> &mut Self {
                encode::field(self.sink, name, value);
                self
            }

            /// Puts an `f32`.
            #[inline]
            pub fn put_f32(&mut self, name: &str, value: f32) -> &mut Self {
                encode::field(self.sink, name, value);
                self
            }

            /// Puts an `f64`.
            #[inline]
            pub fn put_f64(&mut self, name: &str, value: f64) -> &mut Self {
                encode::field(self.sink, name, value);
                self
            }

            /// Puts text.
            #[inline]
            pub fn put_str(&mut self, name: &str, value: &str) -> &mut Self {
                encode::field(self.sink, name, value);
                self
            }

            /// Puts bytes.
            #[inline]
            pub fn put_bytes(&mut self, name: &str, value: &[u8]) -> &mut Self {
                encode::field(self.sink, name, value);
                self
            }

            /// Puts a truth value.
            #[inline]
            pub fn put_bool(&mut self, name: &str, value: bool) -> &mut Self {
                encode::field(self.sink, name, value);
                self
            }

            /// Puts a qualified name.
            pub fn put_qname(&mut self, name: &str, value: QName<'_>) -> &mut Self {
                encode::name(self.sink, name);
                encode::qname(self.sink, value);
                self
            }

            /// Puts a copy of a value that was read.
            ///
            /// # Errors
            /// The host's bytes are not a value.
            pub fn put_value(&mut self, name: &str, value: Value<'_>) -> Result<&mut Self> {
                let encoded = value.encoded()?;
                encode::name(self.sink, name);
                self.sink.append(encoded);
                Ok(self)
            }

            /// Puts a nested object, whose fields `fill` writes, and returns what `fill` does.
            #[inline]
            pub fn put_object<R>(&mut self, name: &str, fill: impl FnOnce(&mut ObjectWriter<'_>) -> R) -> R {
                encode::name(self.sink, name);
                nested_object(self.sink, fill)
            }

            /// Puts a nested array, whose elements `fill` writes, and returns what `fill` does.
            #[inline]
            pub fn put_array<R>(&mut self, name: &str, fill: impl FnOnce(&mut ArrayWriter<'_>) -> R) -> R {
                encode::name(self.sink, name);
                nested_array(self.sink, fill)
            }

            /// Its name before it was [`put_str`](Self::put_str).
            #[deprecated(since = "0.1.0", note = "use `put_str`, as readers have `get_str`")]
            #[doc(hidden)]
            #[inline]
            pub fn put_string(&mut self, name: &str, value: &str) -> &mut Self {
                self.put_str(name, value)
            }
        }
    };
}

object_writer!(IntentWriter);
object_writer!(ObjectWriter);

#[inline]
fn nested_object<R>(sink: &mut IntentSink, fill: impl FnOnce(&mut ObjectWriter<'_>) -> R) -> R {
    encode::mark(sink, encode::BEGIN_OBJECT);
    let result = fill(&mut ObjectWriter { sink });
    encode::mark(sink, encode::END);
    result
}

#[inline]
fn nested_array<R>(sink: &mut IntentSink, fill: impl FnOnce(&mut ArrayWriter<'_>) -> R) -> R {
    encode::mark(sink, encode::BEGIN_ARRAY);
    let result = fill(&mut ArrayWriter { sink });
    encode::mark(sink, encode::END);
    result
}

impl ArrayWriter<'_> {
    /// Appends an `i32`.
    #[inline]
    pub fn push_i32(&mut self, value: i32) -> &mut Self {
        self.push_i64(value.into())
    }

    /// Appends an `i64`.
    #[inline]
    pub fn push_i64(&mut self, value: i64) -> &mut Self {
        encode::element(self.sink, value);
        self
    }

    /// Appends an `f32`.
    #[inline]
    pub fn push_f32(&mut self, value: f32) -> &mut Self {
        encode::element(self.sink, value);
        self
    }

    /// Appends an `f64`.
    #[inline]
    pub fn push_f64(&mut self, value: f64) -> &mut Self {
        encode::element(self.sink, value);
        self
    }

    /// Appends text.
    #[inline]
    pub fn push_str(&mut self, value: &str) -> &mut Self {
        encode::element(self.sink, value);
        self
    }

    /// Appends bytes.
    #[inline]
    pub fn push_bytes(&mut self, value: &[u8]) -> &mut Self {
        encode::element(self.sink, value);
        self
    }

    /// Appends a truth value.
    #[inline]
    pub fn push_bool(&mut self, value: bool) -> &mut Self {
        encode::element(self.sink, value);
        self
    }

    /// Appends a qualified name.
    pub fn push_qname(&mut self, value: QName<'_>) -> &mut Self {
        encode::qname(self.sink, value);
        self
    }

    /// Appends a copy of a value that was read.
    ///
    /// # Errors
    /// The host's bytes are not a value.
    pub fn push_value(&mut self, value: Value<'_>) -> Result<&mut Self> {
        self.sink.append(value.encoded()?);
        Ok(self)
    }

    /// Appends a nested object, whose fields `fill` writes, and returns what `fill` does.
    #[inline]
    pub fn push_object<R>(&mut self, fill: impl FnOnce(&mut ObjectWriter<'_>) -> R) -> R {
        nested_object(self.sink, fill)
    }

    /// Appends a nested array, whose elements `fill` writes, and returns what `fill` does.
    #[inline]
    pub fn push_array<R>(&mut self, fill: impl FnOnce(&mut ArrayWriter<'_>) -> R) -> R {
        nested_array(self.sink, fill)
    }

    /// Its name before it was [`push_str`](Self::push_str).
    #[deprecated(since = "0.1.0", note = "use `push_str`, as readers have `get_str`")]
    #[doc(hidden)]
    #[inline]
    pub fn push_string(&mut self, value: &str) -> &mut Self {
        self.push_str(value)
    }
}
