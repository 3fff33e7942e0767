//! The response to a call, from the intents that it left.

use guest_functions::wire::Encoding;
use guest_host::guest_abi::cbor::WireError;
use guest_host::guest_abi::intent::intents;
use guest_host::guest_abi::storage;
use guest_host::guest_abi::value::ValueRef;
use guest_host::guest_state::record::definite;
use guest_host::guest_state::state_file::to_json;

use super::RecordsError;
use super::state::is_event;

/// A null in CBOR.
const NULL: u8 = 0xF6;

/// The response to a call that succeeded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) encoding: Encoding,
    pub(crate) bytes: Vec<u8>,
}

/// The response of a call, and the number of its other intents.
pub(super) struct Left {
    pub(super) response: Response,
    /// Intents beside the result.
    pub(super) others: usize,
}

impl Response {
    /// A response with this result, which has at most `most` bytes.
    fn new(encoding: Encoding, result: Option<ValueRef<'_>>, most: usize) -> Result<Self, RecordsError> {
        let mut bytes = match (encoding, result) {
            (Encoding::Cbor, None) => vec![NULL],
            (Encoding::Cbor, Some(result)) => definite(result).map_err(malformed)?,
            (_, None) => b"null".to_vec(),
            (_, Some(result)) => {
                to_json(result).map_err(|error| RecordsError::Intents(error.to_string()))?.to_string().into_bytes()
            }
        };
        if bytes.len() > most {
            return Err(RecordsError::ResponseTooLarge { bytes: bytes.len(), most });
        }
        if encoding == Encoding::Json {
            // For people at a terminal.
            bytes.push(b'\n');
        }
        Ok(Self { encoding, bytes })
    }
}

fn malformed(error: WireError) -> RecordsError {
    RecordsError::Intents(format!("malformed intents: {error}"))
}

/// Reads the intents of a call.
pub(super) fn left(stream: &[u8], encoding: Encoding, most: usize) -> Result<Left, RecordsError> {
    let (mut result, mut others) = (None, 0);
    for intent in intents(stream) {
        let intent = intent.map_err(malformed)?;
        match intent.key.storage {
            storage::RESULT => result = Some(intent.value),
            event if is_event(event) => {
                return Err(RecordsError::Intents(format!(
                    "the call writes to `{event}`, which is the event of a call"
                )));
            }
            _ => others += 1,
        }
    }
    Ok(Left { response: Response::new(encoding, result, most)?, others })
}

/// The response to a query, which may leave nothing but its result.
pub(crate) fn query_response(stream: &[u8], encoding: Encoding, most: usize) -> Result<Response, RecordsError> {
    let Left { response, others } = left(stream, encoding, most)?;
    match others {
        0 => Ok(response),
        _ => {
            let message =
                "a query leaves nothing but a result, and this one wrote records; give the route another method";
            Err(RecordsError::Intents(message.to_owned()))
        }
    }
}
