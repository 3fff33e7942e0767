//! Every combination of features: clippy for the host and for wasm32, and the refusal of two allocators at once.
//!
//! Clippy compiles as `cargo check` does and finds what only a combination of features leaves unused.
//!
//! There are hundreds of combinations, and three things keep them cheap:
//!
//! - A package without features has one combination, which the steps `clippy` and `clippy-wasm` check.
//! - One command checks combinations of several packages where none of them gets a feature that it would not have had
//!   alone ([`mod@batches`]). The host and wasm32 go side by side: their target folders differ.
//! - wasmtime takes minutes. The package `third-party` is selected beside crates for the host alone, so that their
//!   third-party packages have the features that the whole workspace gives them: its own features apart, wasmtime is
//!   compiled as the step `clippy` compiled it. A crate that forgets to ask for a feature which another asks for is
//!   therefore not found here but by the step `package`.
//!
//! The features of such a crate that change third-party packages (asynchronous wasmtime, say) are checked each alone,
//! none of them, and all of them, and not in every combination: each set may compile wasmtime anew. All other features
//! are checked in every combination.

use std::{collections::BTreeSet, process::Command, thread};

use anyhow::{Context, Result, anyhow, bail};
use cargo_metadata::{Metadata, MetadataCommand, Package as CargoPackage};
use guest_build::Toolchain;

use self::{
    batches::{Batch, batches},
    package::{ALLOCATOR_PREFIX, Package, pairs},
};
pub(super) use self::{graph::Graph, target::Target};
use crate::cargo::{DENY_WARNINGS, cargo, in_guests};
use crate::console::{self, Console};
use crate::folders;

mod batches;
mod graph;
mod package;
mod target;

/// Selected beside a crate for the host alone: it gives third-party packages the features of the whole workspace.
pub(super) const THIRD_PARTY: &str = "third-party";

/// The packages of the workspace, by name.
pub(super) fn members() -> Result<Vec<CargoPackage>> {
    let mut members: Vec<_> = metadata("Cargo.toml")?.workspace_packages().into_iter().cloned().collect();
    members.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(members)
}

/// Members of the workspace that become part of a guest.
pub(super) fn guest_packages() -> Result<Vec<Package>> {
    Ok(packages()?.1.into_iter().filter(|package| package.is_for_wasm && !package.is_guest).collect())
}

/// Clippy for wasm32, which compiles where the guests are compiled.
pub(super) fn clippy_for_wasm(console: &Console, toolchain: &Toolchain) -> Result<Command> {
    let mut clippy = toolchain.clippy_for_wasm(Some(&console.progress()))?;
    clippy.current_dir(folders::root()).arg("--target-dir").arg(folders::guests_build());
    Ok(clippy)
}

/// Checks every combination of every package, of both workspaces, and tells all that fail.
pub(super) fn check(console: &Console, toolchain: &Toolchain) -> Result<()> {
    let (graph, packages) = packages()?;
    let packages: Vec<_> = packages.into_iter().filter(|package| !package.has_one_combination()).collect();
    let check = Check { console, toolchain, graph: &graph, packages: &packages };
    let done = thread::scope(|scope| {
        let host = scope.spawn(|| check.for_target(Target::Host));
        let wasm = check.for_target(Target::Wasm);
        [host.join().unwrap_or_else(|_| Err(anyhow!("the check for the host panicked"))), wasm]
    });
    let (mut commands, mut failed) = (0, 0);
    for done in done {
        let done = done?;
        commands += done.commands;
        failed += done.failed;
    }
    let total: usize = packages.iter().map(|package| package.combinations().len()).sum();
    if failed > 0 {
        bail!("{failed} of {commands} commands failed, which check {total} combinations of features");
    }
    console.say(&format!("{total} combinations of features in {} packages, by {commands} commands", packages.len()));
    Ok(())
}

/// Everything that the check needs.
struct Check<'a> {
    console: &'a Console,
    toolchain: &'a Toolchain,
    graph: &'a Graph,
    packages: &'a [Package],
}

/// How many commands ran, and how many of them failed.
#[derive(Default)]
struct Done {
    commands: usize,
    failed: usize,
}

