//! How an artefact is laid out.
//!
//! ```text
//! magic            8 bytes
//! format           u32
//! checksum         32 bytes  BLAKE3 of magic, format, seal and digest
//! seal             32 bytes  BLAKE3 of the digest by the key, or zeros where there is none
//! content, whose BLAKE3 is the digest:
//!   module digest  32 bytes
//!   module         u64 length, bytes
//!   made by        u64 length, UTF-8
//!   pieces         u64 count, and for each
//!     engine       32 bytes  fingerprint
//!     prepared     32 bytes  BLAKE3 of the prepared module
//!     code         u64 length, bytes
//! ```
//!
//! Numbers have their lowest byte first. The module has a digest of its own, so that it can still be compiled when
//! something behind it is damaged.

use super::ArtefactError;
use crate::engine::ARTEFACT_MAGIC as MAGIC;

/// The layout above.
const FORMAT: u32 = 1;

const DIGEST: usize = blake3::OUT_LEN;

/// No seal.
const UNSEALED: [u8; DIGEST] = [0; DIGEST];

/// Everything in an artefact but the module, with a checksum that fits.
#[derive(Debug)]
pub(super) struct Contents<'a> {
    /// The content that the seal covers.
    pub(super) digest: blake3::Hash,
    pub(super) seal: Option<blake3::Hash>,
    pub(super) made_by: &'a str,
    pub(super) entries: Vec<Entry<'a>>,
}

/// The code of the module prepared in one of the ways.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    pub(super) engine: [u8; DIGEST],
    pub(super) prepared: [u8; DIGEST],
    pub(super) code: &'a [u8],
}

/// Whether bytes begin as an artefact does; damage may be behind.
#[must_use]
pub fn is_artefact(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Lays out an artefact; `seal` makes its seal of its digest.
#[cfg(any(feature = "compile", test))]
pub(super) fn write(
    module: &[u8],
    made_by: &str,
    entries: &[Entry<'_>],
    seal: impl FnOnce(&blake3::Hash) -> Option<blake3::Hash>,
) -> Vec<u8> {
    let mut content = blake3::hash(module).as_bytes().to_vec();
    let mut put = |bytes: &[u8]| {
        content.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        content.extend_from_slice(bytes);
    };
    put(module);
    put(made_by.as_bytes());
    content.extend_from_slice(&(entries.len() as u64).to_le_bytes());
    for entry in entries {
        content.extend_from_slice(&entry.engine);
        content.extend_from_slice(&entry.prepared);
        content.extend_from_slice(&(entry.code.len() as u64).to_le_bytes());
        content.extend_from_slice(entry.code);
    }
    let digest = blake3::hash(&content);
    let seal = seal(&digest).map_or(UNSEALED, |seal| *seal.as_bytes());
    let checksum = checksum(FORMAT, &seal, &digest);
    [&MAGIC[..], &FORMAT.to_le_bytes(), checksum.as_bytes(), &seal, &content].concat()
}

fn checksum(format: u32, seal: &[u8; DIGEST], digest: &blake3::Hash) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&MAGIC).update(&format.to_le_bytes()).update(seal).update(digest.as_bytes());
    hasher.finalize()
}

/// The module in an artefact, which is whole, and what else is in it.
///
/// # Errors
/// The outer one when there is no module that could be used; the inner one when only the module could.
pub(super) fn read(artefact: &[u8]) -> Result<(&[u8], Result<Contents<'_>, ArtefactError>), ArtefactError> {
    let mut rest = Rest(artefact.strip_prefix(&MAGIC).ok_or(ArtefactError::NotAnArtefact)?);
    let format = u32::from_le_bytes(*rest.array().ok_or(ArtefactError::ModuleDamaged)?);
    if format != FORMAT {
        return Err(ArtefactError::Format { found: format, expected: FORMAT });
    }
    let (module, contents) = read_parts(rest).ok_or(ArtefactError::ModuleDamaged)?;
    Ok((module, contents.ok_or(ArtefactError::Damaged)))
}

/// The content behind the format; `None` if something is missing or does not fit.
fn read_parts(mut rest: Rest<'_>) -> Option<(&[u8], Option<Contents<'_>>)> {
    let stored: &[u8; DIGEST] = rest.array()?;
    let seal: &[u8; DIGEST] = rest.array()?;
    let content = rest.0;
    let module_digest: &[u8; DIGEST] = rest.array()?;
    let module = rest.bytes()?;
    if blake3::hash(module) != *module_digest {
        return None;
    }
    let digest = blake3::hash(content);
    if checksum(FORMAT, seal, &digest) != *stored {
        return Some((module, None));
    }
    let seal = (*seal != UNSEALED).then(|| blake3::Hash::from_bytes(*seal));
    Some((module, rest.entries().map(|(made_by, entries)| Contents { digest, seal, made_by, entries })))
}

