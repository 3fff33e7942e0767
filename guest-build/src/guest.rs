//! Building one guest with one allocator.

use std::{
    ffi::OsString,
    fs::File,
    path::{Path, PathBuf},
};

use cargo_metadata::{Message, Metadata, Package};

use crate::{Allocator, BuiltGuest, Error, Finder, Progress, TARGET, Toolchain, package, process};

/// A guest to be built: which package, with which allocator, features and profile, and where the module goes.
#[derive(Clone)]
#[must_use = "nothing is built until `build` is called"]
pub struct GuestBuild {
    manifest: PathBuf,
    package: Option<String>,
    allocator: Allocator,
    variant: Option<String>,
    features: Vec<String>,
    no_default_features: bool,
    profile: String,
    target_dir: Option<PathBuf>,
    out_dir: Option<PathBuf>,
    toolchain: Option<Toolchain>,
    progress: Option<Progress>,
}

impl GuestBuild {
    /// The guest whose manifest this is, with Rust's default allocator in the release profile.
    pub fn new(manifest: impl Into<PathBuf>) -> Self {
        Self {
            manifest: manifest.into(),
            package: None,
            allocator: Allocator::System,
            variant: None,
            features: Vec::new(),
            no_default_features: false,
            profile: "release".to_owned(),
            target_dir: None,
            out_dir: None,
            toolchain: None,
            progress: None,
        }
    }

    /// Names the package, where the manifest is that of a workspace.
    pub fn package(mut self, name: impl Into<String>) -> Self {
        self.package = Some(name.into());
        self
    }

    /// The package that was named.
    #[must_use]
    pub fn named_package(&self) -> Option<&str> {
        self.package.as_deref()
    }

    /// Builds it with this allocator. A guest that does not forward the feature gets it through its SDK.
    pub fn allocator(mut self, allocator: Allocator) -> Self {
        self.allocator = allocator;
        self
    }

    /// Names what else sets this module apart, such as other features: its file is `<guest>-<allocator>-<variant>.wasm`.
    pub fn variant(mut self, name: impl Into<String>) -> Self {
        self.variant = Some(name.into());
        self
    }

    /// Adds features of the guest's own.
    pub fn features(mut self, features: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.features.extend(features.into_iter().map(Into::into));
        self
    }

    /// Builds it without its default features.
    pub fn no_default_features(mut self) -> Self {
        self.no_default_features = true;
        self
    }

