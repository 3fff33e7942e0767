//! Values as extensions read them: views into the exchange region, borrowed for the call.

use guest_abi::cbor::WireError;
use guest_abi::cbor::scan::{self, Members, Unreadable};
use guest_abi::value::{Kind, QName, ValueError, ValueRef};

use crate::error::{self, Error, Result};

/// A value that the host gave. Reading decodes it where it lies; nothing is copied.
///
/// An integer is read as any integer or float type that holds it exactly, a float as the nearest value of any float type.
/// Anything else is an error that names the field, the type asked for and the kind found. So is a finite 64-bit float beyond
/// the range of `f32` that is read as `f32`.
///
/// ```
/// use guest_sdk_core::ErrorCode;
/// use guest_sdk_core::value::Value;
///
/// // {"Year": 2023, "Items": ["tea", "cup"]}
/// let value = Value::new(b"\xA2\x64Year\x19\x07\xE7\x65Items\x82\x63tea\x63cup");
/// assert_eq!(value.get_i32("Year")?, 2023);
/// assert_eq!(value.get("Items")?.get_str_at(1)?, "cup");
/// for item in value.get("Items")?.items()? {
///     assert_eq!(item.as_str()?.len(), 3);
/// }
/// assert_eq!(value.get_str("Year").unwrap_err().code(), ErrorCode::WrongType);
/// # Ok::<(), guest_sdk_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Value<'call> {
    value: ValueRef<'call>,
}

