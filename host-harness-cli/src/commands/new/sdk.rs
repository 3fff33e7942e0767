//! Where a new crate gets this project's crates from.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::Result;

/// Where a new crate gets this project's crates from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sdk {
    /// The folder of a checkout, absolute.
    Checkout(PathBuf),
    /// A version of the registry.
    Version(String),
}

/// The version of this program, which all crates of the project share.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A folder that every checkout has.
const MARK: &str = "guest-sdk/Cargo.toml";

impl Sdk {
    /// The one that was `asked` for; otherwise the checkout that this program was built from, or else its version.
    ///
    /// # Errors
    /// `asked` is neither a version nor the folder of a checkout.
    pub(super) fn find(asked: Option<&str>) -> Result<Self> {
        match asked {
            Some(version) if is_version(version) => Ok(Self::Version(version.to_owned())),
            Some(folder) => checkout(Path::new(folder)).map(Self::Checkout),
            None => {
                let here = Path::new(env!("CARGO_MANIFEST_DIR"));
                let checkout = here.parent().filter(|checkout| checkout.join(MARK).is_file());
                Ok(checkout
                    .map_or_else(|| Self::Version(VERSION.to_owned()), |checkout| Self::Checkout(checkout.into())))
            }
        }
    }

    /// The value of an entry of `[dependencies]` for the crate in this folder of a checkout, and the name of its package if
    /// that is another.
    pub(super) fn dependency(&self, folder: &str, package: Option<&str>) -> String {
        match (self, package) {
            (_, Some(package)) => format!("{{ package = {}, {} }}", string(package), self.source(folder)),
            (Self::Version(version), None) => string(version),
            (Self::Checkout(_), None) => format!("{{ {} }}", self.source(folder)),
        }
    }

    /// The value of such an entry with a feature of the crate.
    pub(super) fn dependency_with(&self, folder: &str, feature: &str) -> String {
        format!("{{ {}, features = [{}] }}", self.source(folder), string(feature))
    }

    /// The key that says where the crate is, and its value.
    fn source(&self, folder: &str) -> String {
        match self {
            Self::Checkout(checkout) => format!("path = {}", string(&checkout.join(folder).display().to_string())),
            Self::Version(version) => format!("version = {}", string(version)),
        }
    }

    /// The variable with which a CI job installs this program, as lines of its `env`.
    pub(super) fn harness(&self) -> String {
        let (comment, options): (&[_], _) = match self {
            Self::Version(version) => (
                &["The options of `cargo install`: the version of the harness."],
                format!("host-harness-cli --version {version}"),
            ),
            Self::Checkout(checkout) => (
                &[
                    "The options of `cargo install`: where the sources of the harness are. This path and those in Cargo.toml are",
                    "those of the machine where the crate was made. Set them to where this job has the sources: a submodule, or",
                    "a second step with `actions/checkout`.",
                ],
                format!("--path {}", checkout.join("host-harness-cli").display()),
            ),
        };
        let mut lines: Vec<_> = comment.iter().map(|line| format!("      # {line}")).collect();
        lines.push(format!("      HARNESS: {}", string(&options)));
        lines.join("\n")
    }

    /// Says what a CI job needs besides the crate; `None` if it needs nothing.
    pub(super) fn needs_of_ci(&self) -> Option<&'static str> {
        match self {
            Self::Version(_) => None,
            Self::Checkout(_) => Some(
                "CI needs the sources too: the paths in `Cargo.toml`, and that of `HARNESS` in `.github/workflows/ci.yml`, must \
                 exist where the job runs. Take the sources in as a submodule or by a second checkout, and set the paths to them.",
            ),
        }
    }
}

impl fmt::Display for Sdk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checkout(folder) => {
                write!(
                    formatter,
                    "the checkout {} by its path; --sdk VERSION takes it from a registry",
                    folder.display()
                )
            }
            Self::Version(version) => write!(formatter, "version {version} of the registry"),
        }
    }
}

