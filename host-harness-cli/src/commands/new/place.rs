//! Writing a folder as a whole or not at all.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

use crate::output::hold_writes;

/// Writes files into a folder that does not exist yet. They are written beside it and appear under its name together.
///
/// # Errors
/// There is something at the path, or a file cannot be written. Nothing is left then.
pub(super) fn write<'f>(folder: &Path, files: impl Iterator<Item = (&'f Path, String)>) -> Result<()> {
    // Also a link that leads nowhere is something.
    if folder.symlink_metadata().is_ok() {
        return Err(taken(folder));
    }
    let (existing, missing) = split(folder)?;
    let first = missing.components().next().map(|first| PathBuf::from(first.as_os_str())).unwrap_or_default();
    let cannot = || format!("cannot make {}", folder.display());
    let _writing = hold_writes();
    let beside = tempfile::Builder::new().prefix(".new-").tempdir_in(&existing).with_context(cannot)?;
    for (path, text) in files {
        let file = beside.path().join(&missing).join(path);
        fs::create_dir_all(file.parent().unwrap_or(&file)).with_context(cannot)?;
        fs::write(&file, text).with_context(cannot)?;
    }
    fs::rename(beside.path().join(&first), existing.join(&first)).with_context(cannot)
}

/// The error for a path where there is something.
pub(super) fn taken(path: &Path) -> anyhow::Error {
    let what = if path.is_dir() { "folder" } else { "file" };
    anyhow::anyhow!(
        "{}: there is a {what} of that name, and `new` overwrites nothing; give the path of a folder that does not exist",
        path.display()
    )
}

/// The part of a path that exists, and the rest of it.
fn split(folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let whole = std::path::absolute(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    if whole.components().any(|part| part == Component::ParentDir) && !whole.parent().is_some_and(Path::is_dir) {
        anyhow::bail!("cannot make {}: its parent does not exist; leave `..` out", folder.display());
    }
    let existing = whole.ancestors().skip(1).find(|ancestor| ancestor.symlink_metadata().is_ok());
    let existing = existing.unwrap_or(Path::new("/"));
    if !existing.is_dir() {
        anyhow::bail!("cannot make {}: {} is not a folder", folder.display(), existing.display());
    }
    let missing = whole.strip_prefix(existing).map(Path::to_owned).unwrap_or_default();
    Ok((existing.to_owned(), missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn all_files_appear_together_also_below_folders_that_are_missing() {
        let root = tempfile::tempdir().unwrap();
        let files = || [(Path::new("a"), "1".to_owned()), (Path::new("b/c"), "2".to_owned())].into_iter();
        write(&root.path().join("x/y"), files()).unwrap();
        assert_eq!(fs::read_to_string(root.path().join("x/y/b/c")).unwrap(), "2");
        assert_eq!(names(root.path()), ["x"]);
        let again = write(&root.path().join("x/y"), files()).unwrap_err().to_string();
        assert!(again.contains("there is a folder of that name"), "{again}");
        write(&root.path().join("x/z"), files()).unwrap();
        let below_file = write(&root.path().join("x/z/a/b"), files()).unwrap_err().to_string();
        assert!(below_file.contains("a is not a folder"), "{below_file}");
    }

    #[test]
    fn nothing_is_left_if_a_file_cannot_be_written() {
        let root = tempfile::tempdir().unwrap();
        // The second needs a folder where the first is a file.
        let files = [(Path::new("a"), String::new()), (Path::new("a/b"), String::new())].into_iter();
        write(&root.path().join("x/y"), files).unwrap_err();
        assert_eq!(names(root.path()), [""; 0]);
    }
}
