//! The bytes of images.
//!
//! An image is a header of [`HEADER`] bytes and a payload. All numbers are little-endian.
//!
//! | offset | bytes | |
//! |---|---|---|
//! | 0 | 8 | `wasmimg\0` |
//! | 8 | 2 | the format, [`FORMAT`] |
//! | 10 | 2 | 0 for a base, 1 for a delta, 2 for a change |
//! | 12 | 4 | the CRC-32 of the payload |
//! | 16 | 32 | SHA-256 of the module |
//! | 48 | 32 | SHA-256 of the snapshot |
//! | 80 | 8 | bytes of memory that the guest sees |
//! | 88 | 8 | number of the state |
//! | 96 | 8 | of a change: number of the state that it follows; else 0 |
//! | 104 | 8 | bytes of the payload |
//! | 112 | 4 | runs of cards; of a base 0 |
//! | 116 | 4 | runs of cleared cards; only a change has some |
//! | 120 | 4 | globals |
//! | 124 | 4 | 1 if there is a state of the host, else 0 |
//! | 128 | 4 | slots of memory blocks whose numbers were used |
//! | 132 | 4 | the CRC-32 of the header before |
//!
//! The payload has, one behind the other: each run as the number of its first card and the number of its cards (4 bytes each), the
//! cleared runs likewise, each global as its number (4), its type (4) and its bits (16), the host's state (40), how often each slot was
//! used (4), and the bytes of the cards. A base has the bytes of its memory there, and behind them those of its contract.

use std::io::{self, Read, Write};
use std::sync::Arc;

use crate::base::Base;
use crate::cards::{Cards, RUN, Run, checked};
use crate::change::Change;
use crate::delta::Delta;
use crate::error::ImageError;
use crate::identity::Identity;
use crate::values::{GlobalValue, HostState};

/// The format that this version reads and writes.
pub const FORMAT: u16 = 1;

/// Bytes of a header.
pub const HEADER: usize = 136;

const MAGIC: [u8; 8] = *b"wasmimg\0";
const GLOBAL: usize = 24;
const HOST: usize = 40;
const USES: usize = 4;

/// An image that was read, by its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Image {
    /// A snapshot.
    Base(Base),
    /// A delta.
    Delta {
        /// The delta.
        delta: Delta,
        /// Number of the state.
        number: u64,
    },
    /// A change.
    Change {
        /// The change.
        change: Change,
        /// Number of the state that it follows.
        after: u64,
        /// Number of the state that it leads to.
        number: u64,
    },
}

/// The parts of an image, of whichever kind.
struct Parts<'a> {
    kind: u16,
    identity: &'a Identity,
    memory_size: u64,
    after: u64,
    number: u64,
    runs: &'a [Run],
    cleared: &'a [Run],
    globals: &'a mut dyn ExactSizeIterator<Item = (u32, GlobalValue)>,
    host: Option<&'a HostState>,
    block_uses: &'a [u32],
    bytes: &'a [&'a [u8]],
}

impl Parts<'_> {
    fn write(self, to: &mut impl Write) -> io::Result<u64> {
        let globals = self.globals.len();
        let runs = self.runs.len() + self.cleared.len();
        let tables = runs * RUN + globals * GLOBAL + HOST + self.block_uses.len() * USES;
        let mut head = Vec::with_capacity(HEADER + tables);
        head.resize(HEADER, 0);
        for run in self.runs.iter().chain(self.cleared) {
            head.extend(run.first.to_le_bytes());
            head.extend(run.cards.to_le_bytes());
        }
        for (number, value) in self.globals {
            let (ty, bits) = value.parts();
            head.extend(number.to_le_bytes());
            head.extend(u32::from(ty).to_le_bytes());
            head.extend(bits.to_le_bytes());
        }
        if let Some(host) = self.host {
            head.extend(host_bytes(host));
        }
        self.block_uses.iter().for_each(|uses| head.extend(uses.to_le_bytes()));
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&head[HEADER..]);
        self.bytes.iter().for_each(|bytes| checksum.update(bytes));
        let payload = (head.len() - HEADER + self.bytes.iter().map(|bytes| bytes.len()).sum::<usize>()) as u64;
        let mut header = [0; HEADER];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC);
        put(8, &FORMAT.to_le_bytes());
        put(10, &self.kind.to_le_bytes());
        put(12, &checksum.finalize().to_le_bytes());
        put(16, &self.identity.module);
        put(48, &self.identity.snapshot);
        put(80, &self.memory_size.to_le_bytes());
        put(88, &self.number.to_le_bytes());
        put(96, &self.after.to_le_bytes());
        put(104, &payload.to_le_bytes());
        let counts = [self.runs.len(), self.cleared.len(), globals, self.block_uses.len()];
        for (at, count) in [112, 116, 120, 128].into_iter().zip(counts) {
            // A guest's memory has less than that many cards, its module is smaller than that, and it has fewer blocks.
            put(at, &u32::try_from(count).map_err(io::Error::other)?.to_le_bytes());
        }
        put(124, &u32::from(self.host.is_some()).to_le_bytes());
        let own = crc32fast::hash(&header[..HEADER - 4]);
        header[HEADER - 4..].copy_from_slice(&own.to_le_bytes());
        head[..HEADER].copy_from_slice(&header);
        to.write_all(&head)?;
        for bytes in self.bytes {
            to.write_all(bytes)?;
        }
        Ok(HEADER as u64 + payload)
    }
}

