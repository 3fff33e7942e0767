//! The record of a tenant: what it keeps, and how far its events were applied.
//!
//! All of it is one value of the bucket, so an event counts as applied once the record is written.
//!
//! | bytes | |
//! |---|---|
//! | 4 | `GSN1` |
//! | 4 | CRC-32 of everything behind it |
//! | 1 | whether the program knows of its connection |
//! | 8 | sequence of the last event that was applied |
//! | 8 | number of the version of the guest that wrote it |
//! | 8 | sequence of the last output that was published before |
//! | 8 | sequence of the last failure that was published before |
//! | 1 | number of the last ids of events |
//! | 8 for each | a hash of the id |
//! | 4 | number of outputs |
//! | for each | sequence (8) and index (4), 0 (1), length (4) and bytes; or 1 in place of the 0, and kind, message and event alike |
//! | the rest | the image, as [`Delta::write_to`] has it; nothing if the program never kept anything |
//!
//! Numbers are little-endian.

use guest_host::guest_image::{Delta, ImageError};
use guest_tenants::Image;

/// The first bytes.
const MAGIC: &[u8; 4] = b"GSN1";

/// Ids that a record has, at most.
pub const RECENT: usize = 32;

/// Bytes before those that the checksum is of.
const HEAD: usize = 8;

/// Bytes of a length.
const LENGTH: usize = 4;

/// The record of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record {
    /// Sequence of the last event that was applied. Earlier ones of the tenant were applied, too.
    pub applied: u64,
    /// Number of the version of the guest that wrote it.
    pub version: u64,
    /// Whether the program knows of its connection.
    pub open: bool,
    /// The program's memory; `None` at its beginning.
    pub image: Option<Image>,
    /// Hashes of the ids of the last events that had one and did not fail, the latest last. NATS forgets ids after a while, and of events that are
    /// gone when it ends, and a client may send an event again.
    pub recent: Vec<u64>,
    /// The last messages of its subjects before these outputs.
    pub chain: Chain,
    /// Outputs of the last events. They may be published already.
    pub outputs: Vec<Output>,
}

/// The last messages of a tenant's subjects, by their sequences in the stream; 0 where there is none. They may be out of date: then
/// NATS says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chain {
    /// The last output of its program.
    pub written: u64,
    /// Its last event that failed.
    pub failed: u64,
}

/// A message of a tenant that is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its place among those of the tenant.
    pub place: Place,
    /// The message.
    pub body: Body,
}

impl Output {
    /// Bytes that a record has for an output that the program wrote, beside those of the message: sequence, index, kind and length.
    pub const OVERHEAD: usize = 8 + 4 + 1 + LENGTH;

    /// Bytes that a record has for it.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        // A failure has two lengths more.
        let more = if matches!(self.body, Body::Written(_)) { 0 } else { 2 * LENGTH };
        Self::OVERHEAD + more + self.body.len()
    }
}

/// The place of an output: no two of a tenant have the same, and they are published in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Sequence of the event.
    pub event: u64,
    /// Index among the event's outputs.
    pub index: u32,
}

/// A message that is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The program wrote it.
    Written(Vec<u8>),
    /// An event that failed.
    Failed {
        /// The kind of the error.
        kind: String,
        /// Its message.
        message: String,
        /// The event.
        event: Vec<u8>,
    },
}

