//! Building one guest in C.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Clang, Error, built, package, process};

/// What a guest in C is linked with, and how it starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CModel {
    /// No library but the one that is named; the source has what starts it, if anything.
    Freestanding,
    /// wasi-libc; the source has a `_start` of its own, which calls `__wasm_call_ctors`.
    Command,
    /// wasi-libc, with `_initialize`, which runs constructors and nothing else.
    Reactor,
}

/// A guest in C to be built: its source, how it is linked, and what is exported.
#[derive(Clone, Debug)]
#[must_use = "nothing is built until `build` is called"]
pub struct CGuest {
    source: PathBuf,
    model: CModel,
    arguments: Vec<String>,
    headers: Vec<PathBuf>,
    library: Option<PathBuf>,
    exports: Vec<String>,
}

/// Bytes of the shadow stack, which lies first in memory, as in guests in Rust.
const STACK: u32 = 65536;

impl CGuest {
    /// The guest with this source.
    pub fn new(source: impl Into<PathBuf>, model: CModel) -> Self {
        Self {
            source: source.into(),
            model,
            arguments: Vec::new(),
            headers: Vec::new(),
            library: None,
            exports: Vec::new(),
        }
    }

    /// Adds arguments for the compiler, such as `-O2` or `-DNAME`.
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Looks for headers in this folder too.
    pub fn headers(mut self, folder: impl Into<PathBuf>) -> Self {
        self.headers.push(folder.into());
        self
    }

    /// Links this static library before everything else.
    pub fn library(mut self, library: impl Into<PathBuf>) -> Self {
        self.library = Some(library.into());
        self
    }

    /// Exports these functions and variables, as far as they are defined.
    pub fn exports(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.exports.extend(names.into_iter().map(Into::into));
        self
    }

    /// Builds it and puts the module at `place`, as a whole or not at all; nothing is compiled where nothing has changed
    /// since the last time. What is needed to know that is kept in `build_dir`.
    ///
    /// # Errors
    ///
    /// It does not compile, in which case the error holds all that the compiler said, or a file cannot be read or written.
    pub fn build(&self, clang: &Clang, build_dir: &Path, place: &Path) -> Result<(), Error> {
        fs::create_dir_all(build_dir).map_err(Error::file(build_dir))?;
        let name = place.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let built = build_dir.join(format!("{name}.wasm"));
        let (dependencies, record) = (build_dir.join(format!("{name}.d")), build_dir.join(format!("{name}.built")));
        let mut command = self.command(clang, &built, &dependencies);
        let told = format!("{clang}\n{command:?}\n");
        if place.is_file() && fs::read_to_string(&record).is_ok_and(|before| before == self.state(&told, &dependencies))
        {
            return Ok(());
        }

        let program = clang.program().display().to_string();
        let finished = process::run(&mut command, None, None).map_err(Error::start(program))?;
        if !finished.status.success() {
            return Err(Error::CompileC { guest: name, stderr: finished.stderr.trim_end().to_owned() });
        }
        package::place(&built, place)?;
        fs::write(&record, self.state(&told, &dependencies)).map_err(Error::file(&record))
    }

    fn command(&self, clang: &Clang, built: &Path, dependencies: &Path) -> Command {
        let mut command = clang.command(self.model != CModel::Freestanding);
        command.args(&self.arguments);
        match self.model {
            CModel::Freestanding => {}
            // wasi-libc's own start is for programs that end with `main`. Unless something calls the constructors by name, the
            // linker wraps every export into constructors and destructors.
            CModel::Command => _ = command.arg("-nostartfiles"),
            CModel::Reactor => _ = command.arg("-mexec-model=reactor"),
        }
        for folder in &self.headers {
            command.arg("-I").arg(folder);
        }
        command.arg(&self.source).args(&self.library);
        command.arg(format!("-Wl,--strip-debug,--stack-first,-z,stack-size={STACK}"));
        command.args(self.exports.iter().map(|name| format!("-Wl,--export-if-defined={name}")));
        // What nothing else needs is taken out of a library only where it is asked for.
        command.args(self.exports.iter().map(|name| format!("-Wl,-u,{name}")));
        command.args(["-MMD", "-MF"]).arg(dependencies).arg("-o").arg(built);
        command
    }

    /// Everything that the module is made of: the command, and the content of each file that was read.
    fn state(&self, told: &str, dependencies: &Path) -> String {
        let listed = fs::read_to_string(dependencies).unwrap_or_default();
        let mut files: BTreeSet<PathBuf> = depended_on(&listed).map(PathBuf::from).collect();
        files.insert(self.source.clone());
        files.extend(self.library.clone());
        built::state(told, &files)
    }
}

/// The files that a list for make names behind its colon. A space in a name is written with a backslash.
fn depended_on(listed: &str) -> impl Iterator<Item = String> {
    let behind = listed.split_once(": ").map_or("", |(_, behind)| behind);
    let marked = behind.replace("\\\n", " ").replace("\\ ", "\0");
    marked.split_whitespace().map(|name| name.replace('\0', " ")).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_for_make_are_read() {
        let listed = "out/a.wasm: guests/c/shop.c \\\n  with\\ space/exttinygo.h \\\n  last.h\n";
        let files: Vec<_> = depended_on(listed).collect();
        assert_eq!(files, ["guests/c/shop.c", "with space/exttinygo.h", "last.h"]);
        assert_eq!(depended_on("").count(), 0);
    }
}
