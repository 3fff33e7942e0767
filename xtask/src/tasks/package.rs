//! The published packages: each one packs, and the content of its archive compiles.
//!
//! `cargo package` verifies an archive by building it with no profile of the workspace's, which would compile wasmtime anew
//! for each package that depends on it. So the archives are unpacked here into a workspace of their own with the profile of
//! this one, where they take each other's place on the registry, and are checked in this workspace's target folder:
//!
//! - each package without wasmtime alone, and the runtime that hosts embed, so that they compile with no features of
//!   third-party packages but those that they ask for themselves,
//! - the others with wasmtime together with `third-party`, so that wasmtime is not compiled again for each,
//! - those that go into a guest for wasm32 too,
//! - and those with an older minimum version of Rust by that version, where rustup has it. Elsewhere clippy alone compares
//!   the functions of the standard library that they call with it (`clippy::incompatible_msrv`).

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use cargo_metadata::{MetadataCommand, Package};
use guest_build::Toolchain;

use super::features::{self, THIRD_PARTY};
use crate::cargo::{cargo, in_query};
use crate::console::Console;
use crate::folders;

/// The categories of the registry that the packages stand in: it leaves out one that it does not know.
const CATEGORIES: [&str; 15] = [
    "api-bindings",
    "command-line-utilities",
    "database",
    "development-tools::build-utils",
    "development-tools::procedural-macro-helpers",
    "development-tools::profiling",
    "development-tools::testing",
    "encoding",
    "memory-management",
    "network-programming",
    "no-std",
    "no-std::no-alloc",
    "virtualization",
    "wasm",
    "web-programming::http-server",
];

