//! Guests in C: each over each allocator behind C's interface, with and without wasi-libc, and over wasi-libc's own.

use std::path::PathBuf;

use anyhow::Result;
use guest_build::{Allocator, CGuest, CModel, StaticLibrary, Toolchain};

use super::{super::setup, arguments::Arguments};
use crate::console::Console;
use crate::folders;

/// Allocators that are there behind C's interface.
const BEHIND_C: [Allocator; 3] = [Allocator::Leaking, Allocator::BumpReset, Allocator::Freelist];

/// The cargo profile of static libraries.
const PROFILE: &str = "static-library";

/// What a host calls or looks at, the control block first.
const CONTROL: [&str; 6] =
    ["__allocator_control_block", "__alloc_mark", "__alloc_reset", "__heap_base", "__data_end", "__stack_pointer"];

/// C's interface: first the function from which hosts take memory, then those that extensions of the exttinygo contract export
/// besides it, then the rest.
const INTERFACE: [&str; 7] =
    ["malloc", "free", "calloc", "realloc", "aligned_alloc", "posix_memalign", "malloc_usable_size"];

/// A guest in C, with everything that sets its module apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Build {
    /// The source's name.
    source: &'static str,
    /// What stands between that and the allocator in the module's name.
    variant: &'static str,
    model: CModel,
    /// `System` is wasi-libc's own, or none at all where there is no libc.
    allocator: Allocator,
    arguments: &'static [&'static str],
}

impl Build {
    /// The name that it is asked for by.
    fn guest(&self) -> String {
        format!("c-{}", self.source)
    }

    fn module(&self) -> String {
        let allocator = match (self.allocator, self.model) {
            (Allocator::System, CModel::Freestanding) => "none",
            (Allocator::System, _) => "libc",
            (own, _) => own.name(),
        };
        format!("c-{}{}-{allocator}", self.source, self.variant)
    }

    /// The functions of C's interface that it exports.
    fn interface(&self) -> &'static [&'static str] {
        match self.source {
            "minimal" => &[],
            "functions" => &INTERFACE[..1],
            "probe" => &INTERFACE,
            _ => &INTERFACE[..4],
        }
    }

    /// What it exports for hosts that restore it, if its allocator keeps a control block. A guest whose bytes are counted exports
    /// only what the fast strategies cannot do without.
    fn control(&self) -> &'static [&'static str] {
        match (self.allocator, self.source) {
            (Allocator::System, _) => &[],
            (_, "minimal") => &CONTROL[..1],
            _ => &CONTROL,
        }
    }
}

/// All guests in C.
fn builds() -> Vec<Build> {
    let with = |source, variant, model, allocators: &[Allocator], arguments| {
        let build = move |&allocator| Build { source, variant, model, allocator, arguments };
        allocators.iter().map(build).collect::<Vec<_>>()
    };
    let and_libc: Vec<_> = BEHIND_C.into_iter().chain([Allocator::System]).collect();
    [
        with("shop", "", CModel::Freestanding, &BEHIND_C, &["-O2", "-DEXT_COMMAND"]),
        with(
            "shop",
            "-statistics",
            CModel::Freestanding,
            &[Allocator::Freelist],
            &["-O2", "-DEXT_COMMAND", "-DEXT_STATISTICS"],
        ),
        with("shop", "-wasi", CModel::Command, &and_libc, &["-O2", "-DEXT_COMMAND"]),
        with("shop", "-reactor", CModel::Reactor, &and_libc, &["-O2"]),
        with("probe", "", CModel::Freestanding, &BEHIND_C, &["-O2"]),
        with("probe", "-wasi", CModel::Reactor, &and_libc, &["-O2", "-D_GNU_SOURCE"]),
        with("functions", "", CModel::Freestanding, &BEHIND_C, &["-O2"]),
        with("functions", "-reactor", CModel::Reactor, &[Allocator::System], &["-O2"]),
        with("minimal", "", CModel::Freestanding, &BEHIND_C, &["-Oz", "-Wl,--strip-all"]),
        with("minimal", "", CModel::Freestanding, &[Allocator::System], &["-Oz", "-Wl,--strip-all", "-DNO_ALLOCATOR"]),
    ]
    .concat()
}

/// The names of the guests in C.
pub(super) fn names() -> Vec<String> {
    let mut names: Vec<_> = builds().iter().map(Build::guest).collect();
    names.dedup();
    names
}

