//! Files of bounded size that keep the newest lines: two segments, of which the older gives way to the newer.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

/// The ending of the older segment.
const OLDER: &str = "old";

/// The writer of a ring. There is one for each path at a time.
#[derive(Debug)]
pub struct Ring {
    path: PathBuf,
    /// Bytes of one segment: half of all.
    most: u64,
    file: File,
    length: u64,
}

impl Ring {
    /// Opens the ring at `path`, or begins it. Both segments together have at most `size` bytes.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(path: &Path, size: u64) -> io::Result<Self> {
        let file = append_to(path)?;
        let length = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), most: size / 2, file, length })
    }

    /// Writes lines, the last of which has its end, too. Of what is longer than a segment the end is written.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn write(&mut self, lines: &str) -> io::Result<()> {
        let lines = match usize::try_from(self.most) {
            Ok(most) if lines.len() > most => {
                // With the end of the line before, if a line begins there.
                let from = lines.len() - most - 1;
                let end = lines.as_bytes()[from..].iter().position(|byte| *byte == b'\n');
                &lines[end.map_or(lines.len(), |end| from + end + 1)..]
            }
            _ => lines,
        };
        if self.length + lines.len() as u64 > self.most && self.length > 0 {
            fs::rename(&self.path, older(&self.path))?;
            self.file = append_to(&self.path)?;
            self.length = 0;
        }
        self.file.write_all(lines.as_bytes())?;
        self.length += lines.len() as u64;
        Ok(())
    }
}

/// The reader of a ring, in this or in another process.
#[derive(Debug)]
pub struct RingReader {
    path: PathBuf,
    /// The newer segment, as far as it was there, and how much of it was read.
    open: Option<(File, u64)>,
    /// The beginning of a line whose end is not written yet.
    rest: Vec<u8>,
}

impl RingReader {
    /// A reader of the ring at `path`, which may not exist yet.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), open: None, rest: Vec::new() }
    }

    /// All lines that are there, at the first call; then those that came since. Nothing is left out, unless the ring was written
    /// once around since the last call.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn read(&mut self) -> io::Result<String> {
        let mut found = std::mem::take(&mut self.rest);
        match &mut self.open {
            Some((file, at)) => {
                read_from(file, at, &mut found)?;
                // The segment may have become the older one.
                if let Some(newer) = open(&self.path)?.filter(|newer| !is_same(newer, file)) {
                    read_from(file, at, &mut found)?;
                    let at = self.open.insert((newer, 0));
                    read_from(&mut at.0, &mut at.1, &mut found)?;
                }
            }
            None => {
                if let Some(mut older) = open(&older(&self.path))? {
                    read_from(&mut older, &mut 0, &mut found)?;
                }
                if let Some(newer) = open(&self.path)? {
                    let at = self.open.insert((newer, 0));
                    read_from(&mut at.0, &mut at.1, &mut found)?;
                }
            }
        }
        let end = found.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.rest = found.split_off(end);
        Ok(String::from_utf8_lossy(&found).into_owned())
    }
}

fn older(path: &Path) -> PathBuf {
    path.with_extension(OLDER)
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn read_from(file: &mut File, at: &mut u64, found: &mut Vec<u8>) -> io::Result<()> {
    file.seek(SeekFrom::Start(*at))?;
    *at += file.read_to_end(found)? as u64;
    Ok(())
}

/// Whether both are the same file, whatever its name is now.
#[cfg(unix)]
fn is_same(one: &File, other: &File) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    let node = |file: &File| file.metadata().map(|found| (found.dev(), found.ino())).ok();
    node(one) == node(other)
}

/// Whether both are the same file: two segments began at different times.
#[cfg(not(unix))]
fn is_same(one: &File, other: &File) -> bool {
    let begun = |file: &File| file.metadata().and_then(|found| found.created()).ok();
    begun(one) == begun(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(path: &Path) -> String {
        RingReader::new(path).read().unwrap()
    }

    #[test]
    fn the_newest_lines_are_kept_within_the_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut ring = Ring::open(&path, 100).unwrap();
        assert_eq!(all(&path), "");
        let mut written = String::new();
        for number in 0..1000 {
            let line = format!("line {number}\n");
            ring.write(&line).unwrap();
            written.push_str(&line);
            let kept = all(&path);
            assert!(written.ends_with(&kept) && kept.len() <= 100, "{number}: {kept:?}");
            assert!(kept.len() > 40 || kept == written, "at least a segment is kept: {kept:?}");
            if number == 500 {
                // Another process goes on.
                ring = Ring::open(&path, 100).unwrap();
            }
        }
    }

    #[test]
    fn what_is_longer_than_a_segment_keeps_its_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut ring = Ring::open(&path, 20).unwrap();
        ring.write("a long first line\nshort\nend\n").unwrap();
        assert_eq!(all(&path), "short\nend\n");
        ring.write("a line that does not fit at all\n").unwrap();
        ring.write("next\n").unwrap();
        assert_eq!(all(&path), "short\nend\nnext\n");
    }

    #[test]
    fn a_follower_gets_each_line_once_also_where_segments_swap() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let mut reader = RingReader::new(&path);
        assert_eq!(reader.read().unwrap(), "");
        let mut ring = Ring::open(&path, 60).unwrap();
        for number in 0..200 {
            let line = format!("line {number}\n");
            ring.write(&line).unwrap();
            assert_eq!(reader.read().unwrap(), line);
        }
        // Of a line that is half written nothing is shown.
        ring.file.write_all(b"ha").unwrap();
        assert_eq!(reader.read().unwrap(), "");
        ring.file.write_all(b"lf\n").unwrap();
        assert_eq!(reader.read().unwrap(), "half\n");
    }
}
