//! Reading the text form.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::operation::{MAX_SIZE, Operation};
use crate::text::Numbering;
use crate::trace::{Lives, Misuse, Trace};

/// Length limit of a line with an operation, in bytes. The longest line that this crate writes has 33.
pub const MAX_LINE: usize = 100;

/// Bytes of a line that an error quotes.
const QUOTED: usize = 24;

/// A fault in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseError {
    /// Line, from 1.
    pub line: u64,
    /// Column in bytes, from 1.
    pub column: u64,
    /// The fault.
    pub problem: Problem,
}

/// Kind of a fault. Allocations have the numbers of the text.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Problem {
    /// Text other than expected.
    Expected {
        /// Description of the expected text.
        expected: &'static str,
        /// Start of the text found; empty at the end of the line.
        found: String,
    },
    /// A line of more than [`MAX_LINE`] bytes.
    LineTooLong {
        /// Length of the line in bytes.
        length: u64,
    },
    /// A size of more than [`MAX_SIZE`] bytes.
    SizeTooLarge {
        /// Size, as the text writes it.
        size: String,
    },
    /// A block that was never allocated.
    NeverAllocated {
        /// Number of the block, as the text writes it.
        number: String,
        /// Number of allocations made before.
        made: u32,
        /// Numbering of the text.
        numbering: Numbering,
    },
    /// A free of a block that was freed before.
    FreedTwice {
        /// Number of the block.
        number: u64,
        /// Line that freed it.
        freed_in: u64,
    },
    /// A reallocation of a block that was freed before.
    ReallocOfFreed {
        /// Number of the block.
        number: u64,
        /// Line that freed it.
        freed_in: u64,
    },
    /// An allocation whose number does not fit 32 bits.
    TooManyAllocations,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}: {}", self.line, self.column, self.problem)
    }
}

impl core::error::Error for ParseError {}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expected { expected, found } if found.is_empty() => {
                write!(f, "expected {expected}, and the line ends")
            }
            Self::Expected { expected, found } => write!(f, "expected {expected}, found `{found}`"),
            Self::LineTooLong { length } => {
                write!(f, "expected one operation a line, and this line has {length} bytes; {MAX_LINE} are the most")
            }
            Self::SizeTooLarge { size } => {
                write!(
                    f,
                    "expected a size of at most {MAX_SIZE} bytes, which is all that wasm32 can have, found {size}"
                )
            }
            Self::NeverAllocated { number, made: 0, .. } => {
                write!(f, "allocation {number} was never made: there was no `Alloc` before")
            }
            Self::NeverAllocated { number, made, numbering } => {
                let first = u64::from(numbering.first());
                let last = first + u64::from(*made) - 1;
                write!(f, "allocation {number} was never made: expected a number from {first} to {last}")
            }
            Self::FreedTwice { number, freed_in } => {
                write!(f, "allocation {number} is freed twice: line {freed_in} freed it; expected one that is alive")
            }
            Self::ReallocOfFreed { number, freed_in } => {
                write!(f, "allocation {number} is not alive: line {freed_in} freed it; expected one that is")
            }
            Self::TooManyAllocations => f.write_str("there are more allocations than numbers of 32 bits"),
        }
    }
}

impl Trace {
    /// Reads the text form, in which allocations are counted as `numbering` says.
    ///
    /// # Errors
    /// [`ParseError`] for the first line that is wrong.
    pub fn parse(text: &[u8], numbering: Numbering) -> Result<Self, ParseError> {
        const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        let (mut lives, mut operations) = (Lives::default(), Vec::new());
        for (index, text) in text.split(|byte| *byte == b'\n').enumerate() {
            let mut line = Line { text: text.strip_suffix(b"\r").unwrap_or(text), at: 0, number: index as u64 + 1 };
            line.skip_blanks();
            if line.rest().is_empty() || line.rest().starts_with(b"//") {
                continue;
            }
            if line.text.len() > MAX_LINE {
                let length = line.text.len() as u64;
                return Err(line.error(MAX_LINE, Problem::LineTooLong { length }));
            }
            operations.push(line.operation(numbering, &mut lives)?);
        }
        Ok(Self::of_checked(operations))
    }
}

/// A line that is being read.
struct Line<'t> {
    text: &'t [u8],
    /// Offset of what comes next.
    at: usize,
    /// The line's number, from 1.
    number: u64,
}

/// A number as it is written, and its value where 64 bits hold it.
struct Number<'t> {
    digits: &'t str,
    value: Option<u64>,
    at: usize,
}

