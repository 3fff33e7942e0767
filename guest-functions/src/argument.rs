//! Arguments of typed calls: which parameters take a type of Rust, and how its values are placed.

use guest_abi::column::Column;
use guest_abi::function::{Items, Scalar, Signature, Type};
use guest_host::GuestCallError;
use guest_host::wasmtime::ValRaw;

use crate::error::FunctionError;
use crate::frame::Frame;
use crate::shape::{Number, Shape};
use crate::value::{Date, Decimal, Timestamp, Value};

/// A value that can be an argument of a function.
///
/// These are `bool`, `i32`, `i64`, `u64`, `f32`, `f64`, `&str`, `&[u8]`, [`Date`], [`Timestamp`], [`Decimal`],
/// [`DocumentBuf`](crate::DocumentBuf) and `&DocumentBuf`, slices of numbers and of `&str`, `Option` of all of these, and
/// [`Value`].
pub trait Argument: sealed::Argument {}

impl<A: sealed::Argument> Argument for A {}

/// The arguments of a function: a tuple of up to eight [`Argument`]s, or a slice of [`Value`]s.
pub trait Arguments: sealed::Arguments {}

impl<A: sealed::Arguments> Arguments for A {}

pub(crate) mod sealed {
    use super::*;

    pub trait Argument {
        /// Whether it is a number, and which.
        const NUMBER: Number = Number::None;

        /// The slot of a number.
        #[inline]
        fn slot(&self) -> ValRaw {
            ValRaw::i64(0)
        }

        /// The type's name in errors.
        fn name(&self) -> String;

        /// Whether a parameter of this type takes the value; whether that may be null is not asked.
        fn fits(&self, ty: Type) -> bool;

        fn is_null(&self) -> bool {
            false
        }

        /// Places a value that is not null.
        fn place(&self, frame: &mut Frame<'_, '_>, ty: Type) -> Result<(), GuestCallError>;
    }

    pub trait Arguments {
        /// The types, if all are numbers.
        const NUMBERS: Shape = Shape::NONE;

        /// Slots of a call, if all are numbers.
        type Slots: AsMut<[ValRaw]>;

        /// The slots of a call of numbers.
        fn slots(&self) -> Self::Slots;

        /// Checks number and types. `false` says that an argument is null that its parameter does not take, and that the
        /// result is null for it.
        fn check(&self, signature: &Signature) -> Result<bool, FunctionError>;

        fn place(&self, frame: &mut Frame<'_, '_>, signature: &Signature) -> Result<(), GuestCallError>;
    }
}

/// Checks one argument against its parameter, see [`sealed::Arguments::check`].
#[inline]
fn check<A: sealed::Argument + ?Sized>(argument: &A, at: usize, signature: &Signature) -> Result<bool, FunctionError> {
    let field = &signature.params[at];
    if !argument.fits(field.ty) {
        return Err(mismatch(argument.name(), at, signature));
    }
    if argument.is_null() && !field.ty.nullable {
        return if signature.strict { Ok(false) } else { Err(null(at, signature)) };
    }
    Ok(true)
}

#[cold]
pub(crate) fn mismatch(given: String, at: usize, signature: &Signature) -> FunctionError {
    let field = &signature.params[at];
    let (function, parameter) = (signature.name.clone(), field.name.clone());
    FunctionError::ArgumentType { function, parameter, expected: field.ty, given }
}

#[cold]
fn null(at: usize, signature: &Signature) -> FunctionError {
    FunctionError::Null { function: signature.name.clone(), parameter: signature.params[at].name.clone() }
}

#[cold]
pub(crate) fn arity(signature: &Signature, given: usize) -> FunctionError {
    FunctionError::Arity { signature: Box::new(signature.clone()), given }
}

/// Places an argument, and whether it is there where it might not be.
#[inline]
fn place<A: sealed::Argument + ?Sized>(
    argument: &A,
    frame: &mut Frame<'_, '_>,
    ty: Type,
) -> Result<(), GuestCallError> {
    if ty.nullable {
        if argument.is_null() {
            frame.push_null(ty);
            return Ok(());
        }
        frame.push(ValRaw::i32(1));
    }
    argument.place(frame, ty)
}