/// Whether the text is a version as a manifest has it, such as `0.1`, `=0.1.2` or `^1.0.0-beta.1`.
fn is_version(text: &str) -> bool {
    let numbers = text.trim_start_matches(['=', '^', '~']);
    let (numbers, rest) = numbers.split_at(numbers.find(['-', '+']).unwrap_or(numbers.len()));
    let parts: Vec<_> = numbers.split('.').collect();
    let is_number = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_mark = |char: char| char.is_ascii_alphanumeric() || ".-+".contains(char);
    parts.len() <= 3 && parts.iter().all(is_number) && rest.chars().all(is_mark) && rest.len() != 1
}

/// The folder of a checkout: the one that is named, or the one around the crate that is named.
fn checkout(named: &Path) -> Result<PathBuf> {
    let whole = named.canonicalize().map_err(|error| {
        anyhow::anyhow!(
            "--sdk {}: give the folder of a checkout, or a version such as {VERSION}; as a folder: {error}",
            named.display()
        )
    })?;
    let found = whole.ancestors().take(2).find(|folder| folder.join(MARK).is_file());
    let found = found.ok_or_else(|| {
        anyhow::anyhow!(
            "--sdk {}: there is no {MARK} in it; give the folder of a checkout, or a version",
            named.display()
        )
    })?;
    anyhow::ensure!(
        found.to_str().is_some(),
        "--sdk {}: a manifest cannot name it, as it is not UTF-8",
        named.display()
    );
    Ok(found.to_owned())
}

/// A string of TOML.
fn string(text: &str) -> String {
    let mut out = String::from("\"");
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            char if char.is_control() => out += &format!("\\u{:04X}", u32::from(char)),
            char => out.push(char),
        }
    }
    out + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_from_folders() {
        for version in ["1", "0.1", "0.1.0", "=0.1.0", "^1.2.3-beta.1", "~0.1"] {
            assert_eq!(Sdk::find(Some(version)).unwrap(), Sdk::Version(version.to_owned()));
        }
        for folder in ["", "./0.1", "0.1.0.0", "v1", "0.1-"] {
            assert!(!is_version(folder), "{folder}");
        }
    }

    #[test]
    fn a_checkout_is_found_from_its_folder_from_a_crate_of_it_and_by_itself() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = here.parent().unwrap();
        assert_eq!(Sdk::find(None).unwrap(), Sdk::Checkout(root.to_owned()));
        let root = root.canonicalize().unwrap();
        for folder in [root.clone(), root.join("guest-sdk")] {
            assert_eq!(Sdk::find(folder.to_str()).unwrap(), Sdk::Checkout(root.clone()));
        }
        let error = Sdk::find(here.join("src/commands").to_str()).unwrap_err().to_string();
        assert!(error.contains("there is no guest-sdk/Cargo.toml in it"), "{error}");
        let error = Sdk::find(Some("v1")).unwrap_err().to_string();
        assert!(error.starts_with("--sdk v1: give the folder of a checkout, or a version such as "), "{error}");
    }

    #[test]
    fn dependencies_are_written_as_manifests_have_them() {
        let version = Sdk::Version("0.1.0".to_owned());
        assert_eq!(version.dependency("guest-sdk", None), "\"0.1.0\"");
        let host = version.dependency("guest-host", Some("wasm-guest-host"));
        assert_eq!(host, "{ package = \"wasm-guest-host\", version = \"0.1.0\" }");
        let tests = version.dependency_with("guest-sdk", "state-file");
        assert_eq!(tests, "{ version = \"0.1.0\", features = [\"state-file\"] }");
        assert!(version.harness().ends_with("\n      HARNESS: \"host-harness-cli --version 0.1.0\""));
        assert_eq!(version.needs_of_ci(), None);
        let checkout = Sdk::Checkout("/a \"b\"".into());
        assert!(checkout.harness().ends_with("\n      HARNESS: \"--path /a \\\"b\\\"/host-harness-cli\""));
        assert_eq!(checkout.dependency("guest-sdk", None), "{ path = \"/a \\\"b\\\"/guest-sdk\" }");
    }
}
