//! A file that holds the state of one instance: a delta, and the changes since.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::change::Change;
use crate::delta::Delta;
use crate::encoding::Image;
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

/// A file that holds the state of one instance. It always has the last state that was written, or the one before: also if
/// the process is killed while it writes, or the disk is full.
///
/// The file begins with a delta. A write appends the change to it, so that it takes as many bytes as changed. When the
/// changes take more bytes than the delta, a new file with the whole delta takes the place of the old one.
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
/// assert_eq!((stored.number, stored.delta), (1, delta));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct ImageFile {
    path: PathBuf,
    file: File,
    durability: Durability,
    /// Bytes that belong to states that were written completely.
    end: u64,
    last: Option<(u64, Delta)>,
}

/// A state that was found in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// Number of the state.
    pub number: u64,
    /// The state.
    pub delta: Delta,
    /// Bytes behind the state that are of no complete one: a write did not come to its end. If the number is lower than that of
    /// a write that did, the file is damaged.
    pub incomplete: u64,
}

/// Bytes of changes that a file may have however small its delta is.
const FEW: u64 = 4096;

impl ImageFile {
    /// Opens the file, and reads the state in it. Makes an empty file where there is none.
    ///
    /// # Errors
    /// [`FileError`] if the file cannot be opened, is in use, or holds no usable image. It is left as it is then.
    pub fn open(path: &Path, durability: Durability) -> Result<(Self, Option<Stored>), FileError> {
        let file = locked(path)?;
        let mut opened = Self { path: path.to_owned(), file, durability, end: 0, last: None };
        let stored = opened.read()?;
        opened.last = stored.as_ref().map(|stored| (stored.number, stored.delta.clone()));
        Ok((opened, stored))
    }

    fn read(&mut self) -> Result<Option<Stored>, FileError> {
        let length = self.file.metadata().map_err(FileError::io(&self.path, "read the image"))?.len();
        if length == 0 {
            return Ok(None);
        }
        let mut reader = BufReader::new(&self.file);
        let mut next = || -> Result<(Result<Image, ImageError>, u64), FileError> {
            let image = Image::read_from(&mut reader).map_err(FileError::io(&self.path, "read the image"))?;
            let at = reader.stream_position().map_err(FileError::io(&self.path, "read the image"))?;
            Ok((image, at))
        };
        // The first one was put there as a whole.
        let (first, mut end) = next()?;
        let (mut delta, mut number) = match first.map_err(FileError::image(&self.path))? {
            Image::Delta { delta, number } => (delta, number),
            other => {
                let error = ImageError::Kind { found: other.kind(), expected: "a delta" };
                return Err(FileError::image(&self.path)(error));
            }
        };
        while end < length {
            let (image, at) = next()?;
            let (change, after, later) = match image {
                Ok(Image::Change { change, after, number }) => (change, after, number),
                Err(error @ ImageError::Format { .. }) => return Err(FileError::image(&self.path)(error)),
                // Of a write that did not come to its end, any part can be there.
                Err(_) => break,
                Ok(other) => {
                    let error = ImageError::Kind { found: other.kind(), expected: "a change" };
                    return Err(FileError::image(&self.path)(error));
                }
            };
            if after != number {
                return Err(FileError::image(&self.path)(ImageError::NotNext { after, number }));
            }
            delta = change.apply(&delta).map_err(FileError::image(&self.path))?;
            (number, end) = (later, at);
        }
        self.end = end;
        Ok(Some(Stored { number, delta, incomplete: length - end }))
    }

    /// Writes a state under a number of the caller's: as the change from the last one, if that takes fewer bytes.
    ///
    /// # Errors
    /// [`FileError`] if the system cannot write it. The file has the state before, and can be written again.
    pub fn write(&mut self, number: u64, delta: &Delta) -> Result<(), FileError> {
        let change = match &self.last {
            Some((after, last)) => Change::between(last, delta).ok().map(|change| (*after, change)),
            None => None,
        };
        let mut bytes = Vec::new();
        match change {
            Some((after, change)) => {
                change.write_to(after, number, &mut bytes).map_err(FileError::io(&self.path, "write the image"))?;
                let full = delta.encoded_bytes();
                match self.end + bytes.len() as u64 <= full.saturating_mul(2).saturating_add(FEW) {
                    true => self.append(&bytes)?,
                    false => self.put_in_place(number, delta)?,
                }
            }
            // The first state, or one of another module.
            None => self.put_in_place(number, delta)?,
        }
        self.last = Some((number, delta.clone()));
        Ok(())
    }

    /// Appends a change.
    fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let appended = self.append_bytes(bytes);
        if appended.is_err() {
            // If this fails as well, the part that was written is overwritten by the next write, or left out by who reads.
            let _ = self.file.set_len(self.end);
        }
        appended.map_err(FileError::io(&self.path, "write the image"))?;
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn append_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        // Of a write that failed, nothing may be left behind a shorter one.
        self.file.set_len(self.end)?;
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(bytes)?;
        match self.durability {
            Durability::Synced => self.file.sync_data(),
            Durability::Unsynced => Ok(()),
        }
    }

    /// Writes a state as a whole, in the place of all that the file has.
    ///
    /// # Errors
    /// As for [`ImageFile::write`].
    pub fn replace(&mut self, number: u64, delta: &Delta) -> Result<(), FileError> {
        self.last = None;
        self.put_in_place(number, delta)
    }

    /// Puts a file with the whole delta in the place of this one.
    fn put_in_place(&mut self, number: u64, delta: &Delta) -> Result<(), FileError> {
        // Whoever has the lock is the only one who writes to this name.
        let path = beside(&self.path);
        let made = self.make(&path, number, delta);
        match made {
            Ok((file, end)) => {
                (self.file, self.end) = (file, end);
                Ok(())
            }
            Err(error) => {
                let _ = fs::remove_file(&path);
                Err(FileError::io(&self.path, "write the image")(error))
            }
        }
    }

    fn make(&self, path: &Path, number: u64, delta: &Delta) -> io::Result<(File, u64)> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
        // Before anybody can find it under the name of the image.
        file.try_lock().map_err(io::Error::from)?;
        let end = delta.write_to(number, &mut file)?;
        if self.durability == Durability::Synced {
            file.sync_all()?;
        }
        fs::rename(path, &self.path)?;
        if self.durability == Durability::Synced {
            sync_folder(&self.path)?;
        }
        Ok((file, end))
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
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
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
