//! Guests in AssemblyScript, Zig and Go, by compilers that package registries give: each runtime, each mode.
//!
//! A compiler that is neither there nor can be installed is said to be missing, and its guests are left out.

mod toolchain;

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use anyhow::{Context, Result, anyhow};
use guest_build::Allocator;

use self::toolchain::{Guest, TOOLCHAINS, Toolchain};
use super::arguments::Arguments;
use crate::console::Console;
use crate::folders;
use crate::tasks::registries::run;

/// The names of the guests.
pub(super) fn names() -> Vec<String> {
    TOOLCHAINS.iter().flat_map(|toolchain| toolchain.guests).map(|guest| guest.name.to_owned()).collect()
}

/// Whether any of these guests is asked for.
pub(super) fn is_asked(asked: &Arguments) -> bool {
    !choose(asked).is_empty()
}

/// The compilers that are needed, and the guests that each of them builds.
fn choose(asked: &Arguments) -> Vec<(&'static Toolchain, Vec<&'static Guest>)> {
    // Each has the allocator of its language.
    let has_allocator = asked.allocator.is_empty() || asked.allocator.contains(&Allocator::System);
    let is_asked =
        |guest: &&Guest| has_allocator && (asked.guest.is_empty() || asked.guest.iter().any(|name| name == guest.name));
    TOOLCHAINS
        .iter()
        .map(|toolchain| (toolchain, toolchain.guests.iter().filter(is_asked).collect::<Vec<_>>()))
        .filter(|(_, guests)| !guests.is_empty())
        .collect()
}

/// Builds the guests that were asked for, all languages at the same time, and returns their modules.
///
/// A guest whose compiler is missing is left out, unless it was asked for by name.
pub(super) fn build(console: &Console, asked: &Arguments) -> Result<Vec<PathBuf>> {
    let chosen = choose(asked);
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let languages: Vec<_> = chosen.iter().map(|(toolchain, _)| toolchain.language).collect();
    console.begin(&format!("guests in {}", languages.join(", ")));
    let may_miss = asked.guest.is_empty();
    let built = thread::scope(|scope| {
        let threads: Vec<_> = chosen
            .iter()
            .map(|(toolchain, guests)| scope.spawn(|| with(console, toolchain, guests, may_miss)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("a build panicked"))))
            .collect::<Result<Vec<_>>>()
    })?;
    Ok(built.concat())
}

/// Builds guests of one compiler, which is found or installed once.
fn with(console: &Console, toolchain: &Toolchain, guests: &[&Guest], may_miss: bool) -> Result<Vec<PathBuf>> {
    let compiler = match toolchain.find_or_install() {
        Ok(compiler) => compiler,
        Err(missing) if may_miss => {
            leave_out(console, toolchain, guests, &format!("{missing:#}"))?;
            return Ok(Vec::new());
        }
        Err(missing) => return Err(missing),
    };
    let folder = folders::guests_build().join("foreign");
    let cache = folder.join(toolchain.folder);
    let mut modules = Vec::new();
    for (guest, variant) in variants(guests) {
        let name = guest.module(variant);
        let (built, place) = (folder.join(format!("{name}.wasm")), place(&name));
        let mut command = toolchain.build(&compiler, guest, variant, &built, &cache);
        if_changed(&mut command, &toolchain.sources(), &folder.join(format!("{name}.built")), &built, &place)
            .with_context(|| format!("building {name}"))?;
        remove(&left_out(&name))?;
        modules.push(place);
    }
    console.say(&format!("guests in {}: {} modules", toolchain.language, modules.len()));
    Ok(modules)
}

/// Each guest with each of its variants.
fn variants<'a>(guests: &'a [&Guest]) -> impl Iterator<Item = (&'a Guest, &'static str)> {
    guests.iter().flat_map(|guest| guest.variants.iter().map(move |variant| (*guest, *variant)))
}

fn place(module: &str) -> PathBuf {
    folders::guests_out().join(format!("{module}.wasm"))
}

/// Holds the reason why the module is not there, for tests that would load it.
fn left_out(module: &str) -> PathBuf {
    folders::guests_out().join(format!("{module}.left-out"))
}

