//! Sources: the blocks that enter a pipeline.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use guest_host::blocks::Block;
use guest_host::text::{duration, memory_size};
use guest_state::input;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::config::{SIZE, TIME, Text};
use crate::blocks::published;

/// Bytes of a tick.
const TICK: u32 = 16;

/// The time between two ticks, unless the source sets another.
const EVERY: Duration = Duration::from_secs(1);

/// The source of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "SourceTable")]
#[non_exhaustive]
pub enum Source {
    /// Numbered ticks of a virtual clock, for which nothing waits. A tick is a block of 16 bytes: its number from 0, and its time in
    /// nanoseconds, both as u64 in little-endian order.
    Ticks {
        /// How many.
        count: u64,
        /// The time between two of them.
        every: Duration,
    },
    /// A file that is cut into frames. The last one may be shorter.
    File {
        /// The file.
        path: PathBuf,
        /// Bytes of a frame.
        frame: u32,
    },
    /// Frames of pseudo-random bytes, as [`generate`] makes them.
    Generated {
        /// How many.
        frames: u64,
        /// Bytes of a frame.
        frame: u32,
        /// The seed.
        seed: u64,
    },
}

/// The table of a file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SourceTable {
    ticks: Option<u64>,
    #[serde(default, deserialize_with = "time")]
    every: Option<Duration>,
    file: Option<PathBuf>,
    frames: Option<u64>,
    #[serde(default, deserialize_with = "size_of_a_frame")]
    frame: Option<u32>,
    seed: Option<u64>,
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = deserializer.deserialize_str(Text(TIME))?;
    duration(&text).map(Some).map_err(D::Error::custom)
}

fn size_of_a_frame<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let text = deserializer.deserialize_str(Text(SIZE))?;
    frame_size(&text).map(Some).map_err(D::Error::custom)
}

impl TryFrom<SourceTable> for Source {
    type Error = String;

    fn try_from(table: SourceTable) -> Result<Self, String> {
        let SourceTable { ticks, every, file, frames, frame, seed } = table;
        let kinds = [("ticks", ticks.is_some()), ("file", file.is_some()), ("frames", frames.is_some())];
        let mut kinds = kinds.into_iter().filter(|(_, is_there)| *is_there).map(|(kind, _)| kind);
        let kind = kinds.next().ok_or("the source has no kind; give it `ticks`, `file` or `frames`")?;
        if let Some(other) = kinds.next() {
            return Err(format!("the source has `{kind}` and `{other}`; leave one of them out"));
        }
        for (key, is_there, of) in [
            ("every", every.is_some(), &["ticks"] as &[&str]),
            ("frame", frame.is_some(), &["file", "frames"]),
            ("seed", seed.is_some(), &["frames"]),
        ] {
            if is_there && !of.contains(&kind) {
                return Err(format!("`{key}` is for a source with `{}`; leave it out", of.join("` or `")));
            }
        }
        let frame = || {
            let missing =
                || format!("a source with `{kind}` needs the size of a frame; add for instance `frame = \"1MiB\"`");
            frame.ok_or_else(missing)
        };
        let count = |count: u64| match count {
            0 => Err(format!("`{kind}` is at least 1")),
            count => Ok(count),
        };
        match (ticks, file, frames) {
            (Some(ticks), ..) => Ok(Self::Ticks { count: count(ticks)?, every: every.unwrap_or(EVERY) }),
            (_, Some(path), _) if path.as_os_str().is_empty() => Err("`file` is empty; name a file".to_owned()),
            (_, Some(path), _) => Ok(Self::File { path, frame: frame()? }),
            (.., frames) => {
                let frames = count(frames.unwrap_or_default())?;
                Ok(Self::Generated { frames, frame: frame()?, seed: seed.unwrap_or_default() })
            }
        }
    }
}

