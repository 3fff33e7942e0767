//! The header of messages in plans: a magic number, the version, and a checksum.

use crate::payload::{PayloadError, VERSION, hash};

/// The first bytes of a message. They distinguish it from the messages of other codecs.
pub(crate) type Magic = [u8; 6];

/// Bytes of the checksum behind the version: SHA-256 of all bytes behind it.
const CHECKSUM: usize = 32;

/// Bytes of the header: of equal headers the messages are equal, as far as the checksum tells.
pub(crate) const HEAD: usize = size_of::<Magic>() + 1 + CHECKSUM;

/// A message behind its header.
pub(crate) fn write(magic: &Magic, message: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(magic.len() + 1 + CHECKSUM + message.len());
    framed.extend_from_slice(magic);
    framed.push(VERSION);
    framed.extend_from_slice(&hash(message));
    framed.extend_from_slice(message);
    framed
}

/// The message behind a header.
///
/// # Errors
/// [`PayloadError::Version`] and [`PayloadError::Damaged`].
pub(crate) fn read<'a>(magic: &Magic, framed: &'a [u8]) -> Result<&'a [u8], PayloadError> {
    let damaged = |what: &str| PayloadError::Damaged { what: what.to_owned() };
    let rest = framed.strip_prefix(magic.as_slice()).ok_or_else(|| damaged("it does not begin as one"))?;
    let (&version, rest) = rest.split_first().ok_or_else(|| damaged("it has no version"))?;
    if version != VERSION {
        return Err(PayloadError::Version { found: version });
    }
    let (checksum, message) = rest.split_first_chunk::<CHECKSUM>().ok_or_else(|| damaged("it ends in its checksum"))?;
    match *checksum == hash(message) {
        true => Ok(message),
        false => Err(damaged("its checksum differs")),
    }
}
