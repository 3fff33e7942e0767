//! The types of a function that takes and returns plain numbers, as one number: such functions are called without a look at
//! each type.

use guest_abi::function::{Kind, Scalar, Signature, Type};

/// A number that crosses as one slot and is never null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Number {
    /// None of these.
    None,
    /// A truth value. As a result it is none of these, since its slot must be checked.
    Bool,
    /// `i32`.
    I32,
    /// `i64`.
    I64,
    /// `u64`.
    U64,
    /// `f32`.
    F32,
    /// `f64`.
    F64,
    /// A date.
    Date,
    /// A timestamp.
    Timestamp,
}

impl Number {
    fn of(ty: Type) -> Self {
        if ty.nullable || ty.list.is_some() {
            return Self::None;
        }
        match ty.scalar {
            Scalar::Bool => Self::Bool,
            Scalar::I32 => Self::I32,
            Scalar::I64 => Self::I64,
            Scalar::U64 => Self::U64,
            Scalar::F32 => Self::F32,
            Scalar::F64 => Self::F64,
            Scalar::Date => Self::Date,
            Scalar::Timestamp => Self::Timestamp,
            _ => Self::None,
        }
    }
}

/// The types of up to eight parameters and of the result, four bits each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape(u64);

impl Shape {
    /// No parameter.
    pub(crate) const EMPTY: Self = Self(0);

    /// Something in it is not a number, or there are too many.
    pub(crate) const NONE: Self = Self(u64::MAX);

    /// Bits of the result.
    const RESULT: u32 = 32;

    /// With a parameter behind the others.
    pub(crate) const fn then(self, number: Number) -> Self {
        let has_room = self.0 >> (Self::RESULT - 4) == 0;
        match number {
            Number::None => Self::NONE,
            number if has_room => Self(self.0 << 4 | number as u64),
            _ => Self::NONE,
        }
    }

    /// With this result.
    pub(crate) const fn returns(self, number: Number) -> Self {
        match number {
            Number::None | Number::Bool => Self::NONE,
            number if self.0 >> Self::RESULT == 0 => Self(self.0 | (number as u64) << Self::RESULT),
            _ => Self::NONE,
        }
    }

    /// That of a function.
    pub(crate) fn of(signature: &Signature) -> Self {
        let [result] = signature.results.as_slice() else {
            return Self::NONE;
        };
        if signature.kind != Kind::Scalar {
            return Self::NONE;
        }
        let params = signature.params.iter().map(|field| Number::of(field.ty));
        params.fold(Self::EMPTY, Self::then).returns(Number::of(result.ty))
    }

    /// Whether all are numbers, and the same.
    #[inline]
    pub(crate) fn is(self, other: Self) -> bool {
        self == other && self.is_some()
    }

    /// Whether all are numbers.
    #[inline]
    pub(crate) fn is_some(self) -> bool {
        self != Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use guest_abi::function::Field;

    use super::*;

    const NUMBERS: [(Scalar, Number); 8] = [
        (Scalar::Bool, Number::Bool),
        (Scalar::I32, Number::I32),
        (Scalar::I64, Number::I64),
        (Scalar::U64, Number::U64),
        (Scalar::F32, Number::F32),
        (Scalar::F64, Number::F64),
        (Scalar::Date, Number::Date),
        (Scalar::Timestamp, Number::Timestamp),
    ];

    fn signature(params: &[Type], result: Type) -> Signature {
        let mut signature = Signature::new(Kind::Scalar, "f");
        signature.params = params.iter().map(|ty| Field::new("p", *ty)).collect();
        signature.results = vec![Field::new("", result)];
        signature
    }

    #[test]
    fn each_list_of_numbers_has_a_shape_of_its_own() {
        let mut seen = std::collections::HashSet::new();
        for count in 0..=3 {
            for at in 0..8_usize.pow(count) {
                let params: Vec<_> = (0..count).map(|param| NUMBERS[at / 8_usize.pow(param) % 8]).collect();
                let types: Vec<_> = params.iter().map(|(scalar, _)| Type::of(*scalar)).collect();
                let called = params.iter().fold(Shape::EMPTY, |shape, (_, number)| shape.then(*number));
                for (scalar, number) in NUMBERS {
                    let shape = Shape::of(&signature(&types, Type::of(scalar)));
                    assert_eq!(shape, called.returns(number));
                    assert_eq!(shape.is(called.returns(number)), number != Number::Bool);
                    assert!(number == Number::Bool || seen.insert(shape.0), "{types:?} -> {scalar:?}");
                }
            }
        }
        let eight = signature(&[Type::of(Scalar::Timestamp); 8], Type::of(Scalar::I64));
        assert!(Shape::of(&eight).is_some());
    }

    #[test]
    fn what_is_not_a_number_that_is_always_there_has_none() {
        let number = Type::of(Scalar::I64);
        let list = number.list();
        let decimal = Type::of(Scalar::Decimal { precision: 9, scale: 2 });
        for other in [number.nullable(), list, decimal, Type::of(Scalar::String), Type::of(Scalar::Record)] {
            assert!(!Shape::of(&signature(&[number, other], number)).is_some(), "{other}");
            assert!(!Shape::of(&signature(&[number], other)).is_some(), "{other}");
        }
        assert!(!Shape::of(&signature(&[number; 9], number)).is_some());
        let mut aggregate = signature(&[number], number);
        aggregate.kind = Kind::Aggregate;
        assert!(!Shape::of(&aggregate).is_some());
        // Two that have none are not alike.
        assert!(!Shape::NONE.is(Shape::NONE));
    }
}