impl Base {
    /// Writes it, and returns the number of bytes.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_to(&self, to: &mut impl Write) -> io::Result<u64> {
        Parts {
            kind: 0,
            identity: &self.identity,
            memory_size: self.memory.len() as u64,
            after: 0,
            number: 0,
            runs: &[],
            cleared: &[],
            globals: &mut self.globals.iter().copied().enumerate().map(|(at, value)| (number_of(at), value)),
            host: None,
            block_uses: &[],
            bytes: &[&self.memory, &self.contract],
        }
        .write(to)
    }
}

impl Delta {
    /// Writes it as the state of this number, and returns the number of bytes.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_to(&self, number: u64, to: &mut impl Write) -> io::Result<u64> {
        Parts {
            kind: 1,
            identity: &self.identity,
            memory_size: self.memory_size,
            after: 0,
            number,
            runs: self.cards.runs(),
            cleared: &[],
            globals: &mut self.globals.iter().copied(),
            host: self.host.as_ref(),
            block_uses: &self.block_uses,
            bytes: &[self.cards.bytes()],
        }
        .write(to)
    }

    /// Reads a delta, and the number of its state.
    ///
    /// # Errors
    /// As for [`Image::read_from`], and [`ImageError::Kind`] for an image of another kind.
    pub fn read_from(from: &mut impl Read) -> io::Result<Result<(Self, u64), ImageError>> {
        Ok(Image::read_from(from)?.and_then(|image| match image {
            Image::Delta { delta, number } => Ok((delta, number)),
            other => Err(ImageError::Kind { found: other.kind(), expected: "a delta" }),
        }))
    }

    /// Bytes that it takes as an image.
    #[must_use]
    pub fn encoded_bytes(&self) -> u64 {
        self.encoded_bytes_without_cards() + (self.cards.runs().len() * RUN + self.cards.bytes().len()) as u64
    }

    /// Bytes that it takes as an image beside its cards.
    pub(crate) fn encoded_bytes_without_cards(&self) -> u64 {
        let host = if self.host.is_some() { HOST } else { 0 };
        (HEADER + self.globals.len() * GLOBAL + host + self.block_uses.len() * USES) as u64
    }
}

impl Change {
    /// Bytes that it takes as an image.
    #[must_use]
    pub fn encoded_bytes(&self) -> u64 {
        let host = if self.host.is_some() { HOST } else { 0 };
        let runs = self.cards.runs().len() + self.cleared.len();
        let tables = runs * RUN + self.globals.len() * GLOBAL + host + self.block_uses.len() * USES;
        (HEADER + tables + self.cards.bytes().len()) as u64
    }

    /// Writes it as the change from the state `after` to the state `number`, and returns the number of bytes.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_to(&self, after: u64, number: u64, to: &mut impl Write) -> io::Result<u64> {
        Parts {
            kind: 2,
            identity: &self.identity,
            memory_size: self.memory_size,
            after,
            number,
            runs: self.cards.runs(),
            cleared: &self.cleared,
            globals: &mut self.globals.iter().copied(),
            host: self.host.as_ref(),
            block_uses: &self.block_uses,
            bytes: &[self.cards.bytes()],
        }
        .write(to)
    }
}

/// A header whose checksum fits.
struct Header {
    kind: u16,
    checksum: u32,
    identity: Identity,
    memory_size: u64,
    number: u64,
    after: u64,
    payload: u64,
    runs: u32,
    cleared: u32,
    globals: u32,
    has_host: bool,
    slots: u32,
}

