//! Finding the file of a project.

use std::path::{Path, PathBuf};

use clap::ArgMatches;

use super::FILE;

/// The file that the command line names, or that the project has.
pub(super) fn file(given: &ArgMatches) -> Option<PathBuf> {
    if given.get_flag("no_config") {
        return None;
    }
    if let Some(file) = given.get_one::<PathBuf>("config") {
        return Some(file.clone());
    }
    let manifest = given.try_get_one::<PathBuf>("manifest_path").ok().flatten();
    let folder = manifest.and_then(|manifest| manifest.parent()).unwrap_or(Path::new(""));
    of_project(folder)
}

/// The file in a folder, or else in the nearest folder around it, up to that of the repository. Without a repository only the
/// folder itself counts: a file in somebody's home is no project's.
///
/// The path is as short as it can be, so that errors show a name that the user knows.
fn of_project(folder: &Path) -> Option<PathBuf> {
    let here = folder.join(FILE);
    if here.is_file() {
        return Some(here);
    }
    let whole = std::path::absolute(folder).ok().filter(|_| !folder.as_os_str().is_empty());
    let whole = whole.or_else(|| std::env::current_dir().ok())?;
    let repository = whole.ancestors().find(|folder| folder.join(".git").exists())?;
    let around = whole.ancestors().take_while(|folder| folder.starts_with(repository));
    around.map(|folder| folder.join(FILE)).find(|file| file.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_file_in_the_repository_is_found_and_none_outside_of_it() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("repository/crates/shop");
        std::fs::create_dir_all(&inner).unwrap();
        let write = |path: &str| std::fs::write(root.path().join(path), "").unwrap();
        write("harness.toml");
        write("repository/harness.toml");
        assert_eq!(of_project(&inner), None, "no repository");
        std::fs::create_dir(root.path().join("repository/.git")).unwrap();
        assert_eq!(of_project(&inner), Some(root.path().join("repository/harness.toml")));
        write("repository/crates/shop/harness.toml");
        assert_eq!(of_project(&inner), Some(inner.join("harness.toml")));
        std::fs::remove_file(root.path().join("repository/harness.toml")).unwrap();
        assert_eq!(of_project(&root.path().join("repository/crates")), None, "one outside of the repository");
    }
}