impl Body {
    /// Bytes of its parts.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Written(bytes) => bytes.len(),
            Self::Failed { kind, message, event } => kind.len() + message.len() + event.len(),
        }
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why bytes are no record.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// They are something else, or of a newer version.
    #[error("it is no record of a tenant, or one of a newer version")]
    NoRecord,
    /// They were changed.
    #[error("it is damaged: its checksum is another one")]
    Damaged,
    /// They end too early, or have parts that do not fit.
    #[error("it is damaged: {0}")]
    Invalid(&'static str),
    /// The image cannot be used.
    #[error("its image cannot be used: {0}")]
    Image(#[source] ImageError),
}

impl Record {
    /// Takes note of the id of an event that was applied.
    pub fn note_id(&mut self, id: u64) {
        if self.recent.len() >= RECENT {
            self.recent.remove(0);
        }
        self.recent.push(id);
    }

    /// Bytes of the process's memory that it takes, about.
    #[must_use]
    pub fn resident_bytes(&self) -> usize {
        let image = self.image.as_ref().map_or(0, |image| image.delta.resident_bytes());
        size_of::<Self>()
            + image
            + self.recent.capacity() * 8
            + self.outputs.iter().map(|output| size_of::<Output>() + output.body.len()).sum::<usize>()
    }

    /// The bytes of the record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let image = self.image.as_ref().map_or(0, |image| image.delta.encoded_bytes());
        let mut bytes = Vec::with_capacity(usize::try_from(image).unwrap_or(0) + 64);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&[0; 4]);
        bytes.push(u8::from(self.open));
        bytes.extend_from_slice(&self.applied.to_le_bytes());
        bytes.extend_from_slice(&self.version.to_le_bytes());
        let Chain { written, failed } = self.chain;
        [written, failed].into_iter().for_each(|sequence| bytes.extend_from_slice(&sequence.to_le_bytes()));
        bytes.push(u8::try_from(self.recent.len()).unwrap_or(u8::MAX));
        self.recent.iter().take(u8::MAX.into()).for_each(|id| bytes.extend_from_slice(&id.to_le_bytes()));
        put_length(&mut bytes, self.outputs.len());
        for Output { place, body } in &self.outputs {
            bytes.extend_from_slice(&place.event.to_le_bytes());
            bytes.extend_from_slice(&place.index.to_le_bytes());
            match body {
                Body::Written(written) => {
                    bytes.push(0);
                    put(&mut bytes, written);
                }
                Body::Failed { kind, message, event } => {
                    bytes.push(1);
                    [kind.as_bytes(), message.as_bytes(), event].into_iter().for_each(|part| put(&mut bytes, part));
                }
            }
        }
        if let Some(image) = &self.image {
            // To write to memory does not fail.
            let _ = image.delta.write_to(image.number, &mut bytes);
        }
        let sum = crc32fast::hash(&bytes[HEAD..]);
        bytes[MAGIC.len()..HEAD].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// The record that has these bytes.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(RecordError::NoRecord)?;
        let mut reader = Reader(rest);
        if u32::from_le_bytes(reader.array()?) != crc32fast::hash(reader.0) {
            return Err(RecordError::Damaged);
        }
        let open = match reader.byte()? {
            open @ 0..=1 => open == 1,
            _ => return Err(RecordError::Invalid("a flag is neither 0 nor 1")),
        };
        let applied = u64::from_le_bytes(reader.array()?);
        let version = u64::from_le_bytes(reader.array()?);
        let [written, failed] = [u64::from_le_bytes(reader.array()?), u64::from_le_bytes(reader.array()?)];
        let recent = reader.byte()?;
        let recent = (0..recent).map(|_| reader.array().map(u64::from_le_bytes)).collect::<Result<_, _>>()?;
        let count = u32::from_le_bytes(reader.array()?);
        // Grown as they are read: the number may be wrong.
        let mut outputs = Vec::new();
        for _ in 0..count {
            outputs.push(reader.output()?);
        }
        let image = match reader.0 {
            [] => None,
            mut rest => {
                let read = Delta::read_from(&mut rest).map_err(|_| RecordError::Image(ImageError::NoImage))?;
                let (delta, number) = read.map_err(RecordError::Image)?;
                if !rest.is_empty() {
                    return Err(RecordError::Invalid("there is something behind the image"));
                }
                Some(Image { number, delta })
            }
        };
        Ok(Self { applied, version, open, image, recent, chain: Chain { written, failed }, outputs })
    }
}

/// Appends a length. Nothing here has 4 GiB: a message of NATS has 64 MiB at most.
fn put_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    put_length(bytes, part.len());
    bytes.extend_from_slice(part);
}

