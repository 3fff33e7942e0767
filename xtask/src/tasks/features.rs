//! Every combination of features: clippy for the host and for wasm32, and the refusal of two allocators at once.
//!
//! Clippy compiles as `cargo check` does and finds what only a combination of features leaves unused.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use cargo_metadata::{MetadataCommand, Package as CargoPackage};
use guest_build::Toolchain;

use super::{cargo, test};
use crate::{console::Console, folders};

/// Members of the workspace that are never part of a guest; a procedural macro runs in the compiler.
const HOST_ONLY: [&str; 10] = [
    "benches",
    "fuzz",
    "guest-build",
    "guest-host",
    "guest-prepare",
    "guest-sdk-macros",
    "host-harness",
    "host-harness-cli",
    "test-support",
    "xtask",
];

/// Features for tests that run on the host, with dependencies that no guest can have.
const HOST_FEATURES: [&str; 1] = ["testing"];

/// The features that pick an allocator, of which a guest may have one at most, begin like this.
const ALLOCATOR_PREFIX: &str = "alloc-";

/// A package with features.
#[derive(Clone, Debug)]
pub(super) struct Package {
    /// Its name.
    pub(super) name: String,
    /// The features that can be combined at will and change what is compiled.
    free: Vec<String>,
    /// The features that change nothing: they enable nothing, and no source file asks for them.
    inert: Vec<String>,
    /// The features of which one at most may be given.
    allocators: Vec<String>,
    /// Whether it is one of the guests' workspace.
    is_guest: bool,
    /// Whether it is compiled for wasm32 too.
    is_for_wasm: bool,
}

/// Members of the workspace that become part of a guest.
pub(super) fn guest_packages() -> Result<Vec<Package>> {
    let packages = packages("Cargo.toml".into(), false)?;
    Ok(packages.into_iter().filter(|package| package.is_for_wasm).collect())
}

/// Clippy for wasm32, which compiles where the guests are compiled.
pub(super) fn clippy_for_wasm(console: &Console, toolchain: &Toolchain) -> Result<Command> {
    let mut clippy = toolchain.clippy_for_wasm(Some(&console.progress()))?;
    clippy.current_dir(folders::root()).arg("--target-dir").arg(folders::guests_build());
    Ok(clippy)
}

/// Checks every combination of every package, of both workspaces, and tells all that fail.
pub(super) fn check(console: &Console, toolchain: &Toolchain) -> Result<()> {
    let mut all = packages("Cargo.toml".into(), false)?;
    all.extend(packages("guests/Cargo.toml".into(), true)?);
    let total: usize = all.iter().map(|package| package.combinations().len()).sum();
    let mut checked = 0;
    let mut failed = 0;
    let mut note = |result: Result<()>| {
        if let Err(error) = result {
            failed += 1;
            console.say(&format!("{error:#}"));
        }
    };
    for package in &all {
        for combination in package.combinations() {
            checked += 1;
            let told = if combination.is_empty() { "none".to_owned() } else { combination.join(",") };
            console.begin(&format!("{checked} of {total}: {} with {told}", package.name));
            for mut clippy in package.clippies(&combination, console, toolchain)? {
                note(run_quietly(console, clippy.args(test::DENY_WARNINGS)));
            }
        }
        for pair in pairs(&package.allocators) {
            console.begin(&format!("{} refuses {} and {}", package.name, pair[0], pair[1]));
            for mut clippy in package.clippies(&pair, console, toolchain)? {
                note(refuses(console, &mut clippy, &pair));
            }
        }
    }
    if failed > 0 {
        bail!("{failed} of the commands for {total} combinations of features failed");
    }
    console.say(&format!("{total} combinations of features in {} packages", all.len()));
    Ok(())
}

impl Package {
    fn new(package: &CargoPackage, is_guest: bool) -> Result<Self> {
        let (allocators, others): (Vec<_>, Vec<_>) = package
            .features
            .keys()
            .filter(|feature| *feature != "default")
            .cloned()
            .partition(|feature| feature.starts_with(ALLOCATOR_PREFIX));
        let folder = package.manifest_path.parent().map(|folder| folder.as_std_path().to_owned());
        let mut sources = String::new();
        if let Some(folder) = folder {
            read_sources(&folder, &mut sources)?;
        }
        let (inert, free) = others.into_iter().partition(|feature| is_inert(feature, &package.features, &sources));
        Ok(Self {
            name: package.name.to_string(),
            free,
            inert,
            allocators,
            is_guest,
            is_for_wasm: is_guest || !HOST_ONLY.contains(&package.name.as_str()),
        })
    }

    /// Every set of free features, each with no allocator and with each one; the inert ones together once.
    fn combinations(&self) -> Vec<Vec<String>> {
        let mut all = Vec::new();
        for set in subsets(&self.free) {
            all.push(set.clone());
            for allocator in &self.allocators {
                let mut with = set.clone();
                with.push(allocator.clone());
                all.push(with);
            }
        }
        if !self.inert.is_empty() {
            all.push(self.inert.clone());
        }
        all
    }

