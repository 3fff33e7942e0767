//! Reading the section: what a module says of its functions is checked, as everything from a guest.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use super::declaration::{LENGTH, flag};
use super::{Items, Kind, SECTION, SECTION_VERSION, Scalar, Type, Volatility};
use crate::cbor::{Reader, major};

/// A parameter, or a column of the result.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Field {
    /// Its name; empty for the result of a function that is no table function.
    pub name: String,
    /// Its type.
    pub ty: Type,
}

impl Field {
    /// A parameter, or a column of the result.
    #[must_use]
    pub fn new(name: impl Into<String>, ty: Type) -> Self {
        Self { name: name.into(), ty }
    }
}

/// The signature of a function as the section has it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Signature {
    /// Whether it is called for each row, for a group of rows, or as a table.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Its documentation: lines of text, or nothing.
    pub documentation: String,
    /// How far equal arguments give equal results.
    pub volatility: Volatility,
    /// Whether the result is null, without a call, where an argument is null that its parameter does not take. Otherwise
    /// such an argument is an error.
    pub strict: bool,
    /// Version of an aggregate's state; 0 for other kinds.
    pub state_version: u32,
    /// Whether an aggregate takes rows out of its state again; false for other kinds.
    pub retracts: bool,
    /// The parameters.
    pub params: Vec<Field>,
    /// The columns of the result: one, unless it is a table function.
    pub results: Vec<Field>,
}

impl Signature {
    /// A function that is immutable and strict, without documentation, parameters and results.
    #[must_use]
    pub fn new(kind: Kind, name: impl Into<String>) -> Self {
        Self {
            kind,
            name: name.into(),
            documentation: String::new(),
            volatility: Volatility::Immutable,
            strict: true,
            state_version: 0,
            retracts: false,
            params: Vec::new(),
            results: Vec::new(),
        }
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, fields: &[Field]| {
            for (at, field) in fields.iter().enumerate() {
                let comma = if at == 0 { "" } else { ", " };
                write!(f, "{comma}{}: {}", field.name, field.ty)?;
            }
            Ok(())
        };
        write!(f, "{}(", self.name)?;
        list(f, &self.params)?;
        f.write_str(") -> ")?;
        match (self.kind, self.results.as_slice()) {
            (Kind::Scalar | Kind::Aggregate, [result]) => result.ty.fmt(f),
            (_, columns) => {
                f.write_str("table(")?;
                list(f, columns)?;
                f.write_str(")")
            }
        }
    }
}

/// Functions that a section may have.
const MOST_FUNCTIONS: usize = 10_000;

/// Parameters of a function, and columns of a result; a function of WebAssembly has no more parameters.
const MOST_FIELDS: usize = 1_000;

/// Why a module's signatures cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SectionError {
    /// The section ends inside an entry.
    Truncated {
        /// Offset of the entry in bytes.
        at: usize,
    },
    /// An entry of another version.
    Version {
        /// Offset of the entry in bytes.
        at: usize,
        /// Its version.
        found: u64,
    },
    /// An entry that is damaged.
    Damaged {
        /// Offset of the entry in bytes.
        at: usize,
        /// The item that is wrong.
        what: &'static str,
    },
    /// More functions than a section may have.
    TooMany {
        /// How many it may have.
        limit: usize,
    },
    /// Two functions of one name.
    Duplicate {
        /// The name.
        name: String,
    },
}

impl fmt::Display for SectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the section `{SECTION}`, which has the signatures of the module's functions, ")?;
        match self {
            Self::Truncated { at } => {
                write!(f, "ends inside the entry at byte {at}; build the module again")
            }
            Self::Version { at, found } => {
                let advice = if *found > u64::from(SECTION_VERSION) {
                    "use a newer host"
                } else {
                    "build the module with a newer `guest-sdk`"
                };
                write!(
                    f,
                    "has an entry of version {found} at byte {at}, but this host reads version {SECTION_VERSION}; {advice}"
                )
            }
            Self::Damaged { at, what } => {
                write!(f, "has a damaged entry at byte {at}: {what}; build the module again")
            }
            Self::TooMany { limit } => write!(f, "has more than {limit} functions; divide the module"),
            Self::Duplicate { name } => {
                write!(f, "has two functions of the name `{name}`; rename one of them")
            }
        }
    }
}

impl core::error::Error for SectionError {}