macro_rules! tuples {
    ($($count:literal: $($name:ident $at:tt)*;)*) => {$(
        impl<$($name: sealed::Argument),*> sealed::Arguments for ($($name,)*) {
            const NUMBERS: Shape = Shape::EMPTY$(.then($name::NUMBER))*;

            /// One for each argument, and one for the result of a function without parameters.
            type Slots = [ValRaw; if $count == 0 { 1 } else { $count }];

            #[inline]
            fn slots(&self) -> Self::Slots {
                let slots = [ValRaw::i64(0); if $count == 0 { 1 } else { $count }];
                $(let slots = { let mut slots = slots; slots[$at] = self.$at.slot(); slots };)*
                slots
            }

            #[inline]
            fn check(&self, signature: &Signature) -> Result<bool, FunctionError> {
                if signature.params.len() != $count {
                    return Err(arity(signature, $count));
                }
                let there = true;
                $(let there = check(&self.$at, $at, signature)? & there;)*
                Ok(there)
            }

            #[inline]
            fn place(&self, frame: &mut Frame<'_, '_>, signature: &Signature) -> Result<(), GuestCallError> {
                $(place(&self.$at, frame, signature.params[$at].ty)?;)*
                let _ = (frame, signature);
                Ok(())
            }
        }
    )*};
}

tuples! {
    0: ;
    1: A 0;
    2: A 0 B 1;
    3: A 0 B 1 C 2;
    4: A 0 B 1 C 2 D 3;
    5: A 0 B 1 C 2 D 3 E 4;
    6: A 0 B 1 C 2 D 3 E 4 F 5;
    7: A 0 B 1 C 2 D 3 E 4 F 5 G 6;
    8: A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7;
}

impl sealed::Arguments for &[Value] {
    type Slots = [ValRaw; 0];

    fn slots(&self) -> Self::Slots {
        []
    }

    fn check(&self, signature: &Signature) -> Result<bool, FunctionError> {
        if signature.params.len() != self.len() {
            return Err(arity(signature, self.len()));
        }
        let mut there = true;
        for (at, value) in self.iter().enumerate() {
            there &= check(value, at, signature)?;
        }
        Ok(there)
    }

    fn place(&self, frame: &mut Frame<'_, '_>, signature: &Signature) -> Result<(), GuestCallError> {
        signature.params.iter().zip(*self).try_for_each(|(field, value)| place(value, frame, field.ty))
    }
}

/// Whether a parameter has this type and is no list.
#[inline]
fn is(ty: Type, scalar: Scalar) -> bool {
    ty.list.is_none() && ty.scalar == scalar
}

macro_rules! numbers {
    ($($ty:ty, $name:literal, $scalar:ident, $slot:expr;)*) => {$(
        impl sealed::Argument for $ty {
            const NUMBER: Number = Number::$scalar;

            #[inline]
            fn slot(&self) -> ValRaw {
                let slot: fn(&$ty) -> ValRaw = $slot;
                slot(self)
            }

            fn name(&self) -> String {
                $name.to_owned()
            }

            #[inline]
            fn fits(&self, ty: Type) -> bool {
                is(ty, Scalar::$scalar)
            }

            #[inline]
            fn place(&self, frame: &mut Frame<'_, '_>, _ty: Type) -> Result<(), GuestCallError> {
                frame.push(self.slot());
                Ok(())
            }
        }
    )*};
}

numbers! {
    bool, "bool", Bool, |value| ValRaw::i32((*value).into());
    i32, "i32", I32, |value| ValRaw::i32(*value);
    i64, "i64", I64, |value| ValRaw::i64(*value);
    u64, "u64", U64, |value| ValRaw::u64(*value);
    f32, "f32", F32, |value| ValRaw::f32(value.to_bits());
    f64, "f64", F64, |value| ValRaw::f64(value.to_bits());
    Date, "date", Date, |value| ValRaw::i32(value.days);
    Timestamp, "timestamp", Timestamp, |value| ValRaw::i64(value.microseconds);
}

impl sealed::Argument for Decimal {
    fn name(&self) -> String {
        format!("decimal(38, {})", self.scale)
    }

