//! A file that holds the state of one instance.
//!
//! A file has a header of [`BLOCK`] bytes and two areas of the same size, which the header tells. An area has a delta, and behind it
//! changes, each of which follows the state before. Behind the last one lies what an earlier time left there, among it memory of the
//! guest. So that no guest can make up a change, a change has the number that it follows combined with the file's salt. A write appends a change to the area that has the last state. What no longer
//! fits there goes as a delta to the start of the other area. So a write that does not come to its end leaves the last state as
//! it is, and a write that does needs no new file. Only where a delta is larger than an area, a file with larger areas takes
//! the place of the file.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::change::Change;
use crate::delta::Delta;
use crate::encoding::{FORMAT, Image};
use crate::error::{FileError, ImageError};

/// Whether a write waits for the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// It returns when the state outlives a failure of power.
    #[default]
    Synced,
    /// It returns when the state outlives the process.
    Unsynced,
}

/// A file that holds the state of one instance. It has the last state that was written, whatever happens: also if the process is
/// killed while it writes the next, or the disk is full.
///
/// A write takes as many bytes as changed since the last one; from time to time it takes the whole delta.
///
/// An open file is locked: nobody else can open it as an `ImageFile`.
///
/// ```
/// use std::sync::Arc;
///
/// use guest_image::{CARD, Delta, Durability, Identity, ImageFile};
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("chat.image");
/// let identity = Arc::new(Identity::of([0; 32], b"", &[0; 65536], &[]));
///
/// let (mut file, stored) = ImageFile::open(&path, Durability::Unsynced)?;
/// assert!(stored.is_none());
/// let mut delta = Delta::pristine(identity, 65536);
/// delta.cards.push(7, &[1; CARD]);
/// file.write(1, &delta)?;
/// drop(file);
///
/// let (_, stored) = ImageFile::open(&path, Durability::Unsynced)?;
/// let stored = stored.expect("a state was written");
/// assert_eq!((stored.number, &*stored.delta), (1, &delta));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ImageFile {
    path: PathBuf,
    file: File,
    durability: Durability,
    /// Bytes of each of its areas; 0 if it has none yet.
    area_size: u64,
    /// A number that no guest knows.
    salt: u64,
    /// Where the last state is, and what it is.
    last: Option<Last>,
    /// The greatest number of a write, also of one that failed: what it has written may be found.
    tried: Option<u64>,
}

/// The last state of a file.
#[derive(Debug)]
struct Last {
    number: u64,
    delta: Arc<Delta>,
    /// The area that has it, 0 or 1.
    area: u64,
    /// Bytes of this area that belong to states.
    used: u64,
}

/// A state that was found in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// Number of the state. If it is lower than that of a write that came to its end, the file was damaged, or an older copy took its
    /// place.
    pub number: u64,
    /// The state.
    pub delta: Arc<Delta>,
}

/// Bytes of the header, and what an area's size is a multiple of: a page of the system.
const BLOCK: u64 = 4096;

const MAGIC: [u8; 8] = *b"wasmims\0";

/// Bytes of the header that mean something.
const HEAD: usize = 32;

/// The start of a file whose areas have this size.
fn head(area_size: u64, salt: u64) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(&MAGIC);
    head[8..10].copy_from_slice(&FORMAT.to_le_bytes());
    head[12..20].copy_from_slice(&area_size.to_le_bytes());
    head[20..28].copy_from_slice(&salt.to_le_bytes());
    let checksum = crc32fast::hash(&head[..28]);
    head[28..].copy_from_slice(&checksum.to_le_bytes());
    head
}

/// The size of a file's areas, and its salt.
fn parse(head: &[u8]) -> Result<(u64, u64), ImageError> {
    let Some(bytes) = head.first_chunk::<HEAD>().filter(|bytes| bytes[..8] == MAGIC) else {
        return Err(ImageError::NoImage);
    };
    let found = u16::from_le_bytes([bytes[8], bytes[9]]);
    if found != FORMAT {
        return Err(ImageError::Format { found, read: FORMAT });
    }
    let number = |at: usize| bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let (size, salt) = (number(12), number(20));
    match self::head(size, salt) == *bytes {
        true => Ok((size, salt)),
        false => Err(ImageError::Damaged),
    }
}

