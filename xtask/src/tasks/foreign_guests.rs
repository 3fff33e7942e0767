//! Guests in AssemblyScript, Zig and Go, by compilers that package registries give: each runtime, each mode. Where a compiler can
//! neither be found nor installed, its guests are left out, and that is said.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use guest_build::{Allocator, ForeignCompiler, ForeignGuest, Language};

use super::setup;
use crate::{cli, console::Console, folders};

/// A guest in a foreign language, with everything that sets its module apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Build {
    language: Language,
    /// What stands behind the guest in the module's name.
    variant: &'static str,
    /// What the compiler is given beside what all guests of the language need.
    arguments: &'static [&'static str],
}

impl Build {
    /// The name that it is asked for by.
    fn guest(&self) -> &'static str {
        match self.language {
            Language::AssemblyScript => "as-shop",
            Language::Zig => "zig-shop",
            _ => "go-shop",
        }
    }

    fn module(&self) -> String {
        format!("{}{}", self.guest(), self.variant)
    }

    fn place(&self) -> PathBuf {
        folders::guests_out().join(format!("{}.wasm", self.module()))
    }

    /// What says why the module is not there, for tests that would run it.
    fn left_out(&self) -> PathBuf {
        folders::guests_out().join(format!("{}.left-out", self.module()))
    }
}

/// The file or package that a compiler is given, and what it needs to make a module of the exttinygo contract.
/// `docs/src/foreign-guests.md` says what each is for.
const fn compiling(language: Language) -> (&'static str, &'static [&'static str]) {
    match language {
        Language::AssemblyScript => {
            ("shop.ts", &["--baseDir", ".", "-Osize", "--exportStart", "_initialize", "--use", "abort=exttinygo/abort"])
        }
        Language::Zig => (
            "shop.zig",
            &[
                "-target",
                "wasm32-wasi",
                "-lc",
                "-mexec-model=reactor",
                "-rdynamic",
                "--stack",
                "65536",
                "--export=malloc",
                "--export=calloc",
                "--export=realloc",
                "--export=free",
            ],
        ),
        _ => (".", &["-buildmode=c-shared", "-trimpath", "-buildvcs=false"]),
    }
}

/// All guests in foreign languages.
fn builds() -> Vec<Build> {
    use Language::{AssemblyScript, Go, Zig};
    let build = |language, variant, arguments| Build { language, variant, arguments };
    vec![
        build(AssemblyScript, "-incremental", &["--runtime", "incremental"]),
        build(AssemblyScript, "-minimal", &["--runtime", "minimal"]),
        build(AssemblyScript, "-stub", &["--runtime", "stub"]),
        build(Zig, "-debug", &["-O", "Debug"]),
        build(Zig, "-release-safe", &["-O", "ReleaseSafe"]),
        build(Zig, "-release-fast", &["-O", "ReleaseFast"]),
        build(Zig, "-release-small", &["-O", "ReleaseSmall"]),
        build(Go, "", &[]),
    ]
}

/// The names of the guests in foreign languages.
pub(super) fn names() -> Vec<String> {
    let mut names: Vec<_> = builds().iter().map(|build| build.guest().to_owned()).collect();
    names.dedup();
    names
}

/// Whether any guest in a foreign language is asked for.
pub(super) fn is_asked(asked: &cli::Guests) -> bool {
    !choose(asked).is_empty()
}

/// Builds the guests in foreign languages that were asked for and returns their modules.
///
/// Those whose compiler is neither there nor to be had are left out, unless they were asked for by name.
pub(super) fn build(console: &Console, asked: &cli::Guests) -> Result<Vec<PathBuf>> {
    let chosen = choose(asked);
    let mut modules = Vec::new();
    for language in Language::ALL {
        let builds: Vec<_> = chosen.iter().filter(|build| build.language == language).collect();
        if builds.is_empty() {
            continue;
        }
        match setup::foreign(console, language) {
            Ok(compiler) => modules.extend(build_with(console, &compiler, &builds)?),
            Err(missing) if asked.guest.is_empty() => leave_out(console, language, &builds, &missing)?,
            Err(missing) => bail!(missing),
        }
    }
    Ok(modules)
}

fn build_with(console: &Console, compiler: &ForeignCompiler, builds: &[&Build]) -> Result<Vec<PathBuf>> {
    let language = compiler.language();
    let name = language.name().to_lowercase();
    let (source, needed) = compiling(language);
    let build_dir = folders::guests_build().join(&name);
    let mut modules = Vec::new();
    for (number, build) in builds.iter().enumerate() {
        console.begin(&format!("guest in {language} {} of {}: {}", number + 1, builds.len(), build.module()));
        let module = build.place();
        ForeignGuest::new(folders::root().join("guests").join(&name), source)
            .arguments(needed.iter().copied())
            .arguments(build.arguments.iter().copied())
            .build(compiler, &build_dir, &module)?;
        remove(&build.left_out())?;
        modules.push(module);
    }
    Ok(modules)
}

/// Says that the guests are left out, and leaves word for their tests. A module of an earlier time would be tested in its place.
fn leave_out(console: &Console, language: Language, builds: &[&Build], missing: &str) -> Result<()> {
    let line = format!("guests in {language} are LEFT OUT: {missing}");
    console.warn(&line);
    fs::create_dir_all(folders::guests_out()).context("making the folder of guests")?;
    for build in builds {
        remove(&build.place())?;
        let note = build.left_out();
        fs::write(&note, format!("{line}\n")).with_context(|| format!("writing {}", note.display()))?;
    }
    Ok(())
}

/// Removes a file that may not be there.
fn remove(file: &std::path::Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", file.display()))
        }
        _ => Ok(()),
    }
}

fn choose(asked: &cli::Guests) -> Vec<Build> {
    // The allocator is that of the language.
    let has_allocator = asked.allocator.is_empty() || asked.allocator.contains(&Allocator::System);
    let is_asked = |build: &Build| asked.guest.is_empty() || asked.guest.iter().any(|name| name == build.guest());
    builds().into_iter().filter(|build| has_allocator && is_asked(build)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(guest: &[&str], allocator: &[Allocator]) -> cli::Guests {
        cli::Guests { guest: guest.iter().map(|name| (*name).to_owned()).collect(), allocator: allocator.to_vec() }
    }

    #[test]
    fn each_runtime_and_each_mode_has_a_module() {
        let names: Vec<_> = builds().iter().map(Build::module).collect();
        assert_eq!(
            names,
            [
                "as-shop-incremental",
                "as-shop-minimal",
                "as-shop-stub",
                "zig-shop-debug",
                "zig-shop-release-safe",
                "zig-shop-release-fast",
                "zig-shop-release-small",
                "go-shop",
            ]
        );
        assert_eq!(super::names(), ["as-shop", "zig-shop", "go-shop"]);
    }

    #[test]
    fn what_is_asked_for_is_chosen() {
        assert_eq!(choose(&asked(&[], &[])).len(), builds().len());
        assert_eq!(choose(&asked(&["zig-shop"], &[Allocator::System])).len(), 4);
        assert!(!is_asked(&asked(&["shop"], &[])));
        assert!(!is_asked(&asked(&[], &[Allocator::Leaking])));
    }

    #[test]
    fn the_sources_are_there() {
        for language in Language::ALL {
            let folder = folders::root().join("guests").join(language.name().to_lowercase());
            assert!(folder.join(compiling(language).0).exists(), "{}", folder.display());
        }
    }
}
