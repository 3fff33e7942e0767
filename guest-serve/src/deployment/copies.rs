//! Copies of modules, and which of them were checked, in the server's own folder.
//!
//! A module that is not loaded is read from its copy when a call needs it: the guest's own file may have changed since, while its
//! version is still served. A module that was checked with a configuration is not loaded to check it again when the server
//! starts.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::error::ServeError;
use crate::folder::read;
use crate::monitor::hex;

/// Endings of the files.
const COPY: &str = "wasm";
const CHECKED: &str = "checked";

/// A folder of copies, by the hash of the module.
#[derive(Debug)]
pub(super) struct Copies {
    folder: PathBuf,
    /// Files that deployments need.
    used: Mutex<HashMap<PathBuf, Weak<PathBuf>>>,
}

/// The copy of a module and the mark that it was checked, which stay as long as somebody has this.
#[derive(Debug)]
pub(super) struct Copy {
    module: Arc<PathBuf>,
    mark: Arc<PathBuf>,
}

impl Copies {
    pub(super) fn open(folder: PathBuf) -> Result<Self, ServeError> {
        fs::create_dir_all(&folder).map_err(ServeError::io("make the folder", &folder))?;
        Ok(Self { folder, used: Mutex::default() })
    }

    /// Keeps a copy of a module; `check` identifies what it is checked with.
    pub(super) fn keep(&self, hash: [u8; 32], check: [u8; 32], module: &[u8]) -> Result<Copy, ServeError> {
        let copy = Copy { module: self.hold(&hash, COPY), mark: self.hold(&check, CHECKED) };
        // It was written as a whole, or not at all. A damaged one is found when it is read.
        let is_there = fs::metadata(&*copy.module).is_ok_and(|found| found.len() == module.len() as u64);
        if !is_there {
            self.write(&copy.module, module).map_err(ServeError::io("write", &copy.module))?;
        }
        Ok(copy)
    }

    /// Writes a file as a whole, or not at all. The disk is not waited for: what it loses is found by its hash.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(bytes)?;
        file.persist(path).map_err(|error| error.error).map(drop)
    }

    fn hold(&self, name: &[u8; 32], ending: &str) -> Arc<PathBuf> {
        let path = self.folder.join(format!("{}.{ending}", hex(name)));
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = used.get(&path).and_then(Weak::upgrade) {
            return held;
        }
        let held = Arc::new(path.clone());
        used.insert(path, Arc::downgrade(&held));
        held
    }

    /// Removes the files that nobody needs any more.
    pub(super) fn sweep(&self) -> io::Result<()> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, held| held.strong_count() > 0);
        let needed: HashSet<&Path> = used.keys().map(PathBuf::as_path).collect();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            if !needed.contains(path.as_path()) {
                fs::remove_file(&path)?;
            }
        }
        Ok(())
    }
}

impl Copy {
    /// The module with this hash: from the guest's own file, or the copy.
    pub(super) fn read(&self, own: &Path, hash: &[u8; 32]) -> Result<Vec<u8>, ServeError> {
        let fits = |bytes: &Vec<u8>| guest_functions::hash(bytes) == *hash;
        if let Some(bytes) = read(own).ok().filter(fits) {
            return Ok(bytes);
        }
        let path = &*self.module;
        let bytes = read(path).map_err(ServeError::io("read", path))?;
        let damaged = || io::Error::other("the copy of the module is damaged; put the module of the guest anew");
        Some(bytes).filter(fits).ok_or_else(|| ServeError::io("use", path)(damaged()))
    }

    /// Whether the module was checked.
    pub(super) fn is_checked(&self) -> bool {
        self.mark.exists()
    }

    /// Takes note that the module was checked. If it cannot be written, it is checked again with the next start.
    pub(super) fn set_checked(&self) {
        let _ = fs::File::create(&*self.mark);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_stay_as_long_as_somebody_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let copies = Copies::open(folder.path().join("modules")).unwrap();
        let names = || {
            let names = fs::read_dir(folder.path().join("modules")).unwrap();
            let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        let (bytes, hash) = (b"a module", guest_functions::hash(b"a module"));
        let one = copies.keep(hash, [1; 32], bytes).unwrap();
        let two = copies.keep(hash, [2; 32], bytes).unwrap();
        assert!(!one.is_checked());
        one.set_checked();
        assert!(one.is_checked() && !two.is_checked(), "each configuration is checked");
        let own = folder.path().join("own.wasm");
        assert_eq!(one.read(&own, &hash).unwrap(), bytes);
        drop(one);
        copies.sweep().unwrap();
        assert_eq!(names(), [format!("{}.wasm", hex(&hash))]);
        assert_eq!(two.read(&own, &hash).unwrap(), bytes);
        drop(two);
        copies.sweep().unwrap();
        assert!(names().is_empty());
    }

    #[test]
    fn a_damaged_copy_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let copies = Copies::open(folder.path().join("modules")).unwrap();
        let (own, hash) = (folder.path().join("own.wasm"), guest_functions::hash(b"a module"));
        let copy = copies.keep(hash, [1; 32], b"a module").unwrap();
        fs::write(&*copy.module, b"a nodule").unwrap();
        fs::write(&own, b"a newer module").unwrap();
        assert!(copy.read(&own, &hash).unwrap_err().to_string().contains("damaged"));
        fs::write(&own, b"a module").unwrap();
        assert_eq!(copy.read(&own, &hash).unwrap(), b"a module");
        fs::remove_file(&own).unwrap();
        // One of another length is written anew by the next version with this module.
        fs::write(&*copy.module, b"a mod").unwrap();
        assert_eq!(copies.keep(hash, [1; 32], b"a module").unwrap().read(&own, &hash).unwrap(), b"a module");
    }
}
