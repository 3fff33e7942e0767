//! The description of a function that a plan carries from the client to the executors. How it is written, says `wire`.

use std::fmt::Write as _;
use std::time::Duration;

use datafusion::arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use guest_abi::function::{Kind, Volatility};
use sha2::{Digest as _, Sha256};

/// Version of the payload.
pub(crate) const VERSION: u8 = 2;

/// A function in a plan: what an executor needs to load and call it, and what a scheduler needs to plan with it.
///
/// It is encoded as a magic number, a version, a checksum and a message in Protocol Buffers.
///
/// ```
/// use datafusion::arrow::datatypes::DataType;
/// use guest_ballista_plan::{Limits, ModuleReference, Payload, Planning, Source, hash};
///
/// let bytes = b"\0asm\x01\0\0\0".to_vec();
/// let module = ModuleReference {
///     name: "empty.wasm".to_owned(),
///     hash: hash(&bytes),
///     source: Source::Inline(bytes),
///     declarations: Vec::new(),
///     limits: Limits::default(),
/// };
/// let payload = Payload {
///     abi_version: 1,
///     name: "answer".to_owned(),
///     function: "answer".to_owned(),
///     module,
///     planning: Planning::new(DataType::Int64),
/// };
/// let mut encoded = payload.encode()?;
/// assert_eq!(Payload::decode(&encoded)?, payload);
///
/// *encoded.last_mut().unwrap() ^= 1;
/// assert_eq!(Payload::decode(&encoded).unwrap_err().to_string(), "the function in the plan is damaged: its checksum differs; submit the query again");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    /// Version of the contract between guest and host that the client speaks.
    pub abi_version: u32,
    /// The name by which SQL calls the function.
    pub name: String,
    /// Its name in the module.
    pub function: String,
    /// The module.
    pub module: ModuleReference,
    /// Its types.
    pub planning: Planning,
}

/// A module in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleReference {
    /// Its name, for messages.
    pub name: String,
    /// SHA-256 of its bytes.
    pub hash: [u8; 32],
    /// Where its bytes are.
    pub source: Source,
    /// Signatures of functions of a module that has none of its own.
    pub declarations: Vec<String>,
    /// Limits of its instances.
    pub limits: Limits,
}

/// Where the bytes of a module are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In the plan.
    Inline(Vec<u8>),
    /// In the object store that client and executors share, by the module's hash.
    Stored,
}

/// Limits of a module's instances, and how they are restored.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Limits {
    /// How often they are put back to their snapshot: `batch`, `row` or `never`.
    pub pristine: String,
    /// The name of the restore strategy.
    pub strategy: String,
    /// The name of what becomes of residue.
    pub residue: String,
    /// Bytes of linear memory that an instance may have.
    pub memory_limit: u64,
    /// How long a call may take; `None` for ever.
    pub deadline: Option<Duration>,
    /// How long initialisation may take.
    pub init_deadline: Duration,
    /// Bytes of the exchange region; `None` for the contract's own size.
    pub exchange_size: Option<u32>,
}

impl Default for Limits {
    /// Batches from pristine instances of 128 MiB, and calls of a second.
    fn default() -> Self {
        Self {
            pristine: "batch".to_owned(),
            strategy: "auto".to_owned(),
            residue: "scrub".to_owned(),
            memory_limit: 128 << 20,
            deadline: Some(Duration::from_secs(1)),
            init_deadline: Duration::from_secs(10),
            exchange_size: None,
        }
    }
}

/// The types of a function, as far as a plan is made from them.
#[derive(Debug, Clone, PartialEq)]
pub struct Planning {
    /// Its kind.
    pub kind: FunctionKind,
    /// How far equal arguments give equal results.
    pub volatility: Volatility,
    /// Whether the result is null where an argument is null that its parameter does not take.
    pub strict: bool,
    /// The parameters.
    pub params: Vec<Parameter>,
    /// The columns of the result: one, unless it is a table function.
    pub results: Vec<Column>,
}

impl Planning {
    /// An immutable, strict function of rows without parameters whose result is never null.
    #[must_use]
    pub fn new(result: DataType) -> Self {
        Self {
            kind: FunctionKind::Scalar,
            volatility: Volatility::Immutable,
            strict: true,
            params: Vec::new(),
            results: vec![Column { name: String::new(), ty: result, nullable: false }],
        }
    }
}

/// The kind of a function, with the properties that only this kind has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionKind {
    /// One result for each row.
    Scalar,
    /// One result for a group of rows.
    Aggregate {
        /// Version of the states that executors send to each other.
        state_version: u32,
        /// Whether rows are taken out of a state again.
        retracts: bool,
    },
    /// Any number of rows for each call.
    Table,
}

impl FunctionKind {
    /// The kind as modules declare it.
    #[must_use]
    pub fn declared(self) -> Kind {
        match self {
            Self::Scalar => Kind::Scalar,
            Self::Aggregate { .. } => Kind::Aggregate,
            Self::Table => Kind::Table,
        }
    }
}

/// A parameter of a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Whether it takes null.
    pub nullable: bool,
}

/// A column of a function's result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name; empty where the function has one result.
    pub name: String,
    /// Its type.
    pub ty: DataType,
    /// Whether it may be null.
    pub nullable: bool,
}

/// Why a function in a plan cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PayloadError {
    /// A payload of another version.
    #[error(
        "the function in the plan has version {found}, and this process reads version {VERSION}; run the same release on \
         the client, the scheduler and the executors"
    )]
    Version {
        /// Its version.
        found: u8,
    },
    /// A payload that is not as it was written.
    #[error("the function in the plan is damaged: {what}; submit the query again")]
    Damaged {
        /// The part that is wrong.
        what: String,
    },
    /// An argument of a table function, of a type that plans do not carry.
    #[error("an argument of type {ty} for a table function cannot be part of a plan: {reason}")]
    Argument {
        /// The type.
        ty: DataType,
        /// Why not.
        reason: String,
    },
    /// A type that plans do not carry.
    #[error("the result type {ty} of `{function}` cannot be part of a plan: {reason}")]
    Type {
        /// The function.
        function: String,
        /// The type.
        ty: DataType,
        /// Why not.
        reason: String,
    },
}

impl From<PayloadError> for DataFusionError {
    fn from(error: PayloadError) -> Self {
        Self::External(Box::new(error))
    }
}

/// SHA-256.
#[must_use]
pub fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// A hash as 64 hexadecimal digits.
#[must_use]
pub fn hex(hash: &[u8; 32]) -> String {
    hash.iter().fold(String::with_capacity(64), |mut digits, byte| {
        // A string takes everything.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}
