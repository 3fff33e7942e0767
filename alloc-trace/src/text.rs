//! Writing the text form.

use core::fmt;
use core::str::FromStr;

use crate::operation::Operation;
use crate::trace::Trace;

/// Number of the first allocation in a text.
///
/// ```
/// use alloc_trace::{Numbering, Trace};
///
/// let trace = Trace::parse(b"Alloc(8),\nFree(1),\n", Numbering::FromOne)?;
/// assert_eq!(trace.text(Numbering::FromZero).to_string(), "Alloc(8),\nFree(0),\n");
/// # Ok::<(), alloc_trace::ParseError>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Numbering {
    /// Numbers from 0.
    #[default]
    FromZero,
    /// Numbers from 1.
    FromOne,
}

impl Numbering {
    /// The first allocation's number.
    #[must_use]
    pub const fn first(self) -> u32 {
        match self {
            Self::FromZero => 0,
            Self::FromOne => 1,
        }
    }
}

impl fmt::Display for Numbering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first().fmt(f)
    }
}

impl FromStr for Numbering {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "0" => Ok(Self::FromZero),
            "1" => Ok(Self::FromOne),
            _ => Err("allocations are counted from 0 or from 1"),
        }
    }
}

/// A trace as text, with allocations numbered as [`Numbering`] says. [`Trace::text`] makes it.
#[derive(Debug, Clone, Copy)]
pub struct Text<'t> {
    trace: &'t Trace,
    numbering: Numbering,
}

impl Trace {
    /// The trace as text.
    #[must_use]
    pub const fn text(&self, numbering: Numbering) -> Text<'_> {
        Text { trace: self, numbering }
    }
}

/// The trace as text, with allocations numbered from 0.
impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text(Numbering::FromZero).fmt(f)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |allocation: u32| u64::from(allocation) + u64::from(self.numbering.first());
        for operation in self.trace.operations() {
            match *operation {
                Operation::Alloc { size } => writeln!(f, "Alloc({size}),")?,
                Operation::Free { allocation } => writeln!(f, "Free({}),", number(allocation))?,
                Operation::Realloc { allocation, size } => writeln!(f, "Realloc({}, {size}),", number(allocation))?,
            }
        }
        Ok(())
    }
}