impl Check<'_> {
    fn for_target(&self, target: Target) -> Result<Done> {
        let mut done = Done::default();
        let mut note = |result: Result<()>| {
            done.commands += 1;
            if let Err(error) = result {
                done.failed += 1;
                self.console.say(&format!("{error:#}"));
            }
        };
        let name = match target {
            Target::Host => "host",
            Target::Wasm => "wasm32",
        };
        // Packages of two workspaces cannot share a command, and `third-party` goes with the host's packages alone.
        for (is_guest, is_for_wasm) in [(false, false), (false, true), (true, true)] {
            let is_here = |package: &&Package| (package.is_guest, package.is_for_wasm) == (is_guest, is_for_wasm);
            let batches = batches(self.graph, self.packages.iter().filter(is_here), target);
            for (index, batch) in batches.iter().enumerate() {
                self.console.begin(&format!("{name}, {} of {}: {}", index + 1, batches.len(), batch.describe()));
                let mut clippy = self.clippy(target, is_guest, is_for_wasm, batch)?;
                note(run_quietly(self.console, clippy.args(DENY_WARNINGS)));
            }
        }
        for package in self.packages.iter().filter(|package| target == Target::Host || package.is_for_wasm) {
            for pair in pairs(&package.allocators).into_iter().filter(|pair| self.refuses_itself(package, pair)) {
                self.console.begin(&format!("{name}: {} refuses {} and {}", package.name, pair[0], pair[1]));
                let batch = Batch::of_one(&package.name, pair.clone());
                let mut clippy = self.clippy(target, package.is_guest, package.is_for_wasm, &batch)?;
                note(refuses(self.console, &mut clippy, &pair));
            }
        }
        Ok(done)
    }

    fn clippy(&self, target: Target, is_guest: bool, is_for_wasm: bool, batch: &Batch) -> Result<Command> {
        let mut clippy = match target {
            Target::Host => {
                let mut clippy = cargo();
                clippy.arg("clippy");
                clippy
            }
            Target::Wasm => clippy_for_wasm(self.console, self.toolchain)?,
        };
        if is_guest {
            clippy = in_guests(clippy);
        }
        for (name, _) in &batch.members {
            clippy.args(["--package", name]);
        }
        if !is_for_wasm {
            clippy.args(["--package", THIRD_PARTY]);
        }
        clippy.args(["--keep-going", "--no-default-features"]);
        let features = batch.features();
        if !features.is_empty() {
            clippy.args(["--features", &features]);
        }
        Ok(clippy)
    }

    /// Whether this package must refuse the two allocators by itself. Where it turns both on in another package, that one
    /// refuses them, and is asked itself.
    fn refuses_itself(&self, package: &Package, pair: &[String]) -> bool {
        let is_pair = |on: &BTreeSet<String>| on.iter().filter(|name| name.starts_with(ALLOCATOR_PREFIX)).count() > 1;
        let resolved = self.graph.resolve(&package.name, pair, Target::Host);
        let is_asked = |name: &str| self.packages.iter().any(|other| other.name == name);
        !resolved.local.iter().any(|(name, on)| *name != package.name && is_pair(on) && is_asked(name))
    }
}

/// All packages of both workspaces.
fn packages() -> Result<(Graph, Vec<Package>)> {
    let [workspace, guests] = ["Cargo.toml", "guests/Cargo.toml"].map(metadata);
    let (workspace, guests) = (workspace?, guests?);
    let of = |metadata: &Metadata| metadata.workspace_packages().into_iter().cloned().collect::<Vec<_>>();
    let (workspace, guests) = (of(&workspace), of(&guests));
    let graph = Graph::new(workspace.iter().chain(&guests));
    let mut packages = Vec::new();
    for (of, is_guest) in [(workspace, false), (guests, true)] {
        let mut of = of.iter().map(|package| Package::new(package, &graph, is_guest)).collect::<Result<Vec<_>>>()?;
        of.sort_by(|one, other| one.name.cmp(&other.name));
        packages.extend(of);
    }
    Ok((graph, packages))
}

fn metadata(manifest: &str) -> Result<Metadata> {
    let manifest = folders::root().join(manifest);
    MetadataCommand::new()
        .manifest_path(&manifest)
        .no_deps()
        .exec()
        .with_context(|| format!("reading {}", manifest.display()))
}

/// Runs one of very many commands, whose output matters only where it fails.
fn run_quietly(console: &Console, command: &mut Command) -> Result<()> {
    let (succeeded, output) = console.capture(command)?;
    if succeeded {
        return Ok(());
    }
    console.say(&String::from_utf8_lossy(&output));
    bail!("`{}` failed", console::describe(command))
}

/// Two allocators at once must not compile, and the compiler's error must name both.
fn refuses(console: &Console, command: &mut Command, pair: &[String]) -> Result<()> {
    let (succeeded, output) = console.capture(command)?;
    let output = String::from_utf8_lossy(&output);
    let told = console::describe(command);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Where it fails: third-party/Cargo.toml and the workspace's dependencies no longer agree.
    #[test]
    fn third_party_asks_for_every_third_party_package_save_wasmtime() {
        let read = |manifest: &str| -> toml::Table {
            std::fs::read_to_string(folders::root().join(manifest)).unwrap().parse().unwrap()
        };
        let workspace = read("Cargo.toml");
        let is_third_party =
            |(name, value): &(&String, &toml::Value)| value.get("path").is_none() && !name.starts_with("wasmtime");
        let all: Vec<_> =
            workspace["workspace"]["dependencies"].as_table().unwrap().iter().filter(is_third_party).collect();
        let asked = read("third-party/Cargo.toml");
        let asked = asked["dependencies"].as_table().unwrap();
        // Compiles C++, and no plain build asks for it.
        let missing: Vec<_> = all
            .iter()
            .map(|(name, _)| *name)
            .filter(|name| !asked.contains_key(*name) && *name != "libfuzzer-sys")
            .collect();
        assert!(missing.is_empty(), "third-party/Cargo.toml lacks {missing:?}");
    }
}
