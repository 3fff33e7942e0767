//! What a module was made of, kept beside it, so that nothing is compiled where nothing has changed.

use std::{
    collections::BTreeSet,
    fmt::Write as _,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::PathBuf,
};

/// Everything that a module is made of: the command, and the content of each file that was read.
pub(crate) fn state(told: &str, files: &BTreeSet<PathBuf>) -> String {
    let mut state = told.to_owned();
    for file in files {
        let mut hasher = DefaultHasher::new();
        fs::read(file).ok().hash(&mut hasher);
        // Writing to a string cannot fail.
        let _ = writeln!(state, "{} {:016x}", file.display(), hasher.finish());
    }
    state
}
