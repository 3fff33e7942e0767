//! Numbers of the errors that cross from guest to host.

/// Kind of an error in a guest, which crosses to the host as a number.
///
/// Numbers below [`ErrorCode::FIRST_APPLICATION`] belong to the contract; an extension's own codes start there.
///
/// ```
/// use guest_abi::ErrorCode;
///
/// assert_eq!(ErrorCode::from_number(2), ErrorCode::MissingField);
/// assert_eq!(ErrorCode::Application(1000).number(), 1000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// Absent record: the state has none with the key.
    Absent,
    /// Missing field of an object.
    MissingField,
    /// Value of another type than asked for.
    WrongType,
    /// Number that does not fit the type asked for.
    OutOfRange,
    /// Missing element of an array.
    MissingElement,
    /// Value or row that does not fit the rest of the exchange region.
    ExchangeFull,
    /// Key that is longer than its builder's capacity.
    KeyTooLong,
    /// Bytes from the host that violate the contract.
    Malformed,
    /// Code of an extension's own.
    Application(u32),
    /// Number of the contract that this version does not know.
    Unknown(u32),
}

impl ErrorCode {
    /// First number that an extension may use for itself.
    pub const FIRST_APPLICATION: u32 = 1000;

    /// The number of this code.
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