impl ImageFile {
    /// Opens the file, and reads the state in it. Makes an empty file where there is none.
    ///
    /// # Errors
    /// [`FileError`] if the file cannot be opened, is in use, or holds no usable image. It is left as it is then.
    pub fn open(path: &Path, durability: Durability) -> Result<(Self, Option<Stored>), FileError> {
        let file = locked(path)?;
        let path = path.to_owned();
        let mut opened = Self { path, file, durability, area_size: 0, salt: 0, last: None, tried: None };
        opened.read()?;
        let stored = opened.last.as_ref().map(|last| Stored { number: last.number, delta: last.delta.clone() });
        Ok((opened, stored))
    }

    fn read(&mut self) -> Result<(), FileError> {
        let io = || FileError::io(&self.path, "read the image");
        let mut bytes = Vec::with_capacity(HEAD);
        (&self.file).take(HEAD as u64).read_to_end(&mut bytes).map_err(io())?;
        if bytes.is_empty() {
            return Ok(());
        }
        (self.area_size, self.salt) = parse(&bytes).map_err(FileError::image(&self.path))?;
        let mut found = Vec::new();
        for area in [0, 1] {
            found.push(self.read_area(area).map_err(io())?);
        }
        let newest = found.iter().flatten().max_by_key(|last| last.number).map(|last| last.area);
        match (newest, found.pop(), found.pop()) {
            (Some(1), Some(Ok(last)), _) | (Some(_), _, Some(Ok(last))) => self.last = Some(last),
            // The first state of a file is in area 0. If no state can be read, the caller gets the fault of that area.
            (_, _, Some(Err(error))) => return Err(FileError::image(&self.path)(error)),
            _ => return Err(FileError::image(&self.path)(ImageError::Damaged)),
        }
        self.tried = self.last.as_ref().map(|last| last.number);
        Ok(())
    }

    /// Reads an area as far as its states follow each other. Behind them there may be anything that an earlier time left, or a
    /// write that did not come to its end.
    fn read_area(&self, area: u64) -> io::Result<Result<Last, ImageError>> {
        let start = self.start_of(area);
        (&self.file).seek(SeekFrom::Start(start))?;
        let mut reader = (&self.file).take(self.area_size);
        let (mut delta, mut number) = match Delta::read_from(&mut reader)? {
            Ok(read) => read,
            Err(error) => return Ok(Err(error)),
        };
        let mut used = delta.encoded_bytes();
        let mut reader = BufReader::new(reader);
        while let Ok(Image::Change { change, after, number: later }) = Image::read_from(&mut reader)? {
            if after != number ^ self.salt || later <= number {
                break;
            }
            delta = match change.apply(&delta) {
                Ok(delta) => delta,
                Err(_) => break,
            };
            (number, used) = (later, used + change.encoded_bytes());
        }
        Ok(Ok(Last { number, delta: Arc::new(delta), area, used }))
    }

    fn start_of(&self, area: u64) -> u64 {
        BLOCK + area * self.area_size
    }

