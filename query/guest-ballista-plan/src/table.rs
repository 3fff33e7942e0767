//! Calls of table functions in plans: tables of logical plans, and nodes of physical ones.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion_proto::protobuf;
use prost::Message as _;

use crate::frame::{self, Magic};
use crate::payload::PayloadError;

/// Begins a table of a logical plan.
const TABLE: &Magic = b"wasmtb";

/// Begins a node of a physical plan.
const SCAN: &Magic = b"wasmsc";

/// A table of a logical plan: a function, and the arguments of its call.
#[derive(Debug, Clone, PartialEq)]
pub struct TableCall {
    /// The encoded [`Payload`](crate::Payload) of the function.
    pub function: Vec<u8>,
    /// The arguments, of types that the function takes.
    pub arguments: Vec<ScalarValue>,
}

/// A node of a physical plan that calls a function for each row of its input. The columns of the input are the arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableScan {
    /// The encoded [`Payload`](crate::Payload) of the function.
    pub function: Vec<u8>,
    /// The columns of the table that the node has, in their order; `None` for all.
    pub projection: Option<Vec<usize>>,
    /// Rows that are enough.
    pub limit: Option<usize>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CallMessage {
    #[prost(bytes = "vec", tag = "1")]
    function: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    arguments: Vec<protobuf::ScalarValue>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ScanMessage {
    #[prost(bytes = "vec", tag = "1")]
    function: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    projection: Option<ProjectionMessage>,
    #[prost(uint64, optional, tag = "3")]
    limit: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct ProjectionMessage {
    #[prost(uint64, repeated, tag = "1")]
    columns: Vec<u64>,
}

fn damaged(error: impl ToString) -> PayloadError {
    PayloadError::Damaged { what: error.to_string() }
}

/// Whether there are functions that take values of this type. Of others, those with a length in their type can be such that nobody can
/// make an array of them.
fn is_taken(ty: &DataType) -> bool {
    match ty {
        DataType::List(item) => is_taken(item.data_type()),
        DataType::Dictionary(_, value) => is_taken(value),
        DataType::Null
        | DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView
        | DataType::Date32
        | DataType::Timestamp(..)
        | DataType::Decimal128(..) => true,
        _ => false,
    }
}

impl TableCall {
    /// The call as it crosses.
    ///
    /// # Errors
    /// [`PayloadError::Argument`].
    pub fn encode(&self) -> Result<Vec<u8>, PayloadError> {
        let argument = |value: &ScalarValue| {
            protobuf::ScalarValue::try_from(value)
                .map_err(|error| PayloadError::Argument { ty: value.data_type(), reason: error.to_string() })
        };
        let arguments = self.arguments.iter().map(argument).collect::<Result<_, _>>()?;
        Ok(frame::write(TABLE, &CallMessage { function: self.function.clone(), arguments }.encode_to_vec()))
    }

    /// Whether these are bytes of a call, of whatever version.
    #[must_use]
    pub fn is_one(encoded: &[u8]) -> bool {
        encoded.starts_with(TABLE)
    }

    /// Reads a call. The function is not read.
    ///
    /// # Errors
    /// [`PayloadError::Version`] and [`PayloadError::Damaged`].
    pub fn decode(encoded: &[u8]) -> Result<Self, PayloadError> {
        let message = CallMessage::decode(frame::read(TABLE, encoded)?).map_err(damaged)?;
        let arguments = message.arguments.iter().map(|value| {
            let value = ScalarValue::try_from(value).map_err(damaged)?;
            match is_taken(&value.data_type()) {
                true => Ok(value),
                false => {
                    Err(damaged(format!("an argument has the type {}, which no function takes", value.data_type())))
                }
            }
        });
        Ok(Self { arguments: arguments.collect::<Result<_, _>>()?, function: message.function })
    }
}

impl TableScan {
    /// The node as it crosses.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        // A `usize` has at most 64 bits.
        let number = |value: usize| value as u64;
        let projection = self.projection.as_ref();
        let projection =
            projection.map(|columns| ProjectionMessage { columns: columns.iter().copied().map(number).collect() });
        let message = ScanMessage { function: self.function.clone(), projection, limit: self.limit.map(number) };
        frame::write(SCAN, &message.encode_to_vec())
    }

    /// Whether these are bytes of such a node, of whatever version.
    #[must_use]
    pub fn is_one(encoded: &[u8]) -> bool {
        encoded.starts_with(SCAN)
    }

    /// Reads a node. The function is not read.
    ///
    /// # Errors
    /// [`PayloadError::Version`] and [`PayloadError::Damaged`].
    pub fn decode(encoded: &[u8]) -> Result<Self, PayloadError> {
        let ScanMessage { function, projection, limit } =
            ScanMessage::decode(frame::read(SCAN, encoded)?).map_err(damaged)?;
        let number = |value: u64| usize::try_from(value).map_err(damaged);
        let columns =
            projection.map(|ProjectionMessage { columns }| columns.into_iter().map(number).collect::<Result<_, _>>());
        Ok(Self { function, projection: columns.transpose()?, limit: limit.map(number).transpose()? })
    }
}
