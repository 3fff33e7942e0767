//! Licences: what everything that is depended on may be used under, against the list in deny.toml.
//!
//! The check needs nothing installed; where cargo-deny is, it is run as well, over the same file.

use std::{collections::BTreeMap, process::Command};

use anyhow::{Context, Result, bail};
use cargo_metadata::MetadataCommand;
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use crate::cargo::cargo;
use crate::console::Console;
use crate::folders;

/// The part of deny.toml that is about licences.
#[derive(Debug, Deserialize)]
struct DenyFile {
    licenses: Rules,
}

#[derive(Debug, Deserialize)]
struct Rules {
    allow: Vec<String>,
    #[serde(default)]
    exceptions: Vec<Exception>,
}

/// Licences that one crate alone may have.
#[derive(Debug, Deserialize)]
struct Exception {
    #[serde(rename = "crate")]
    name: String,
    allow: Vec<String>,
}

/// Checks every workspace, for every target and every feature.
pub(super) fn check(console: &Console) -> Result<()> {
    let path = folders::root().join("deny.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let rules = Rules::read(&text).with_context(|| format!("reading {}", path.display()))?;

    let mut complaints = BTreeMap::new();
    let mut checked = 0;
    const MANIFESTS: [&str; 7] = [
        "Cargo.toml",
        "guests/Cargo.toml",
        "benches/engines/Cargo.toml",
        "benches/stores/Cargo.toml",
        "browser-tests/Cargo.toml",
        "query/Cargo.toml",
        "schema-check/Cargo.toml",
    ];
    for manifest in MANIFESTS {
        let metadata = MetadataCommand::new()
            .manifest_path(folders::root().join(manifest))
            .exec()
            .with_context(|| format!("reading {manifest}"))?;
        for package in &metadata.packages {
            checked += 1;
            if let Err(complaint) = rules.check(&package.name, package.license.as_deref()) {
                complaints.insert(format!("{} {}", package.name, package.version), complaint);
            }
        }
    }
    if !complaints.is_empty() {
        for (package, complaint) in &complaints {
            console.say(&format!("{package}: {complaint}"));
        }
        bail!("{} packages have a licence that deny.toml does not allow", complaints.len());
    }
    console.say(&format!("licences of {checked} packages are allowed"));

    let has_cargo_deny = Command::new("cargo-deny").arg("--version").output().is_ok_and(|told| told.status.success());
    if has_cargo_deny {
        console.run(cargo().args(["deny", "check", "licenses", "bans", "sources"]))?;
    }
    Ok(())
}

impl Rules {
    fn read(text: &str) -> Result<Self> {
        Ok(toml::from_str::<DenyFile>(text)?.licenses)
    }

    /// Whether a crate may be used under some licence that it offers and that is allowed.
    fn check(&self, name: &str, licence: Option<&str>) -> Result<()> {
        let Some(licence) = licence else {
            bail!("it states no licence");
        };
        let expression = Expression::parse_mode(licence, ParseMode::LAX)
            .with_context(|| format!("`{licence}` is no licence expression"))?;
        let own = self.exceptions.iter().filter(|exception| exception.name == name);
        let allowed = self
            .allow
            .iter()
            .chain(own.flat_map(|exception| &exception.allow))
            .map(|name| Licensee::parse(name).with_context(|| format!("`{name}` in deny.toml is no licence")))
            .collect::<Result<Vec<_>>>()?;
        if expression.evaluate(|asked| allowed.iter().any(|licensee| licensee.satisfies(asked))) {
            Ok(())
        } else {
            bail!("`{licence}` is not allowed")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules() -> Rules {
        Rules::read(
            r#"
            [licenses]
            allow = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "Unicode-3.0"]
            exceptions = [{ crate = "tool", allow = ["MPL-2.0"] }]
            "#,
        )
        .unwrap()
    }

    #[test]
    fn what_is_allowed_passes() {
        for licence in [
            "MIT",
            "MIT OR GPL-3.0-only",
            "MIT/Apache-2.0",
            "(MIT OR Apache-2.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-2.0-only",
        ] {
            rules().check("some", Some(licence)).unwrap();
        }
        rules().check("tool", Some("MPL-2.0")).unwrap();
    }

    #[test]
    fn what_is_not_allowed_is_told() {
        for licence in ["GPL-3.0-only", "MIT AND GPL-3.0-only", "MPL-2.0", "nonsense here"] {
            assert!(rules().check("some", Some(licence)).is_err(), "{licence}");
        }
        assert!(rules().check("some", None).is_err());
    }
}