impl Header {
    fn parse(header: &[u8; HEADER]) -> Result<Self, ImageError> {
        let word = |at: usize| u32::from_le_bytes(array(&header[at..]));
        let long = |at: usize| u64::from_le_bytes(array(&header[at..]));
        if header[..8] != MAGIC {
            return Err(ImageError::NoImage);
        }
        // Told before the checksum, which another format may have elsewhere.
        let found = u16::from_le_bytes(array(&header[8..]));
        if found != FORMAT {
            return Err(ImageError::Format { found, read: FORMAT });
        }
        if crc32fast::hash(&header[..HEADER - 4]) != word(HEADER - 4) {
            return Err(ImageError::Damaged);
        }
        Ok(Self {
            kind: u16::from_le_bytes(array(&header[10..])),
            checksum: word(12),
            identity: Identity { module: array(&header[16..]), snapshot: array(&header[48..]) },
            memory_size: long(80),
            number: long(88),
            after: long(96),
            payload: long(104),
            runs: word(112),
            cleared: word(116),
            globals: word(120),
            has_host: word(124) != 0,
            slots: word(128),
        })
    }

    /// Bytes of the payload before those of cards or memory.
    fn tables(&self) -> u64 {
        let runs = u64::from(self.runs) + u64::from(self.cleared);
        let host = if self.has_host { HOST as u64 } else { 0 };
        runs * RUN as u64 + u64::from(self.globals) * GLOBAL as u64 + host + u64::from(self.slots) * USES as u64
    }
}

impl Image {
    /// Reads an image. It takes no more memory than there are bytes, whatever they say.
    ///
    /// # Errors
    /// Those of the reader outside, and inside [`ImageError`] for bytes that are no image, or a damaged one.
    pub fn read_from(from: &mut impl Read) -> io::Result<Result<Self, ImageError>> {
        let mut head = Vec::with_capacity(HEADER);
        from.take(HEADER as u64).read_to_end(&mut head)?;
        let Some(header) = head.first_chunk() else {
            let begins = head.len() >= MAGIC.len() && head.starts_with(&MAGIC);
            let expected = HEADER as u64;
            return Ok(Err(match begins {
                true => ImageError::Truncated { found: head.len() as u64, expected },
                false => ImageError::NoImage,
            }));
        };
        let header = match Header::parse(header) {
            Ok(header) => header,
            Err(error) => return Ok(Err(error)),
        };
        let Some(rest) = header.payload.checked_sub(header.tables()) else {
            return Ok(Err(ImageError::Invalid { what: "its tables are larger than itself" }));
        };
        let tables = read(from, header.tables())?;
        let bytes = read(from, rest)?;
        Ok(header.image(&tables, bytes))
    }

    /// Reads an image from bytes that hold nothing else.
    ///
    /// # Errors
    /// As for [`Image::read_from`], and [`ImageError::Invalid`] for bytes behind the image.
    pub fn from_bytes(mut bytes: &[u8]) -> Result<Self, ImageError> {
        let image = Self::read_from(&mut bytes).map_err(|_| ImageError::NoImage)??;
        match bytes {
            [] => Ok(image),
            _ => Err(ImageError::Invalid { what: "there are bytes behind its end" }),
        }
    }

    /// The number of the state that the image in `bytes` is of, or leads to. It looks at the header alone.
    ///
    /// # Errors
    /// [`ImageError`] if they do not begin with the header of an image.
    pub fn number_of(bytes: &[u8]) -> Result<u64, ImageError> {
        Ok(Header::parse(bytes.first_chunk().ok_or(ImageError::NoImage)?)?.number)
    }

    /// Its kind, in words.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Base(_) => "a base",
            Self::Delta { .. } => "a delta",
            Self::Change { .. } => "a change",
        }
    }
}

