//! Finding a toolchain, on toolchains made of shell scripts: which way is taken, and what is remembered.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use test_support::programs;

use super::{
    Way,
    debian::Debian,
    finder::{Finder, Surroundings},
};
use crate::{Error, TARGET};

/// A machine with a rustup toolchain, a rustup, Debian's packages and `apt-get`, all made of scripts.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    /// A machine whose toolchain has neither target nor library source, whose rustup has no server, without Debian.
    fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        machine.toolchain("rustup", "1.95.0");
        machine.script("bin/rustup", &machine.rustup("exit 1"));
        machine.script("bin/id", "echo 1000");
        machine.script("bin/apt-get", "exit 1");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where a file comes, in a folder that is there.
    fn place(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.place(name), text).unwrap();
    }

    fn script(&self, name: &str, body: &str) {
        let log = self.path("log");
        let text = format!("#!/bin/sh\necho \"$(basename \"$0\") $*\" >> '{}'\n{body}\n", log.display());
        programs::script(&self.place(name), &text);
    }

    fn toolchain(&self, name: &str, release: &str) {
        let sysroot = self.path(name);
        self.script(
            &format!("{name}/bin/rustc"),
            &format!(
                "if [ \"$1\" = --print ]; then echo '{}'; \
                 else printf 'rustc {release} (0)\\nhost: some-host\\n'; fi",
                sysroot.display()
            ),
        );
        self.script(&format!("{name}/bin/cargo"), "exit 1");
    }

    /// A rustup that knows its rustc and does `add` for a target.
    fn rustup(&self, add: &str) -> String {
        let rustc = self.path("rustup/bin/rustc");
        format!("if [ \"$1\" = which ]; then echo '{}'; else {add}; fi", rustc.display())
    }

    fn add_target(&self) {
        self.write(&self.std_of("rustup"), "");
    }

    fn std_of(&self, name: &str) -> String {
        format!("{name}/lib/rustlib/{TARGET}/lib/libstd-0.rlib")
    }

    fn add_source(&self, name: &str) {
        self.write(&format!("{name}/lib/rustlib/src/rust/library/std/Cargo.toml"), "");
        self.write(&format!("{name}/lib/rustlib/some-host/bin/rust-lld"), "");
    }

    fn finder(&self) -> Finder {
        let mut finder = Finder::new().remember_in(self.memory());
        finder.surroundings = Surroundings {
            rustc: self.path("rustup/bin/rustc"),
            rustup: self.path("bin/rustup"),
            rustup_limit: Duration::from_secs(5),
            rustup_may_install: true,
            debian: Debian {
                mark: self.path("debian_version"),
                apt_get: self.path("bin/apt-get"),
                id: self.path("bin/id"),
                prefix: self.path("debian"),
            },
        };
        finder
    }

    fn memory(&self) -> PathBuf {
        self.path("memory")
    }

    /// How often a script was called with arguments that begin like this.
    fn calls(&self, beginning: &str) -> usize {
        let log = fs::read_to_string(self.path("log")).unwrap_or_default();
        log.lines().filter(|line| line.starts_with(beginning)).count()
    }
}

#[test]
fn the_target_that_is_there_is_taken_without_asking_rustup() {
    let machine = Machine::new();
    machine.add_target();
    machine.add_source("rustup");
    let found = machine.finder().find().unwrap();
    assert_eq!(found.way(), Way::TargetInstalled);
    assert_eq!(found.rustc(), machine.path("rustup/bin/rustc"));
    assert_eq!(machine.calls("rustup"), 0);
}

#[test]
fn rustup_is_asked_before_anything_is_built_from_source() {
    let machine = Machine::new();
    machine.add_source("rustup");
    let std = machine.path(&machine.std_of("rustup"));
    let add = format!("mkdir -p '{}' && touch '{}'", std.parent().unwrap().display(), std.display());
    machine.script("bin/rustup", &machine.rustup(&add));
    assert_eq!(machine.finder().find().unwrap().way(), Way::TargetAdded);
    assert_eq!(machine.finder().find().unwrap().way(), Way::TargetInstalled);
    assert_eq!(machine.calls("rustup target add"), 1);
}