/// The bytes that are not read yet.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(first)
    }

    fn number(&mut self) -> Option<u64> {
        self.array().copied().map(u64::from_le_bytes)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (first, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(first)
    }

    /// Everything behind the module, up to the end.
    fn entries(mut self) -> Option<(&'a str, Vec<Entry<'a>>)> {
        let made_by = std::str::from_utf8(self.bytes()?).ok()?;
        let count = self.number()?;
        let mut entries = Vec::new();
        for _ in 0..count {
            entries.push(Entry { engine: *self.array()?, prepared: *self.array()?, code: self.bytes()? });
        }
        self.0.is_empty().then_some((made_by, entries))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MODULE: &[u8] = b"\0asm, and so on";

    fn entries(codes: &[Vec<u8>]) -> Vec<Entry<'_>> {
        let numbered = (0_u8..).zip(codes);
        numbered.map(|(number, code)| Entry { engine: [number; 32], prepared: [!number; 32], code }).collect()
    }

    fn sealed(digest: &blake3::Hash) -> Option<blake3::Hash> {
        Some(blake3::keyed_hash(&[5; 32], digest.as_bytes()))
    }

    fn small() -> Vec<u8> {
        write(MODULE, "a test", &entries(&[vec![1, 2, 3], Vec::new()]), sealed)
    }

    #[test]
    fn every_flipped_bit_is_found_and_the_module_is_never_another() {
        let whole = small();
        for bit in 0..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            match read(&damaged) {
                Ok((module, contents)) => {
                    assert_eq!(module, MODULE, "bit {bit}");
                    assert_eq!(contents.unwrap_err(), ArtefactError::Damaged, "bit {bit}");
                }
                Err(ArtefactError::NotAnArtefact) => assert!(bit < 64, "bit {bit}"),
                Err(ArtefactError::Format { found, .. }) => assert!((64..96).contains(&bit) && found != 1, "bit {bit}"),
                Err(error) => assert_eq!(error, ArtefactError::ModuleDamaged, "bit {bit}"),
            }
        }
    }

    #[test]
    fn every_truncation_and_every_addition_is_found() {
        let whole = small();
        let module_ends = 8 + 4 + 32 + 32 + 32 + 8 + MODULE.len();
        for length in 0..whole.len() {
            match read(&whole[..length]) {
                Ok((module, contents)) => {
                    assert!(length >= module_ends);
                    assert_eq!((module, contents.unwrap_err()), (MODULE, ArtefactError::Damaged));
                }
                Err(ArtefactError::NotAnArtefact) => assert!(length < 8),
                Err(error) => {
                    assert!(error == ArtefactError::ModuleDamaged && length < module_ends, "{length}: {error}")
                }
            }
        }
        let longer = [&whole[..], &[0]].concat();
        assert_eq!(read(&longer).unwrap().1.unwrap_err(), ArtefactError::Damaged);
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(
            module in prop::collection::vec(any::<u8>(), 0..300),
            made_by in ".{0,20}",
            codes in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..4),
            seal in any::<bool>(),
        ) {
            let artefact = write(&module, &made_by, &entries(&codes), |digest| seal.then(|| sealed(digest)).flatten());
            prop_assert!(is_artefact(&artefact));
            let (read_module, contents) = read(&artefact).unwrap();
            let contents = contents.unwrap();
            prop_assert_eq!(read_module, &module[..]);
            prop_assert_eq!(contents.made_by, &made_by);
            prop_assert_eq!(contents.entries, entries(&codes));
            prop_assert_eq!(contents.seal, seal.then(|| sealed(&contents.digest)).flatten());
        }

        #[test]
        fn no_bytes_make_it_panic_or_reserve_without_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
            let _ = read(&[&MAGIC[..], &FORMAT.to_le_bytes(), &bytes].concat());
            // As who can make a checksum could.
            let digest = blake3::hash(MODULE);
            let length = (MODULE.len() as u64).to_le_bytes();
            let content = [digest.as_bytes(), &length[..], MODULE, &bytes].concat();
            let checksum = checksum(FORMAT, &UNSEALED, &blake3::hash(&content));
            let artefact = [&MAGIC[..], &FORMAT.to_le_bytes(), checksum.as_bytes(), &UNSEALED, &content].concat();
            prop_assert_eq!(read(&artefact).unwrap().0, MODULE);
        }
    }
}
