//! `guests`: every guest with every allocator; those in C are in `c_guests`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use guest_build::{Allocator, Guest, GuestBuild, Toolchain};

use super::{c_guests, setup};
use crate::{Usage, cli, console::Console, folders};

/// Builds the guests that were asked for, and lists the modules on standard output.
pub(super) fn run(console: &Console, arguments: &cli::Guests) -> Result<()> {
    console.begin("setup");
    let toolchain = setup::toolchain(console)?;
    let modules = build_all(console, &toolchain, arguments)?;
    console.end();
    for module in modules {
        println!("{}", module.display());
    }
    Ok(())
}

/// Builds the guests that were asked for, in Rust and in C, and returns their modules.
pub(super) fn build_all(console: &Console, toolchain: &Toolchain, asked: &cli::Guests) -> Result<Vec<PathBuf>> {
    let in_c = c_guests::names();
    let mut rust = asked.clone();
    rust.guest.retain(|name| !in_c.contains(name));
    let mut modules = Vec::new();
    if asked.guest.is_empty() || !rust.guest.is_empty() {
        modules.extend(build(console, toolchain, &rust)?);
    } else if !c_guests::is_asked(asked) {
        bail!(Usage("no guest that was asked for can be built with an allocator that was asked for".to_owned()));
    }
    modules.extend(c_guests::build(console, toolchain, asked)?);
    Ok(modules)
}

/// Builds the guests in Rust that were asked for and returns their modules.
pub(super) fn build(console: &Console, toolchain: &Toolchain, asked: &cli::Guests) -> Result<Vec<PathBuf>> {
    let guests = guest_build::guests(&folders::guests_manifest())?;
    let builds = choose(&guests, asked)?;
    let mut modules = Vec::new();
    for (number, (guest, allocator)) in builds.iter().enumerate() {
        console.begin(&format!("guest {} of {}: {}-{allocator}", number + 1, builds.len(), guest.name));
        let module = GuestBuild::new(&guest.manifest)
            .allocator(*allocator)
            .target_dir(folders::guests_build())
            .out_dir(folders::guests_out())
            .toolchain(toolchain.clone())
            .progress(console.progress())
            .build()?;
        modules.push(module);
    }
    Ok(modules)
}

/// Each guest with each of its allocators, as far as both were asked for.
fn choose<'a>(guests: &'a [Guest], asked: &cli::Guests) -> Result<Vec<(&'a Guest, Allocator)>> {
    if guests.is_empty() {
        bail!("there is no guest in {}", folders::guests_manifest().display());
    }
    if let Some(unknown) = asked.guest.iter().find(|name| !guests.iter().any(|guest| guest.name == **name)) {
        let names: Vec<_> = guests.iter().map(|guest| guest.name.as_str()).collect();
        let in_c = c_guests::names().join(", ");
        bail!(Usage(format!("there is no guest `{unknown}`: use one of {}, {in_c}", names.join(", "))));
    }
    let mut chosen = Vec::new();
    for guest in guests {
        if !asked.guest.is_empty() && !asked.guest.contains(&guest.name) {
            continue;
        }
        for allocator in &guest.allocators {
            if asked.allocator.is_empty() || asked.allocator.contains(allocator) {
                chosen.push((guest, *allocator));
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
        let guest = |name: &str, allocators: &[Allocator]| Guest {
            name: name.to_owned(),
            manifest: PathBuf::new(),
            allocators: allocators.to_vec(),
            features: Vec::new(),
        };
        vec![guest("bench", &[Allocator::System]), guest("shop", &Allocator::ALL)]
    }

    fn asked(guest: &[&str], allocator: &[Allocator]) -> cli::Guests {
        cli::Guests { guest: guest.iter().map(|name| (*name).to_owned()).collect(), allocator: allocator.to_vec() }
    }

    #[test]
    fn nothing_asked_means_all() {
        assert_eq!(choose(&guests(), &asked(&[], &[])).unwrap().len(), 6);
    }

    #[test]
    fn what_is_asked_for_is_chosen() {
        let guests = guests();
        let chosen = choose(&guests, &asked(&["shop"], &[Allocator::Wee])).unwrap();
        assert_eq!(chosen.len(), 1);
        assert_eq!((chosen[0].0.name.as_str(), chosen[0].1), ("shop", Allocator::Wee));
        assert!(choose(&guests, &asked(&["bench"], &[Allocator::Wee])).is_err());
    }

    #[test]
    fn an_unknown_guest_is_told_with_those_there_are() {
        let told = choose(&guests(), &asked(&["shopp"], &[])).unwrap_err().to_string();
        assert!(told.contains("`shopp`") && told.contains("bench, shop"), "{told}");
    }
}