#[test]
fn a_rustup_that_claims_success_is_not_believed() {
    let machine = Machine::new();
    machine.add_source("rustup");
    machine.script("bin/rustup", &machine.rustup("exit 0"));
    assert_eq!(machine.finder().find().unwrap().way(), Way::RustSource);
}

#[test]
fn a_server_that_did_not_answer_is_asked_once() {
    let machine = Machine::new();
    machine.add_source("rustup");
    for _ in 0..3 {
        assert_eq!(machine.finder().find().unwrap().way(), Way::RustSource);
    }
    assert_eq!(machine.calls("rustup target add"), 1);

    // Another compiler voids what is remembered, and so does `forget`.
    machine.toolchain("rustup", "1.96.0");
    machine.finder().find().unwrap();
    assert_eq!(machine.calls("rustup target add"), 2);
    machine.finder().forget().find().unwrap();
    assert_eq!(machine.calls("rustup target add"), 3);
}

#[test]
fn a_server_that_hangs_is_given_up() {
    let machine = Machine::new();
    machine.add_source("rustup");
    machine.script("bin/rustup", &machine.rustup("exec sleep 60"));
    let mut finder = machine.finder();
    finder.surroundings.rustup_limit = Duration::from_millis(300);
    assert_eq!(finder.find().unwrap().way(), Way::RustSource);
}

#[test]
fn rustup_is_left_alone_where_the_active_rustc_is_not_its_own() {
    let machine = Machine::new();
    machine.script("bin/rustup", "echo /elsewhere/rustc");
    let Err(Error::NoToolchain(failures)) = machine.finder().find() else {
        panic!("nothing is installed");
    };
    assert_eq!(machine.calls("rustup target add"), 0);
    assert!(failures.iter().any(|failure| failure.reason.contains("not one of rustup's")), "{failures:?}");
}

#[test]
fn debians_toolchain_is_taken_where_the_active_one_has_no_source() {
    let machine = Machine::new();
    machine.toolchain("debian", "1.96.0");
    machine.add_source("debian");
    let found = machine.finder().find().unwrap();
    assert_eq!(found.way(), Way::DebianSource);
    assert_eq!(found.rustc(), machine.path("debian/bin/rustc"));
    assert_eq!(machine.calls("apt-get"), 0);
}

#[test]
fn a_toolchain_that_is_too_old_is_not_taken() {
    let machine = Machine::new();
    machine.toolchain("debian", "1.63.0");
    machine.add_source("debian");
    let told = machine.finder().find().unwrap_err().to_string();
    assert!(told.contains("1.63.0 (0) is too old"), "{told}");
}

#[test]
fn packages_are_installed_by_root_on_debian_after_an_update() {
    let machine = Machine::new();
    machine.write("debian_version", "12");
    machine.script("bin/id", "echo 0");
    machine.toolchain("packaged", "1.96.0");
    machine.add_source("packaged");
    let (packaged, debian, updated) = (machine.path("packaged"), machine.path("debian"), machine.path("updated"));
    // The compiler tells where it lies by a path that is right once the packages are unpacked.
    machine.script(
        "bin/apt-get",
        &format!(
            "case \"$1\" in update) touch '{updated}';; install) [ -e '{updated}' ] || exit 100; \
             mkdir -p '{debian}/bin' && cp -R '{packaged}/.' '{debian}/' && \
             sed -i 's|{packaged}|{debian}|' '{debian}/bin/rustc' && touch '{debian}/bin/rust-lld';; esac",
            updated = updated.display(),
            debian = debian.display(),
            packaged = packaged.display(),
        ),
    );
    assert_eq!(machine.finder().find().unwrap().way(), Way::DebianPackages);
    assert_eq!(machine.calls("apt-get update"), 1);
    assert_eq!(machine.calls("apt-get install"), 2);
    assert_eq!(machine.finder().find().unwrap().way(), Way::DebianSource);
}

