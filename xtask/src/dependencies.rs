//! The packages that an embedder of the runtime compiles. The tests fail if the list changes.

use std::collections::BTreeSet;
use std::process::Command;

use crate::folders;

/// The packages that the runtime compiles with its default features beside wasmtime and what that compiles. At most ten.
const BESIDE_WASMTIME: [&str; 7] =
    ["getrandom", "guest-abi", "guest-blocks", "guest-image", "guest-prepare", "guest-state", "strsim"];

/// Large packages that the runtime and wasmtime both use. The versions are wasmtime's, so that they are compiled once.
const SHARED_WITH_WASMTIME: [&str; 2] = ["wasm-encoder", "wasmparser"];

/// The runtime's package.
const RUNTIME: &str = "wasm-guest-host";

/// Names and versions of the packages that a package compiles for this machine, itself included.
fn tree(package: &str, options: &[&str]) -> BTreeSet<String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(folders::root()).args(["tree", "--package", package, "--edges", "normal", "--prefix", "none"]);
    let output = cargo.args(["--format", "{p}"]).args(options).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("cargo writes UTF-8");
    let packages = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some(format!("{} {}", words.next()?, words.next()?))
    });
    packages.collect()
}

fn names(packages: &BTreeSet<String>) -> BTreeSet<&str> {
    packages.iter().filter_map(|package| package.split(' ').next()).collect()
}

#[test]
fn the_runtime_compiles_few_packages_beside_wasmtime() {
    let runtime = tree(RUNTIME, &[]);
    let wasmtime = tree("wasmtime", &[]);
    assert!(names(&runtime).contains("wasmtime") && names(&wasmtime).contains("cranelift-codegen"));
    let beside: BTreeSet<String> = runtime.difference(&wasmtime).cloned().collect();
    let mut beside = names(&beside);
    assert!(beside.remove(RUNTIME));
    assert_eq!(beside.into_iter().collect::<Vec<_>>(), BESIDE_WASMTIME);
    assert!(BESIDE_WASMTIME.len() <= 10);
}

#[test]
fn the_runtime_and_wasmtime_share_one_parser() {
    let versions = |packages: &BTreeSet<String>, name: &str| -> Vec<String> {
        packages.iter().filter(|package| package.split(' ').next() == Some(name)).cloned().collect()
    };
    let wasmtime = tree("wasmtime", &[]);
    for package in [RUNTIME, "host-harness", "host-harness-cli"] {
        let packages = tree(package, &[]);
        for name in SHARED_WITH_WASMTIME {
            let [shared] = versions(&wasmtime, name).try_into().expect("wasmtime has one version of it");
            assert_eq!(versions(&packages, name), [shared], "{package}: see the versions in the workspace's manifest");
        }
    }
}

#[test]
fn without_a_compiler_the_runtime_has_no_cranelift() {
    let compiler = |options: &[&str]| names(&tree(RUNTIME, options)).contains("cranelift-codegen");
    assert!(compiler(&[]), "the check itself");
    assert!(!compiler(&["--no-default-features", "--features", "artefacts,async,metrics"]));
}

#[test]
fn without_the_feature_the_runtime_has_no_tracing() {
    let tracing = |options: &[&str]| names(&tree(RUNTIME, options)).iter().any(|name| name.starts_with("tracing"));
    assert!(tracing(&["--features", "tracing"]), "the check itself");
    assert!(!tracing(&[]));
    assert!(!tracing(&["--features", "artefacts,async,metrics,serde,specimens"]));
}
