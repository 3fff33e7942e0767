//! The folder of guests: which there are, and the files of each.

mod name;
mod stamp;

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::config::{self, GuestConfig, Secrets};
use crate::error::ServeError;
pub use name::GuestName;
pub use stamp::Stamp;

/// The folder of the server's own files, inside the folder of guests.
const OWN: &str = ".serve";

/// A folder of guests. Cheap to clone.
#[derive(Debug, Clone)]
pub struct GuestFolder {
    root: PathBuf,
}

/// The files of one version of a guest.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GuestFiles {
    /// The guest's name.
    pub name: GuestName,
    /// Its folder.
    pub folder: PathBuf,
    /// Its configuration.
    pub config: GuestConfig,
    /// The bytes of its module.
    pub module: Vec<u8>,
}

impl GuestFiles {
    /// The files of a version that is not in the folder yet.
    #[must_use]
    pub fn new(name: &GuestName, folder: &Path, config: GuestConfig, module: Vec<u8>) -> Self {
        Self { name: name.clone(), folder: folder.to_owned(), config, module }
    }
}

impl GuestFolder {
    /// The folder at `path`.
    ///
    /// # Errors
    /// [`ServeError::NoFolder`], and [`ServeError::Io`] if it cannot be read.
    pub fn open(path: &Path) -> Result<Self, ServeError> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                let root = path.canonicalize().map_err(ServeError::io("read the folder", path))?;
                Ok(Self { root })
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ServeError::io("read the folder", path)(error))
            }
            _ => Err(ServeError::NoFolder { path: path.to_owned() }),
        }
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// The folder of the server's own files: logs, events and compiled code.
    #[must_use]
    pub fn own(&self) -> PathBuf {
        self.root.join(OWN)
    }

    /// The folder of a guest.
    #[must_use]
    pub fn of(&self, name: &GuestName) -> PathBuf {
        self.root.join(name.as_str())
    }

    /// The file `guest.toml` of a guest.
    #[must_use]
    pub fn config_file(&self, name: &GuestName) -> PathBuf {
        self.of(name).join(config::FILE)
    }

    /// A file of a guest as errors name it: from the folder of guests on.
    #[must_use]
    pub fn shown(name: &GuestName, file: &Path) -> PathBuf {
        Path::new(name.as_str()).join(file)
    }

    /// The folders with a `guest.toml`, and those of which the system does not say whether they have one, in the order of their names.
    /// One whose name no guest can have is an error in the list. Other folders are no guests.
    ///
    /// # Errors
    /// [`ServeError::Io`] if the folder cannot be read.
    pub fn guests(&self) -> Result<Vec<Result<GuestName, ServeError>>, ServeError> {
        let read = || ServeError::io("read the folder", &self.root);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.root).map_err(read())? {
            let entry = entry.map_err(read())?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_guest = match fs::metadata(entry.path().join(config::FILE)) {
                Ok(found) => found.is_file(),
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => false,
                // There may be one that cannot be read, and its error must be told.
                Err(_) => name.parse::<GuestName>().is_ok(),
            };
            if !name.starts_with('.') && is_guest {
                names.push(name);
            }
        }
        names.sort();
        Ok(names.into_iter().map(|name| name.parse()).collect())
    }

    /// The secrets of all guests; none if there is no `secrets.toml`.
    ///
    /// # Errors
    /// [`ServeError::File`] and [`ServeError::Io`].
    pub fn secrets(&self) -> Result<Secrets, ServeError> {
        let path = self.root.join(Secrets::FILE);
        match read_text(&path) {
            Ok(text) => Secrets::parse(Path::new(Secrets::FILE), &text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Secrets::default()),
            Err(error) => Err(ServeError::io("read", &path)(error)),
        }
    }

    /// Reads the files of a guest, and checks that it names no secret that it does not have.
    ///
    /// # Errors
    /// [`ServeError::File`], [`ServeError::NoModule`] and [`ServeError::Io`].
    pub fn read(&self, name: &GuestName, secrets: &Secrets) -> Result<GuestFiles, ServeError> {
        let path = self.config_file(name);
        let text = read_text(&path).map_err(ServeError::io("read", &path))?;
        let mut config = GuestConfig::parse(name.as_str(), &Self::shown(name, config::FILE.as_ref()), &text)?;
        secrets.give(name.as_str(), &mut config)?;
        let folder = self.of(name);
        let module = folder.join(&config.module);
        let module = match read(&module) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let module = Self::shown(name, &config.module);
                return Err(ServeError::NoModule { place: config.module_place.clone(), module });
            }
            Err(error) => return Err(ServeError::io("read the module", &module)(error)),
        };
        Ok(GuestFiles { name: name.clone(), folder, config, module })
    }
}

/// Writes a file, so that whoever reads it finds all of it or what was there before.
pub(crate) fn write(path: &Path, contents: &[u8]) -> Result<(), ServeError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(ServeError::io("make the folder", folder))?;
    let written = || -> io::Result<()> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(".put-");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(contents)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error).map(drop)
    };
    written().map_err(ServeError::io("write", path))
}

/// Reads a file. Something else in its place, such as a pipe, might never end.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    match fs::metadata(path)?.is_file() {
        true => fs::read(path),
        false => Err(io::Error::other("it is no file")),
    }
}

/// Reads a file of text.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| io::Error::other("it is not UTF-8"))
}