#[test]
fn finding_alone_installs_nothing() {
    let machine = Machine::new();
    machine.write("debian_version", "12");
    machine.script("bin/id", "echo 0");
    assert!(machine.finder().install(false).find().is_err());
    assert_eq!(machine.calls("apt-get"), 0);
    assert_eq!(machine.calls("rustup"), 0);
}

#[test]
fn where_everything_fails_every_reason_is_told_and_rustup_asked_again() {
    let machine = Machine::new();
    for run in 1..=2 {
        let told = machine.finder().find().unwrap_err().to_string();
        for part in ["target add", "has no library source", "cannot be run", "this is not Debian"] {
            assert!(told.contains(part), "{part} is missing in:\n{told}");
        }
        assert_eq!(machine.calls("rustup target add"), run);
    }
}

#[test]
fn a_choice_is_kept_until_it_is_forgotten() {
    let machine = Machine::new();
    machine.add_target();
    machine.toolchain("debian", "1.96.0");
    machine.add_source("debian");
    let way = |finder: Finder| finder.find().unwrap().way();
    assert_eq!(way(machine.finder().among(&[Way::DebianSource])), Way::DebianSource);
    assert_eq!(way(machine.finder()), Way::DebianSource);
    assert_eq!(way(machine.finder().forget()), Way::TargetInstalled);
    assert_eq!(way(machine.finder()), Way::TargetInstalled);
}

#[test]
fn what_is_remembered_but_cannot_be_read_is_put_aside() {
    let machine = Machine::new();
    machine.add_source("rustup");
    fs::create_dir_all(machine.memory()).unwrap();
    fs::write(machine.memory().join("guest-toolchain.json"), "{ half").unwrap();
    assert_eq!(machine.finder().find().unwrap().way(), Way::RustSource);
}

#[test]
fn commands_name_their_tools_and_carry_no_one_elses_settings() {
    let machine = Machine::new();
    machine.add_source("rustup");
    let toolchain = machine.finder().find().unwrap();
    let command = toolchain.cargo_for_wasm("build");
    assert_eq!(Path::new(command.get_program()), machine.path("rustup/bin/cargo"));
    let arguments: Vec<_> = command.get_args().map(|argument| argument.to_string_lossy()).collect();
    assert_eq!(arguments[..3], ["build", "--target", TARGET]);
    assert!(arguments[3].starts_with("-Zbuild-std="), "{arguments:?}");
    let value = |name: &str| {
        let set = command.get_envs().find(|(key, _)| *key == name);
        set.and_then(|(_, value)| value).map(|value| value.to_string_lossy().into_owned())
    };
    assert_eq!(value("RUSTC_BOOTSTRAP").as_deref(), Some("1"));
    assert_eq!(value("RUSTC"), machine.path("rustup/bin/rustc").to_str().map(str::to_owned));
    // These tests run inside cargo, which sets it.
    assert_eq!(value("CARGO_MANIFEST_DIR"), None);
    assert!(command.get_envs().any(|(key, value)| key == "CARGO_MANIFEST_DIR" && value.is_none()));

    machine.add_target();
    let command = machine.finder().find().unwrap().cargo_for_wasm("build");
    assert!(!command.get_args().any(|argument| argument.to_string_lossy().starts_with("-Z")));
    assert!(!command.get_envs().any(|(key, value)| key == "RUSTC_BOOTSTRAP" && value.is_some()));
}

#[test]
fn rustup_is_left_alone_where_its_user_wants_no_installing() {
    let machine = Machine::new();
    machine.script("bin/rustup", &machine.rustup(&format!("touch '{}'", machine.path("added").display())));
    let mut finder = machine.finder();
    finder.surroundings.rustup_may_install = false;
    let error = finder.find().unwrap_err().to_string();
    assert!(error.contains("RUSTUP_AUTO_INSTALL=0"), "{error}");
    assert_eq!(machine.calls("rustup target add"), 0);
}
