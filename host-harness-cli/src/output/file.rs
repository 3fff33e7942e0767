//! Where a report goes: to a file, as a whole or not at all, or to standard output.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

/// Held while a temporary file exists.
static WRITING: Mutex<()> = Mutex::new(());

/// Waits until no report is half written, and keeps any other from being begun while the result lives: for whoever is
/// about to end the process.
#[must_use]
pub(crate) fn hold_writes() -> impl Sized {
    WRITING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where a report goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Destination {
    /// Standard output.
    Stdout,
    /// A file, which is replaced if it exists.
    File(PathBuf),
}

impl FromStr for Destination {
    type Err = ExportError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "" => Err(ExportError::NoName),
            "-" => Ok(Self::Stdout),
            path => Ok(Self::File(path.into())),
        }
    }
}

/// Why a report was not written. What was at its place before is there still.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ExportError {
    /// The name of the file is empty.
    #[error("a report needs the name of a file, or `-` for standard output")]
    NoName,
    /// The report would take the place of what it is made from.
    #[error("cannot write {}: it is what the command reads ({}); name another file", path.display(), input.display())]
    IsInput {
        /// The report's file.
        path: PathBuf,
        /// The same file, as the command was given it.
        input: PathBuf,
    },
    /// The folder does not exist.
    #[error("cannot write {}: there is no folder {}; create it first", path.display(), folder.display())]
    NoFolder {
        /// The report's file.
        path: PathBuf,
        /// The folder.
        folder: PathBuf,
    },
    /// There is a folder of the file's name.
    #[error("cannot write {}: it is a folder; name a file in it", .0.display())]
    IsFolder(PathBuf),
    /// The system refused.
    #[error("cannot write {}: {source}", path.display())]
    Io {
        /// The report's file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Standard output could not be written.
    #[error("cannot write to standard output: {0}")]
    Stdout(#[source] io::Error),
}

impl Destination {
    /// Finds out, before long work, whether a file could be written.
    ///
    /// # Errors
    /// [`ExportError`] when it could not.
    pub(crate) fn check(&self) -> Result<(), ExportError> {
        let Self::File(path) = self else { return Ok(()) };
        let folder = folder(path);
        if !folder.is_dir() {
            return Err(ExportError::NoFolder { path: path.clone(), folder: folder.to_owned() });
        }
        if path.is_dir() {
            return Err(ExportError::IsFolder(path.clone()));
        }
        let _writing = hold_writes();
        let writable = match Place::of(path) {
            Ok(Place::Stream(_)) => Ok(()),
            Ok(Place::File { path, .. }) => temporary(self::folder(&path)).map(drop),
            Err(error) => Err(error),
        };
        writable.map_err(|source| ExportError::Io { path: path.clone(), source })
    }

    /// Finds out whether the report would overwrite one of these files, by whatever name or link.
    ///
    /// # Errors
    /// [`ExportError::IsInput`] when it would.
    pub(crate) fn check_apart_from<'a>(&self, inputs: impl IntoIterator<Item = &'a Path>) -> Result<(), ExportError> {
        let Self::File(path) = self else { return Ok(()) };
        match inputs.into_iter().find(|input| is_same_file(path, input)) {
            Some(input) => Err(ExportError::IsInput { path: path.clone(), input: input.to_owned() }),
            None => Ok(()),
        }
    }

    /// Writes a report. A file appears under its name when all of it is on disk, and not before.
    ///
    /// # Errors
    /// [`ExportError`]; a reader of standard output that has gone away is none.
    pub(crate) fn write(&self, bytes: &[u8]) -> Result<(), ExportError> {
        match self {
            Self::Stdout => print(bytes).map_err(ExportError::Stdout),
            Self::File(path) => {
                write_file(path, bytes).map_err(|source| ExportError::Io { path: path.clone(), source })
            }
        }
    }
}

/// Whether both names lead to one file; what is no file, such as a terminal, may be read and written.
fn is_same_file(left: &Path, right: &Path) -> bool {
    let (Ok(left_found), Ok(right_found)) = (std::fs::metadata(left), std::fs::metadata(right)) else {
        return false;
    };
    if !left_found.is_file() {
        return false;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        if (left_found.dev(), left_found.ino()) == (right_found.dev(), right_found.ino()) {
            return true;
        }
    }
    right_found.is_file() && left.canonicalize().is_ok_and(|left| right.canonicalize().is_ok_and(|right| left == right))
}

fn print(bytes: &[u8]) -> io::Result<()> {
    print_more(bytes).map(drop)
}