    /// Clippy with these features for the host and, where package and features are for it, for wasm32.
    fn clippies(&self, features: &[String], console: &Console, toolchain: &Toolchain) -> Result<Vec<Command>> {
        let mut host = cargo();
        host.arg("clippy");
        let mut clippies = vec![host];
        let is_for_host = features.iter().any(|feature| HOST_FEATURES.contains(&feature.as_str()));
        if self.is_for_wasm && !is_for_host {
            clippies.push(clippy_for_wasm(console, toolchain)?);
        }
        if self.is_guest {
            clippies = clippies.into_iter().map(test::in_guests).collect();
        }
        for clippy in &mut clippies {
            clippy.args(["--package", &self.name, "--no-default-features"]);
            if !features.is_empty() {
                clippy.args(["--features", &features.join(",")]);
            }
        }
        Ok(clippies)
    }
}

fn packages(manifest: PathBuf, is_guest: bool) -> Result<Vec<Package>> {
    let manifest = folders::root().join(manifest);
    let metadata = MetadataCommand::new()
        .manifest_path(&manifest)
        .no_deps()
        .exec()
        .with_context(|| format!("reading {}", manifest.display()))?;
    let mut packages = metadata
        .workspace_packages()
        .into_iter()
        .map(|package| Package::new(package, is_guest))
        .collect::<Result<Vec<_>>>()?;
    packages.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(packages)
}

/// Whether a feature enables nothing, save others like it, and no source file asks for it.
fn is_inert(feature: &str, features: &BTreeMap<String, Vec<String>>, sources: &str) -> bool {
    let enables_nothing =
        features.get(feature).is_some_and(|enabled| enabled.iter().all(|other| is_inert(other, features, sources)));
    enables_nothing && !sources.contains(&format!("\"{feature}\""))
}

/// Appends all Rust source below `folder`.
fn read_sources(folder: &Path, sources: &mut String) -> Result<()> {
    let context = || format!("reading {}", folder.display());
    for entry in std::fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        if path.is_dir() {
            if !path.ends_with("target") {
                read_sources(&path, sources)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?);
        }
    }
    Ok(())
}

/// Runs one of very many commands, whose output matters only where it fails.
fn run_quietly(console: &Console, command: &mut Command) -> Result<()> {
    let (succeeded, output) = console.capture(command)?;
    if succeeded {
        return Ok(());
    }
    console.say(&String::from_utf8_lossy(&output));
    bail!("`{}` failed", crate::console::describe(command))
}

/// Two allocators at once must not compile, and the compiler's error must name both.
fn refuses(console: &Console, command: &mut Command, pair: &[String]) -> Result<()> {
    let (succeeded, output) = console.capture(command)?;
    let output = String::from_utf8_lossy(&output);
    let told = crate::console::describe(command);
    if succeeded {
        bail!("`{told}` compiled, although it asks for two allocators");
    }
    let names_both =
        output.lines().any(|line| line.contains("error") && pair.iter().all(|name| line.contains(name.as_str())));
    if !names_both {
        console.say(&output);
        bail!("`{told}` failed as it must, but no error names both allocators in one line");
    }
    Ok(())
}

/// Every subset, the empty one first.
fn subsets(of: &[String]) -> Vec<Vec<String>> {
    let mut all = vec![Vec::new()];
    for item in of {
        let with: Vec<_> = all.iter().map(|set| set.iter().chain([item]).cloned().collect()).collect();
        all.extend::<Vec<Vec<String>>>(with);
    }
    all
}

/// Every two of them.
fn pairs(of: &[String]) -> Vec<Vec<String>> {
    subsets(of).into_iter().filter(|set| set.len() == 2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn every_combination_has_one_allocator_at_most() {
        let package = Package {
            name: "guest".to_owned(),
            free: names(&["counters", "std"]),
            inert: names(&["old", "older"]),
            allocators: names(&["alloc-a", "alloc-b"]),
            is_guest: true,
            is_for_wasm: true,
        };
        let all = package.combinations();
        assert_eq!(all.len(), 4 * 3 + 1);
        for combination in &all {
            let allocators = combination.iter().filter(|name| name.starts_with("alloc-")).count();
            assert!(allocators <= 1, "{combination:?}");
        }
        assert!(all.contains(&Vec::new()));
        assert!(all.contains(&names(&["counters", "std", "alloc-b"])));
    }

    #[test]
    fn a_feature_is_inert_only_where_nothing_depends_on_it() {
        let features: BTreeMap<_, _> = [
            ("asked", names(&[])),
            ("enabling", names(&["dep:some"])),
            ("old", names(&[])),
            ("older", names(&["old"])),
            ("through", names(&["asked"])),
        ]
        .into_iter()
        .map(|(name, enabled)| (name.to_owned(), enabled))
        .collect();
        let inert = |name| is_inert(name, &features, "#[cfg(feature = \"asked\")] fn old() {}");
        assert!(inert("old") && inert("older"));
        assert!(!inert("asked") && !inert("enabling") && !inert("through"));
    }

    #[test]
    fn pairs_are_all_there() {
        assert_eq!(pairs(&names(&["a", "b", "c"])).len(), 3);
        assert_eq!(pairs(&names(&["a"])).len(), 0);
    }
}
