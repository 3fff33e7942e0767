//! The command lines by which plain cargo builds what [`GuestBuild`](crate::GuestBuild) builds.

use std::path::{Path, PathBuf};

use crate::{Allocator, Toolchain, toolchain::BUILD_STD};

/// How plain cargo builds a guest with a toolchain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlainCargo {
    /// Environment variables that it needs, with their values.
    pub environment: Vec<(String, String)>,
    /// The program, which is `cargo` where the active one does.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The module that it writes.
    pub module: PathBuf,
}

impl PlainCargo {
    pub(crate) fn new(toolchain: &Toolchain, bin: &Path, profile: &str, features: &[String], module: PathBuf) -> Self {
        let way = toolchain.way();
        let mut environment = Vec::new();
        let mut program = "cargo".to_owned();
        if way.is_beside_the_active() {
            program = bin.join(format!("cargo{}", std::env::consts::EXE_SUFFIX)).display().to_string();
            environment.push(("RUSTC".to_owned(), toolchain.rustc().display().to_string()));
        }
        if way.builds_std() {
            environment.push(("RUSTC_BOOTSTRAP".to_owned(), "1".to_owned()));
        }
        let mut arguments = vec!["build".to_owned()];
        arguments.extend(match profile {
            "release" => vec!["--release".to_owned()],
            other => vec!["--profile".to_owned(), other.to_owned()],
        });
        arguments.extend(["--target".to_owned(), crate::TARGET.to_owned()]);
        if way.builds_std() {
            arguments.push(BUILD_STD.to_owned());
        }
        if !features.is_empty() {
            arguments.extend(["--features".to_owned(), features.join(",")]);
        }
        Self { environment, program, arguments, module }
    }

    /// The command as a line for a shell of Unix.
    #[must_use]
    pub fn shell_line(&self) -> String {
        let environment = self.environment.iter().map(|(name, value)| format!("{name}={}", quoted(value)));
        let words = std::iter::once(&self.program).chain(&self.arguments).map(|word| quoted(word));
        environment.chain(words).collect::<Vec<_>>().join(" ")
    }
}

/// The word as a shell of Unix reads it, in quotes where it has to be.
#[must_use]
pub fn quoted(word: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "-_./,:=+@%".contains(char);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A module that was built, and the command by which plain cargo builds it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuiltGuest {
    /// The package.
    pub package: String,
    /// Its allocator.
    pub allocator: Allocator,
    /// The module.
    pub module: PathBuf,
    /// The toolchain that compiled it.
    pub toolchain: Toolchain,
    /// The command that plain cargo would need.
    pub plain: PlainCargo,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_change_them() {
        assert_eq!(quoted("a/b-c.wasm"), "a/b-c.wasm");
        assert_eq!(quoted("/home/a b"), "'/home/a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
