//! The types of functions beside those of Arrow: what an argument may be, and what it is cast to.

use datafusion::arrow::datatypes::DataType;
use guest_functions::{Scalar, Type, data_type};

/// The type that an argument of type `given` is cast to for a parameter of type `ty`: `given` itself where a batch takes it as
/// it is. `None` if the parameter does not take it.
///
/// Integers are cast to any width, which fails for a value that does not fit, so that a literal, which is a `BIGINT`, is an
/// argument for an `INT`. Numbers are never rounded to a narrower floating-point type, and text is never parsed.
pub(crate) fn coerce(given: &DataType, ty: Type) -> Option<DataType> {
    if crosses(given, ty) {
        return Some(given.clone());
    }
    let target = data_type(ty);
    let casts = match (given, ty.list) {
        (DataType::Null, _) => true,
        (DataType::Dictionary(_, values), _) => return coerce(values, ty),
        (DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _), Some(_)) => {
            coerce(field.data_type(), Type::of(ty.scalar)).is_some()
        }
        (_, Some(_)) => false,
        (given, None) => casts(given, ty.scalar),
    };
    casts.then_some(target)
}

/// The name that SQL has for the type of a parameter.
pub(crate) fn sql_type(ty: Type) -> String {
    let name = match ty.scalar {
        Scalar::Bool => "BOOLEAN",
        Scalar::I32 => "INT",
        Scalar::I64 => "BIGINT",
        Scalar::U64 => "BIGINT UNSIGNED",
        Scalar::F32 => "REAL",
        Scalar::F64 => "DOUBLE",
        Scalar::String => "VARCHAR",
        Scalar::Date => "DATE",
        Scalar::Timestamp => "TIMESTAMP(6)",
        Scalar::Decimal { precision, scale } => return format!("DECIMAL({precision}, {scale})") + brackets(ty),
        _ => "BYTEA",
    };
    name.to_owned() + brackets(ty)
}

fn brackets(ty: Type) -> &'static str {
    if ty.list.is_some() { "[]" } else { "" }
}

/// Whether a batch takes an argument of type `given` for a parameter of type `ty` as it is.
fn crosses(given: &DataType, ty: Type) -> bool {
    match (given, ty.list) {
        (DataType::Dictionary(key, values), _) => key.is_dictionary_key_type() && crosses(values, ty),
        (DataType::List(field), Some(items)) => {
            !matches!(field.data_type(), DataType::Dictionary(..))
                && crosses(field.data_type(), Type::of(ty.scalar))
                && (items.nullable || !field.is_nullable())
        }
        (_, Some(_)) => false,
        (given, None) => match (given, ty.scalar) {
            (DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, Scalar::String) => true,
            (
                DataType::Binary | DataType::LargeBinary | DataType::BinaryView,
                Scalar::Bytes | Scalar::Record | Scalar::Document,
            ) => true,
            (DataType::Timestamp(unit, _), Scalar::Timestamp) => {
                *unit == datafusion::arrow::datatypes::TimeUnit::Microsecond
            }
            (DataType::Decimal128(precision, scale), Scalar::Decimal { precision: most, scale: same }) => {
                *precision <= most && *scale == same
            }
            (given, _) => *given == data_type(Type::of(ty.scalar)),
        },
    }
}

/// Whether values of type `given` are cast to a type that is no list.
fn casts(given: &DataType, scalar: Scalar) -> bool {
    match scalar {
        Scalar::I32 | Scalar::I64 | Scalar::U64 => given.is_integer(),
        Scalar::F32 => given.is_integer() || matches!(given, DataType::Float16),
        Scalar::F64 => given.is_numeric(),
        Scalar::String => given.is_string(),
        Scalar::Bytes | Scalar::Record | Scalar::Document => matches!(given, DataType::FixedSizeBinary(_)),
        Scalar::Date => matches!(given, DataType::Date64),
        Scalar::Timestamp => matches!(given, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64),
        Scalar::Decimal { precision, scale } => match given {
            DataType::Decimal32(digits, behind)
            | DataType::Decimal64(digits, behind)
            | DataType::Decimal128(digits, behind)
            | DataType::Decimal256(digits, behind) => {
                let whole = |digits: u8, behind: i8| i16::from(digits) - i16::from(behind);
                *behind <= scale && whole(*digits, *behind) <= whole(precision, scale)
            }
            given => given.is_integer(),
        },
        _ => false,
    }
}