/// Files that every archive must contain.
const FILES: [&str; 4] = ["Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// The longest keyword that the registry takes, in characters.
const KEYWORD: usize = 20;

/// The package that hosts embed. It depends on wasmtime, and is checked alone nevertheless.
const RUNTIME: &str = "wasm-guest-host";

/// Packs everything that is published and checks what is in the archives.
pub(super) fn check(console: &Console, toolchain: &Toolchain) -> Result<()> {
    let packages: Vec<_> = features::members()?.into_iter().filter(|package| package.publish.is_none()).collect();
    let faults: Vec<_> = packages.iter().flat_map(faults).collect();
    if !faults.is_empty() {
        bail!("manifests of packages that are published: {}", faults.join("; "));
    }
    let unpacked = unpack(console, &packages)?;
    let (together, alone) = split(&packages)?;
    for name in &alone {
        console.run(check_command(&unpacked).args(["--package", name]))?;
    }
    let mut others = check_command(&unpacked);
    for name in &together {
        others.args(["--package", name]);
    }
    console.run(others.args(["--package", THIRD_PARTY]))?;
    let mut wasm = features::clippy_for_wasm(console, toolchain)?;
    wasm.current_dir(&unpacked);
    for package in features::guest_packages()?.iter().filter(|guest| alone.contains(&guest.name)) {
        wasm.args(["--package", &package.name]);
    }
    console.run(&mut wasm)?;
    minimum_versions(console, &unpacked, &packages)?;
    console.say(&format!("{} packages", packages.len()));
    Ok(())
}

/// Checks the manifests of the query engine's packages, and what their archives would contain. Their content is compiled by the tests
/// of that workspace; to compile the archives would take the engine once more.
pub(super) fn check_query(console: &Console) -> Result<()> {
    let packages = query_packages()?;
    let faults: Vec<_> = packages.iter().flat_map(faults).collect();
    if !faults.is_empty() {
        bail!("manifests of packages that are published: {}", faults.join("; "));
    }
    for package in &packages {
        let mut list = in_query(cargo());
        list.args(["package", "--list", "--allow-dirty", "--package", &package.name]);
        let (succeeded, listed) = console.capture(&mut list)?;
        let listed = String::from_utf8_lossy(&listed);
        let missing = FILES.iter().find(|file| !listed.lines().any(|line| line == **file));
        if let Some(missing) = missing.filter(|_| succeeded) {
            bail!("{missing} is not in the archive of {}", package.name);
        }
        if !succeeded {
            bail!("`cargo package --list` failed for {}", package.name);
        }
    }
    console.say(&format!("{} packages of the query engine", packages.len()));
    Ok(())
}

/// The packages of the query engine's workspace.
fn query_packages() -> Result<Vec<Package>> {
    let manifest = folders::query().join("Cargo.toml");
    let metadata = MetadataCommand::new().manifest_path(&manifest).no_deps().exec();
    Ok(metadata.with_context(|| format!("reading {}", manifest.display()))?.packages)
}

/// The entries that a manifest lacks and the registry or its readers need.
fn faults(package: &Package) -> Vec<String> {
    let mut faults = Vec::new();
    let mut demand = |holds: bool, what: &str| {
        if !holds {
            faults.push(format!("{}: {what}", package.name));
        }
    };
    demand(package.description.as_ref().is_some_and(|text| !text.is_empty()), "no description");
    demand(package.license.as_deref() == Some("MIT OR Apache-2.0"), "the licence is not MIT OR Apache-2.0");
    demand(package.readme.is_some(), "no readme");
    demand(package.rust_version.is_some(), "no rust-version");
    demand((1..=5).contains(&package.keywords.len()), "not 1 to 5 keywords");
    let is_keyword = |keyword: &String| {
        keyword.len() <= KEYWORD
            && keyword.starts_with(|first: char| first.is_ascii_alphanumeric())
            && keyword.chars().all(|c| c.is_ascii_alphanumeric() || "_-+".contains(c))
    };
    demand(package.keywords.iter().all(is_keyword), "a keyword that the registry refuses");
    demand((1..=5).contains(&package.categories.len()), "not 1 to 5 categories");
    demand(
        package.categories.iter().all(|category| CATEGORIES.contains(&category.as_str())),
        "a category that is not in the list of this check",
    );
    demand(package.metadata.pointer("/docs/rs/targets").is_some(), "no targets for docs.rs");
    faults
}

/// Packs all of them and `third-party`, unpacks the archives and makes a workspace of them; returns its folder.
fn unpack(console: &Console, packages: &[Package]) -> Result<PathBuf> {
    let folder = folders::target().join("package");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    let mut pack = cargo();
    // A changed file that is not committed yet is packed as it is.
    pack.args(["package", "--no-verify", "--allow-dirty", "--package", THIRD_PARTY]);
    for package in packages {
        pack.args(["--package", &package.name]);
    }
    console.run(&mut pack)?;
    let unpacked = folder.join("unpacked");
    fs::create_dir_all(&unpacked).with_context(|| format!("making {}", unpacked.display()))?;
    let mut members = BTreeMap::new();
    for package in
        features::members()?.iter().filter(|package| package.publish.is_none() || package.name == THIRD_PARTY)
    {
        let name = format!("{}-{}", package.name, package.version);
        let archive = folder.join(format!("{name}.crate"));
        // With the time of now: archives have a time long past, by which cargo would take the files for those of an earlier run.
        console.run(Command::new("tar").args(["-x", "-z", "-m", "-f"]).arg(&archive).arg("-C").arg(&unpacked))?;
        let wanted = if package.name == THIRD_PARTY { &FILES[..1] } else { &FILES };
        if let Some(missing) = wanted.iter().find(|file| !unpacked.join(&name).join(file).is_file()) {
            bail!("{missing} is not in {}", archive.display());
        }
        members.insert(package.name.to_string(), name);
    }
    let root = folders::root();
    let manifest = fs::read_to_string(root.join("Cargo.toml")).context("reading the workspace's manifest")?;
    let path = unpacked.join("Cargo.toml");
    fs::write(&path, workspace(&members, &manifest)).with_context(|| format!("writing {}", path.display()))?;
    // The same versions of everything else.
    fs::copy(root.join("Cargo.lock"), unpacked.join("Cargo.lock")).context("copying Cargo.lock")?;
    Ok(unpacked)
}

/// The manifest of a workspace of these packages, each with its folder; all but `third-party` take the place of what is on
/// the registry. The profile that checks use is that of `manifest`.
fn workspace(members: &BTreeMap<String, String>, manifest: &str) -> String {
    let folders: Vec<_> = members.values().map(|folder| format!("{folder:?}")).collect();
    let mut text = format!("[workspace]\nresolver = \"3\"\nmembers = [{}]\n\n[patch.crates-io]\n", folders.join(", "));
    for (name, folder) in members.iter().filter(|(name, _)| *name != THIRD_PARTY) {
        text.push_str(&format!("{name} = {{ path = {folder:?} }}\n"));
    }
    let mut is_profile = false;
    for line in manifest.lines() {
        if line.starts_with('[') {
            is_profile = line.starts_with("[profile.dev.") || line == "[profile.dev]";
        }
        if is_profile {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// The names of the packages that are checked together, which depend on wasmtime, and of those that are checked alone.
fn split(packages: &[Package]) -> Result<(Vec<String>, Vec<String>)> {
    let graph = features::Graph::new(&features::members()?);
    let needs = |name: &String| {
        graph.resolve(name, &["default".to_owned()], features::Target::Host).third_party.contains("wasmtime")
            && name != RUNTIME
    };
    Ok(packages.iter().map(|package| package.name.to_string()).partition(needs))
}

/// `cargo check` of what was unpacked, in this workspace's target folder.
fn check_command(unpacked: &Path) -> Command {
    let mut check = cargo();
    check.current_dir(unpacked).arg("check").arg("--target-dir").arg(folders::target());
    check
}

/// Checks packages that promise an older Rust by that version, where rustup has it.
fn minimum_versions(console: &Console, unpacked: &Path, packages: &[Package]) -> Result<()> {
    let mut by_version: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for package in packages {
        if let Some(version) = &package.rust_version {
            by_version.entry(format!("{}.{}", version.major, version.minor)).or_default().push(&package.name);
        }
    }
    let installed = installed_toolchains(console);
    let current = format!("{}.", rustc_version(console)?);
    for (version, names) in by_version {
        if current.starts_with(&format!("{version}.")) {
            continue;
        }
        let Some(toolchain) = installed.iter().find(|name| is_version(name, &version)) else {
            console.say(&format!(
                "Rust {version} is not installed, so nothing compiles the {} packages that promise it: only clippy's \
                 incompatible_msrv looks at them (`rustup toolchain install {version}`)",
                names.len()
            ));
            continue;
        };
        let mut check = Command::new("rustup");
        check.args(["run", toolchain, "cargo", "check", "--target-dir"]).arg(folders::target().join("minimum"));
        check.current_dir(unpacked);
        for name in names {
            check.args(["--package", name]);
        }
        for variable in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"] {
            check.env_remove(variable);
        }
        console.run(&mut check)?;
    }
    Ok(())
}

/// Whether a toolchain's name, such as `1.88.0-x86_64-unknown-linux-gnu`, is that of `version`.
fn is_version(name: &str, version: &str) -> bool {
    name.strip_prefix(version).is_some_and(|rest| rest.starts_with(['.', '-']))
}

/// The toolchains that rustup has; none where there is no rustup.
fn installed_toolchains(console: &Console) -> Vec<String> {
    let output = console.capture(Command::new("rustup").args(["toolchain", "list", "--quiet"]));
    match output {
        Ok((true, output)) => String::from_utf8_lossy(&output).lines().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

/// The version of the compiler in use, such as `1.95.0`.
fn rustc_version(console: &Console) -> Result<String> {
    let (succeeded, output) = console.capture(Command::new("rustc").arg("--version"))?;
    let output = String::from_utf8_lossy(&output);
    match output.split_whitespace().nth(1) {
        Some(version) if succeeded => Ok(version.to_owned()),
        _ => bail!("`rustc --version` printed {output:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_that_lacks_something_is_found() {
        let members = features::members().unwrap();
        let (published, kept): (Vec<_>, Vec<_>) = members.into_iter().partition(|package| package.publish.is_none());
        // Everything else is published.
        let expected =
            ["benches", "book-samples", "example-service", "fuzz", "test-support", "third-party", "wee_alloc", "xtask"];
        assert_eq!(kept.iter().map(|package| package.name.as_str()).collect::<Vec<_>>(), expected);
        assert_eq!(published.iter().flat_map(faults).collect::<Vec<_>>(), Vec::<String>::new());
        assert_eq!(query_packages().unwrap().iter().flat_map(faults).collect::<Vec<_>>(), Vec::<String>::new());
        let mut broken = published[0].clone();
        broken.readme = None;
        broken.keywords.push("a keyword of two or more words".to_owned());
        broken.categories.push("webassembly".to_owned());
        let name = broken.name.to_string();
        let expected = [
            "no readme",
            "not 1 to 5 keywords",
            "a keyword that the registry refuses",
            "a category that is not in the list of this check",
        ];
        assert_eq!(faults(&broken), expected.map(|what| format!("{name}: {what}")));
    }

    #[test]
    fn unpacked_packages_stand_for_those_of_the_registry_and_keep_the_profile() {
        let members = [("one", "one-0.1.0"), (THIRD_PARTY, "third-party-0.1.0")]
            .map(|(name, folder)| (name.to_owned(), folder.to_owned()));
        let manifest =
            "[workspace]\nmembers = []\n[profile.dev.package.\"*\"]\nopt-level = 2\n\n[profile.release]\ndebug = 1\n";
        let expected = "[workspace]\nresolver = \"3\"\nmembers = [\"one-0.1.0\", \"third-party-0.1.0\"]\n\n\
            [patch.crates-io]\none = { path = \"one-0.1.0\" }\n[profile.dev.package.\"*\"]\nopt-level = 2\n\n";
        assert_eq!(workspace(&members.into(), manifest), expected);
    }

    #[test]
    fn toolchains_are_known_by_their_version() {
        assert!(
            is_version("1.88.0-x86_64-unknown-linux-gnu", "1.88") && is_version("1.88-x86_64-pc-windows-msvc", "1.88")
        );
        assert!(!is_version("1.8.0-x86_64-unknown-linux-gnu", "1.88") && !is_version("1.880.0", "1.88"));
    }
}
