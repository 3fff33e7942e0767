//! The templates: the files of each kind of crate, and the values that stand in them.

use super::name::Name;
use super::sdk::Sdk;

/// The kind of crate to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// An extension, which compiles to a guest.
    Extension,
    /// User-defined functions, which compile to a guest.
    Functions,
    /// A program, which compiles to a guest that keeps its memory between events.
    Program,
    /// Stages, which compile to a guest that takes memory blocks and returns them.
    Stages,
    /// A service that embeds the runtime.
    Host,
}

/// A file's path in the crate, and its template.
type File = (&'static str, &'static str);

macro_rules! files {
    ($($path:literal = $folder:literal / $file:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("../../../templates/", $folder, "/", $file)))),+]
    };
}

/// The files of a crate that compiles to a guest, and further ones of its own.
macro_rules! guest_files {
    ($folder:literal $(, $path:literal = $file:literal)*) => {
        files!(
            "Cargo.toml" = $folder / "Cargo.toml.template",
            ".cargo/config.toml" = "common" / "cargo-config.toml",
            ".github/workflows/ci.yml" = $folder / "ci.yml",
            ".gitignore" = "common" / "gitignore",
            "README.md" = $folder / "README.md",
            "harness.toml" = $folder / "harness.toml",
            "src/lib.rs" = $folder / "src/lib.rs",
            $($path = $folder / $file,)*
        )
    };
}

const EXTENSION: &[File] = guest_files!("extension", "guest.toml" = "guest.toml", "state.json" = "state.json");

const FUNCTIONS: &[File] = guest_files!("functions", "guest.toml" = "guest.toml");

const PROGRAM: &[File] = guest_files!("program", "guest.toml" = "guest.toml");

const STAGES: &[File] = guest_files!("stages", "pipeline.toml" = "pipeline.toml");

const HOST: &[File] = files!(
    "Cargo.toml" = "host" / "Cargo.toml.template",
    ".gitignore" = "common" / "gitignore",
    "README.md" = "host" / "README.md",
    "src/main.rs" = "host" / "src/main.rs",
    "src/service.rs" = "host" / "src/service.rs",
    "src/store.rs" = "host" / "src/store.rs",
);

impl Kind {
    /// The files.
    pub(super) const fn files(self) -> &'static [File] {
        match self {
            Self::Extension => EXTENSION,
            Self::Functions => FUNCTIONS,
            Self::Program => PROGRAM,
            Self::Stages => STAGES,
            Self::Host => HOST,
        }
    }

    /// The kind in a sentence.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Extension => "the extension",
            Self::Functions => "the functions",
            Self::Program => "the program",
            Self::Stages => "the stages",
            Self::Host => "the service",
        }
    }

    /// Whether it brings a workflow.
    pub(super) const fn has_ci(self) -> bool {
        !matches!(self, Self::Host)
    }

    /// The commands that come next, and what each does.
    pub(super) const fn next(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Extension => &[
                ("cargo test", "calls the extension natively"),
                ("host-harness compare", "builds it with each allocator, measures and verifies"),
                ("host-harness watch", "builds and measures it again whenever a file changes"),
            ],
            Self::Functions => &[
                ("cargo test", "calls the functions natively"),
                ("host-harness build", "compiles them, and prints the next command"),
            ],
            Self::Program => &[
                ("cargo test", "calls the program natively"),
                ("host-harness build", "compiles it; README.md says how to serve it"),
            ],
            Self::Stages => &[
                ("cargo test", "calls the stages natively"),
                ("host-harness build", "compiles them"),
                ("host-harness pipe --verbose pipeline.toml", "sends 100 frames through them"),
            ],
            Self::Host => &[
                ("cargo test", "serves orders with a small guest"),
                ("cargo run --release -- GUEST.wasm", "serves orders from standard input with a guest of yours"),
            ],
        }
    }
}

/// The values that stand in templates.
pub(super) struct Values<'a> {
    pub(super) name: &'a Name,
    pub(super) sdk: &'a Sdk,
}

impl Values<'_> {
    /// A template with its values.
    pub(super) fn fill(&self, template: &str) -> String {
        template
            .replace("{{name}}", &self.name.to_string())
            .replace("{{guest-sdk-for-tests}}", &self.sdk.dependency_with("guest-sdk", "state-file"))
            .replace("{{harness}}", &self.sdk.harness())
            .replace("{{paths}}", &self.sdk.needs_of_ci().map(|needs| format!("\n{needs}\n")).unwrap_or_default())
            .replace("{{guest-sdk}}", &self.sdk.dependency("guest-sdk", None))
            .replace("{{guest-host}}", &self.sdk.dependency("guest-host", Some("wasm-guest-host")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_template_has_a_value_that_is_not_filled_in() {
        for sdk in [Sdk::Version("0.1.0".to_owned()), Sdk::Checkout("/checkout".into())] {
            let values = Values { name: &Name::check("shop").unwrap(), sdk: &sdk };
            let kinds = [Kind::Extension, Kind::Functions, Kind::Program, Kind::Stages, Kind::Host];
            for (path, template) in kinds.iter().flat_map(|kind| kind.files()) {
                let filled = values.fill(template);
                assert!(!filled.replace("${{", "").contains("{{"), "{path}: {filled}");
                assert!(filled.ends_with('\n') && !filled.ends_with("\n\n"), "{path}: {filled}");
            }
        }
    }
}
