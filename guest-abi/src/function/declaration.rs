//! Writing an entry of the section, at compile time.

use super::types::{Kind, Type, Volatility};
use super::{SECTION_VERSION, Scalar};
use crate::cbor::major;

/// The signature of a function as its guest declares it.
///
/// ```
/// use guest_abi::function::{Declaration, Kind, Scalar, Type, read_section};
///
/// const PARAMS: &[(&str, Type)] = &[("text", Type::of(Scalar::String))];
/// const LENGTH: Declaration = Declaration::new(Kind::Scalar, "length", PARAMS, &[("", Type::of(Scalar::I64))])
///     .with_documentation("The number of characters.");
/// // A guest puts this static into the section.
/// static ENTRY: [u8; LENGTH.size()] = LENGTH.entry();
///
/// let signatures = read_section(&ENTRY)?;
/// assert_eq!(signatures[0].to_string(), "length(text: string) -> i64");
/// # Ok::<(), guest_abi::function::SectionError>(())
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Declaration<'a> {
    /// Whether it is called for each row, for a group of rows, or as a table.
    pub kind: Kind,
    /// Its name.
    pub name: &'a str,
    /// Its documentation: lines of text.
    pub documentation: &'a str,
    /// How far equal arguments give equal results.
    pub volatility: Volatility,
    /// Whether the result is null, without a call, where an argument is null that its parameter does not take. Otherwise
    /// such an argument is an error.
    pub strict: bool,
    /// Version of an aggregate's state; 0 for other kinds.
    pub state_version: u32,
    /// Whether an aggregate takes rows out of its state again; false for other kinds.
    pub retracts: bool,
    /// Names and types of its parameters.
    pub params: &'a [(&'a str, Type)],
    /// Names and types of the result's columns: one without a name unless it is a table function.
    pub results: &'a [(&'a str, Type)],
}

impl<'a> Declaration<'a> {
    /// A function that is immutable and strict, without documentation.
    #[must_use]
    pub const fn new(kind: Kind, name: &'a str, params: &'a [(&'a str, Type)], results: &'a [(&'a str, Type)]) -> Self {
        Self {
            kind,
            name,
            documentation: "",
            volatility: Volatility::Immutable,
            strict: true,
            state_version: 0,
            retracts: false,
            params,
            results,
        }
    }

    /// Sets [`Self::documentation`].
    #[must_use]
    pub const fn with_documentation(self, documentation: &'a str) -> Self {
        Self { documentation, ..self }
    }

    /// Sets [`Self::volatility`].
    #[must_use]
    pub const fn with_volatility(self, volatility: Volatility) -> Self {
        Self { volatility, ..self }
    }

    /// Sets [`Self::strict`].
    #[must_use]
    pub const fn with_strict(self, strict: bool) -> Self {
        Self { strict, ..self }
    }

    /// Sets [`Self::state_version`].
    #[must_use]
    pub const fn with_state_version(self, state_version: u32) -> Self {
        Self { state_version, ..self }
    }

    /// Sets [`Self::retracts`].
    #[must_use]
    pub const fn with_retracts(self, retracts: bool) -> Self {
        Self { retracts, ..self }
    }

    /// Bytes of its entry.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.write(Writer::<0>::counting()).at
    }

    /// Its entry of the section. `N` is [`Self::size`].
    ///
    /// # Panics
    /// If `N` is another number, when it is compiled.
    #[must_use]
    pub const fn entry<const N: usize>(&self) -> [u8; N] {
        let written = self.write(Writer::<N>::writing());
        assert!(written.at == N, "an array as long as the entry");
        let mut bytes = written.bytes;
        let length = ((N - LENGTH) as u32).to_le_bytes();
        let mut at = 0;
        while at < LENGTH {
            bytes[at] = length[at];
            at += 1;
        }
        bytes
    }

    const fn write<const N: usize>(&self, mut to: Writer<N>) -> Writer<N> {
        to.at = LENGTH;
        to = to.unsigned(SECTION_VERSION as usize).unsigned(self.kind as usize);
        to = to.text(self.name).text(self.documentation);
        to = to.unsigned(self.volatility as usize).unsigned(self.strict as usize);
        to = to.unsigned(self.state_version as usize).unsigned(self.retracts as usize);
        to.fields(self.params).fields(self.results)
    }
}

/// Bytes of an entry's length, which comes first.
pub(super) const LENGTH: usize = size_of::<u32>();

/// Bits of a type's flags.
pub(super) mod flag {
    pub(in super::super) const NULLABLE: u8 = 1;
    pub(in super::super) const LIST: u8 = 2;
    pub(in super::super) const NULLABLE_ITEMS: u8 = 4;
}

/// Writes items of CBOR at compile time, or counts their bytes.
struct Writer<const N: usize> {
    bytes: [u8; N],
    at: usize,
    counts: bool,
}

impl<const N: usize> Writer<N> {
    const fn counting() -> Self {
        Self { bytes: [0; N], at: 0, counts: true }
    }

    const fn writing() -> Self {
        Self { bytes: [0; N], at: 0, counts: false }
    }

    const fn byte(mut self, byte: u8) -> Self {
        if !self.counts {
            self.bytes[self.at] = byte;
        }
        self.at += 1;
        self
    }

    const fn head(self, major: u8, argument: usize) -> Self {
        let initial = major << 5;
        let argument = argument as u64;
        let [.., d, c, b, a] = argument.to_be_bytes();
        match argument {
            0..24 => self.byte(initial | a),
            24..0x100 => self.byte(initial | 24).byte(a),
            0x100..0x1_0000 => self.byte(initial | 25).byte(b).byte(a),
            0x1_0000..0x1_0000_0000 => self.byte(initial | 26).byte(d).byte(c).byte(b).byte(a),
            _ => panic!("a name or documentation of less than 4 GiB"),
        }
    }

    const fn unsigned(self, number: usize) -> Self {
        self.head(major::UNSIGNED, number)
    }

    const fn text(mut self, text: &str) -> Self {
        let bytes = text.as_bytes();
        self = self.head(major::TEXT, bytes.len());
        let mut at = 0;
        while at < bytes.len() {
            self = self.byte(bytes[at]);
            at += 1;
        }
        self
    }

    const fn fields(mut self, fields: &[(&str, Type)]) -> Self {
        self = self.head(major::ARRAY, fields.len());
        let mut at = 0;
        while at < fields.len() {
            let (name, ty) = fields[at];
            self = self.text(name).ty(ty);
            at += 1;
        }
        self
    }

    const fn ty(self, ty: Type) -> Self {
        let mut flags = if ty.nullable { flag::NULLABLE } else { 0 };
        if let Some(items) = ty.list {
            flags |= flag::LIST | if items.nullable { flag::NULLABLE_ITEMS } else { 0 };
        }
        let (precision, scale) = match ty.scalar {
            Scalar::Decimal { precision, scale } => (precision, scale),
            _ => (0, 0),
        };
        self.unsigned(ty.scalar.number() as usize)
            .unsigned(flags as usize)
            .unsigned(precision as usize)
            .unsigned(scale.cast_unsigned() as usize)
    }
}