    #[inline]
    fn fits(&self, ty: Type) -> bool {
        matches!((ty.list, ty.scalar), (None, Scalar::Decimal { precision, scale })
            if scale == self.scale && self.has_at_most(precision))
    }

    #[inline]
    fn place(&self, frame: &mut Frame<'_, '_>, _ty: Type) -> Result<(), GuestCallError> {
        frame.push(ValRaw::i64(self.units as i64));
        frame.push(ValRaw::i64((self.units >> 64) as i64));
        Ok(())
    }
}

impl sealed::Argument for &str {
    fn name(&self) -> String {
        "string".to_owned()
    }

    #[inline]
    fn fits(&self, ty: Type) -> bool {
        is(ty, Scalar::String)
    }

    #[inline]
    fn place(&self, frame: &mut Frame<'_, '_>, _ty: Type) -> Result<(), GuestCallError> {
        frame.push_bytes(self.as_bytes())
    }
}

impl sealed::Argument for &[u8] {
    fn name(&self) -> String {
        "bytes".to_owned()
    }

    #[inline]
    fn fits(&self, ty: Type) -> bool {
        // Records and documents are bytes too; the guest checks what is in them.
        is(ty, Scalar::Bytes) || is(ty, Scalar::Record) || is(ty, Scalar::Document)
    }

    #[inline]
    fn place(&self, frame: &mut Frame<'_, '_>, _ty: Type) -> Result<(), GuestCallError> {
        frame.push_bytes(self)
    }
}

/// Whether a parameter is a list of this type.
fn is_list(ty: Type, scalar: Scalar) -> bool {
    ty.list.is_some() && ty.scalar == scalar
}

macro_rules! lists {
    ($($ty:ty, $scalar:ident;)*) => {$(
        impl sealed::Argument for &[$ty] {
            fn name(&self) -> String {
                format!("list({})", Scalar::$scalar)
            }

            #[inline]
            fn fits(&self, ty: Type) -> bool {
                is_list(ty, Scalar::$scalar)
            }

            fn place(&self, frame: &mut Frame<'_, '_>, _ty: Type) -> Result<(), GuestCallError> {
                const WIDTH: usize = size_of::<$ty>();
                let (values, room) = frame.room(self.len().saturating_mul(WIDTH))?;
                for (to, value) in room.chunks_exact_mut(WIDTH).zip(*self) {
                    to.copy_from_slice(&value.to_le_bytes());
                }
                frame.push_column(Column { rows: self.len() as u32, values, ..Column::default() })
            }
        }
    )*};
}

lists! {
    i32, I32;
    i64, I64;
    u64, U64;
    f32, F32;
    f64, F64;
}

impl sealed::Argument for &[&str] {
    fn name(&self) -> String {
        format!("list({})", Scalar::String)
    }

    fn fits(&self, ty: Type) -> bool {
        is_list(ty, Scalar::String)
    }

    fn place(&self, frame: &mut Frame<'_, '_>, _ty: Type) -> Result<(), GuestCallError> {
        let column = place_bytes(frame, self.len(), || self.iter().map(|text| Some(text.as_bytes())))?;
        frame.push_column(column)
    }
}

/// Places strings or bytes one behind the other, with their offsets.
pub(crate) fn place_bytes<'v, I: Iterator<Item = Option<&'v [u8]>>>(
    frame: &mut Frame<'_, '_>,
    rows: usize,
    items: impl Fn() -> I,
) -> Result<Column, GuestCallError> {
    let total = items().flatten().fold(0_usize, |total, item| total.saturating_add(item.len()));
    if i32::try_from(total).is_err() {
        return Err(GuestCallError::arguments_too_large(total as u64, i32::MAX as u64));
    }
    let (values, room) = frame.room(total)?;
    let mut rest = room;
    for item in items().flatten() {
        let (to, behind) = std::mem::take(&mut rest).split_at_mut(item.len());
        to.copy_from_slice(item);
        rest = behind;
    }
    let (offsets, room) = frame.room((rows + 1).saturating_mul(4))?;
    let mut end = 0_u32;
    let ends = items().map(|item| {
        end += item.map_or(0, <[u8]>::len) as u32;
        end
    });
    for (to, offset) in room.chunks_exact_mut(4).zip(std::iter::once(0).chain(ends)) {
        to.copy_from_slice(&offset.to_le_bytes());
    }
    Ok(Column { rows: rows as u32, values, offsets, ..Column::default() })
}

