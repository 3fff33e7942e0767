//! Reading the files that a user names: whole, and never more than any of them can sensibly be.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::path::Path;

/// Bytes that a file may have: what wasmparser and the engines allow a module, and far more than states need.
const LARGEST: u64 = 1 << 30;

/// Reads the whole file.
///
/// # Errors
/// The system's, or one that says that the file is a folder, a device, or larger than a guest or a state can be.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_at_most(path, LARGEST)
}

/// Opens a file of any length.
///
/// # Errors
/// The system's, or one that says that the file is a folder or a device.
pub fn open(path: &Path) -> io::Result<File> {
    checked(path)?;
    File::open(path)
}

/// Returns the metadata of a file, and refuses folders and devices. Call it before you open the file: to open a device can already have effects.
fn checked(path: &Path) -> io::Result<Metadata> {
    let metadata = std::fs::metadata(path)?;
    if metadata.is_dir() {
        return Err(io::Error::new(ErrorKind::IsADirectory, "it is a folder; name a file in it"));
    }
    if is_device(&metadata) {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is a device; give a file"));
    }
    Ok(metadata)
}

fn read_at_most(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    let metadata = checked(path)?;
    let too_large = || {
        let message = format!("it is larger than the {} MiB that are read of a file", largest >> 20);
        io::Error::new(ErrorKind::FileTooLarge, message)
    };
    if metadata.len() > largest {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // A pipe says nothing of its length, and a file may grow meanwhile.
    File::open(path)?.take(largest + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > largest { Err(too_large()) } else { Ok(bytes) }
}

#[cfg(unix)]
fn is_device(metadata: &Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    let kind = metadata.file_type();
    kind.is_char_device() || kind.is_block_device()
}

#[cfg(not(unix))]
fn is_device(_metadata: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, [7; 1 << 20]).unwrap();
        assert_eq!(read_at_most(&path, 1 << 20).unwrap().len(), 1 << 20);
        assert_eq!(read_at_most(&path, (1 << 20) - 1).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert!(read(folder.path()).unwrap_err().to_string().contains("it is a folder"));
    }

    #[test]
    fn a_file_that_is_large_without_taking_room_is_refused_before_it_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        File::create(&path).unwrap().set_len(LARGEST + 1).unwrap();
        let refused = read(&path).unwrap_err();
        assert!(refused.to_string().contains("larger than the 1024 MiB"), "{refused}");
    }

    #[cfg(unix)]
    #[test]
    fn devices_are_refused() {
        assert!(open(Path::new("/dev/zero")).unwrap_err().to_string().contains("it is a device"));
        assert!(read(Path::new("/dev/zero")).unwrap_err().to_string().contains("it is a device"));
    }
}
