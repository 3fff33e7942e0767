//! The files of a crate, and whether they changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// The files beside this manifest that a build of its crate reads. `Cargo.lock` is not among them, because the build writes it.
pub(super) fn of_crate(manifest: &Path) -> Vec<PathBuf> {
    let beside = ["src", "build.rs", "state.json", "rust-toolchain", "rust-toolchain.toml", ".cargo"];
    let mut watched = vec![manifest.to_owned()];
    watched.extend(beside.map(|name| manifest.with_file_name(name)));
    watched
}

/// The files below some paths, each with its length and time.
///
/// Files are looked at again and again, instead of having the system report changes: it works on every file system, over a network
/// and in containers too, and a crate has few files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct State(BTreeMap<PathBuf, (u64, Option<SystemTime>)>);

impl State {
    /// The files as they are now. A path that does not exist has none.
    pub(super) fn of(paths: &[PathBuf]) -> Self {
        let mut files = BTreeMap::new();
        paths.iter().for_each(|path| collect(path, &mut files));
        Self(files)
    }

    /// Returns when files are not as they were, and nothing has been written for an interval.
    pub(super) fn wait_for_another(&self, paths: &[PathBuf], interval: Duration) {
        let mut last = Self::of(paths);
        loop {
            std::thread::sleep(interval);
            let now = Self::of(paths);
            if now != *self && now == last {
                return;
            }
            last = now;
        }
    }
}

fn collect(path: &Path, files: &mut BTreeMap<PathBuf, (u64, Option<SystemTime>)>) {
    // Files that cannot be read are left out, such as one that an editor has just removed.
    let Ok(metadata) = path.metadata() else { return };
    if !metadata.is_dir() {
        files.insert(path.to_owned(), (metadata.len(), metadata.modified().ok()));
        return;
    }
    for entry in std::fs::read_dir(path).into_iter().flatten().flatten() {
        let name = entry.file_name();
        // The output of cargo, and the data of version control.
        let is_left_out = name == "target" || name == ".git";
        // A link to a folder could lead around in a circle.
        let is_linked_folder = entry.file_type().is_ok_and(|kind| kind.is_symlink()) && entry.path().is_dir();
        if !is_left_out && !is_linked_folder {
            collect(&entry.path(), files);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_file_that_is_changed_made_or_removed_is_another_state() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir_all(at("src/inner")).unwrap();
        fs::create_dir(at("target")).unwrap();
        for name in ["Cargo.toml", "src/lib.rs", "src/inner/a.rs", "Cargo.lock"] {
            fs::write(at(name), "1").unwrap();
        }
        let watched = of_crate(&at("Cargo.toml"));
        let mut last = State::of(&watched);
        assert_eq!(last.0.len(), 3);
        let mut differs = |what: &str| {
            let now = State::of(&watched);
            assert_ne!(now, last, "{what}");
            last = now;
        };
        fs::write(at("src/inner/a.rs"), "12").unwrap();
        differs("changed");
        fs::write(at("state.json"), "[]").unwrap();
        differs("made");
        fs::remove_file(at("src/lib.rs")).unwrap();
        differs("removed");
        fs::write(at("Cargo.lock"), "22").unwrap();
        fs::write(at("target/x"), "22").unwrap();
        assert_eq!(State::of(&watched), last, "what a build writes does not count");
    }
}