/// Bytes that are read from their beginning.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let (array, rest) = self.0.split_first_chunk().ok_or(RecordError::Invalid("it ends too early"))?;
        self.0 = rest;
        Ok(*array)
    }

    fn byte(&mut self) -> Result<u8, RecordError> {
        Ok(self.array::<1>()?[0])
    }

    fn bytes(&mut self) -> Result<&'b [u8], RecordError> {
        let length = usize::try_from(u32::from_le_bytes(self.array()?)).unwrap_or(usize::MAX);
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(RecordError::Invalid("it ends too early"))?;
        self.0 = rest;
        Ok(bytes)
    }

    fn text(&mut self) -> Result<String, RecordError> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| RecordError::Invalid("a text is not UTF-8"))
    }

    fn output(&mut self) -> Result<Output, RecordError> {
        let event = u64::from_le_bytes(self.array()?);
        let index = u32::from_le_bytes(self.array()?);
        let body = match self.byte()? {
            0 => Body::Written(self.bytes()?.to_vec()),
            1 => Body::Failed { kind: self.text()?, message: self.text()?, event: self.bytes()?.to_vec() },
            _ => return Err(RecordError::Invalid("there is no such kind of output")),
        };
        Ok(Output { place: Place { event, index }, body })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use guest_host::guest_image::Identity;
    use proptest::prelude::*;

    use super::*;

    fn image(number: u64, bytes: &[u8]) -> Image {
        let identity = Arc::new(Identity::of([7; 32], b"", &[0; 65_536], &[]));
        let mut delta = Delta::pristine(identity, 65_536);
        delta.cards.push(3, bytes);
        Image { number, delta }
    }

    fn sample() -> Record {
        let failed = Body::Failed { kind: "panic".into(), message: "no".into(), event: vec![1, 2] };
        let output = |event, index, body| Output { place: Place { event, index }, body };
        Record {
            applied: 9,
            version: 3,
            open: true,
            image: Some(image(4, &[5; guest_host::guest_image::CARD])),
            recent: vec![1, u64::MAX],
            chain: Chain { written: 5, failed: 6 },
            outputs: vec![output(8, 0, Body::Written(b"one".to_vec())), output(9, 1, failed)],
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        for record in [
            sample(),
            Record::default(),
            Record { outputs: Vec::new(), ..sample() },
            Record { image: None, ..sample() },
        ] {
            assert_eq!(Record::decode(&record.encode()).unwrap(), record);
        }
        assert!(matches!(Record::decode(b"GSN2 and more"), Err(RecordError::NoRecord)));
        assert!(matches!(Record::decode(b"GSN1"), Err(RecordError::Invalid(_))));
    }

    #[test]
    fn the_bytes_of_an_output_are_those_of_the_record() {
        let record = sample();
        let without = Record { outputs: Vec::new(), ..record.clone() };
        let outputs: usize = record.outputs.iter().map(Output::encoded_bytes).sum();
        assert_eq!(outputs, record.encode().len() - without.encode().len());
        assert_eq!(record.outputs[0].encoded_bytes(), Output::OVERHEAD + 3);
    }

    #[test]
    fn the_record_of_a_fresh_tenant_is_small() {
        let identity = Arc::new(Identity::of([7; 32], b"", &[0; 65_536], &[]));
        let image = Some(Image { number: 1, delta: Delta::pristine(identity, 65_536) });
        let bytes = Record { applied: 1, open: true, image, ..Record::default() }.encode().len();
        assert!(bytes <= 256, "{bytes}");
    }

    #[test]
    fn the_last_ids_are_known() {
        let mut record = Record::default();
        let count = RECENT as u64;
        (0..=count).for_each(|id| record.note_id(id));
        assert_eq!(record.recent, (1..=count).collect::<Vec<u64>>());
    }

    proptest! {
        #[test]
        fn damaged_records_are_refused(at in 0usize..1000, flip in 1u8..=255) {
            let mut bytes = sample().encode();
            let at = at % bytes.len();
            bytes[at] ^= flip;
            prop_assert!(Record::decode(&bytes).is_err());
            bytes[at] ^= flip;
            bytes.truncate(at);
            prop_assert!(Record::decode(&bytes).is_err());
        }

        #[test]
        fn no_bytes_are_read_into_a_panic(rest in proptest::collection::vec(any::<u8>(), 0..200)) {
            // With the right checksum, so that what is behind it is looked at.
            let bytes = [MAGIC, crc32fast::hash(&rest).to_le_bytes().as_slice(), &rest].concat();
            if let Ok(record) = Record::decode(&bytes) {
                prop_assert_eq!(record.encode(), bytes);
            }
        }
    }
}