/// Whether any guest in C is asked for.
pub(super) fn is_asked(asked: &Arguments) -> bool {
    !choose(asked).is_empty()
}

/// Builds the guests in C that were asked for and returns their modules.
pub(super) fn build(console: &Console, toolchain: &Toolchain, asked: &Arguments) -> Result<Vec<PathBuf>> {
    let chosen = choose(asked);
    if chosen.is_empty() {
        return Ok(Vec::new());
    }
    let clang = setup::clang(console, toolchain)?;
    let build_dir = folders::guests_build().join("c");
    let sources = folders::root().join("guests/c");
    let mut modules = Vec::new();
    for (number, build) in chosen.iter().enumerate() {
        console.begin(&format!("guest in C {} of {}: {}", number + 1, chosen.len(), build.module()));
        let mut guest = CGuest::new(sources.join(format!("{}.c", build.source)), build.model)
            .arguments(["-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror"])
            .arguments(build.arguments.iter().copied())
            .headers(folders::root().join("alloc-c/include"));
        guest = guest.exports(build.interface().iter().copied()).exports(build.control().iter().copied());
        if build.allocator != Allocator::System {
            guest = guest.library(library(console, toolchain, build.allocator, build.model)?);
        }
        let module = folders::guests_out().join(format!("{}.wasm", build.module()));
        guest.build(&clang, &build_dir, &module)?;
        modules.push(module);
    }
    Ok(modules)
}

/// The static library of an allocator, for guests with or without wasi-libc.
fn library(console: &Console, toolchain: &Toolchain, allocator: Allocator, model: CModel) -> Result<PathBuf> {
    let has_libc = model != CModel::Freestanding;
    let name = format!("liballoc_c-{allocator}{}.a", if has_libc { "-wasi-libc" } else { "" });
    let place = folders::guests_out().join("lib").join(name);
    StaticLibrary::new(folders::root().join("Cargo.toml"), "alloc-c", folders::guests_build(), toolchain.clone())
        .features(allocator.feature())
        .features(has_libc.then_some("wasi-libc"))
        .profile(PROFILE)
        .progress(console.progress())
        .build(&place)?;
    Ok(place)
}

fn choose(asked: &Arguments) -> Vec<Build> {
    let is_asked = |build: &Build| {
        (asked.guest.is_empty() || asked.guest.contains(&build.guest()))
            && (asked.allocator.is_empty() || asked.allocator.contains(&build.allocator))
    };
    builds().into_iter().filter(is_asked).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_have_names_of_their_own() {
        let mut names: Vec<_> = builds().iter().map(Build::module).collect();
        for name in ["c-shop-leaking", "c-shop-wasi-libc", "c-functions-reactor-libc", "c-minimal-none"] {
            assert!(names.contains(&name.to_owned()), "{name} is missing in {names:?}");
        }
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }

    #[test]
    fn the_book_compiles_functions_like_this() {
        let page = std::fs::read_to_string(folders::root().join("docs/src/functions.md")).unwrap();
        let all = builds();
        let build = all.iter().find(|build| build.module() == "c-functions-reactor-libc").unwrap();
        let (arguments, source) = (build.arguments.join(" "), build.source);
        let exports = build.interface().iter().map(|name| format!("-Wl,--export={name}")).collect::<Vec<_>>().join(" ");
        let command = format!(
            "clang --target=wasm32-wasi -mexec-model=reactor {arguments} {source}.c {exports} -o {source}.wasm"
        );
        assert!(page.contains(&command), "the book lacks `{command}`");
    }

    #[test]
    fn what_is_asked_for_is_chosen() {
        let asked = |guest: &[&str], allocator: &[Allocator]| Arguments {
            guest: guest.iter().map(|name| (*name).to_owned()).collect(),
            allocator: allocator.to_vec(),
        };
        assert_eq!(choose(&asked(&[], &[])).len(), builds().len());
        assert!(!is_asked(&asked(&["shop"], &[])));
        assert!(!is_asked(&asked(&[], &[Allocator::Wee])));
        let modules: Vec<_> = choose(&asked(&["c-shop"], &[Allocator::System])).iter().map(Build::module).collect();
        assert_eq!(modules, ["c-shop-wasi-libc", "c-shop-reactor-libc"]);
    }
}