impl<'t> Line<'t> {
    fn rest(&self) -> &'t [u8] {
        &self.text[self.at..]
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    }

    fn error(&self, at: usize, problem: Problem) -> ParseError {
        ParseError { line: self.number, column: at as u64 + 1, problem }
    }

    fn expected(&self, expected: &'static str) -> ParseError {
        let rest = self.rest().trim_ascii_end();
        let quoted = rest[..rest.len().min(QUOTED)].utf8_chunks();
        let mut found = String::new();
        for chunk in quoted {
            found.push_str(chunk.valid());
            chunk.invalid().escape_ascii().for_each(|byte| found.push(byte.into()));
        }
        self.error(self.at, Problem::Expected { expected, found })
    }

    /// Takes `word`, and blanks behind it.
    fn take(&mut self, word: &str) -> bool {
        let taken = self.rest().starts_with(word.as_bytes());
        if taken {
            self.at += word.len();
            self.skip_blanks();
        }
        taken
    }

    fn must(&mut self, word: &str, expected: &'static str) -> Result<(), ParseError> {
        if self.take(word) { Ok(()) } else { Err(self.expected(expected)) }
    }

    fn number(&mut self, expected: &'static str) -> Result<Number<'t>, ParseError> {
        let at = self.at;
        let length = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        let digits = core::str::from_utf8(&self.rest()[..length]).unwrap_or_default();
        if digits.is_empty() {
            return Err(self.expected(expected));
        }
        self.at += length;
        self.skip_blanks();
        Ok(Number { digits, value: digits.parse().ok(), at })
    }

    fn size(&mut self) -> Result<u32, ParseError> {
        let number = self.number("a number of bytes")?;
        let size = number.value.and_then(|value| u32::try_from(value).ok()).filter(|size| *size <= MAX_SIZE);
        size.ok_or_else(|| self.error(number.at, Problem::SizeTooLarge { size: number.digits.to_string() }))
    }

    /// The number of a block, as it is written and counted from 0.
    fn block(&mut self, numbering: Numbering, lives: &Lives) -> Result<(u32, usize), ParseError> {
        let number = self.number("the number of an allocation")?;
        let made = lives.made();
        let allocation = number
            .value
            .and_then(|value| u32::try_from(value.checked_sub(numbering.first().into())?).ok())
            .filter(|allocation| *allocation < made);
        let never = || Problem::NeverAllocated { number: number.digits.to_string(), made, numbering };
        allocation.map(|allocation| (allocation, number.at)).ok_or_else(|| self.error(number.at, never()))
    }

    fn operation(&mut self, numbering: Numbering, lives: &mut Lives) -> Result<Operation, ParseError> {
        let start = self.at;
        let (operation, at) = if self.take("Alloc") {
            self.must("(", "`(` behind `Alloc`")?;
            (Operation::Alloc { size: self.size()? }, start)
        } else if self.take("Free") {
            self.must("(", "`(` behind `Free`")?;
            let (allocation, at) = self.block(numbering, lives)?;
            (Operation::Free { allocation }, at)
        } else if self.take("Realloc") {
            self.must("(", "`(` behind `Realloc`")?;
            let (allocation, at) = self.block(numbering, lives)?;
            self.must(",", "`,` and a number of bytes")?;
            (Operation::Realloc { allocation, size: self.size()? }, at)
        } else {
            return Err(self.expected("`Alloc(bytes),`, `Free(n),` or `Realloc(n, bytes),`"));
        };
        self.must(")", "`)`")?;
        self.must(",", "`,` behind the operation")?;
        if !self.rest().is_empty() {
            return Err(self.expected("one operation a line"));
        }
        lives.apply(operation, self.number).map_err(|misuse| self.error(at, problem(misuse, numbering)))?;
        Ok(operation)
    }
}