macro_rules! getters {
    ($($(#[$doc:meta])* $whole:ident $read:ident $of_field:ident $of_element:ident -> $type:ty;)+) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        /// It is of another kind, or does not fit.
        #[inline]
        pub fn $whole(&self) -> Result<$type> {
            Ok(self.$read()?)
        }

        /// The same of the field with this name.
        ///
        /// # Errors
        /// The value is no object, the field is missing, is of another kind, or does not fit.
        #[inline]
        pub fn $of_field(&self, name: &str) -> Result<$type> {
            self.get(name)?.$read().map_err(|error| error::of_field(name, error))
        }

        /// The same of the array element with this index.
        ///
        /// # Errors
        /// The value is no array, the element is missing, is of another kind, or does not fit.
        #[inline]
        pub fn $of_element(&self, index: usize) -> Result<$type> {
            self.item(index)?.$read().map_err(|error| error::of_element(index, error))
        }
    )+};
}

impl<'call> Value<'call> {
    /// The value whose encoding starts at the first of `bytes`.
    #[inline]
    pub const fn new(bytes: &'call [u8]) -> Self {
        Self { value: ValueRef::new(bytes) }
    }

    getters! {
        /// The value as `i32`.
        as_i32 read_i32 get_i32 get_i32_at -> i32;
        /// The value as `i64`.
        as_i64 read_i64 get_i64 get_i64_at -> i64;
        /// The value as `f32`.
        as_f32 read_f32 get_f32 get_f32_at -> f32;
        /// The value as `f64`.
        as_f64 read_f64 get_f64 get_f64_at -> f64;
        /// The value as text.
        as_str read_str get_str get_str_at -> &'call str;
        /// The value as bytes.
        as_bytes read_bytes get_bytes get_bytes_at -> &'call [u8];
        /// The value as a truth value.
        as_bool read_bool get_bool get_bool_at -> bool;
        /// The value as a qualified name.
        as_qname read_qname get_qname get_qname_at -> QName<'call>;
    }

    /// The value, if the first byte of its encoding is one that a value of this kind has.
    ///
    /// Asked beforehand, so that bytes of another kind are refused without reading any of them.
    #[inline]
    fn of(&self, asked: &'static str, accepts: impl FnOnce(u8) -> bool) -> Result<ValueRef<'call>, ValueError> {
        match self.value.bytes().first() {
            Some(initial) if accepts(*initial) => Ok(self.value),
            _ => Err(self.wrong_type(asked)),
        }
    }

    #[cold]
    fn wrong_type(&self, asked: &'static str) -> ValueError {
        match self.value.kind() {
            Ok(found) => ValueError::WrongType { asked, found },
            Err(error) => error,
        }
    }

    #[inline]
    fn read_i32(&self) -> Result<i32, ValueError> {
        match scan::integer(self.value.bytes()).map(i32::try_from) {
            Some(Ok(value)) => Ok(value),
            Some(Err(_)) => Err(ValueError::OutOfRange { asked: "i32", found: Kind::Integer }),
            None => Err(self.wrong_type("i32")),
        }
    }

    #[inline]
    fn read_i64(&self) -> Result<i64, ValueError> {
        scan::integer(self.value.bytes()).ok_or_else(|| self.wrong_type("i64"))
    }

    fn read_f32(&self) -> Result<f32, ValueError> {
        self.value.as_f32()
    }

    fn read_f64(&self) -> Result<f64, ValueError> {
        self.value.as_f64()
    }

    #[inline]
    fn read_str(&self) -> Result<&'call str, ValueError> {
        self.of("string", |initial| initial >> 5 == 3)?.as_str()
    }

    #[inline]
    fn read_bytes(&self) -> Result<&'call [u8], ValueError> {
        self.of("bytes", |initial| initial >> 5 == 2)?.as_bytes()
    }

    #[inline]
    fn read_bool(&self) -> Result<bool, ValueError> {
        self.of("bool", |initial| matches!(initial, 0xF4 | 0xF5))?.as_bool()
    }

    #[inline]
    fn read_qname(&self) -> Result<QName<'call>, ValueError> {
        self.of("qualified name", |initial| initial >> 5 == 6)?.as_qname()
    }

    #[inline]
    fn fields_in(&self) -> Result<Members<'call>, ValueError> {
        Members::of_object(self.value.bytes()).map_err(|Unreadable| self.not_a("object", 5))
    }

    #[inline]
    fn items_in(&self) -> Result<Members<'call>, ValueError> {
        Members::of_array(self.value.bytes()).map_err(|Unreadable| self.not_a("array", 4))
    }

    /// Why the value is not one of this kind, whose encodings begin with this major type.
    #[cold]
    fn not_a(&self, asked: &'static str, major: u8) -> ValueError {
        match self.of(asked, |initial| initial >> 5 == major) {
            Ok(_) => WireError::Truncated.into(),
            Err(error) => error,
        }
    }

    /// Kind of the value.
    ///
    /// # Errors
    /// The host's bytes are not a value.
    pub fn kind(&self) -> Result<Kind> {
        Ok(self.value.kind()?)
    }

    /// The field with this name. A name that is there twice means its first value.
    ///
    /// # Errors
    /// The value is no object, or has no such field.
    #[inline]
    pub fn get(&self, name: &str) -> Result<Value<'call>> {
        match self.find(name)? {
            Some(value) => Ok(value),
            None => Err(error::missing_field(name)),
        }
    }

    /// The field with this name, if there is one.
    ///
    /// # Errors
    /// The value is no object.
    #[inline]
    pub fn find(&self, name: &str) -> Result<Option<Value<'call>>> {
        match scan::field(self.value.bytes(), name) {
            Ok(found) => Ok(found.map(Self::new)),
            Err(Unreadable) => self.find_slowly(name),
        }
    }

    #[cold]
    fn find_slowly(&self, name: &str) -> Result<Option<Value<'call>>> {
        let named = |error| error::of_field(name, error);
        let object = self.of("object", |initial| initial >> 5 == 5).map_err(named)?;
        let found = object.field(name).map_err(named)?;
        Ok(found.map(|value| Self { value }))
    }

    /// The fields of an object, in their order.
    ///
    /// # Errors
    /// The value is no object.
    pub fn fields(&self) -> Result<Fields<'call>> {
        Ok(Fields { fields: self.fields_in()? })
    }

    /// The elements of an array.
    ///
    /// # Errors
    /// The value is no array.
    #[inline]
    pub fn items(&self) -> Result<Items<'call>> {
        Ok(Items { items: self.items_in()? })
    }

    /// The array element with this index. It is found by stepping over those before it.
    ///
    /// # Errors
    /// The value is no array, or shorter.
    pub fn item(&self, index: usize) -> Result<Value<'call>> {
        let mut items = self.items_in()?;
        let mut length = 0;
        while let Some(item) = items.next_element() {
            let item = item.map_err(malformed)?;
            if length == index {
                return Ok(Self::new(item));
            }
            length += 1;
        }
        Err(error::missing_element(index, length))
    }

    /// Number of elements of an array, or of fields of an object.
    ///
    /// # Errors
    /// The value is neither.
    #[expect(clippy::len_without_is_empty, reason = "most values have no length")]
    pub fn len(&self) -> Result<usize> {
        let mut members = match self.value.kind()? {
            Kind::Object => self.fields_in()?,
            _ => self.items_in()?,
        };
        if let Some(length) = members.left() {
            return Ok(usize::try_from(length)?);
        }
        let is_object = self.value.kind()? == Kind::Object;
        let mut length = 0;
        loop {
            let member = match is_object {
                true => members.next_field().map(|field| field.map(drop)),
                false => members.next_element().map(|item| item.map(drop)),
            };
            match member {
                Some(member) => member.map_err(malformed)?,
                None => return Ok(length),
            }
            length += 1;
        }
    }

    /// The wire form: exactly the bytes of this value.
    ///
    /// # Errors
    /// The host's bytes are not a value.
    pub fn encoded(&self) -> Result<&'call [u8]> {
        let bytes = self.value.bytes();
        match scan::end_of(bytes, 0) {
            Ok(end) => Ok(&bytes[..end]),
            Err(error) => Err(malformed(error)),
        }
    }
}

