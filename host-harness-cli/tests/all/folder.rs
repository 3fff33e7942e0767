//! A folder in which the real binary runs, and what it said.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use test_support::text_guests;

/// The output of the harness, and its exit status.
pub(crate) struct Said {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    /// Standard error without the lines of progress.
    pub(crate) stderr: String,
    /// The lines that say what the harness is at, and since when. Commands that end within a second have none.
    pub(crate) progress: Vec<String>,
}

/// Whether a line is one of progress, such as `[12.3s] compiling shop`.
fn is_progress(line: &str) -> bool {
    let seconds = line.strip_prefix('[').and_then(|line| line.split_once("s] ")).map(|(seconds, _)| seconds);
    seconds.is_some_and(|seconds| seconds.parse::<f64>().is_ok())
}

/// Commands that compile guests. They find the code of those that an earlier test compiled.
const COMPILING: [&str; 8] = ["call", "compare", "inspect", "measure", "pipe", "replay", "run", "verify"];

/// A folder with guests and states in it, in which the harness runs.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.file("plain.wasm", &text_guests::plain());
        folder.file("counted.wasm", &text_guests::counted());
        folder
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_host-harness"));
        let mut words = line.split_whitespace();
        let first = words.next();
        command.args(first);
        if first.is_some_and(|first| COMPILING.contains(&first)) && !line.contains("--compile-cache") {
            command.arg("--compile-cache").arg(test_support::compiled::folder());
        }
        command.args(words).current_dir(self.path()).stdin(Stdio::null());
        // The tests that build say where by cargo's configuration, which this would override.
        command.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_BUILD_TARGET_DIR");
        command
    }

    pub(crate) fn run(&self, line: &str) -> Said {
        let output = self.command(line).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let told = text(output.stderr);
        let (progress, rest): (Vec<_>, Vec<_>) = told.split_inclusive('\n').partition(|line| is_progress(line));
        let said = Said {
            status: output.status.code(),
            stdout: text(output.stdout),
            stderr: rest.concat(),
            progress: progress.into_iter().map(|line| line.trim_end().to_owned()).collect(),
        };
        assert!(!said.stderr.contains("panicked"), "{line}: {}", said.stderr);
        assert!(!said.stdout.contains('\u{1b}'), "{line}: no colours where nobody sees them");
        said
    }

    /// Expects an error of usage or input: status 2, nothing on standard output, one sentence with these words.
    pub(crate) fn refuses(&self, line: &str, words: &[&str]) {
        let before = self.names();
        let said = self.run(line);
        assert_eq!(said.status, Some(2), "{line}: {}{}", said.stdout, said.stderr);
        assert_eq!(said.stdout, "", "{line}");
        assert!(said.stderr.starts_with("error: "), "{line}: {}", said.stderr);
        for word in words {
            assert!(said.stderr.contains(word), "{line}: `{word}` is missing in: {}", said.stderr);
        }
        assert_eq!(self.names(), before, "{line}: it leaves no file");
    }

    /// As [`Self::refuses`], for errors that are the harness's own and hence one line.
    pub(crate) fn refuses_in_one_line(&self, line: &str, words: &[&str]) {
        self.refuses(line, words);
        let said = self.run(line);
        assert_eq!(said.stderr.lines().count(), 1, "{line}: {}", said.stderr);
    }
}
