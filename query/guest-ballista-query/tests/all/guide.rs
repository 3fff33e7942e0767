//! The book's page "From an empty folder to a cluster": every file is written and every command is run as the page has it, and prints what
//! the page says. Only ports are others: free ones.

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::page::{Step, steps};
use crate::shell::Shell;

/// The repository, by which the page's `guest-runtime` is meant.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The program of this name: one of this workspace, whose build puts all programs beside ours, or the harness.
fn program(name: &str) -> PathBuf {
    let (path, package) = match name {
        "host-harness" => (root().join("target/debug/host-harness"), "host-harness-cli"),
        name => (Path::new(env!("CARGO_BIN_EXE_guest-ballista-query")).with_file_name(name), "--workspace in query/"),
    };
    assert!(path.is_file(), "{} is missing: build it first, by `cargo build` of {package}", path.display());
    path
}

/// A folder that has links to these programs.
pub(crate) fn link_programs(folder: &Path, names: impl IntoIterator<Item = impl AsRef<str>>) {
    fs::create_dir_all(folder).unwrap();
    for name in names {
        symlink(program(name.as_ref()), folder.join(name.as_ref())).unwrap();
    }
}

/// The programs that `cargo install` installs from a package.
fn programs_of(package: &str) -> Vec<String> {
    let path = root().join(package).join("Cargo.toml");
    let manifest = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let name = |table: &str| manifest.split(table).nth(1)?.lines().find_map(|line| line.strip_prefix("name = "));
    let name = name("[[bin]]\n").or_else(|| name("[package]\n")).unwrap();
    vec![name.trim_matches('"').to_owned()]
}

/// The page with a free port in place of each that it names, none of them twice.
pub(crate) fn with_free_ports(page: &str) -> String {
    let words: Vec<&str> = page.split_whitespace().collect();
    let named = words.windows(2).filter(|pair| pair[0].starts_with("--") && pair[0].ends_with("port"));
    // All are open until each has its own.
    let ports: BTreeMap<&str, TcpListener> =
        named.map(|pair| (pair[1], TcpListener::bind("127.0.0.1:0").unwrap())).collect();
    // In one pass: a free port may be another one's number in the page.
    let (mut changed, mut rest) = (String::new(), page);
    while let Some((at, named)) = ports.keys().filter_map(|named| Some((rest.find(named)?, *named))).min() {
        changed += &rest[..at];
        changed += &ports[named].local_addr().unwrap().port().to_string();
        rest = &rest[at + named.len()..];
    }
    changed + rest
}

/// A folder that has `guest-runtime`, and the page's crate of an earlier run without its files.
///
/// It is always the same: where the standard library must be built, it is built once, as its flags have the folder's name.
fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guide");
    for made in ["bin", "crates"] {
        let _ = fs::remove_dir_all(folder.join(made));
    }
    for needed in ["crates", "target"] {
        fs::create_dir_all(folder.join(needed)).unwrap();
    }
    // `cargo new` would list the crate in the manifest of the workspace around it, which is the repository's.
    fs::write(folder.join("Cargo.toml"), "[workspace]\nresolver = \"3\"\n").unwrap();
    symlink(root(), folder.join("crates/guest-runtime")).unwrap();
    folder
}

#[test]
fn the_page_leads_from_an_empty_folder_to_a_cluster() {
    let page = fs::read_to_string(root().join("docs/src/functions/start.md")).unwrap();
    let folder = folder();
    let programs = folder.join("bin");
    let mut shell = Shell::start(&folder.join("crates"), &programs);
    let mut done = Vec::new();
    for step in steps(&with_free_ports(&page)).unwrap() {
        if let Step::Run { command, .. } = &step {
            // The programs that this workspace builds count as installed.
            if let Some(package) = command.strip_prefix("cargo install --locked --path ") {
                link_programs(&programs, programs_of(package));
                continue;
            }
            done.push(command.split_whitespace().next().unwrap().to_owned());
        }
        shell.follow(&step).unwrap_or_else(|fault| panic!("{fault}"));
        if matches!(&step, Step::File { path, .. } if path == "Cargo.toml") {
            // The workspace's versions, as nothing is downloaded; and what cargo compiled in an earlier run.
            fs::copy(root().join("Cargo.lock"), shell.folder().join("Cargo.lock")).unwrap();
            symlink("../../target", shell.folder().join("target")).unwrap();
        }
    }
    for program in
        ["cargo", "host-harness", "guest-ballista-scheduler", "guest-ballista-executor", "guest-ballista-query"]
    {
        assert!(done.iter().any(|command| command == program), "{program}: {done:?}");
    }
    assert!(folder.join("crates/offers/src/lib.rs").is_file());
}

#[test]
fn a_page_that_is_wrong_does_not_pass() {
    let follow = |page: &str| {
        let folder = tempfile::tempdir().unwrap();
        let mut shell = Shell::start(folder.path(), folder.path());
        steps(page).unwrap().iter().try_for_each(|step| shell.follow(step))
    };
    let right = "In `a/b`:\n\n```text\nto be\n```\n```console\n$ cd a\n$ cat b\nto be\n$ (sleep 0.1; echo late) &\nlate\n\
                 $ true\n$ printf 'no\\n\\nbreak'\nno\n\nbreak\n```\n";
    assert_eq!(follow(right), Ok(()));
    for (was, wrong, part) in [
        ("to be\n$ (", "not to be\n$ (", "$ cat b\nto be\n\nstatus 0; the page says:\nnot to be\n"),
        ("late\n$ true", "early\n$ true", "the page says:\nearly"),
        ("no\n\nbreak\n", "no\nbreak\n", "the page says:\nno\nbreak"),
        ("$ true", "$ cat missing", "status 1; the page says:\n\n\ncat: missing: No such file"),
        ("In `a/b`", "In `b`", "cd: a: No such file"),
    ] {
        let page = right.replacen(was, wrong, 1);
        let fault = follow(&page).unwrap_err();
        assert!(page != right && fault.contains(part), "{fault}");
    }
}
