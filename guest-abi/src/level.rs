//! Levels of log lines.

/// Level of a log line, which crosses as its number.
///
/// ```
/// use guest_abi::Level;
///
/// assert_eq!(Level::from_number(1), Some(Level::Warn));
/// assert!(Level::Error < Level::Warn, "the more severe level is the smaller one");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u32)]
pub enum Level {
    /// Failure.
    Error = 0,
    /// Unexpected state that is not a failure.
    Warn = 1,
    /// Information for operators.
    Info = 2,
    /// Information for debugging.
    Debug = 3,
    /// Every single step.
    Trace = 4,
}

impl Level {
    /// The level with this number, if there is one.
    #[must_use]
    pub const fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Error,
            1 => Self::Warn,
            2 => Self::Info,
            3 => Self::Debug,
            4 => Self::Trace,
            _ => return None,
        })
    }

    /// The word for it in output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl core::fmt::Display for Level {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Level;

    #[test]
    fn numbers_and_levels_are_inverse() {
        for number in 0..5 {
            assert_eq!(Level::from_number(number).map(|level| level as u32), Some(number));
        }
        assert_eq!(Level::from_number(5), None);
    }
}
