//! `setup`: a toolchain that compiles wasm32, a compiler for guests in C, and those for guests in other languages.

use std::{
    collections::HashMap,
    sync::{Mutex, OnceLock, PoisonError},
};

use anyhow::{Result, bail};
use guest_build::{Clang, Finder, ForeignCompiler, Language, Toolchain};

use crate::{cli, console::Console, folders};

/// Finds or installs a toolchain anew, and says which.
pub(super) fn run(console: &Console, arguments: &cli::Setup) -> Result<()> {
    console.begin("setup");
    let mut finder = finder(console).forget();
    if let Some(ways) = arguments.way.ways() {
        finder = finder.among(ways);
    }
    let toolchain = finder.find()?;
    console.end();
    println!("guests are compiled with {toolchain}");
    console.begin("setup");
    let clang = Clang::find_or_install(&toolchain, Some(&console.progress()))?;
    console.end();
    println!("guests in C are compiled with {clang}");
    if arguments.foreign { foreign_ones(console) } else { Ok(()) }
}

/// Finds or installs all compilers of foreign languages; every one that is missing is told.
fn foreign_ones(console: &Console) -> Result<()> {
    let mut missing = Vec::new();
    for language in Language::ALL {
        console.begin("setup");
        let found = foreign(console, language);
        console.end();
        match found {
            Ok(compiler) => println!("guests in {language} are compiled with {compiler}"),
            Err(reason) => missing.push(reason),
        }
    }
    if missing.is_empty() { Ok(()) } else { bail!(missing.join("\n")) }
}

/// The toolchain for a task that needs one.
pub(super) fn toolchain(console: &Console) -> Result<Toolchain> {
    let toolchain = finder(console).find()?;
    console.say(&format!("guests are compiled with {toolchain}"));
    Ok(toolchain)
}

/// The compiler for a task that builds guests in C.
pub(super) fn clang(console: &Console, toolchain: &Toolchain) -> Result<Clang> {
    let clang = Clang::find_or_install(toolchain, Some(&console.progress()))?;
    console.say(&format!("guests in C are compiled with {clang}"));
    Ok(clang)
}

/// The compiler for a task that builds guests in this language; otherwise why there is none, and the command that installs it.
///
/// It is looked for once: a registry that does not answer is not waited for in every step.
pub(super) fn foreign(console: &Console, language: Language) -> Result<ForeignCompiler, String> {
    static FOUND: OnceLock<Mutex<HashMap<Language, Result<ForeignCompiler, String>>>> = OnceLock::new();
    let mut found = FOUND.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    found
        .entry(language)
        .or_insert_with(|| {
            let compiler = ForeignCompiler::find_or_install(language, &folders::tools(), Some(&console.progress()))
                .map_err(|missing| missing.to_string())?;
            console.say(&format!("guests in {language} are compiled with {compiler}"));
            Ok(compiler)
        })
        .clone()
}

fn finder(console: &Console) -> Finder {
    Finder::new().remember_in(folders::guests_build()).progress(console.progress())
}