    /// Builds it in this profile instead of `release`.
    pub fn profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = profile.into();
        self
    }

    /// Compiles in this folder instead of the one that `CARGO_TARGET_DIR` or else cargo's configuration names.
    pub fn target_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.target_dir = Some(folder.into());
        self
    }

    /// Puts the module into this folder instead of `guests` in the target folder.
    pub fn out_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.out_dir = Some(folder.into());
        self
    }

    /// Builds with this toolchain instead of looking for one.
    pub fn toolchain(mut self, toolchain: Toolchain) -> Self {
        self.toolchain = Some(toolchain);
        self
    }

    /// Hands each line of the compilation to `progress`.
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Builds it and returns the place of its module, `<out>/<guest>-<allocator>.wasm`.
    ///
    /// The module is there as a whole or not at all, and one that was there before stays where this one fails.
    ///
    /// # Errors
    ///
    /// The manifest, package, feature or toolchain is not there; or the guest does not compile, in which case the
    /// error holds all that the compiler said.
    pub fn build(&self) -> Result<PathBuf, Error> {
        self.build_and_describe().map(|built| built.module)
    }

    /// As [`Self::build`]; returns besides how plain cargo builds the guest with the same toolchain.
    ///
    /// # Errors
    ///
    /// As for [`Self::build`].
    pub fn build_and_describe(&self) -> Result<BuiltGuest, Error> {
        let manifest = package::absolute(&self.manifest)?;
        let metadata = package::metadata(self.cargo_metadata(), &manifest)?;
        let chosen = package::choose(&metadata, &manifest, self.package.as_deref())?;
        let features = self.all_features(chosen)?;
        let target_dir = self.absolute_target_dir(&metadata)?;
        let out_dir = self.out_dir.clone().unwrap_or_else(|| target_dir.join("guests"));
        let toolchain = self.found_toolchain(&target_dir)?;

        // Builds that differ in features write the same file, so it is taken away before the next may start.
        let _turn = take_turn(&target_dir)?;
        let around = metadata.workspace_root.parent().map(|folder| folder.as_std_path());
        let built = self.compile(&toolchain, chosen, &manifest, &features, &target_dir, around)?;
        let variant = self.variant.as_ref().map(|name| format!("-{name}")).unwrap_or_default();
        let module = out_dir.join(format!("{}-{}{variant}.wasm", chosen.name, self.allocator));
        package::place(&built, &module)?;
        let plain = toolchain.plain_cargo(&self.profile, &features, built);
        let package = chosen.name.to_string();
        Ok(BuiltGuest { package, allocator: self.allocator, module, toolchain, plain })
    }

    /// The folder that this guest is compiled in, in which what is known of toolchains is remembered too.
    ///
    /// # Errors
    ///
    /// The manifest is not there or cannot be read.
    pub fn resolved_target_dir(&self) -> Result<PathBuf, Error> {
        let manifest = package::absolute(&self.manifest)?;
        self.absolute_target_dir(&package::metadata(self.cargo_metadata(), &manifest)?)
    }

    fn cargo_metadata(&self) -> std::process::Command {
        match &self.toolchain {
            Some(toolchain) => toolchain.cargo("metadata"),
            None => package::active_cargo(),
        }
    }

    fn absolute_target_dir(&self, metadata: &Metadata) -> Result<PathBuf, Error> {
        match &self.target_dir {
            Some(folder) => std::path::absolute(folder).map_err(Error::file(folder)),
            None => target_dir_of_environment(|name| std::env::var_os(name))
                .unwrap_or_else(|| Ok(metadata.target_directory.clone().into())),
        }
    }

    fn found_toolchain(&self, target_dir: &Path) -> Result<Toolchain, Error> {
        match (&self.toolchain, &self.progress) {
            (Some(toolchain), _) => Ok(toolchain.clone()),
            (None, None) => Toolchain::find_or_install(target_dir),
            (None, Some(progress)) => Finder::new().remember_in(target_dir).progress(progress.clone()).find(),
        }
    }

    fn all_features(&self, of: &Package) -> Result<Vec<String>, Error> {
        self.allocator
            .feature()
            .into_iter()
            .chain(self.features.iter().map(String::as_str))
            .map(|feature| package::feature(of, feature))
            .collect()
    }

    fn compile(
        &self,
        toolchain: &Toolchain,
        chosen: &Package,
        manifest: &Path,
        features: &[String],
        target_dir: &Path,
        around: Option<&Path>,
    ) -> Result<PathBuf, Error> {
        let mut cargo = toolchain.cargo_for_wasm("build");
        if let Some(setting) = around.and_then(relative_to) {
            cargo.arg("--config").arg(setting);
        }
        cargo
            .args(["--message-format", "json-render-diagnostics"])
            .args(process::NO_COLOURS)
            .args(["--profile", &self.profile, "--package", &chosen.name, "--lib"])
            .arg("--manifest-path")
            .arg(manifest)
            .arg("--target-dir")
            .arg(target_dir)
            // Cargo's configuration, such as the guests' linker arguments, is looked up from where it runs.
            .current_dir(package::folder(chosen.manifest_path.as_std_path()));
        if self.no_default_features {
            cargo.arg("--no-default-features");
        }
        if !features.is_empty() {
            cargo.args(["--features", &features.join(",")]);
        }
        let program = cargo.get_program().to_string_lossy().into_owned();
        let told = process::run(&mut cargo, None, self.progress.as_ref()).map_err(Error::start(program))?;
        if !told.status.success() {
            return Err(Error::Compile { package: chosen.name.to_string(), stderr: told.stderr.trim_end().to_owned() });
        }
        module_of(&told.stdout, chosen).ok_or_else(|| Error::NoModule { package: chosen.name.to_string() })
    }
}

