//! The types that describe a module: values, signatures, imports, exports, globals, memories, segments.
//!
//! They are owned and free of the parser's lifetimes, so that an analysis outlives the bytes it was made from.

use std::fmt;

/// Type of a value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ValueType {
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// 128-bit vector.
    V128,
    /// A reference. Its type is as in the text format, for instance `funcref`.
    Ref(String),
}

impl ValueType {
    /// Whether values of this type are references, which no host can copy out of an instance and back.
    #[must_use]
    pub const fn is_reference(&self) -> bool {
        matches!(self, Self::Ref(_))
    }
}

impl From<wasmparser::ValType> for ValueType {
    fn from(ty: wasmparser::ValType) -> Self {
        match ty {
            wasmparser::ValType::I32 => Self::I32,
            wasmparser::ValType::I64 => Self::I64,
            wasmparser::ValType::F32 => Self::F32,
            wasmparser::ValType::F64 => Self::F64,
            wasmparser::ValType::V128 => Self::V128,
            wasmparser::ValType::Ref(reference) => Self::Ref(reference.to_string()),
        }
    }
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::V128 => "v128",
            Self::Ref(name) => name,
        })
    }
}

/// Parameters and results of a function. Displays as `(i32, i32) -> i64`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Signature {
    /// Types of the parameters.
    pub params: Vec<ValueType>,
    /// Types of the results.
    pub results: Vec<ValueType>,
}

impl Signature {
    /// A signature of these parameters and results.
    #[must_use]
    pub fn new(params: impl Into<Vec<ValueType>>, results: impl Into<Vec<ValueType>>) -> Self {
        Self { params: params.into(), results: results.into() }
    }

    /// Whether all parameters and results are numbers: `i32`, `i64`, `f32` or `f64`.
    #[must_use]
    pub fn is_numeric(&self) -> bool {
        let is_number =
            |ty: &ValueType| matches!(ty, ValueType::I32 | ValueType::I64 | ValueType::F32 | ValueType::F64);
        self.params.iter().chain(&self.results).all(is_number)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, types: &[ValueType]| {
            f.write_str("(")?;
            for (position, ty) in types.iter().enumerate() {
                write!(f, "{}{ty}", if position == 0 { "" } else { ", " })?;
            }
            f.write_str(")")
        };
        list(f, &self.params)?;
        f.write_str(" -> ")?;
        match self.results.as_slice() {
            [only] => write!(f, "{only}"),
            results => list(f, results),
        }
    }
}

/// Type of a linear memory. Sizes are pages of 64 KiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MemoryType {
    /// Pages at instantiation.
    pub minimum: u64,
    /// Pages beyond which the memory never grows, if the module says so.
    pub maximum: Option<u64>,
    /// Whether several threads may use it at once.
    pub shared: bool,
    /// Whether its addresses are 64 bits wide.
    pub memory64: bool,
}

impl fmt::Display for MemoryType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "memory of {} pages", self.minimum)?;
        match self.maximum {
            Some(maximum) => write!(f, ", at most {maximum}")?,
            None => f.write_str(", no maximum")?,
        }
        if self.memory64 {
            f.write_str(", 64-bit")?;
        }
        if self.shared {
            f.write_str(", shared")?;
        }
        Ok(())
    }
}

/// Type of a global. Displays as `mut i32` or `i32`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GlobalType {
    /// Type of its value.
    pub value: ValueType,
    /// Whether it can be assigned after instantiation.
    pub mutable: bool,
}

impl fmt::Display for GlobalType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.mutable { "mut " } else { "" }, self.value)
    }
}

/// Type of a table. Sizes are elements.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableType {
    /// Type of its elements.
    pub element: ValueType,
    /// Elements at instantiation.
    pub minimum: u64,
    /// Elements beyond which the table never grows, if the module says so.
    pub maximum: Option<u64>,
}

impl fmt::Display for TableType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "table of {} {}", self.minimum, self.element)
    }
}

/// The type of an import or export.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ExternType {
    /// A function.
    Function(Signature),
    /// A linear memory.
    Memory(MemoryType),
    /// A global.
    Global(GlobalType),
    /// A table.
    Table(TableType),
    /// An exception tag.
    Tag,
}

impl fmt::Display for ExternType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function(signature) => write!(f, "{signature}"),
            Self::Memory(ty) => write!(f, "{ty}"),
            Self::Global(ty) => write!(f, "global of type {ty}"),
            Self::Table(ty) => write!(f, "{ty}"),
            Self::Tag => f.write_str("tag"),
        }
    }
}

/// An import.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Import {
    /// First half of its name.
    pub module: String,
    /// Second half of its name.
    pub name: String,
    /// Its type.
    pub ty: ExternType,
}

/// An export.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Export {
    /// Its name.
    pub name: String,
    /// Index of the exported item among those of its kind.
    pub index: u32,
    /// Its type.
    pub ty: ExternType,
}

/// A linear memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memory {
    /// Its type.
    pub ty: MemoryType,
    /// Whether the module imports it.
    pub imported: bool,
    /// Names under which it is exported.
    pub exports: Vec<String>,
}

/// The value of a constant expression that is a single constant. Floats are given as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Constant {
    /// `i32.const`.
    I32(i32),
    /// `i64.const`.
    I64(i64),
    /// `f32.const`.
    F32(u32),
    /// `f64.const`.
    F64(u64),
}

impl Constant {
    /// The value as an address of a 32-bit memory, if it is an `i32`.
    #[must_use]
    pub const fn address(self) -> Option<u32> {
        match self {
            Self::I32(value) => Some(value.cast_unsigned()),
            _ => None,
        }
    }
}

/// A global.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Global {
    /// Its index.
    pub index: u32,
    /// Its type.
    pub ty: GlobalType,
    /// Whether the module imports it.
    pub imported: bool,
    /// Names under which it is exported.
    pub exports: Vec<String>,
    /// Its name in the name section.
    pub name: Option<String>,
    /// Its first value, if that is a plain constant.
    pub init: Option<Constant>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Its type.
    pub ty: TableType,
    /// Whether the module imports it.
    pub imported: bool,
    /// Names under which it is exported.
    pub exports: Vec<String>,
}

/// The destination of a data segment's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Placement {
    /// This address, at instantiation.
    At(u64),
    /// An address that is only known at instantiation.
    Computed,
    /// None, until an instruction copies them.
    Passive,
}

/// A data segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DataSegment {
    /// The destination of its bytes.
    pub placement: Placement,
    /// Number of its bytes.
    pub length: u64,
}

/// Sizes of a module's parts, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Sizes {
    /// Of the file.
    pub total: u64,
    /// Of the code section's contents.
    pub code: u64,
    /// Of the data section's contents.
    pub data: u64,
    /// Of the file without its custom sections, so without names, producers and debug information.
    pub stripped: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_display_as_the_text_format_writes_them() {
        let signature = Signature::new([ValueType::I32, ValueType::Ref("funcref".into())], [ValueType::I64]);
        assert_eq!(signature.to_string(), "(i32, funcref) -> i64");
        assert_eq!(Signature::default().to_string(), "() -> ()");
        assert_eq!(Signature::new([], [ValueType::F32, ValueType::V128]).to_string(), "() -> (f32, v128)");
        let memory = MemoryType { minimum: 1, maximum: Some(2), shared: true, memory64: true };
        assert_eq!(memory.to_string(), "memory of 1 pages, at most 2, 64-bit, shared");
        assert_eq!(GlobalType { value: ValueType::F64, mutable: true }.to_string(), "mut f64");
    }
}