fn frame_size(text: &str) -> Result<u32, String> {
    match u32::try_from(memory_size(text)?) {
        Ok(0) => Err("a frame has at least 1 byte".to_owned()),
        Ok(frame) => Ok(frame),
        Err(_) => Err(format!("`{text}` is more than a block can have; a frame is smaller than 4GiB")),
    }
}

impl Source {
    /// The number of its frames; `None` if it is unknown.
    #[must_use]
    pub fn frames(&self) -> Option<u64> {
        match self {
            Self::Ticks { count, .. } => Some(*count),
            Self::File { path, frame } => {
                let file = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
                Some(file.len().div_ceil(u64::from((*frame).max(1))))
            }
            Self::Generated { frames, .. } => Some(*frames),
        }
    }

    /// Begins with its first frame. Frames of `mapped_from` bytes and more can be mapped.
    ///
    /// # Errors
    /// That of the system, if its file cannot be read.
    pub(super) fn open(&self, mapped_from: u32) -> io::Result<Frames<'_>> {
        let file = match self {
            Self::File { path, .. } => Some(input::open(path)?),
            _ => None,
        };
        Ok(Frames { source: self, file, next: 0, mapped_from })
    }
}

/// The frames of a source.
#[derive(Debug)]
pub(super) struct Frames<'a> {
    source: &'a Source,
    file: Option<File>,
    /// The number of the next one.
    next: u64,
    /// Bytes from which a frame can be mapped.
    mapped_from: u32,
}

impl Frames<'_> {
    /// The next frame as a block, which is shared or may be written by its taker.
    ///
    /// # Errors
    /// That of the system, if the file cannot be read.
    pub(super) fn next(&mut self, shared: bool) -> io::Result<Option<Block>> {
        let (number, mapped_from) = (self.next, self.mapped_from);
        self.next += 1;
        match self.source {
            Source::Ticks { count, .. } if number >= *count => Ok(None),
            Source::Ticks { every, .. } => {
                let nanoseconds = every.as_nanos().saturating_mul(number.into());
                let time = u64::try_from(nanoseconds).unwrap_or(u64::MAX);
                Ok(Some(published((TICK, TICK), shared, mapped_from, |bytes| {
                    bytes[..8].copy_from_slice(&number.to_le_bytes());
                    bytes[8..].copy_from_slice(&time.to_le_bytes());
                })))
            }
            Source::File { frame, .. } => {
                let Some(file) = &mut self.file else { return Ok(None) };
                let mut content = Vec::new();
                // A file that is no regular one has no known size, and may give less at a time.
                file.take((*frame).max(1).into()).read_to_end(&mut content)?;
                let size = u32::try_from(content.len()).unwrap_or(u32::MAX);
                let fill = |bytes: &mut [u8]| bytes.copy_from_slice(&content);
                Ok((size > 0).then(|| published((size, size), shared, mapped_from, fill)))
            }
            Source::Generated { frames, .. } if number >= *frames => Ok(None),
            Source::Generated { frame, seed, .. } => {
                let size = (*frame).max(1);
                let fill = |bytes: &mut [u8]| generate(*seed, number, bytes);
                Ok(Some(published((size, size), shared, mapped_from, fill)))
            }
        }
    }
}