/// Cargo's setting by which paths below a folder are compiled in without it, so that a module does not depend on where it
/// was built: the names of files stand among the statics, and how long they are moves all that lies behind.
///
/// `None` for a folder whose name cannot be written into it.
fn relative_to(folder: &Path) -> Option<String> {
    let folder = folder.to_str().filter(|folder| !folder.contains(['\'', '\n', '=']))?;
    Some(format!("target.{TARGET}.rustflags = ['--remap-path-prefix={folder}=']"))
}

/// The module among the files that cargo says it built.
fn module_of(messages: &str, chosen: &Package) -> Option<PathBuf> {
    Message::parse_stream(messages.as_bytes())
        .flatten()
        .filter_map(|message| match message {
            Message::CompilerArtifact(artifact) if artifact.package_id == chosen.id => Some(artifact),
            _ => None,
        })
        .flat_map(|artifact| artifact.filenames)
        .find(|file| file.extension() == Some("wasm"))
        .map(Into::into)
}

/// The files that cargo says it built, in its order.
pub(crate) fn artefacts(messages: &str) -> impl Iterator<Item = PathBuf> {
    Message::parse_stream(messages.as_bytes())
        .flatten()
        .filter_map(|message| match message {
            Message::CompilerArtifact(artifact) => Some(artifact.filenames),
            _ => None,
        })
        .flatten()
        .map(Into::into)
}

/// Waits until no other build uses the folder; the turn ends when the file is dropped.
pub(crate) fn take_turn(target_dir: &Path) -> Result<File, Error> {
    std::fs::create_dir_all(target_dir).map_err(Error::file(target_dir))?;
    let path = target_dir.join(".guest-build-lock");
    let file = File::create(&path).map_err(Error::file(&path))?;
    file.lock().map_err(Error::file(&path))?;
    Ok(file)
}

/// The target folder that the user's environment names, from the root of the file system; it wins over cargo's configuration.
///
/// Cargo sets neither variable for the programs that it starts, so that they are the user's also below a cargo.
fn target_dir_of_environment(variable: impl Fn(&str) -> Option<OsString>) -> Option<Result<PathBuf, Error>> {
    let folder = ["CARGO_TARGET_DIR", "CARGO_BUILD_TARGET_DIR"]
        .into_iter()
        .filter_map(variable)
        .find(|folder| !folder.is_empty())
        .map(PathBuf::from)?;
    Some(std::path::absolute(&folder).map_err(Error::file(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_taken_out_of_paths_unless_it_cannot_be_said() {
        let setting = relative_to(Path::new("/home/a b")).unwrap();
        assert_eq!(setting, "target.wasm32-unknown-unknown.rustflags = ['--remap-path-prefix=/home/a b=']");
        assert_eq!(relative_to(Path::new("/it's")), None);
        assert_eq!(relative_to(Path::new("/a=b")), None);
    }

    #[test]
    fn the_target_folder_of_the_environment_is_found_as_cargo_finds_it() {
        let found = |variables: &[(&str, &str)]| {
            target_dir_of_environment(|name| {
                variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into())
            })
            .map(Result::unwrap)
        };
        let here = std::env::current_dir().unwrap();
        assert_eq!(found(&[("CARGO_TARGET_DIR", "a"), ("CARGO_BUILD_TARGET_DIR", "b")]), Some(here.join("a")));
        assert_eq!(found(&[("CARGO_TARGET_DIR", ""), ("CARGO_BUILD_TARGET_DIR", "b")]), Some(here.join("b")));
        assert_eq!(found(&[("CARGO_TARGET_DIR", "")]), None);
        assert_eq!(found(&[]), None);
    }
}
