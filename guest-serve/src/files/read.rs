//! Reads the folder of files.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Bytes;
use hyper::header::HeaderValue;
use sha2::{Digest as _, Sha256};

use super::{File, StaticFiles, kind};
use crate::error::{Place, ServeError};
use crate::folder::Stamp;

/// Folders in each other that are looked into.
const DEEPEST: usize = 32;

/// The one hidden folder that is served: protocols look for files there.
const WELL_KNOWN: &str = ".well-known";

/// A file below the folder, before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The path behind the mount.
    path: String,
    file: PathBuf,
    length: u64,
    stamp: Stamp,
}

/// Lists the files below `folder`, in the order of their paths. Hidden files are left out, and so are names that are not
/// UTF-8.
///
/// # Errors
/// [`ServeError::File`] with the place `named_at` if the folder does not exist, nests too deep, or has a symbolic link that
/// leads out of it or to a folder; [`ServeError::Io`].
pub fn list(folder: &Path, named_at: &Place) -> Result<Vec<Listed>, ServeError> {
    let root = folder.canonicalize().ok().filter(|root| root.is_dir()).ok_or_else(|| {
        named_at.error(format!("there is no folder {}; make it, or leave `static` out", folder.display()))
    })?;
    let mut files = Vec::new();
    collect(&root, &root, "", DEEPEST, named_at, &mut files)?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

fn collect(
    root: &Path,
    folder: &Path,
    path: &str,
    depth: usize,
    named_at: &Place,
    files: &mut Vec<Listed>,
) -> Result<(), ServeError> {
    if depth == 0 {
        let message = format!("{} nests deeper than {DEEPEST} folders; serve one with fewer", root.display());
        return Err(named_at.error(message));
    }
    for entry in fs::read_dir(folder).map_err(ServeError::io("read the folder", folder))? {
        let entry = entry.map_err(ServeError::io("read the folder", folder))?;
        let file = entry.path();
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') && name != WELL_KNOWN {
            continue;
        }
        let path = format!("{path}/{name}");
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        // A file that was removed meanwhile, or a link to nothing.
        let Ok(metadata) = fs::metadata(&file) else { continue };
        if is_link {
            let is_inside = file.canonicalize().is_ok_and(|target| target.starts_with(root));
            if metadata.is_dir() || !is_inside {
                let leads = if is_inside { "to a folder" } else { "out of the folder" };
                let message = format!("the symbolic link {} leads {leads}; put files in its place", file.display());
                return Err(named_at.error(message));
            }
        }
        if metadata.is_dir() {
            collect(root, &file, &path, depth - 1, named_at, files)?;
        } else if metadata.is_file() {
            files.push(Listed { path, length: metadata.len(), stamp: Stamp::of(&metadata), file });
        }
    }
    Ok(())
}

impl StaticFiles {
    /// Reads files that were listed. Those that have the same stamp in `before` are taken from there.
    ///
    /// # Errors
    /// [`ServeError::File`] with the place `named_at` if they have more bytes than `most`, and [`ServeError::Io`].
    pub fn read(files: Vec<Listed>, most: u64, named_at: &Place, before: Option<&Self>) -> Result<Self, ServeError> {
        let bytes = files.iter().try_fold(0_u64, |sum, file| sum.checked_add(file.length)).unwrap_or(u64::MAX);
        if bytes > most {
            return Err(named_at.error(format!(
                "the files have {bytes} bytes, and {most} are allowed; raise `static` in `[limits]`, or serve fewer"
            )));
        }
        let mut by_path = HashMap::with_capacity(files.len());
        for Listed { path, file, stamp, .. } in files {
            let known = before.and_then(|before| before.by_path.get(&path)).filter(|known| known.stamp == stamp);
            let read = match known {
                Some(known) => known.clone(),
                None => {
                    let contents = fs::read(&file).map_err(ServeError::io("read", &file))?;
                    File { etag: etag(&contents), content_type: kind::of(&path), contents: contents.into(), stamp }
                }
            };
            by_path.insert(path, read);
        }
        Ok(Self { by_path: Arc::new(by_path) })
    }
}

/// A strong tag: the beginning of the hash.
fn etag(contents: &[u8]) -> HeaderValue {
    let hash = Sha256::digest(contents);
    let digits: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::from_str(&format!("\"{digits}\"")).unwrap_or(HeaderValue::from_static("\"\""))
}

/// The bytes of no file.
pub(super) const NOTHING: Bytes = Bytes::new();
