//! A payload as it crosses: a header, and a message in Protocol Buffers. Numbers of fields are never given to other fields.

use std::time::Duration;

use datafusion::arrow::datatypes::DataType;
use datafusion_proto::protobuf::ArrowType;
use guest_abi::function::Volatility;
use prost::Message as _;

use crate::payload::{Limits, ModuleReference, Parameter, Payload, PayloadError, Planning, Source, VERSION, hash};

/// Begins each payload, so that functions of other codecs are told apart.
const MAGIC: &[u8; 6] = b"wasmfn";

/// Bytes of the checksum behind the version: SHA-256 of all bytes behind it.
const CHECKSUM: usize = 32;

/// Bytes before the message.
const HEADER: usize = MAGIC.len() + 1 + CHECKSUM;

/// Parameters that a function may have: no function of WebAssembly has more.
const MOST_PARAMETERS: usize = 1_000;

impl Payload {
    /// The payload as it crosses.
    ///
    /// # Errors
    /// [`PayloadError::Type`].
    pub fn encode(&self) -> Result<Vec<u8>, PayloadError> {
        let message = message(self)?;
        let mut encoded = Vec::with_capacity(HEADER + message.len());
        encoded.extend_from_slice(MAGIC);
        encoded.push(VERSION);
        encoded.extend_from_slice(&hash(&message));
        encoded.extend_from_slice(&message);
        Ok(encoded)
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
        let damaged = |what: &str| PayloadError::Damaged { what: what.to_owned() };
        let rest = encoded.strip_prefix(MAGIC).ok_or_else(|| damaged("it does not begin as one"))?;
        let (&version, rest) = rest.split_first().ok_or_else(|| damaged("it has no version"))?;
        if version != VERSION {
            return Err(PayloadError::Version { found: version });
        }
        let (checksum, message) =
            rest.split_first_chunk::<CHECKSUM>().ok_or_else(|| damaged("it ends in its checksum"))?;
        if *checksum != hash(message) {
            return Err(damaged("its checksum differs"));
        }
        read(message)
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
    #[prost(message, optional, tag = "8")]
    result: Option<ArrowType>,
    #[prost(bool, tag = "9")]
    nullable: bool,
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

/// Nanoseconds; a time that is longer than they count, 584 years, counts as that.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

fn message(payload: &Payload) -> Result<Vec<u8>, PayloadError> {
    let Payload { abi_version, name, function, module, planning } = payload;
    let result = ArrowType::try_from(&planning.result).map_err(|error| PayloadError::Type {
        function: name.clone(),
        ty: planning.result.clone(),
        reason: error.to_string(),
    })?;
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
        result: Some(result),
        nullable: planning.nullable,
    };
    Ok(message.encode_to_vec())
}

fn read(message: &[u8]) -> Result<Payload, PayloadError> {
    let damaged = |what: &str| PayloadError::Damaged { what: what.to_owned() };
    let message =
        FunctionMessage::decode(message).map_err(|error| PayloadError::Damaged { what: error.to_string() })?;
    let module = message.module.ok_or_else(|| damaged("it has no module"))?;
    let limits = module.limits.ok_or_else(|| damaged("it has no limits"))?;
    let result = message.result.ok_or_else(|| damaged("it has no result"))?;
    let result = DataType::try_from(&result).map_err(|error| PayloadError::Damaged { what: error.to_string() })?;
    let volatility = u8::try_from(message.volatility).ok().and_then(Volatility::from_number);
    if message.name.is_empty() || message.function.is_empty() {
        return Err(damaged("it has no name"));
    }
    if message.params.len() > MOST_PARAMETERS {
        return Err(damaged("it has too many parameters"));
    }
    let param = |param: ParameterMessage| Parameter { name: param.name, nullable: param.nullable };
    let planning = Planning {
        volatility: volatility.ok_or_else(|| damaged("its volatility is unknown"))?,
        strict: message.strict,
        params: message.params.into_iter().map(param).collect(),
        result,
        nullable: message.nullable,
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