impl Header {
    fn image(self, tables: &[u8], bytes: Vec<u8>) -> Result<Image, ImageError> {
        let found = (HEADER + tables.len() + bytes.len()) as u64;
        let expected = (HEADER as u64).saturating_add(self.payload);
        if found < expected {
            return Err(ImageError::Truncated { found, expected });
        }
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(tables);
        checksum.update(&bytes);
        if checksum.finalize() != self.checksum {
            return Err(ImageError::Damaged);
        }
        let (runs, rest) = tables.split_at(self.runs as usize * RUN);
        let (cleared, rest) = rest.split_at(self.cleared as usize * RUN);
        let (globals, rest) = rest.split_at(self.globals as usize * GLOBAL);
        let (host, uses) = rest.split_at(if self.has_host { HOST } else { 0 });
        let globals = globals.chunks_exact(GLOBAL).map(global).collect::<Option<Vec<_>>>();
        let globals =
            globals.ok_or(ImageError::Invalid { what: "a global has a value that its type does not have" })?;
        let host = host.first_chunk().map(host_of);
        let block_uses: Vec<u32> = uses.chunks_exact(USES).map(|uses| u32::from_le_bytes(array(uses))).collect();
        let identity = Arc::new(self.identity);
        match self.kind {
            0 if self.runs == 0 && self.cleared == 0 && !self.has_host && self.slots == 0 => {
                let size = usize::try_from(self.memory_size).unwrap_or(usize::MAX);
                let Some((memory, contract)) = bytes.split_at_checked(size) else {
                    return Err(ImageError::Invalid { what: "it has fewer bytes than its memory" });
                };
                let ordered = globals.iter().enumerate().all(|(at, (number, _))| at as u64 == u64::from(*number));
                if !ordered {
                    return Err(ImageError::Invalid { what: "its globals are not in order" });
                }
                let globals = globals.into_iter().map(|(_, value)| value).collect();
                let base = Base::new(identity.module, contract.to_vec(), memory.to_vec(), globals);
                match base.identity == identity {
                    true => Ok(Image::Base(base)),
                    false => Err(ImageError::Invalid { what: "its contents have another identity" }),
                }
            }
            1 | 2 => {
                let cards = Cards::from_owned(runs_of(runs), bytes)?;
                let cleared = runs_of(cleared);
                checked(&cleared)?;
                let memory_size = self.memory_size;
                let delta = Delta { identity, memory_size, cards, globals, host, block_uses };
                delta.check()?;
                if self.kind == 2 {
                    let Delta { identity, cards, globals, block_uses, .. } = delta;
                    let change = Change { identity, memory_size, cards, cleared, globals, host, block_uses };
                    return Ok(Image::Change { change, after: self.after, number: self.number });
                }
                match cleared.is_empty() {
                    true => Ok(Image::Delta { delta, number: self.number }),
                    false => Err(ImageError::Invalid { what: "a delta clears no cards" }),
                }
            }
            _ => Err(ImageError::Invalid { what: "it is of no kind that there is" }),
        }
    }
}

/// Reads up to `length` bytes, without more memory than there are bytes.
fn read(from: &mut impl Read, length: u64) -> io::Result<Vec<u8>> {
    /// Bytes that are reserved on the word of a header.
    const TRUSTED: u64 = 1 << 20;
    // One more than is read, so that the end is found without growing.
    let mut bytes = Vec::with_capacity(usize::try_from(length.min(TRUSTED)).unwrap_or(0) + 1);
    from.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn runs_of(bytes: &[u8]) -> Vec<Run> {
    let word = |bytes: &[u8]| u32::from_le_bytes(array(bytes));
    bytes.chunks_exact(RUN).map(|run| Run { first: word(run), cards: word(&run[4..]) }).collect()
}

fn global(bytes: &[u8]) -> Option<(u32, GlobalValue)> {
    let ty = u32::from_le_bytes(array(&bytes[4..]));
    let value = GlobalValue::of_parts(u8::try_from(ty).ok()?, u128::from_le_bytes(array(&bytes[8..])))?;
    Some((u32::from_le_bytes(array(bytes)), value))
}

/// The bytes of a state of the host. A closed descriptor is a number that no flags are.
fn host_bytes(host: &HostState) -> [u8; HOST] {
    let mut bytes = [0; HOST];
    for (at, flags) in host.descriptors.iter().enumerate() {
        let flags = flags.map_or(CLOSED, u32::from);
        bytes[4 * at..4 * at + 4].copy_from_slice(&flags.to_le_bytes());
    }
    for (at, value) in [host.elapsed, host.monotonic, host.random_position].into_iter().enumerate() {
        bytes[16 + 8 * at..24 + 8 * at].copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

fn host_of(bytes: &[u8; HOST]) -> HostState {
    let flags = |at: usize| u16::try_from(u32::from_le_bytes(array(&bytes[at..]))).ok();
    let long = |at: usize| u64::from_le_bytes(array(&bytes[at..]));
    HostState {
        descriptors: [flags(0), flags(4), flags(8)],
        elapsed: long(16),
        monotonic: long(24),
        random_position: long(32),
    }
}

const CLOSED: u32 = u32::MAX;

fn number_of(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// The first bytes of a slice that has as many.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(&bytes[..N]);
    array
}