/// Says that the guests are left out, and leaves word for their tests. A module of an earlier time goes: it would be tested.
fn leave_out(console: &Console, toolchain: &Toolchain, guests: &[&Guest], missing: &str) -> Result<()> {
    let line = format!("guests in {} are LEFT OUT, and their tests: {missing}", toolchain.language);
    console.warn(&line);
    fs::create_dir_all(folders::guests_out()).context("making the folder of guests")?;
    for (guest, variant) in variants(guests) {
        let name = guest.module(variant);
        remove(&place(&name))?;
        fs::write(left_out(&name), format!("{line}\n")).with_context(|| format!("leaving out {name}"))?;
    }
    Ok(())
}

/// Removes a file that may not be there.
fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", file.display()))
        }
        _ => Ok(()),
    }
}

/// Runs a command that makes `built`, and moves that to `place`; unless the module is there, and was made by the same command
/// of the same sources, as `record` says.
fn if_changed(command: &mut Command, sources: &Path, record: &Path, built: &Path, place: &Path) -> Result<()> {
    let mut hasher = DefaultHasher::new();
    format!("{command:?}").hash(&mut hasher);
    hash(sources, &mut hasher).with_context(|| format!("reading {}", sources.display()))?;
    let state = format!("{:016x}", hasher.finish());
    if place.is_file() && fs::read_to_string(record).is_ok_and(|before| before == state) {
        return Ok(());
    }
    for folder in [built, place].into_iter().filter_map(Path::parent) {
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    run(command)?;
    fs::rename(built, place).with_context(|| format!("making {}", place.display()))?;
    fs::write(record, state).with_context(|| format!("writing {}", record.display()))
}

/// Every file in a folder and in those within: its name and its content.
fn hash(folder: &Path, hasher: &mut DefaultHasher) -> io::Result<()> {
    let mut paths: Vec<_> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    paths.sort();
    for path in paths {
        path.hash(hasher);
        if path.is_dir() {
            hash(&path, hasher)?;
        } else {
            fs::read(&path)?.hash(hasher);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(guest: &[&str], allocator: &[Allocator]) -> Arguments {
        Arguments { guest: guest.iter().map(|name| (*name).to_owned()).collect(), allocator: allocator.to_vec() }
    }

    #[test]
    fn guests_are_chosen_by_name_and_have_the_allocator_of_their_language() {
        let guests = |asked: &Arguments| {
            let of = |(toolchain, guests): (&Toolchain, Vec<&Guest>)| {
                (toolchain.language, guests.iter().map(|guest| guest.name).collect::<Vec<_>>())
            };
            choose(asked).into_iter().map(of).collect::<Vec<_>>()
        };
        let all =
            [("AssemblyScript", vec!["as-shop", "as-functions"]), ("Zig", vec!["zig-shop"]), ("Go", vec!["go-shop"])];
        assert_eq!(guests(&asked(&[], &[])), all);
        assert_eq!(guests(&asked(&["zig-shop"], &[Allocator::System])), [("Zig", vec!["zig-shop"])]);
        assert!(!is_asked(&asked(&["shop"], &[])));
        assert!(!is_asked(&asked(&[], &[Allocator::Leaking])));
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_built_anew_unless_a_source_or_the_command_changed() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("sources")).unwrap();
        fs::write(at("sources/shop.go"), "one").unwrap();
        let builds = |script: &str| {
            let mut command = Command::new("sh");
            command.current_dir(folder.path()).args(["-c", script]);
            if_changed(&mut command, &at("sources"), &at("record"), &at("built"), &at("out/module")).unwrap();
            let times = fs::read_to_string(at("times")).unwrap().len();
            (times, fs::read_to_string(at("out/module")).unwrap())
        };
        let script = "printf x >> times; cp sources/shop.go built";
        assert_eq!(builds(script), (1, "one".to_owned()));
        assert_eq!(builds(script), (1, "one".to_owned()));
        fs::write(at("sources/shop.go"), "two").unwrap();
        assert_eq!(builds(script), (2, "two".to_owned()));
        assert_eq!(builds(&format!("{script}; true")), (3, "two".to_owned()));
        fs::remove_file(at("out/module")).unwrap();
        assert_eq!(builds(script), (4, "two".to_owned()));
    }
}
