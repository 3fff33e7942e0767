//! A payload as it crosses: a message in Protocol Buffers, [framed](crate::frame). Numbers of fields are never given to other fields.

use std::time::Duration;

use datafusion::arrow::datatypes::DataType;
use datafusion_proto::protobuf::ArrowType;
use guest_abi::function::{Kind, Volatility};
use prost::Message as _;

use crate::frame::{self, Magic};
use crate::payload::{
    Column, FunctionKind, Limits, ModuleReference, Parameter, Payload, PayloadError, Planning, Source,
};

/// Begins each payload, so that functions of other codecs are told apart.
const MAGIC: &Magic = b"wasmfn";

/// Parameters and columns that a function may have: no function of WebAssembly has more.
const MOST_FIELDS: usize = 1_000;

impl Payload {
    /// The payload as it crosses.
    ///
    /// # Errors
    /// [`PayloadError::Type`].
    pub fn encode(&self) -> Result<Vec<u8>, PayloadError> {
        Ok(frame::write(MAGIC, &message(self)?))
    }

    /// Whether these are bytes of a payload, of whatever version, and not of a function of another codec.
    #[must_use]
    pub fn is_one(encoded: &[u8]) -> bool {
        encoded.starts_with(MAGIC)
    }

    /// Reads a payload. The module's bytes are not compared with their hash: only who loads them needs that.
    ///
    /// # Errors
    /// [`PayloadError::Version`] and [`PayloadError::Damaged`].
    pub fn decode(encoded: &[u8]) -> Result<Self, PayloadError> {
        read(frame::read(MAGIC, encoded)?)
    }

    /// Reads the payload of a function of this kind.
    ///
    /// # Errors
    /// As for [`Self::decode`].
    pub fn decode_as(kind: Kind, encoded: &[u8]) -> Result<Self, PayloadError> {
        let payload = Self::decode(encoded)?;
        match payload.planning.kind.declared() {
            found if found == kind => Ok(payload),
            found => {
                let what = format!(
                    "`{}` is called as a kind of {}, and it is one of {}",
                    payload.name,
                    kind.name(),
                    found.name()
                );
                Err(PayloadError::Damaged { what })
            }
        }
    }
}

#[derive(Clone, PartialEq, prost::Message)]
struct FunctionMessage {
    #[prost(uint32, tag = "1")]
    abi_version: u32,
    #[prost(string, tag = "2")]
    name: String,
    #[prost(string, tag = "3")]
    function: String,
    #[prost(message, optional, tag = "4")]
    module: Option<ModuleMessage>,
    #[prost(uint32, tag = "5")]
    volatility: u32,
    #[prost(bool, tag = "6")]
    strict: bool,
    #[prost(message, repeated, tag = "7")]
    params: Vec<ParameterMessage>,
    // 8 and 9 were the result and whether it may be null.
    #[prost(uint32, tag = "10")]
    kind: u32,
    #[prost(uint32, tag = "11")]
    state_version: u32,
    #[prost(bool, tag = "12")]
    retracts: bool,
    #[prost(message, repeated, tag = "13")]
    results: Vec<ColumnMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ModuleMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "vec", tag = "2")]
    hash: Vec<u8>,
    /// Absent if they are in the object store.
    #[prost(bytes = "vec", optional, tag = "3")]
    inline: Option<Vec<u8>>,
    #[prost(string, repeated, tag = "4")]
    declarations: Vec<String>,
    #[prost(message, optional, tag = "5")]
    limits: Option<LimitsMessage>,
}

/// Times are nanoseconds.
#[derive(Clone, PartialEq, prost::Message)]
struct LimitsMessage {
    #[prost(string, tag = "1")]
    pristine: String,
    #[prost(string, tag = "2")]
    strategy: String,
    #[prost(string, tag = "3")]
    residue: String,
    #[prost(uint64, tag = "4")]
    memory_limit: u64,
    #[prost(uint64, optional, tag = "5")]
    deadline: Option<u64>,
    #[prost(uint64, tag = "6")]
    init_deadline: u64,
    #[prost(uint32, optional, tag = "7")]
    exchange_size: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ParameterMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bool, tag = "2")]
    nullable: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ColumnMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, optional, tag = "2")]
    ty: Option<ArrowType>,
    #[prost(bool, tag = "3")]
    nullable: bool,
}

