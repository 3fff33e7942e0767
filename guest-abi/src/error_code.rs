//! The numbers by which an error crosses from guest to host.

/// What went wrong in a guest, as the number that crosses the boundary.
///
/// Numbers below [`ErrorCode::FIRST_APPLICATION`] belong to the contract; an extension's own codes start there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The state has no record with the key.
    Absent,
    /// An object has no field of that name.
    MissingField,
    /// A value has another type than asked for.
    WrongType,
    /// A number does not fit the type asked for.
    OutOfRange,
    /// An array has no element with that index.
    MissingElement,
    /// A value or a row does not fit what is left of the exchange region.
    ExchangeFull,
    /// A key is longer than its builder's capacity.
    KeyTooLong,
    /// Bytes that came from the host are not what the contract says.
    Malformed,
    /// An extension's own code.
    Application(u32),
    /// A number of the contract that this version does not know.
    Unknown(u32),
}

impl ErrorCode {
    /// First number that an extension may use for itself.
    pub const FIRST_APPLICATION: u32 = 1000;

    /// The number that crosses.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::Absent => 1,
            Self::MissingField => 2,
            Self::WrongType => 3,
            Self::OutOfRange => 4,
            Self::MissingElement => 5,
            Self::ExchangeFull => 6,
            Self::KeyTooLong => 7,
            Self::Malformed => 8,
            Self::Application(number) | Self::Unknown(number) => number,
        }
    }

    /// The code with this number.
    #[must_use]
    pub const fn from_number(number: u32) -> Self {
        match number {
            1 => Self::Absent,
            2 => Self::MissingField,
            3 => Self::WrongType,
            4 => Self::OutOfRange,
            5 => Self::MissingElement,
            6 => Self::ExchangeFull,
            7 => Self::KeyTooLong,
            8 => Self::Malformed,
            Self::FIRST_APPLICATION.. => Self::Application(number),
            _ => Self::Unknown(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorCode;

    #[test]
    fn numbers_and_codes_are_inverse() {
        for number in (0..20).chain([999, 1000, u32::MAX]) {
            assert_eq!(ErrorCode::from_number(number).number(), number);
        }
        assert_eq!(ErrorCode::from_number(9), ErrorCode::Unknown(9));
        assert_eq!(ErrorCode::from_number(1000), ErrorCode::Application(1000));
    }
}