/// Reads all entries of the section, in their order.
///
/// # Errors
/// [`SectionError`] for the first entry that is not as this version writes it, and for a name that occurs twice.
pub fn read_section(section: &[u8]) -> Result<Vec<Signature>, SectionError> {
    let mut found: Vec<Signature> = Vec::new();
    let mut names = BTreeSet::new();
    let (mut rest, mut at) = (section, 0);
    while !rest.is_empty() {
        let truncated = SectionError::Truncated { at };
        let (length, behind) = rest.split_first_chunk::<LENGTH>().ok_or(truncated.clone())?;
        let length = u32::from_le_bytes(*length) as usize;
        let (entry, others) = behind.split_at_checked(length).ok_or(truncated)?;
        let signature = Entry { at, reader: Reader::new(entry) }.read()?;
        if found.len() >= MOST_FUNCTIONS {
            return Err(SectionError::TooMany { limit: MOST_FUNCTIONS });
        }
        if !names.insert(signature.name.clone()) {
            return Err(SectionError::Duplicate { name: signature.name });
        }
        found.push(signature);
        (rest, at) = (others, at + LENGTH + length);
    }
    Ok(found)
}

/// An entry that is being read.
struct Entry<'b> {
    at: usize,
    reader: Reader<'b>,
}

impl Entry<'_> {
    fn read(mut self) -> Result<Signature, SectionError> {
        let version = self.unsigned("version")?;
        if version != SECTION_VERSION as usize {
            return Err(SectionError::Version { at: self.at, found: version as u64 });
        }
        let kind = self.byte("kind")?;
        let kind = Kind::from_number(kind).ok_or_else(|| self.damaged("kind"))?;
        let name = self.text("name")?;
        if name.is_empty() || name.contains(char::is_control) {
            return Err(self.damaged("name"));
        }
        let documentation = self.text("documentation")?;
        let volatility = self.byte("volatility")?;
        let volatility = Volatility::from_number(volatility).ok_or_else(|| self.damaged("volatility"))?;
        let strict = self.flag("strictness")?;
        let state_version = self.unsigned("state version")?;
        let state_version = u32::try_from(state_version).map_err(|_| self.damaged("state version"))?;
        let retracts = self.flag("retraction")?;
        let (params, results) = (self.fields("parameters")?, self.fields("results")?);
        let one = matches!(results.as_slice(), [result] if result.name.is_empty());
        let fits = match kind {
            Kind::Scalar | Kind::Aggregate => one,
            Kind::Table => !results.is_empty(),
        };
        if !fits {
            return Err(self.damaged("results"));
        }
        if !self.reader.is_at_end() {
            return Err(self.damaged("its end"));
        }
        Ok(Signature { kind, name, documentation, volatility, strict, state_version, retracts, params, results })
    }

    fn damaged(&self, what: &'static str) -> SectionError {
        SectionError::Damaged { at: self.at, what }
    }

    fn head(&mut self, major: u8, what: &'static str) -> Result<usize, SectionError> {
        match self.reader.head() {
            Ok(head) if head.major == major => Ok(head.argument),
            _ => Err(self.damaged(what)),
        }
    }

    fn unsigned(&mut self, what: &'static str) -> Result<usize, SectionError> {
        self.head(major::UNSIGNED, what)
    }

    fn byte(&mut self, what: &'static str) -> Result<u8, SectionError> {
        let number = self.unsigned(what)?;
        u8::try_from(number).map_err(|_| self.damaged(what))
    }

    fn flag(&mut self, what: &'static str) -> Result<bool, SectionError> {
        match self.unsigned(what)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.damaged(what)),
        }
    }

    fn text(&mut self, what: &'static str) -> Result<String, SectionError> {
        self.reader.text().map(ToOwned::to_owned).map_err(|_| self.damaged(what))
    }

    fn fields(&mut self, what: &'static str) -> Result<Vec<Field>, SectionError> {
        let count = self.head(major::ARRAY, what)?;
        // Not reserved: the number is the guest's.
        if count > MOST_FIELDS {
            return Err(self.damaged(what));
        }
        let mut fields: Vec<Field> = Vec::new();
        for _ in 0..count {
            let field = Field { name: self.text(what)?, ty: self.ty(what)? };
            if fields.iter().any(|other| other.name == field.name) {
                return Err(self.damaged(what));
            }
            fields.push(field);
        }
        Ok(fields)
    }

    fn ty(&mut self, what: &'static str) -> Result<Type, SectionError> {
        let (number, flags) = (self.byte(what)?, self.byte(what)?);
        let (precision, scale) = (self.byte(what)?, self.byte(what)?.cast_signed());
        let scalar = Scalar::from_number(number, precision, scale).ok_or_else(|| self.damaged(what))?;
        let has = |bit: u8| flags & bit != 0;
        if flags & !(flag::NULLABLE | flag::LIST | flag::NULLABLE_ITEMS) != 0
            || has(flag::NULLABLE_ITEMS) && !has(flag::LIST)
        {
            return Err(self.damaged(what));
        }
        let list = has(flag::LIST).then(|| Items { nullable: has(flag::NULLABLE_ITEMS) });
        Ok(Type { scalar, list, nullable: has(flag::NULLABLE) })
    }
}