/// Nanoseconds; a time that is longer than they count, 584 years, counts as that.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn message(payload: &Payload) -> Result<Vec<u8>, PayloadError> {
    let Payload { abi_version, name, function, module, planning } = payload;
    let column = |Column { name: column, ty, nullable }: &Column| {
        let arrow = ArrowType::try_from(ty).map_err(|error| PayloadError::Type {
            function: name.clone(),
            ty: ty.clone(),
            reason: error.to_string(),
        })?;
        Ok(ColumnMessage { name: column.clone(), ty: Some(arrow), nullable: *nullable })
    };
    let results = planning.results.iter().map(column).collect::<Result<_, PayloadError>>()?;
    let (state_version, retracts) = match planning.kind {
        FunctionKind::Aggregate { state_version, retracts } => (state_version, retracts),
        FunctionKind::Scalar | FunctionKind::Table => (0, false),
    };
    let limits = &module.limits;
    let limits = LimitsMessage {
        pristine: limits.pristine.clone(),
        strategy: limits.strategy.clone(),
        residue: limits.residue.clone(),
        memory_limit: limits.memory_limit,
        deadline: limits.deadline.map(nanoseconds),
        init_deadline: nanoseconds(limits.init_deadline),
        exchange_size: limits.exchange_size,
    };
    let module = ModuleMessage {
        name: module.name.clone(),
        hash: module.hash.to_vec(),
        inline: match &module.source {
            Source::Inline(bytes) => Some(bytes.clone()),
            Source::Stored => None,
        },
        declarations: module.declarations.clone(),
        limits: Some(limits),
    };
    let param = |param: &Parameter| ParameterMessage { name: param.name.clone(), nullable: param.nullable };
    let message = FunctionMessage {
        abi_version: *abi_version,
        name: name.clone(),
        function: function.clone(),
        module: Some(module),
        volatility: planning.volatility as u32,
        strict: planning.strict,
        params: planning.params.iter().map(param).collect(),
        kind: planning.kind.declared() as u32,
        state_version,
        retracts,
        results,
    };
    Ok(message.encode_to_vec())
}

fn read(message: &[u8]) -> Result<Payload, PayloadError> {
    let damaged = |what: &str| PayloadError::Damaged { what: what.to_owned() };
    let message =
        FunctionMessage::decode(message).map_err(|error| PayloadError::Damaged { what: error.to_string() })?;
    let module = message.module.ok_or_else(|| damaged("it has no module"))?;
    let limits = module.limits.ok_or_else(|| damaged("it has no limits"))?;
    let volatility = u8::try_from(message.volatility).ok().and_then(Volatility::from_number);
    if message.name.is_empty() || message.function.is_empty() {
        return Err(damaged("it has no name"));
    }
    if message.params.len() > MOST_FIELDS || message.results.len() > MOST_FIELDS {
        return Err(damaged("it has too many parameters or columns"));
    }
    let kind = match u8::try_from(message.kind).ok().and_then(Kind::from_number) {
        Some(Kind::Scalar) => FunctionKind::Scalar,
        Some(Kind::Aggregate) => {
            FunctionKind::Aggregate { state_version: message.state_version, retracts: message.retracts }
        }
        Some(Kind::Table) => FunctionKind::Table,
        _ => return Err(damaged("its kind is unknown")),
    };
    if kind != FunctionKind::Table && message.results.len() != 1 {
        return Err(damaged("it has not one result"));
    }
    let column = |ColumnMessage { name, ty, nullable }: ColumnMessage| {
        let ty = ty.ok_or_else(|| damaged("a column has no type"))?;
        let ty = DataType::try_from(&ty).map_err(|error| PayloadError::Damaged { what: error.to_string() })?;
        Ok(Column { name, ty, nullable })
    };
    let param = |param: ParameterMessage| Parameter { name: param.name, nullable: param.nullable };
    let planning = Planning {
        kind,
        volatility: volatility.ok_or_else(|| damaged("its volatility is unknown"))?,
        strict: message.strict,
        params: message.params.into_iter().map(param).collect(),
        results: message.results.into_iter().map(column).collect::<Result<_, PayloadError>>()?,
    };
    let limits = Limits {
        pristine: limits.pristine,
        strategy: limits.strategy,
        residue: limits.residue,
        memory_limit: limits.memory_limit,
        deadline: limits.deadline.map(Duration::from_nanos),
        init_deadline: Duration::from_nanos(limits.init_deadline),
        exchange_size: limits.exchange_size,
    };
    let module = ModuleReference {
        name: module.name,
        hash: module.hash.try_into().map_err(|_| damaged("its hash is no SHA-256"))?,
        source: module.inline.map_or(Source::Stored, Source::Inline),
        declarations: module.declarations,
        limits,
    };
    Ok(Payload { abi_version: message.abi_version, name: message.name, function: message.function, module, planning })
}