impl<A: sealed::Argument> sealed::Argument for Option<A> {
    fn name(&self) -> String {
        self.as_ref().map_or_else(|| "null".to_owned(), A::name)
    }

    #[inline]
    fn fits(&self, ty: Type) -> bool {
        self.as_ref().is_none_or(|value| value.fits(ty))
    }

    #[inline]
    fn is_null(&self) -> bool {
        self.as_ref().is_none_or(A::is_null)
    }

    #[inline]
    fn place(&self, frame: &mut Frame<'_, '_>, ty: Type) -> Result<(), GuestCallError> {
        match self {
            Some(value) => value.place(frame, ty),
            None => Ok(()),
        }
    }
}

impl sealed::Argument for Value {
    fn name(&self) -> String {
        self.type_name()
    }

    fn fits(&self, ty: Type) -> bool {
        match (self, ty.list) {
            (Self::Null, _) => true,
            (Self::List(items), Some(of)) => items.iter().all(|item| match item {
                Self::Null => of.nullable,
                Self::List(_) => false,
                item => item.fits(Type::of(ty.scalar)),
            }),
            (Self::List(_), None) | (_, Some(_)) => false,
            (value, None) => match (value, ty.scalar) {
                (Self::Decimal(value), _) => value.fits(ty),
                (value, scalar) => value.scalar() == Some(scalar),
            },
        }
    }

    fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    fn place(&self, frame: &mut Frame<'_, '_>, ty: Type) -> Result<(), GuestCallError> {
        match self {
            Self::Null => Ok(()),
            Self::Bool(value) => value.place(frame, ty),
            Self::I32(value) => value.place(frame, ty),
            Self::I64(value) => value.place(frame, ty),
            Self::U64(value) => value.place(frame, ty),
            Self::F32(value) => value.place(frame, ty),
            Self::F64(value) => value.place(frame, ty),
            Self::Date(value) => value.place(frame, ty),
            Self::Timestamp(value) => value.place(frame, ty),
            Self::Decimal(value) => value.place(frame, ty),
            Self::String(value) => frame.push_bytes(value.as_bytes()),
            Self::Bytes(value) | Self::Record(value) => frame.push_bytes(value),
            Self::Document(value) => value.place(frame, ty),
            Self::List(items) => {
                let column = place_values(frame, items, ty.scalar, ty.list.unwrap_or(Items { nullable: false }))?;
                frame.push_column(column)
            }
        }
    }
}

/// Places the items of a list, which were checked to be of one type.
fn place_values(
    frame: &mut Frame<'_, '_>,
    items: &[Value],
    scalar: Scalar,
    of: Items,
) -> Result<Column, GuestCallError> {
    let mut column = if scalar.is_bytes() {
        place_bytes(frame, items.len(), || items.iter().map(Value::as_bytes))?
    } else {
        let values = match scalar.width() {
            Some(width) => {
                let (values, room) = frame.room(items.len().saturating_mul(width))?;
                for (to, item) in room.chunks_exact_mut(width).zip(items) {
                    to.copy_from_slice(&item.little_endian()[..width]);
                }
                values
            }
            None => place_bits(frame, items, |item| matches!(item, Value::Bool(true)))?,
        };
        Column { rows: items.len() as u32, values, ..Column::default() }
    };
    if of.nullable {
        column.validity = place_bits(frame, items, |item| !matches!(item, Value::Null))?;
    }
    Ok(column)
}

/// Places a bitmap with a bit for each item.
fn place_bits(
    frame: &mut Frame<'_, '_>,
    items: &[Value],
    is_set: impl Fn(&Value) -> bool,
) -> Result<u32, GuestCallError> {
    let (address, room) = frame.room(items.len().div_ceil(8))?;
    for (to, items) in room.iter_mut().zip(items.chunks(8)) {
        let bits = items.iter().enumerate().map(|(at, item)| u8::from(is_set(item)) << at);
        *to = bits.fold(0, |byte, bit| byte | bit);
    }
    Ok(address)
}
