//! The commands of the front page and of the book's page "Start in ten minutes", run as they are written, in their order.
#![cfg(unix)]

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::commands::new::FixedFolder;

/// A page of the repository.
pub(crate) fn page(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::read_to_string(root.join(path)).unwrap()
}

/// The commands in the blocks of shell of a text, without comments.
fn commands(text: &str) -> Vec<String> {
    let (mut commands, mut inside) = (Vec::new(), false);
    for line in text.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside => commands.push(line.split(" #").next().unwrap_or_default().trim().to_owned()),
            _ => {}
        }
    }
    commands
}

/// A shell's folder, in which commands are run.
pub(crate) struct Shell {
    folder: PathBuf,
    _place: FixedFolder,
}

impl Shell {
    pub(crate) fn new() -> Self {
        let place = FixedFolder::new();
        Self { folder: place.crates(), _place: place }
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a command, which must succeed, and returns its standard output.
    pub(crate) fn run(&mut self, line: &str) -> String {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            ["cd", ".."] => {
                self.folder.pop();
                return String::new();
            }
            ["cd", folder] => {
                self.folder.push(folder);
                return String::new();
            }
            // The binary under test counts as installed. A test only checks that the package exists.
            ["cargo", "install", "--locked", "--path", package] => {
                let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
                assert!(root.join(package).join("Cargo.toml").is_file(), "{line}");
                return String::new();
            }
            _ => {}
        }
        let program = match words[0] {
            "host-harness" => env!("CARGO_BIN_EXE_host-harness"),
            other => other,
        };
        let mut command = Command::new(program);
        guest_build::clean(&mut command);
        command.args(&words[1..]).env("CARGO_NET_OFFLINE", "true").current_dir(&self.folder);
        let output = command.output().unwrap();
        let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {stdout}{stderr}");
        if words.get(1) == Some(&"new") && !words.contains(&"--host") {
            quicken(&self.folder.join(words[2]));
        }
        stdout
    }
}

/// Has the commands in this crate measure little, by its `harness.toml`, and gives it the workspace's versions.
fn quicken(made: &Path) {
    let file = made.join("harness.toml");
    let mut text = std::fs::read_to_string(&file).unwrap();
    text += "\n[compare]\nallocator = [\"leaking\", \"bump-reset\"]\nstrategy = \"watermark\"\ncalls = 1\nbudget = \"2ms\"\nverify-calls = 10\n";
    std::fs::write(file, text).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    std::fs::copy(root.join("Cargo.lock"), made.join("Cargo.lock")).unwrap();
    // The page has the modules where cargo puts them by itself.
    std::os::unix::fs::symlink("../../target", made.join("target")).unwrap();
}

#[test]
fn the_commands_of_the_page_to_start_from_succeed() {
    let mut shell = Shell::new();
    let commands = commands(&page("docs/src/start.md"));
    assert!(commands.len() >= 6, "{commands:?}");
    for command in &commands {
        let said = shell.run(command);
        if command == "host-harness compare" {
            assert!(said.contains("leaking") && said.contains("passed"), "{said}");
        }
    }
    assert!(shell.folder.ends_with("crates/shop"), "{}", shell.folder.display());
    assert!(shell.folder.with_file_name("orders").join("src/store.rs").is_file());
}

#[test]
fn four_commands_of_the_front_page_lead_to_a_table() {
    let text = page("README.md");
    let (_, behind) = text.split_once("## From an empty folder to a recommendation\n").unwrap();
    let (section, _) = behind.split_once("\n## ").unwrap();
    let commands = commands(section);
    assert_eq!(commands.len(), 4, "{commands:?}");
    let mut shell = Shell::new();
    let said: Vec<_> = commands.iter().map(|command| shell.run(command)).collect();
    assert!(said[3].contains("bump-reset") && said[3].contains("passed"), "{}", said[3]);
}
