//! Programs: guests that keep their memory between events, and answer events of connections by actions.
//!
//! A program exports [typed functions](crate::function) under the names below. The host calls one for each event, and carries out the
//! actions in its result when the call has succeeded. A call that fails is undone: the program is as before the event.
//!
//! | function | event |
//! |---|---|
//! | `connected(connection: i64, peer: text) -> bytes` | a client has connected; `peer` is its address |
//! | `read(connection: i64, bytes: bytes) -> bytes` | bytes of a connection: a message, or what arrived of a stream |
//! | `closed(connection: i64) -> bytes` | a connection was closed, by either side; nothing can be written to it any more |
//!
//! Only `read` must exist. Connections have numbers that no other connection of the program has ever had.
//!
//! A result is any number of actions, one behind the other. Numbers are little-endian.
//!
//! | bytes | |
//! |---|---|
//! | 1 | 1 to write, 2 to close |
//! | 4 | number of connections |
//! | 8 for each | the connections |
//! | 4 | to write only: number of bytes |
//! | as many | to write only: the bytes |

/// Name of the function for a client that has connected.
pub const CONNECTED: &str = "connected";

/// Name of the function for bytes of a connection.
pub const READ: &str = "read";

/// Name of the function for a connection that was closed.
pub const CLOSED: &str = "closed";

/// Kind of an action that writes.
pub const WRITE: u8 = 1;

/// Kind of an action that closes.
pub const CLOSE: u8 = 2;

/// An action of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action<'a> {
    /// Write bytes to each of these connections.
    Write {
        /// The connections.
        to: Connections<'a>,
        /// The bytes.
        bytes: &'a [u8],
    },
    /// Close each of these connections, when everything that was written to them before has been sent.
    Close {
        /// The connections.
        connections: Connections<'a>,
    },
}

/// Numbers of connections, as they lie in a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections<'a>(&'a [[u8; 8]]);

impl Connections<'_> {
    /// The numbers.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = i64> {
        self.0.iter().map(|bytes| i64::from_le_bytes(*bytes))
    }
}

/// The fault of a result that is not a list of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ActionError {
    /// An action of no kind that there is.
    Kind(u8),
    /// A result that ends within an action.
    Truncated,
}

impl core::fmt::Display for ActionError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Kind(kind) => write!(f, "there is no action of kind {kind}"),
            Self::Truncated => f.write_str("the actions end within one"),
        }
    }
}

impl core::error::Error for ActionError {}

/// The actions of a result. Behind an error there are none.
///
/// ```
/// use guest_abi::program::{Action, actions};
///
/// let result = b"\x02\x01\0\0\0\x07\0\0\0\0\0\0\0";
/// let closed: Vec<i64> = actions(result)
///     .flat_map(|action| match action {
///         Ok(Action::Close { connections }) => connections.iter().collect(),
///         _ => Vec::new(),
///     })
///     .collect();
/// assert_eq!(closed, [7]);
/// ```
pub fn actions(result: &[u8]) -> impl Iterator<Item = Result<Action<'_>, ActionError>> {
    let mut rest = Some(result);
    core::iter::from_fn(move || {
        let bytes = rest.take().filter(|bytes| !bytes.is_empty())?;
        Some(next(bytes).map(|(action, behind)| {
            rest = Some(behind);
            action
        }))
    })
}

fn next(bytes: &[u8]) -> Result<(Action<'_>, &[u8]), ActionError> {
    let (kind, rest) = bytes.split_first().ok_or(ActionError::Truncated)?;
    if ![WRITE, CLOSE].contains(kind) {
        return Err(ActionError::Kind(*kind));
    }
    let (count, rest) = number(rest)?;
    let numbers = count.checked_mul(8).and_then(|bytes| rest.split_at_checked(bytes));
    let (numbers, rest) = numbers.ok_or(ActionError::Truncated)?;
    let (numbers, _) = numbers.as_chunks();
    let connections = Connections(numbers);
    if *kind == CLOSE {
        return Ok((Action::Close { connections }, rest));
    }
    let (length, rest) = number(rest)?;
    let (bytes, rest) = rest.split_at_checked(length).ok_or(ActionError::Truncated)?;
    Ok((Action::Write { to: connections, bytes }, rest))
}

fn number(bytes: &[u8]) -> Result<(usize, &[u8]), ActionError> {
    let (number, rest) = bytes.split_first_chunk().ok_or(ActionError::Truncated)?;
    // Where it does not fit, neither do as many bytes.
    Ok((usize::try_from(u32::from_le_bytes(*number)).unwrap_or(usize::MAX), rest))
}

/// Appends actions to a result.
#[cfg(feature = "alloc")]
pub mod append {
    use alloc::vec::Vec;

    use super::{CLOSE, WRITE};

    /// Appends that bytes are written to connections.
    ///
    /// # Panics
    /// If there are 4 GiB of bytes, or as many connections.
    pub fn write(result: &mut Vec<u8>, connections: &[i64], bytes: &[u8]) {
        result.reserve(9 + connections.len() * 8 + bytes.len());
        begin(result, WRITE, connections);
        result.extend_from_slice(&length(bytes.len()));
        result.extend_from_slice(bytes);
    }

    /// Appends that connections are closed.
    ///
    /// # Panics
    /// If there are 4 Gi connections.
    pub fn close(result: &mut Vec<u8>, connections: &[i64]) {
        begin(result, CLOSE, connections);
    }

    fn begin(result: &mut Vec<u8>, kind: u8, connections: &[i64]) {
        result.push(kind);
        result.extend_from_slice(&length(connections.len()));
        for connection in connections {
            result.extend_from_slice(&connection.to_le_bytes());
        }
    }

    fn length(length: usize) -> [u8; 4] {
        u32::try_from(length).expect("it is less than 4 GiB").to_le_bytes()
    }
}

#[cfg(all(test, feature = "alloc"))]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn what_is_appended_is_read() {
        let mut result = Vec::new();
        append::write(&mut result, &[1, -1], b"hello");
        append::close(&mut result, &[]);
        append::write(&mut result, &[], b"");
        append::close(&mut result, &[i64::MAX]);
        let read: Vec<_> = actions(&result).collect::<Result<_, _>>().unwrap();
        let numbers = |connections: &Connections<'_>| connections.iter().collect::<Vec<_>>();
        assert!(matches!(&read[0], Action::Write { to, bytes: b"hello" } if numbers(to) == [1, -1]));
        assert!(matches!(&read[1], Action::Close { connections } if numbers(connections).is_empty()));
        assert!(matches!(&read[2], Action::Write { bytes: b"", .. }));
        assert!(matches!(&read[3], Action::Close { connections } if numbers(connections) == [i64::MAX]));
        assert_eq!(read.len(), 4);
        assert_eq!(actions(&[]).count(), 0);
    }

    #[test]
    fn every_cut_and_every_other_kind_is_found() {
        let mut result = Vec::new();
        append::write(&mut result, &[1, 2], b"hello");
        for end in 1..result.len() {
            assert_eq!(actions(&result[..end]).last(), Some(Err(ActionError::Truncated)), "{end}");
        }
        for kind in [0, 3, 255] {
            result[0] = kind;
            assert_eq!(actions(&result).collect::<Vec<_>>(), [Err(ActionError::Kind(kind))]);
        }
        // More connections, and more bytes, than there can be.
        assert_eq!(actions(b"\x01\xff\xff\xff\xff").last(), Some(Err(ActionError::Truncated)));
        assert_eq!(actions(b"\x01\0\0\0\0\xff\xff\xff\xff").last(), Some(Err(ActionError::Truncated)));
    }
}