/// The type of a function that an Arrow type in a declaration stands for. SQL does not say whether it may be null.
pub(crate) fn declared(given: &DataType) -> Option<Type> {
    let scalar = match given {
        DataType::Boolean => Scalar::Bool,
        DataType::Int32 => Scalar::I32,
        DataType::Int64 => Scalar::I64,
        DataType::UInt64 => Scalar::U64,
        DataType::Float32 => Scalar::F32,
        DataType::Float64 => Scalar::F64,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Scalar::String,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Scalar::Bytes,
        DataType::Date32 => Scalar::Date,
        DataType::Timestamp(..) => Scalar::Timestamp,
        DataType::Decimal128(precision, scale) => Scalar::Decimal { precision: *precision, scale: *scale },
        DataType::List(field) => {
            let item = declared(field.data_type()).filter(|item| item.list.is_none())?;
            return Some(item.list());
        }
        _ => return None,
    };
    Some(Type::of(scalar))
}

/// Whether a declared type is the one that a module says, as far as SQL can tell.
pub(crate) fn is_declared_as(of_module: Type, declared: Type) -> bool {
    let plain = |ty: Type| {
        let scalar = match ty.scalar {
            Scalar::Record | Scalar::Document => Scalar::Bytes,
            scalar => scalar,
        };
        if ty.list.is_some() { Type::of(scalar).list() } else { Type::of(scalar) }
    };
    plain(of_module) == plain(declared)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::datatypes::{Field, TimeUnit};

    use super::*;

    fn list(item: DataType, nullable: bool) -> DataType {
        DataType::List(Arc::new(Field::new_list_field(item, nullable)))
    }

    #[test]
    fn what_crosses_stays_and_the_rest_is_cast_or_refused() {
        let text = Type::of(Scalar::String);
        for same in [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View] {
            assert_eq!(coerce(&same, text), Some(same.clone()));
            let keyed = DataType::Dictionary(Box::new(DataType::UInt16), Box::new(same));
            assert_eq!(coerce(&keyed, text), Some(keyed));
        }
        assert_eq!(coerce(&DataType::Null, text), Some(DataType::Utf8));
        assert_eq!(coerce(&DataType::Int64, text), None);

        let int = Type::of(Scalar::I32);
        assert_eq!(coerce(&DataType::Int64, int), Some(DataType::Int32));
        assert_eq!(coerce(&DataType::Utf8, int), None);
        assert_eq!(coerce(&DataType::Float64, int), None);
        assert_eq!(coerce(&DataType::Float64, Type::of(Scalar::F32)), None);
        assert_eq!(coerce(&DataType::Decimal128(3, 1), Type::of(Scalar::F64)), Some(DataType::Float64));

        let money = Type::of(Scalar::Decimal { precision: 18, scale: 2 });
        assert_eq!(coerce(&DataType::Decimal128(9, 2), money), Some(DataType::Decimal128(9, 2)));
        assert_eq!(coerce(&DataType::Decimal128(9, 1), money), Some(DataType::Decimal128(18, 2)));
        assert_eq!(coerce(&DataType::Decimal128(9, 3), money), None);
        assert_eq!(coerce(&DataType::Decimal128(18, 0), money), None);

        let seconds = DataType::Timestamp(TimeUnit::Second, None);
        let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("+01:00".into()));
        assert_eq!(coerce(&micros, Type::of(Scalar::Timestamp)), Some(micros));
        assert_eq!(coerce(&seconds, Type::of(Scalar::Timestamp)), Some(data_type(Type::of(Scalar::Timestamp))));

        let longs = Type::of(Scalar::I64).list();
        assert_eq!(coerce(&list(DataType::Int64, true), longs), Some(list(DataType::Int64, false)));
        assert_eq!(coerce(&list(DataType::Int16, false), longs), Some(list(DataType::Int64, false)));
        assert_eq!(coerce(&list(DataType::Utf8, false), longs), None);
        assert_eq!(coerce(&DataType::Int64, longs), None);
        let views = list(DataType::Utf8View, true);
        assert_eq!(coerce(&views, Type::of(Scalar::String).nullable().list()), Some(views.clone()));
    }

    #[test]
    fn declarations_are_compared_as_far_as_sql_tells() {
        let is_declared = |of_module: Type, by: &DataType| is_declared_as(of_module, declared(by).unwrap());
        assert!(is_declared(Type::of(Scalar::String).nullable(), &DataType::Utf8View));
        assert!(is_declared(Type::of(Scalar::Record), &DataType::Binary));
        assert!(is_declared(Type::of(Scalar::F32).nullable().list(), &list(DataType::Float32, true)));
        assert!(!is_declared(Type::of(Scalar::I64), &DataType::Int32));
        assert!(!is_declared(Type::of(Scalar::I64).list(), &DataType::Int64));
        assert_eq!(declared(&DataType::Int8), None);
    }
}
