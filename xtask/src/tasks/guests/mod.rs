//! `guests`: every guest with every allocator, a file for each of their languages.

mod arguments;
mod c;
mod foreign;
mod rust;

use std::path::PathBuf;

use anyhow::{Result, bail};
use guest_build::Toolchain;

pub(crate) use self::arguments::Arguments;
pub(super) use self::rust::{build, build_one};
use super::setup;
use crate::console::Console;
use crate::folders;
use crate::usage::Usage;

/// Builds the guests that were asked for, and lists the modules on standard output.
pub(super) fn run(console: &Console, arguments: &Arguments) -> Result<()> {
    console.begin("setup");
    let toolchain = setup::toolchain(console)?;
    let modules = build_all(console, &toolchain, arguments)?;
    console.end();
    for module in modules {
        println!("{}", module.display());
    }
    Ok(())
}

/// Builds the guests that were asked for, in all languages, and returns their modules.
pub(super) fn build_all(console: &Console, toolchain: &Toolchain, asked: &Arguments) -> Result<Vec<PathBuf>> {
    let in_rust: Vec<_> =
        guest_build::guests(&folders::guests_manifest())?.into_iter().map(|guest| guest.name).collect();
    check_names(&asked.guest, &[in_rust.clone(), c::names(), foreign::names()].concat())?;
    let mut rust = asked.clone();
    rust.guest.retain(|name| in_rust.contains(name));
    let mut modules = Vec::new();
    if asked.guest.is_empty() || !rust.guest.is_empty() {
        modules.extend(rust::build(console, toolchain, &rust)?);
    } else if !c::is_asked(asked) && !foreign::is_asked(asked) {
        bail!(Usage("no guest that was asked for can be built with an allocator that was asked for".to_owned()));
    }
    modules.extend(c::build(console, toolchain, asked)?);
    modules.extend(foreign::build(console, asked)?);
    Ok(modules)
}

/// Fails if a name is not that of a guest.
fn check_names(asked: &[String], names: &[String]) -> Result<()> {
    match asked.iter().find(|name| !names.contains(name)) {
        Some(unknown) => bail!(Usage(format!("there is no guest `{unknown}`: use one of {}", names.join(", ")))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_guest_is_told_with_those_there_are() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let there_are = names(&["bench", "shop"]);
        let told = check_names(&names(&["shop", "shopp"]), &there_are).unwrap_err().to_string();
        assert_eq!(told, "there is no guest `shopp`: use one of bench, shop");
        assert!(check_names(&names(&["shop"]), &there_are).is_ok());
    }
}