/// A misuse in the words of a text that counts as `numbering` says.
fn problem(misuse: Misuse, numbering: Numbering) -> Problem {
    let number = |allocation: u32| u64::from(allocation) + u64::from(numbering.first());
    match misuse {
        Misuse::NeverAllocated { allocation, made } => {
            Problem::NeverAllocated { number: number(allocation).to_string(), made, numbering }
        }
        Misuse::FreedTwice { allocation, freed_at } => {
            Problem::FreedTwice { number: number(allocation), freed_in: freed_at }
        }
        Misuse::ReallocOfFreed { allocation, freed_at } => {
            Problem::ReallocOfFreed { number: number(allocation), freed_in: freed_at }
        }
        Misuse::SizeTooLarge { size } => Problem::SizeTooLarge { size: size.to_string() },
        Misuse::TooManyAllocations => Problem::TooManyAllocations,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        Trace::parse(text.as_bytes(), Numbering::FromZero).unwrap_err().to_string()
    }

    #[test]
    fn the_form_is_read_with_blanks_comments_and_line_ends_of_any_kind() {
        let text = "\u{feff}// a program\nAlloc(8),\r\n\n  Realloc( 0 , 16 ) ,\t\nFree(0),";
        let trace = Trace::parse(text.as_bytes(), Numbering::FromZero).unwrap();
        assert_eq!(trace.to_string(), "Alloc(8),\nRealloc(0, 16),\nFree(0),\n");
        let from_one = Trace::parse(b"Alloc(8),\nRealloc(1,16),\nFree(1),\n", Numbering::FromOne).unwrap();
        assert_eq!(from_one, trace);
        assert_eq!(from_one.text(Numbering::FromOne).to_string(), "Alloc(8),\nRealloc(1, 16),\nFree(1),\n");
        assert_eq!(Trace::parse(b"", Numbering::FromZero), Ok(Trace::default()));
    }

    #[test]
    fn what_is_no_operation_is_told_with_what_is() {
        for (text, told) in [
            (
                "Alloc(8),\nMalloc(8),",
                "line 2, column 1: expected `Alloc(bytes),`, `Free(n),` or `Realloc(n, bytes),`, found `Malloc(8),`",
            ),
            ("Alloc 8,", "line 1, column 7: expected `(` behind `Alloc`, found `8,`"),
            ("Alloc(-8),", "line 1, column 7: expected a number of bytes, found `-8),`"),
            ("Alloc(8", "line 1, column 8: expected `)`, and the line ends"),
            ("Alloc(8)", "line 1, column 9: expected `,` behind the operation, and the line ends"),
            ("Alloc(8), Free(0),", "line 1, column 11: expected one operation a line, found `Free(0),`"),
            ("Alloc(8),\nFree(),", "line 2, column 6: expected the number of an allocation, found `),`"),
            ("Alloc(8),\nRealloc(0),", "line 2, column 10: expected `,` and a number of bytes, found `),`"),
            ("alloc(8),", "found `alloc(8),`"),
        ] {
            assert!(error(text).contains(told), "{text:?}: {}", error(text));
        }
        let noise = Trace::parse(b"\xff\x00(1),", Numbering::FromZero).unwrap_err().to_string();
        assert!(noise.contains("found `\\xff\0(1),`"), "{noise}");
    }

    #[test]
    fn blocks_are_alive_when_they_are_freed_or_reallocated() {
        for (text, told) in [
            ("Free(0),", "line 1, column 6: allocation 0 was never made: there was no `Alloc` before"),
            (
                "Alloc(8),\nAlloc(8),\nFree(2),",
                "line 3, column 6: allocation 2 was never made: expected a number from 0 to 1",
            ),
            ("Alloc(8),\nFree(99999999999999999999),", "allocation 99999999999999999999 was never made"),
            ("Alloc(8),\n\nFree(0),\nFree(0),", "line 4, column 6: allocation 0 is freed twice: line 3 freed it"),
            ("Alloc(8),\nFree(0),\nRealloc(0, 9),", "line 3, column 9: allocation 0 is not alive: line 2 freed it"),
        ] {
            assert!(error(text).contains(told), "{text:?}: {}", error(text));
        }
        let from_one = Trace::parse(b"Alloc(8),\nFree(0),", Numbering::FromOne).unwrap_err().to_string();
        assert!(from_one.contains("allocation 0 was never made: expected a number from 1 to 1"), "{from_one}");
    }

    #[test]
    fn sizes_and_lines_have_a_limit() {
        assert!(Trace::parse(b"Alloc(2147483640),", Numbering::FromZero).is_ok());
        for size in ["2147483641", "4294967296", "99999999999999999999"] {
            let told = error(&alloc::format!("Alloc({size}),"));
            assert!(told.contains("at most 2147483640 bytes") && told.contains(size), "{told}");
        }
        let blanks = " ".repeat(100);
        let told = error(&alloc::format!("Alloc(8),\n{blanks}Alloc(8),"));
        assert!(told.contains("line 2") && told.contains("109 bytes; 100 are the most"), "{told}");
        let comment = alloc::format!("// {}\nAlloc(8),", "x".repeat(1_000));
        assert!(Trace::parse(comment.as_bytes(), Numbering::FromZero).is_ok());
    }
}