    /// Writes a state under a number of the caller's, which is greater than those of all writes before, also of those that failed.
    ///
    /// # Errors
    /// [`FileError`] if the number is not greater, or the system cannot write. The file has the state before, or this one, and can be
    /// written again.
    pub fn write(&mut self, number: u64, delta: &Delta) -> Result<(), FileError> {
        if let Some(tried) = self.tried.filter(|tried| number <= *tried) {
            return Err(FileError::image(&self.path)(ImageError::NotNext { after: number, number: tried }));
        }
        self.tried = Some(number);
        let Some(last) = &self.last else {
            return self.recreate(number, delta);
        };
        let io = || FileError::io(&self.path, "write the image");
        let whole = delta.encoded_bytes();
        // A state of another module has no change that leads to it.
        let is_smaller = Change::bytes_between(&last.delta, delta)
            .is_some_and(|bytes| bytes < whole && last.used + bytes <= self.area_size);
        let (area, before) = match (is_smaller, whole <= self.area_size) {
            (true, _) => (last.area, last.used),
            (false, true) => (1 - last.area, 0),
            (false, false) => return self.recreate(number, delta),
        };
        let mut file = &self.file;
        file.seek(SeekFrom::Start(self.start_of(area) + before)).map_err(io())?;
        let change = is_smaller.then(|| Change::between(&last.delta, delta)).and_then(Result::ok);
        let written = match change {
            Some(change) => change.write_to(last.number ^ self.salt, number, &mut file),
            None => delta.write_to(number, &mut file),
        };
        let used = before + written.map_err(io())?;
        self.sync().map_err(io())?;
        if let Some(last) = &mut self.last {
            (last.number, last.area, last.used) = (number, area, used);
            // Its memory is used again, unless somebody still has the state that was read.
            Arc::make_mut(&mut last.delta).clone_from(delta);
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        match self.durability {
            Durability::Synced => self.file.sync_data(),
            Durability::Unsynced => Ok(()),
        }
    }

    /// Puts a file with areas for this delta in the place of this one.
    fn recreate(&mut self, number: u64, delta: &Delta) -> Result<(), FileError> {
        let io = || FileError::io(&self.path, "write the image");
        let used = delta.encoded_bytes();
        let area_size = (used + used / 2 + BLOCK).next_multiple_of(BLOCK);
        // Different for each file, and from the system's randomness.
        let salt = RandomState::new().hash_one(number);
        self.file = self.make(&head(area_size, salt), number, delta).map_err(io())?;
        (self.area_size, self.salt) = (area_size, salt);
        self.last = Some(Last { number, delta: Arc::new(delta.clone()), area: 0, used });
        // From here on it is the file that has the name, whether or not that is on the disk yet.
        match self.durability {
            Durability::Synced => sync_folder(&self.path).map_err(io()),
            Durability::Unsynced => Ok(()),
        }
    }

    /// Makes a file, and gives it the name of this one.
    fn make(&self, head: &[u8], number: u64, delta: &Delta) -> io::Result<File> {
        // Only the holder of the image's lock writes to this name. The lock below fails if the name belongs to another program.
        let path = beside(&self.path);
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        file.try_lock().map_err(io::Error::from)?;
        let written = file.set_len(0).and_then(|()| {
            file.write_all(head)?;
            file.seek(SeekFrom::Start(BLOCK))?;
            delta.write_to(number, &mut file)?;
            if self.durability == Durability::Synced {
                file.sync_all()?;
            }
            fs::rename(&path, &self.path)
        });
        if written.is_err() {
            let _ = fs::remove_file(&path);
        }
        written.map(|()| file)
    }

    /// Removes the file.
    ///
    /// # Errors
    /// [`FileError`] if the system cannot.
    pub fn remove(self) -> Result<(), FileError> {
        let removed = fs::remove_file(&self.path).and_then(|()| match self.durability {
            Durability::Synced => sync_folder(&self.path),
            Durability::Unsynced => Ok(()),
        });
        removed.map_err(FileError::io(&self.path, "remove the image"))
    }
}

impl Drop for ImageFile {
    fn drop(&mut self) {
        // To close the file is not enough: a process that is being started elsewhere in this one may still share it.
        let _ = self.file.unlock();
    }
}

/// Opens a file and locks it. Another may take its place in between.
fn locked(path: &Path) -> Result<File, FileError> {
    loop {
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = opened.map_err(FileError::io(path, "open the image"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(FileError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(error)) => return Err(FileError::io(path, "lock the image")(error)),
        }
        if is_at(&file, path).map_err(FileError::io(path, "open the image"))? {
            return Ok(file);
        }
    }
}

/// Whether the file is the one that has this name.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;

    let own = file.metadata()?;
    match fs::metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (own.dev(), own.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A file that is open cannot be replaced there.
#[cfg(not(unix))]
fn is_at(_file: &File, _path: &Path) -> io::Result<bool> {
    Ok(true)
}

/// The name of the file that is going to take the place of this one.
fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".wasmimg-new");
    path.with_file_name(name)
}

/// Makes a change of names in the file's folder durable.
#[cfg(unix)]
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

/// Folders cannot be opened there; a change of names is durable when the file is.
#[cfg(not(unix))]
fn sync_folder(_path: &Path) -> io::Result<()> {
    Ok(())
}
