//! Which package a guest is: what cargo says of a manifest, and the choice among what it holds.

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

use cargo_metadata::{CrateType, Dependency, Metadata, Package};

use crate::{Error, environment, process};

/// What `cargo metadata` says of the workspace that `manifest` belongs to.
///
/// It runs in the manifest's folder, so that the configuration found there counts.
pub(crate) fn metadata(mut cargo: Command, manifest: &Path) -> Result<Metadata, Error> {
    let manifest = absolute(manifest)?;
    let program = cargo.get_program().to_string_lossy().into_owned();
    cargo
        .args(["--format-version", "1", "--no-deps"])
        .args(process::NO_COLOURS)
        .arg("--manifest-path")
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
                    [] => return Err(Error::NoPackage(manifest.to_owned())),
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

/// The feature by which `package` is given `feature`: its own, or that of the SDK that it always depends on.
pub(crate) fn feature(package: &Package, feature: &str) -> Result<String, Error> {
    if feature.contains('/') || package.features.contains_key(feature) {
        return Ok(feature.to_owned());
    }
    let sdk = SDKS.iter().find(|sdk| {
        let is_sdk = |dependency: &&Dependency| dependency.name == **sdk && dependency.rename.is_none();
        package.dependencies.iter().find(is_sdk).is_some_and(|dependency| !dependency.optional)
    });
    if let Some(sdk) = sdk.filter(|_| feature.starts_with("alloc-")) {
        return Ok(format!("{sdk}/{feature}"));
    }
    Err(Error::NoSuchFeature {
        package: package.name.to_string(),
        feature: feature.to_owned(),
        features: package.features.keys().cloned().collect(),
    })
}

/// The SDKs, one for each contract.
const SDKS: [&str; 2] = ["guest-sdk", "guest-sdk-exttinygo"];

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

#[cfg(test)]
mod tests {
    use super::*;

    /// The feature that the allocator is asked for by, of a guest with these dependencies.
    fn asked(dependencies: &str) -> Result<String, Error> {
        let folder = tempfile::tempdir().unwrap();
        let manifest = folder.path().join("Cargo.toml");
        let package = "[package]\nname = \"guest\"\nedition = \"2024\"\n[lib]\npath = \"lib.rs\"\n";
        std::fs::write(&manifest, format!("{package}[dependencies]\n{dependencies}")).unwrap();
        std::fs::write(folder.path().join("lib.rs"), "").unwrap();
        let metadata = metadata(active_cargo(), &manifest).unwrap();
        feature(metadata.workspace_packages()[0], "alloc-leaking")
    }

    #[test]
    fn an_allocator_is_asked_of_the_sdk_that_a_guest_depends_on() {
        let native = "guest-sdk = { path = \"sdk\" }\n";
        let other = "guest-sdk-exttinygo = { path = \"other\" }\n";
        let optional = "guest-sdk-exttinygo = { path = \"other\", optional = true }\n";
        let renamed = "sdk = { package = \"guest-sdk\", path = \"sdk\" }\n";
        assert_eq!(asked(native).unwrap(), "guest-sdk/alloc-leaking");
        assert_eq!(asked(other).unwrap(), "guest-sdk-exttinygo/alloc-leaking");
        assert_eq!(asked(&format!("{native}{optional}")).unwrap(), "guest-sdk/alloc-leaking");
        for none in ["", optional, renamed] {
            assert!(matches!(asked(none), Err(Error::NoSuchFeature { .. })), "{none}");
        }
    }
}