/// The error of bytes that should be a value and are not.
#[cold]
pub fn malformed(_: Unreadable) -> Error {
    WireError::Truncated.into()
}

impl core::fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let kind = match self.value.kind() {
            Ok(kind) => kind,
            Err(error) => return write!(f, "<{error}>"),
        };
        let shown = match kind {
            Kind::Integer => self.as_i64().map(|value| value.fmt(f)),
            Kind::Float32 | Kind::Float64 => self.as_f64().map(|value| value.fmt(f)),
            Kind::Text => self.as_str().map(|value| value.fmt(f)),
            Kind::Bytes => self.as_bytes().map(|value| value.fmt(f)),
            Kind::Bool => self.as_bool().map(|value| value.fmt(f)),
            Kind::QName => self.as_qname().map(|value| core::fmt::Display::fmt(&value, f)),
            Kind::Object => self.fields().map(|fields| f.debug_map().entries(fields).finish()),
            _ => self.items().map(|items| f.debug_list().entries(items).finish()),
        };
        shown.unwrap_or_else(|error| write!(f, "<{error}>"))
    }
}

/// The elements of an array, in order. See [`Value::items`].
///
/// Should the host's bytes turn out not to be an array after all, the iterator ends with a value that is nothing, so
/// that reading it is an error.
#[derive(Debug, Clone)]
pub struct Items<'call> {
    items: Members<'call>,
}

impl<'call> Iterator for Items<'call> {
    type Item = Value<'call>;

    #[inline]
    fn next(&mut self) -> Option<Value<'call>> {
        let item = self.items.next_element()?;
        Some(Value::new(item.unwrap_or_default()))
    }
}

/// The fields of an object, in order. See [`Value::fields`]; of bytes that are not an object after all, the same holds
/// as for [`Items`].
///
/// ```
/// use guest_sdk_core::value::Value;
///
/// // {"Year": 2023, "Month": 1}
/// let value = Value::new(b"\xA2\x64Year\x19\x07\xE7\x65Month\x01");
/// let names: Vec<&str> = value.fields()?.map(|(name, _)| name).collect();
/// assert_eq!(names, ["Year", "Month"]);
/// # Ok::<(), guest_sdk_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Fields<'call> {
    fields: Members<'call>,
}

impl<'call> Iterator for Fields<'call> {
    type Item = (&'call str, Value<'call>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.fields.next_field()?.unwrap_or_default();
        match core::str::from_utf8(name) {
            Ok(name) => Some((name, Value::new(value))),
            Err(_) => Some(("", Value::new(&[]))),
        }
    }
}