/// Prints a part of something, and returns whether anybody reads it.
pub(crate) fn print_more(bytes: &[u8]) -> io::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        // Whoever read it has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

fn write_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let _writing = hold_writes();
    match Place::of(path)? {
        Place::Stream(path) => std::fs::OpenOptions::new().write(true).open(path)?.write_all(bytes),
        Place::File { path, permissions } => {
            let mut file = temporary(folder(&path))?;
            if let Some(permissions) = permissions {
                file.as_file().set_permissions(permissions)?;
            }
            file.write_all(bytes)?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        }
    }
}

/// The target of a path, links followed.
enum Place {
    /// A device or a pipe, into which a report is written: replacing it would destroy it.
    Stream(PathBuf),
    /// A file that is replaced and keeps its permissions, or one that is not there yet.
    File { path: PathBuf, permissions: Option<std::fs::Permissions> },
}

impl Place {
    fn of(path: &Path) -> io::Result<Self> {
        let Ok(path) = path.canonicalize() else {
            if path.is_symlink() {
                return Err(io::Error::new(io::ErrorKind::NotFound, "it is a link that leads nowhere"));
            }
            return Ok(Self::File { path: path.to_owned(), permissions: None });
        };
        let metadata = std::fs::metadata(&path)?;
        if !metadata.is_file() {
            return Ok(Self::Stream(path));
        }
        let permissions = metadata.permissions();
        if permissions.readonly() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
        }
        Ok(Self::File { path, permissions: Some(permissions) })
    }
}

/// A temporary file with the permissions that a new file has here.
fn temporary(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".report-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(folder)
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.json");
        std::fs::write(&path, "an older and longer report").unwrap();
        let destination = Destination::File(path.clone());
        destination.check().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "an older and longer report");
        destination.write(b"new").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    }

    #[test]
    fn a_report_without_a_name_is_refused() {
        assert!(matches!("".parse::<Destination>(), Err(ExportError::NoName)));
        assert_eq!("-".parse::<Destination>().unwrap(), Destination::Stdout);
    }

    #[test]
    fn a_missing_folder_is_told_before_the_work() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Destination::File(folder.path().join("none").join("report.json"));
        assert!(missing.check().unwrap_err().to_string().contains("there is no folder"));
        let is_folder = Destination::File(folder.path().to_owned());
        assert!(is_folder.check().unwrap_err().to_string().contains("it is a folder"));
    }
}

#[cfg(all(test, unix))]
mod place_tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_link_stays_a_link_and_a_file_keeps_its_permissions() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        symlink(&file, &link).unwrap();
        Destination::File(link.clone()).write(b"new").unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!(std::fs::read(&file).unwrap(), b"new");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn an_input_is_known_by_every_name() {
        let folder = tempfile::tempdir().unwrap();
        let (file, other) = (folder.path().join("file"), folder.path().join("other"));
        std::fs::write(&file, "read").unwrap();
        std::fs::write(&other, "read").unwrap();
        let names = ["link", "hard", "./file", "absent/../file"].map(|name| folder.path().join(name));
        symlink(&file, &names[0]).unwrap();
        std::fs::hard_link(&file, &names[1]).unwrap();
        std::fs::create_dir(folder.path().join("absent")).unwrap();
        let inputs = [other.as_path(), &file];
        for name in names.into_iter().chain([file.clone()]) {
            let refused = Destination::File(name.clone()).check_apart_from(inputs).unwrap_err().to_string();
            assert!(refused.contains("it is what the command reads"), "{}: {refused}", name.display());
        }
        Destination::File(folder.path().join("new")).check_apart_from(inputs).unwrap();
        Destination::File(other.clone()).check_apart_from([file.as_path()]).unwrap();
        Destination::File("/dev/null".into()).check_apart_from([Path::new("/dev/null")]).unwrap();
    }

    #[test]
    fn a_link_that_leads_nowhere_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        symlink(folder.path().join("none"), &link).unwrap();
        let destination = Destination::File(link.clone());
        assert!(destination.check().unwrap_err().to_string().contains("leads nowhere"));
        assert!(destination.write(b"new").is_err());
        assert!(link.is_symlink());
    }

    #[test]
    fn a_read_only_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o444)).unwrap();
        let destination = Destination::File(file.clone());
        assert!(destination.check().unwrap_err().to_string().contains("read-only"));
        assert!(destination.write(b"new").is_err());
        assert_eq!(std::fs::read(&file).unwrap(), b"old");
    }

    #[test]
    fn what_is_no_file_is_written_to_and_not_replaced() {
        assert!(matches!(Place::of(Path::new("/dev/null")).unwrap(), Place::Stream(_)));
    }
}
