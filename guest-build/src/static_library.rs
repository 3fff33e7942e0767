//! Building a static library of a crate for wasm32, for programs in other languages to link.

use std::path::{Path, PathBuf};

use crate::{Error, Progress, Toolchain, guest, package, process};

/// A static library to be built: which package, with which features and profile, and where it goes.
#[derive(Clone)]
#[must_use = "nothing is built until `build` is called"]
pub struct StaticLibrary {
    manifest: PathBuf,
    package: String,
    features: Vec<String>,
    profile: String,
    target_dir: PathBuf,
    toolchain: Toolchain,
    progress: Option<Progress>,
}

impl StaticLibrary {
    /// The library of a package of the workspace whose manifest this is. It is compiled in `target_dir`, in the release
    /// profile.
    pub fn new(
        manifest: impl Into<PathBuf>,
        package: impl Into<String>,
        target_dir: impl Into<PathBuf>,
        toolchain: Toolchain,
    ) -> Self {
        Self {
            manifest: manifest.into(),
            package: package.into(),
            features: Vec::new(),
            profile: "release".to_owned(),
            target_dir: target_dir.into(),
            toolchain,
            progress: None,
        }
    }

    /// Adds features.
    pub fn features(mut self, features: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.features.extend(features.into_iter().map(Into::into));
        self
    }

    /// Builds it in this profile instead of `release`.
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = profile.into();
        self
    }

    /// Hands each line of the compilation to `progress`.
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Builds it and puts it at `place`, as a whole or not at all. A file there that is the same already stays.
    ///
    /// # Errors
    ///
    /// The manifest or package is not there, or it does not compile, in which case the error holds all that the compiler said.
    pub fn build(&self, place: &Path) -> Result<(), Error> {
        let manifest = package::absolute(&self.manifest)?;
        let target_dir = std::path::absolute(&self.target_dir).map_err(Error::file(&self.target_dir))?;
        let _turn = guest::take_turn(&target_dir)?;
        let mut cargo = self.toolchain.cargo_for_wasm("rustc");
        cargo
            .args(["--message-format", "json-render-diagnostics", "--lib", "--crate-type", "staticlib"])
            .args(process::NO_COLOURS)
            .args(["--profile", &self.profile, "--package", &self.package])
            .arg("--manifest-path")
            .arg(&manifest)
            .arg("--target-dir")
            .arg(&target_dir)
            .current_dir(package::folder(&manifest));
        if !self.features.is_empty() {
            cargo.args(["--features", &self.features.join(",")]);
        }
        let program = cargo.get_program().to_string_lossy().into_owned();
        let told = process::run(&mut cargo, None, self.progress.as_ref()).map_err(Error::start(program))?;
        if !told.status.success() {
            return Err(Error::Compile { package: self.package.clone(), stderr: told.stderr.trim_end().to_owned() });
        }
        // The last artefact is that of the package itself: everything else is what it depends on.
        let library =
            guest::artefacts(&told.stdout).filter(|file| file.extension().is_some_and(|end| end == "a")).last();
        let library = library.ok_or_else(|| Error::NoLibrary { package: self.package.clone() })?;
        package::place(&library, place)
    }
}
