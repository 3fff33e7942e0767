//! Guests in Rust: each with each allocator, on every contract that it can speak.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use guest_build::{Allocator, Guest, GuestBuild, Toolchain};

use super::arguments::Arguments;
use crate::console::Console;
use crate::folders;
use crate::usage::Usage;

/// Builds the guests in Rust that were asked for and returns their modules.
pub(in super::super) fn build(console: &Console, toolchain: &Toolchain, asked: &Arguments) -> Result<Vec<PathBuf>> {
    let guests = guest_build::guests(&folders::guests_manifest())?;
    let builds = choose(&guests, asked)?;
    let mut modules = Vec::new();
    for (number, (guest, allocator, contract)) in builds.iter().enumerate() {
        let suffix = contract.map(|contract| format!("-{contract}")).unwrap_or_default();
        console.begin(&format!("guest {} of {}: {}-{allocator}{suffix}", number + 1, builds.len(), guest.name));
        let mut build = prepared(console, toolchain, &guest.manifest, *allocator);
        if let Some(contract) = contract {
            build = build.features([*contract]).variant(*contract);
        }
        modules.push(build.build()?);
    }
    Ok(modules)
}

/// Builds one guest in Rust with one allocator, on the native contract.
pub(in super::super) fn build_one(
    console: &Console,
    toolchain: &Toolchain,
    name: &str,
    allocator: Allocator,
) -> Result<PathBuf> {
    let guests = guest_build::guests(&folders::guests_manifest())?;
    let guest =
        guests.iter().find(|guest| guest.name == name).with_context(|| format!("there is no guest `{name}`"))?;
    Ok(prepared(console, toolchain, &guest.manifest, allocator).build()?)
}

/// A build into the folders of this workspace.
fn prepared(console: &Console, toolchain: &Toolchain, manifest: &Path, allocator: Allocator) -> GuestBuild {
    GuestBuild::new(manifest)
        .allocator(allocator)
        .target_dir(folders::guests_build())
        .out_dir(folders::guests_out())
        .toolchain(toolchain.clone())
        .progress(console.progress())
}

/// The feature by which a guest speaks another contract than the native one, and the variant that it is built as then.
const OTHER_CONTRACT: &str = "exttinygo";

/// A guest, its allocator, and the contract where it is not the native one.
type Build<'a> = (&'a Guest, Allocator, Option<&'static str>);

/// Each guest with each of its allocators, as far as both were asked for, on each contract.
fn choose<'a>(guests: &'a [Guest], asked: &Arguments) -> Result<Vec<Build<'a>>> {
    if guests.is_empty() {
        bail!("there is no guest in {}", folders::guests_manifest().display());
    }
    let mut chosen = Vec::new();
    for guest in guests {
        if !asked.guest.is_empty() && !asked.guest.contains(&guest.name) {
            continue;
        }
        for allocator in &guest.allocators {
            if asked.allocator.is_empty() || asked.allocator.contains(allocator) {
                chosen.push((guest, *allocator, None));
                if guest.features.iter().any(|feature| feature == OTHER_CONTRACT) {
                    chosen.push((guest, *allocator, Some(OTHER_CONTRACT)));
                }
            }
        }
    }
    if chosen.is_empty() {
        bail!(Usage("no guest that was asked for forwards the feature of an allocator that was asked for".to_owned()));
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guests() -> Vec<Guest> {
        let guest = |name: &str, allocators: &[Allocator], features: &[&str]| Guest {
            name: name.to_owned(),
            manifest: PathBuf::new(),
            allocators: allocators.to_vec(),
            features: features.iter().map(|feature| (*feature).to_owned()).collect(),
        };
        vec![guest("bench", &[Allocator::System], &[]), guest("shop", &Allocator::ALL, &["counters", "exttinygo"])]
    }

    fn asked(guest: &[&str], allocator: &[Allocator]) -> Arguments {
        Arguments { guest: guest.iter().map(|name| (*name).to_owned()).collect(), allocator: allocator.to_vec() }
    }

    #[test]
    fn nothing_asked_means_all() {
        assert_eq!(choose(&guests(), &asked(&[], &[])).unwrap().len(), 11);
    }

    #[test]
    fn what_is_asked_for_is_chosen() {
        let guests = guests();
        let chosen = choose(&guests, &asked(&["shop"], &[Allocator::Wee])).unwrap();
        let chosen: Vec<_> =
            chosen.iter().map(|(guest, allocator, contract)| (&*guest.name, *allocator, *contract)).collect();
        assert_eq!(chosen, [("shop", Allocator::Wee, None), ("shop", Allocator::Wee, Some("exttinygo"))]);
        assert!(choose(&guests, &asked(&["bench"], &[Allocator::Wee])).is_err());
    }
}
