//! Building a crate with several allocators, and showing how it goes.

use std::path::Path;
use std::sync::Arc;

use guest_build::{Allocator, GuestBuild, Progress as Lines};
use host_harness::compare::{Built, build};
use toml::de::{DeTable, DeValue};

use crate::progress::Progress;

/// Builds a crate with each of these allocators, as `prepare` has it built, and shows how it goes.
///
/// # Errors
/// As [`build`].
pub(super) fn built(
    manifest: &Path,
    allocators: &[Allocator],
    prepare: impl Fn(GuestBuild) -> GuestBuild,
) -> Result<Vec<Built>, guest_build::Error> {
    let progress = Progress::spinner();
    let lines: Lines = Arc::new(progress.listener());
    let mut all = Vec::new();
    for allocator in allocators {
        let built = build(manifest, &[*allocator], |build| {
            let build = prepare(build).progress(lines.clone());
            let name = build.named_package().map_or_else(|| name(manifest), str::to_owned);
            progress.doing(format!("building {name} with allocator {allocator}"));
            build
        })?;
        all.extend(built);
    }
    Ok(all)
}

/// The name of the package of this manifest, or else that of its folder.
fn name(manifest: &Path) -> String {
    let text = std::fs::read_to_string(manifest).unwrap_or_default();
    if let Some(name) = DeTable::parse(&text).ok().and_then(|table| package_name(table.get_ref())) {
        return name;
    }
    let whole = std::path::absolute(manifest).unwrap_or_else(|_| manifest.to_owned());
    let folder = whole.parent().and_then(Path::file_name);
    folder.map_or_else(|| manifest.display().to_string(), |name| name.to_string_lossy().into_owned())
}

fn package_name(manifest: &DeTable) -> Option<String> {
    let DeValue::Table(package) = manifest.get("package")?.get_ref() else { return None };
    let DeValue::String(name) = package.get("name")?.get_ref() else { return None };
    Some(name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_has_the_name_of_its_package_or_else_of_its_folder() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("shops");
        std::fs::create_dir(&folder).unwrap();
        let manifest = folder.join("Cargo.toml");
        assert_eq!(name(&manifest), "shops");
        for (text, expected) in [
            ("[package]\nname = \"shop\"\n", "shop"),
            ("package.name = 'shop'", "shop"),
            ("[workspace]\n", "shops"),
            ("[package]\nname = 3\n", "shops"),
            ("[package", "shops"),
        ] {
            std::fs::write(&manifest, text).unwrap();
            assert_eq!(name(&manifest), expected, "{text}");
        }
    }
}
