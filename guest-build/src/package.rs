//! Which package a guest is: what cargo says of a manifest, and the choice among what it holds.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use cargo_metadata::{CrateType, Metadata, Package};

use crate::{Error, environment, process};

/// What `cargo metadata` says of the workspace that `manifest` belongs to.
///
/// It runs in the manifest's folder, so that the configuration found there counts.
pub(crate) fn metadata(mut cargo: Command, manifest: &Path) -> Result<Metadata, Error> {
    let manifest = absolute(manifest)?;
    let program = cargo.get_program().to_string_lossy().into_owned();
    cargo
        .args(["--format-version", "1", "--no-deps", "--color", "never", "--manifest-path"])
        .arg(&manifest)
        .current_dir(folder(&manifest));
    let told = process::run(&mut cargo, None, None).map_err(Error::start(program))?;
    let complaint = |complaint: String| Error::Metadata { manifest: manifest.clone(), complaint };
    if !told.status.success() {
        return Err(complaint(told.stderr.trim_end().to_owned()));
    }
    cargo_metadata::MetadataCommand::parse(&told.stdout).map_err(|error| complaint(error.to_string()))
}

/// A `cargo metadata` of whatever cargo is active, for where no toolchain was chosen yet.
pub(crate) fn active_cargo() -> Command {
    let mut cargo = Command::new("cargo");
    environment::clean(&mut cargo);
    cargo.arg("metadata");
    cargo
}

/// The manifest's place, from the root of the file system, without asking where links lead.
pub(crate) fn absolute(manifest: &Path) -> Result<PathBuf, Error> {
    if !manifest.is_file() {
        return Err(Error::NoManifest(manifest.to_owned()));
    }
    std::path::absolute(manifest).map_err(Error::file(manifest))
}

/// The folder that a manifest lies in.
pub(crate) fn folder(manifest: &Path) -> &Path {
    manifest.parent().unwrap_or(Path::new("."))
}

/// The package that `manifest`, and `name` where it is given, stand for; it builds a module.
pub(crate) fn choose<'a>(metadata: &'a Metadata, manifest: &Path, name: Option<&str>) -> Result<&'a Package, Error> {
    let members = metadata.workspace_packages();
    let package = match name {
        Some(name) => {
            members.iter().find(|package| package.name.as_str() == name).ok_or_else(|| Error::NoSuchPackage {
                manifest: manifest.to_owned(),
                package: name.to_owned(),
                packages: names(members.iter().copied()),
            })?
        }
        None => match members.iter().find(|package| is_at(package, manifest)) {
            Some(package) => package,
            None => {
                let with_module: Vec<_> = members.iter().filter(|package| module(package).is_some()).collect();
                match with_module.as_slice() {
                    [package] => *package,
                    packages => {
                        return Err(Error::WhichPackage {
                            manifest: manifest.to_owned(),
                            packages: names(packages.iter().map(|package| **package)),
                        });
                    }
                }
            }
        },
    };
    if module(package).is_none() {
        return Err(Error::NoCdylib {
            package: package.name.to_string(),
            manifest: package.manifest_path.clone().into(),
        });
    }
    Ok(package)
}

/// The name of the package's target that becomes a wasm module.
pub(crate) fn module(package: &Package) -> Option<&str> {
    package
        .targets
        .iter()
        .find(|target| target.crate_types.contains(&CrateType::CDyLib))
        .map(|target| target.name.as_str())
}

/// The feature by which `package` is given `feature`: its own, or that of the SDK it depends on.
pub(crate) fn feature(package: &Package, feature: &str) -> Result<String, Error> {
    if feature.contains('/') || package.features.contains_key(feature) {
        return Ok(feature.to_owned());
    }
    let depends_on_sdk =
        package.dependencies.iter().any(|dependency| dependency.name == SDK && dependency.rename.is_none());
    if feature.starts_with("alloc-") && depends_on_sdk {
        return Ok(format!("{SDK}/{feature}"));
    }
    Err(Error::NoSuchFeature {
        package: package.name.to_string(),
        feature: feature.to_owned(),
        features: package.features.keys().cloned().collect(),
    })
}

const SDK: &str = "guest-sdk";

fn is_at(package: &Package, manifest: &Path) -> bool {
    let one = package.manifest_path.as_std_path();
    match (one.canonicalize(), manifest.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

fn names<'a>(packages: impl Iterator<Item = &'a Package>) -> Vec<String> {
    packages.map(|package| package.name.to_string()).collect()
}

/// Puts a copy of `from` at `to`: the whole of it or nothing, whatever interrupts.
pub(crate) fn place(from: &Path, to: &Path) -> Result<(), Error> {
    let into = folder(to);
    std::fs::create_dir_all(into).map_err(Error::file(into))?;
    let bytes = std::fs::read(from).map_err(Error::file(from))?;
    // A file that is the same already keeps its time, so that nothing is rebuilt because of it.
    if std::fs::read(to).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".building-");
    // A temporary file is its maker's alone; a module may be read by whoever may read other files.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(into).map_err(Error::file(into))?;
    file.write_all(&bytes).map_err(Error::file(into))?;
    file.persist(to).map_err(|error| Error::file(to)(error.error))?;
    Ok(())
}
