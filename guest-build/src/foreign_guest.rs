//! Building one guest in a language whose compiler a package registry gives.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Error, ForeignCompiler, Language, built, package, process};

/// A guest in a [`Language`] to be built: the folder of its sources, which of them the compiler is given, and how.
#[derive(Clone, Debug)]
#[must_use = "nothing is built until `build` is called"]
pub struct ForeignGuest {
    folder: PathBuf,
    source: String,
    arguments: Vec<String>,
    cache: Option<PathBuf>,
}

impl ForeignGuest {
    /// The guest whose sources lie in `folder`; the compiler runs there and is given `source`, a file or a package.
    pub fn new(folder: impl Into<PathBuf>, source: impl Into<String>) -> Self {
        Self { folder: folder.into(), source: source.into(), arguments: Vec::new(), cache: None }
    }

    /// Adds arguments for the compiler. [`Self::build`] adds the place of the module.
    pub fn arguments(mut self, arguments: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Lets the compiler keep in this folder what it makes of its own library, which takes several times as long as a guest.
    /// Otherwise it is `cache` in the folder of the build. Guests of one language can share it.
    pub fn cache(mut self, folder: impl Into<PathBuf>) -> Self {
        self.cache = Some(folder.into());
        self
    }

    /// Builds it and puts the module at `place`, as a whole or not at all. Nothing is compiled where neither the command nor
    /// any file in the folder of its sources has changed since the last time. `build_dir` keeps what is needed to know that.
    ///
    /// # Errors
    ///
    /// It does not compile, in which case the error holds all that the compiler said, or a file cannot be read or written.
    pub fn build(&self, compiler: &ForeignCompiler, build_dir: &Path, place: &Path) -> Result<(), Error> {
        let build_dir = &std::path::absolute(build_dir).map_err(Error::file(build_dir))?;
        fs::create_dir_all(build_dir).map_err(Error::file(build_dir))?;
        let name = place.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let (built, record) =
            (build_dir.join(format!("{name}.wasm")), build_dir.join(format!("{name}.built")));
        let cache = self.cache.clone().unwrap_or_else(|| build_dir.join("cache"));
        let cache = std::path::absolute(&cache).map_err(Error::file(cache))?;
        let mut command = self.command(compiler, &built, &cache);
        let mut files = BTreeSet::new();
        collect(&self.folder, &mut files).map_err(Error::file(&self.folder))?;
        let state = built::state(&format!("{compiler}\n{command:?}\n"), &files);
        if place.is_file() && fs::read_to_string(&record).is_ok_and(|before| before == state) {
            return Ok(());
        }

        let program = command.get_program().to_string_lossy().into_owned();
        let finished = process::run(&mut command, None, None).map_err(Error::start(program))?;
        if !finished.status.success() {
            let said = format!("{}{}", finished.stdout, finished.stderr).trim_end().to_owned();
            return Err(Error::CompileForeign { guest: name, language: compiler.language(), said });
        }
        package::place(&built, place)?;
        fs::write(&record, state).map_err(Error::file(&record))
    }

    fn command(&self, compiler: &ForeignCompiler, built: &Path, cache: &Path) -> Command {
        let mut command = compiler.command();
        command.current_dir(&self.folder);
        match compiler.language() {
            Language::AssemblyScript => {
                command.arg(&self.source).args(&self.arguments).arg("--outFile").arg(built);
            }
            Language::Zig => {
                let mut output = std::ffi::OsString::from("-femit-bin=");
                output.push(built);
                command.arg("build-exe").arg(&self.source).args(&self.arguments).arg(output);
                command.arg("--cache-dir").arg(cache).arg("--global-cache-dir").arg(cache);
            }
            Language::Go => {
                command.arg("build").args(&self.arguments).arg("-o").arg(built).arg(&self.source);
                command.env("GOOS", "wasip1").env("GOARCH", "wasm");
                command.env("GOCACHE", cache).env("GOMODCACHE", cache.join("modules"));
            }
        }
        command
    }
}

/// Every file in a folder and in those within.
fn collect(folder: &Path, files: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), files)?;
        } else {
            files.insert(entry.path());
        }
    }
    Ok(())
}