/// Fills the bytes of a generated frame. Equal seeds and numbers give equal bytes.
///
/// ```
/// let mut bytes = [0; 12];
/// host_harness::pipe::generate(1, 0, &mut bytes);
/// let mut again = [0; 12];
/// host_harness::pipe::generate(1, 0, &mut again);
/// assert!(bytes == again && bytes != [0; 12]);
/// ```
pub fn generate(seed: u64, number: u64, bytes: &mut [u8]) {
    // SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (OOPSLA 2014).
    const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |state: u64| {
        let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^ (state >> 31)
    };
    let mut state = mix(seed.wrapping_add(GAMMA)) ^ mix(number);
    for word in bytes.chunks_mut(8) {
        state = state.wrapping_add(GAMMA);
        word.copy_from_slice(&mix(state).to_le_bytes()[..word.len()]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Source, String> {
        #[derive(Deserialize)]
        struct Root {
            source: Source,
        }
        toml::from_str(text).map(|root: Root| root.source).map_err(|error| error.message().to_owned())
    }

    fn all(source: &Source) -> Vec<Vec<u8>> {
        let mut frames = source.open(u32::MAX).unwrap();
        let next = || frames.next(false).unwrap();
        std::iter::from_fn(next).map(|block| block.read().unwrap().bytes(<[u8]>::to_vec)).collect()
    }

    #[test]
    fn a_table_is_one_kind_of_source() {
        let read = |text: &str| parse(&format!("[source]\n{text}"));
        assert_eq!(read("ticks = 2"), Ok(Source::Ticks { count: 2, every: EVERY }));
        assert_eq!(read("ticks = 2\nevery = \"5ms\""), Ok(Source::Ticks { count: 2, every: Duration::from_millis(5) }));
        assert_eq!(read("file = \"a\"\nframe = \"2KiB\""), Ok(Source::File { path: "a".into(), frame: 2048 }));
        assert_eq!(
            read("frames = 3\nframe = \"1MiB\"\nseed = 7"),
            Ok(Source::Generated { frames: 3, frame: 1 << 20, seed: 7 })
        );
        for (text, expected) in [
            ("", "the source has no kind; give it `ticks`, `file` or `frames`"),
            ("ticks = 1\nframes = 2", "the source has `ticks` and `frames`; leave one of them out"),
            ("ticks = 1\nframe = \"1B\"", "`frame` is for a source with `file` or `frames`; leave it out"),
            ("file = \"a\"\nframe = \"1B\"\nseed = 1", "`seed` is for a source with `frames`; leave it out"),
            ("file = \"a\"\nevery = \"1s\"\nframe = \"1B\"", "`every` is for a source with `ticks`; leave it out"),
            ("frames = 1", "a source with `frames` needs the size of a frame"),
            ("ticks = 0", "`ticks` is at least 1"),
            ("frames = 0\nframe = \"1B\"", "`frames` is at least 1"),
            ("frames = 1\nframe = \"0B\"", "a frame has at least 1 byte"),
            ("frames = 1\nframe = \"4GiB\"", "smaller than 4GiB"),
            ("frames = 1\nframe = \"1MB\"", "did you mean `1MiB`?"),
            ("ticks = 1\nevery = \"1\"", "`1` is not a time"),
            ("tick = 1", "unknown field `tick`"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn ticks_have_a_number_and_a_time() {
        let ticks = Source::Ticks { count: 3, every: Duration::from_millis(500) };
        let expected = |number: u64| [number.to_le_bytes(), (number * 500_000_000).to_le_bytes()].concat();
        assert_eq!(all(&ticks), [0, 1, 2].map(expected));
        assert_eq!(ticks.frames(), Some(3));
    }

    #[test]
    fn a_file_is_cut_into_frames() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("frames");
        std::fs::write(&path, [1, 2, 3, 4, 5]).unwrap();
        let file = Source::File { path, frame: 2 };
        assert_eq!((all(&file), file.frames()), (vec![vec![1, 2], vec![3, 4], vec![5]], Some(3)));
        let folder = Source::File { path: folder.path().to_owned(), frame: 2 };
        assert_eq!(folder.open(0).unwrap_err().to_string(), "it is a folder; name a file in it");
        assert_eq!(folder.frames(), None);
    }

    #[test]
    fn generated_frames_differ_by_seed_and_number() {
        let frames = |seed| all(&Source::Generated { frames: 2, frame: 13, seed });
        let (one, other) = (frames(1), frames(2));
        assert_eq!((one.len(), one[0].len()), (2, 13));
        assert!(one[0] != one[1] && one[0] != other[0] && one == frames(1));
    }
}
