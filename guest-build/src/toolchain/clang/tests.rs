//! Finding a compiler for C, on programs made of shell scripts: which way is taken, and what is told otherwise.

use std::{
    fs,
    path::{Path, PathBuf},
};

use test_support::programs;

use super::{Clang, ClangWay, Surroundings};
use crate::{
    Error,
    toolchain::{Toolchain, Way, debian::Debian},
};

/// A machine with a Rust toolchain and nothing else, outside of Debian.
struct Machine {
    folder: tempfile::TempDir,
}

/// A compiler that writes nothing and succeeds.
const CLANG: &str = "if [ \"$1\" = --version ]; then echo 'clang version 14.0.6'; fi";

impl Machine {
    fn new() -> Self {
        let machine = Self { folder: tempfile::tempdir().unwrap() };
        machine.script("rust/bin/rustc", "printf 'rustc 1.96.0 (0)\\nhost: some-host\\nLLVM version: 22.1.8\\n'");
        machine.script("bin/id", "echo 1000");
        machine.script("bin/apt-get", "exit 1");
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn script(&self, name: &str, body: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        programs::script(&path, &format!("#!/bin/sh\n{body}\n"));
    }

    fn linker(&self, name: &str, version: &str) {
        self.script(name, &format!("echo 'Some LLD {version}'"));
    }

    /// Debian with root, whose packages are this clang.
    fn debian(&self) {
        fs::write(self.path("debian_version"), "12").unwrap();
        self.script("bin/id", "echo 0");
        self.script("packages/clang", CLANG);
        let (from, to) = (self.path("packages/clang"), self.path("bin/clang"));
        self.script("bin/apt-get", &format!("cp '{}' '{}'", from.display(), to.display()));
    }

    fn find(&self) -> Result<Clang, Error> {
        let surroundings = Surroundings {
            wasi_sdk: self.path("wasi-sdk"),
            path: vec![self.path("bin")],
            debian: Debian {
                mark: self.path("debian_version"),
                apt_get: self.path("bin/apt-get"),
                id: self.path("bin/id"),
                prefix: self.path("usr"),
            },
        };
        let toolchain =
            Toolchain { way: Way::TargetInstalled, bin: self.path("rust/bin"), version: "rustc 1.96.0".to_owned() };
        Clang::among(&ClangWay::ALL, &surroundings, &toolchain, None)
    }

    /// What is told where nothing is found.
    fn complaint(&self) -> String {
        self.find().unwrap_err().to_string()
    }
}

fn assert_contains(told: &str, parts: &[&str]) {
    for part in parts {
        assert!(told.contains(part), "{part} is missing in:\n{told}");
    }
}

#[test]
fn nothing_there_is_told_with_what_to_install() {
    let told = Machine::new().complaint();
    let install = "apt-get install clang wasi-libc libclang-rt-dev-wasm32 lld-22";
    assert_contains(&told, &[install, "WASI_SDK_PATH", "there is no clang", "this is not Debian"]);
}

#[test]
fn an_installed_clang_is_taken_with_the_toolchains_linker() {
    let machine = Machine::new();
    machine.script("bin/clang", CLANG);
    machine.linker("bin/wasm-ld", "30.0.0");
    machine.linker("rust/lib/rustlib/some-host/bin/gcc-ld/wasm-ld", "22.1.2");
    let clang = machine.find().unwrap();
    assert_eq!((clang.way(), clang.program()), (ClangWay::Installed, Path::new(&machine.path("bin/clang"))));
    assert_contains(&clang.to_string(), &["clang version 14.0.6", "some-host/bin/gcc-ld/wasm-ld", "LLD 22.1.2"]);
}

#[test]
fn a_version_in_the_name_will_do() {
    let machine = Machine::new();
    machine.script("bin/clang-19", CLANG);
    machine.linker("bin/wasm-ld-22", "22.1.8");
    assert_eq!(machine.find().unwrap().program(), machine.path("bin/clang-19"));
}

#[test]
fn wasi_sdk_comes_first() {
    let machine = Machine::new();
    machine.script("bin/clang", CLANG);
    machine.script("wasi-sdk/bin/clang", CLANG);
    machine.linker("wasi-sdk/bin/wasm-ld", "23.0.0");
    let clang = machine.find().unwrap();
    assert_eq!((clang.way(), clang.program()), (ClangWay::WasiSdk, machine.path("wasi-sdk/bin/clang").as_path()));
}

#[test]
fn a_linker_older_than_the_rust_compiler_is_not_taken() {
    let machine = Machine::new();
    machine.script("bin/clang", CLANG);
    machine.linker("bin/wasm-ld", "14.0.6");
    assert_contains(&machine.complaint(), &["there is no wasm-ld of version 22 or newer", "is Some LLD 14.0.6"]);
    machine.linker("bin/wasm-ld-23", "23.0.1");
    assert_contains(&machine.find().unwrap().to_string(), &["LLD 23.0.1"]);
}

#[test]
fn a_clang_without_wasi_libc_is_not_taken() {
    let machine = Machine::new();
    let without = "echo \"check.c:1:10: fatal error: 'stdlib.h' file not found\" >&2; exit 1";
    machine.script("bin/clang", &format!("{CLANG}\nif [ \"$1\" != --version ]; then {without}; fi"));
    machine.linker("bin/wasm-ld", "22.0.0");
    assert_contains(&machine.complaint(), &["links no program with wasi-libc", "'stdlib.h' file not found"]);
}

#[test]
fn debians_packages_are_installed_by_root() {
    let machine = Machine::new();
    machine.linker("bin/wasm-ld", "22.0.0");
    machine.debian();
    assert_eq!(machine.find().unwrap().way(), ClangWay::DebianPackages);
    machine.script("bin/id", "echo 1000");
    fs::remove_file(machine.path("bin/clang")).unwrap();
    assert_contains(&machine.complaint(), &["this user is not root"]);
}
