//! Debian's own toolchain: it lives beside rustup's, brings the library's source, and comes by `apt-get`.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use crate::{Progress, process};

/// What is told to install by hand: compiler, cargo, library source, wasm linker and clippy.
pub(crate) const PACKAGES: [&str; 6] =
    ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm", "lld-22", CLIPPY_PACKAGE];

/// The package with `cargo clippy` for this toolchain.
pub(crate) const CLIPPY_PACKAGE: &str = "rust-web-clippy";

/// What is told to install by hand for guests in C: compiler, C library, the compiler's own library and a linker.
pub(crate) const CLANG_PACKAGES: [&str; 4] = ["clang", "wasi-libc", "libclang-rt-dev-wasm32", "lld-22"];

/// How long `apt-get` may take; a toolchain is about 150 MB to fetch.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// How Debian's packages are reached, so that a test can put its own in their place.
#[derive(Clone, Debug)]
pub(super) struct Debian {
    /// The file that says that this is Debian.
    pub(super) mark: PathBuf,
    /// `apt-get`.
    pub(super) apt_get: PathBuf,
    /// `id`, which tells whether the user is root.
    pub(super) id: PathBuf,
    /// The folder above `bin` and `lib` where the packages put the toolchain.
    pub(super) prefix: PathBuf,
}

impl Default for Debian {
    fn default() -> Self {
        Self { mark: "/etc/debian_version".into(), apt_get: "apt-get".into(), id: "id".into(), prefix: "/usr".into() }
    }
}

/// Installs packages where this is root on Debian; the reason why that did not work otherwise.
///
/// # Errors
///
/// This is not Debian, the user is not root, or `apt-get` failed.
#[doc(hidden)]
pub fn install_debian_packages(packages: &[&str], progress: Option<&Progress>) -> Result<(), String> {
    let debian = Debian::default();
    debian.check_may_install()?;
    debian.install_packages(packages, progress)
}

impl Debian {
    /// Its compiler.
    pub(super) fn rustc(&self) -> PathBuf {
        self.prefix.join("bin/rustc")
    }

    /// Installs the toolchain; the reason why that did not work otherwise.
    pub(super) fn install(&self, progress: Option<&Progress>) -> Result<(), String> {
        self.check_may_install()?;
        let without_linker: Vec<_> = PACKAGES.into_iter().filter(|package| !package.starts_with("lld-")).collect();
        self.install_packages(&without_linker, progress)?;
        // The linker belongs to the compiler's LLVM; the link that the packages leave tells which one it is.
        let link = self.prefix.join("bin/rust-lld");
        if !link.is_file() {
            let linker = fs::read_link(&link)
                .ok()
                .and_then(|target| Some(target.file_name()?.to_str()?.to_owned()))
                .unwrap_or_else(|| "lld-22".to_owned());
            self.install_packages(&[&linker], progress)?;
        }
        Ok(())
    }

    /// Installs clippy alone, where the toolchain came without it.
    pub(super) fn install_clippy(&self, progress: Option<&Progress>) -> Result<(), String> {
        self.check_may_install()?;
        self.install_packages(&[CLIPPY_PACKAGE], progress)
    }

    /// Installs what compiles C.
    pub(super) fn install_clang(&self, progress: Option<&Progress>) -> Result<(), String> {
        self.check_may_install()?;
        self.install_packages(&CLANG_PACKAGES, progress)
    }

    fn check_may_install(&self) -> Result<(), String> {
        if !self.mark.is_file() {
            return Err("this is not Debian".to_owned());
        }
        let user = process::run(Command::new(&self.id).arg("-u"), None, None)
            .map_err(|error| format!("`{}` cannot be run: {error}", self.id.display()))?;
        if user.stdout.trim() == "0" { Ok(()) } else { Err("this user is not root".to_owned()) }
    }

    fn install_packages(&self, packages: &[&str], progress: Option<&Progress>) -> Result<(), String> {
        // Package lists may be stale or, in a fresh container, not there at all.
        if self.apt_get(&install_arguments(packages), progress).is_ok() {
            return Ok(());
        }
        self.apt_get(&["update", "-q"], progress)?;
        self.apt_get(&install_arguments(packages), progress)
    }

    fn apt_get(&self, arguments: &[&str], progress: Option<&Progress>) -> Result<(), String> {
        let told = format!("{} {}", self.apt_get.display(), arguments.join(" "));
        if let Some(progress) = progress {
            progress(&told);
        }
        let mut command = Command::new(&self.apt_get);
        command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
        let finished =
            process::run(&mut command, Some(LIMIT), progress).map_err(|error| format!("`{told}`: {error}"))?;
        if finished.status.success() { Ok(()) } else { Err(format!("`{told}` failed: {}", finished.reason())) }
    }
}

/// `--no-remove`, because Debian's compiler conflicts with Debian's own package of rustup.
fn install_arguments<'a>(packages: &[&'a str]) -> Vec<&'a str> {
    let mut arguments =
        vec!["install", "-y", "-q", "--no-install-recommends", "--no-remove", "-o", "DPkg::Lock::Timeout=120"];
    arguments.extend(packages);
    arguments
}
