//! What compiles C to wasm32: clang, wasi-libc and a linker that reads what the Rust toolchain makes.

#[cfg(all(test, unix))]
mod tests;

use std::{
    env, fmt,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Toolchain, debian::Debian, executable, on_path};
use crate::{Error, Progress, TARGET, WayFailure, process};

/// The target of guests in C that are linked with wasi-libc.
const WASI_TARGET: &str = "wasm32-wasi";

/// Where wasi-sdk is unpacked unless `WASI_SDK_PATH` says otherwise.
const WASI_SDK: &str = "/opt/wasi-sdk";

/// The newest version in whose name a clang is looked for, as in `clang-22`, and the oldest.
const VERSIONS: (u32, u32) = (40, 14);

/// How a compiler for C was come by, in the order in which the ways are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ClangWay {
    /// wasi-sdk, in the folder that `WASI_SDK_PATH` names, or in `/opt/wasi-sdk`.
    WasiSdk,
    /// A clang of the system, with wasi-libc.
    Installed,
    /// The same, whose packages were installed just now.
    DebianPackages,
}

impl ClangWay {
    /// Every way, in the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::WasiSdk, Self::Installed, Self::DebianPackages];
}

impl fmt::Display for ClangWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::WasiSdk => "wasi-sdk",
            Self::Installed => "the installed clang with wasi-libc",
            Self::DebianPackages => "clang with wasi-libc, installed by apt-get",
        })
    }
}

/// A compiler for C, with wasi-libc and a linker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clang {
    way: ClangWay,
    program: PathBuf,
    /// The first line of what `--version` says.
    version: String,
    linker: PathBuf,
    linker_version: String,
}

impl Clang {
    /// Finds a compiler, or installs what is missing where this is root on Debian.
    ///
    /// `toolchain` is the one whose static libraries it is to link.
    ///
    /// # Errors
    ///
    /// [`Error::NoClang`] with the ways to get one.
    pub fn find_or_install(toolchain: &Toolchain, progress: Option<&Progress>) -> Result<Self, Error> {
        Self::among(&ClangWay::ALL, &Surroundings::default(), toolchain, progress)
    }

    /// Finds a compiler that is there, and installs nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NoClang`] with the ways to get one.
    pub fn find(toolchain: &Toolchain) -> Result<Self, Error> {
        Self::among(&[ClangWay::WasiSdk, ClangWay::Installed], &Surroundings::default(), toolchain, None)
    }

    fn among(
        ways: &[ClangWay],
        surroundings: &Surroundings,
        toolchain: &Toolchain,
        progress: Option<&Progress>,
    ) -> Result<Self, Error> {
        let mut failures = Vec::new();
        for &way in ways {
            match take(way, surroundings, toolchain, progress) {
                Ok(clang) => return Ok(clang),
                Err(reason) => failures.push(WayFailure { way, reason }),
            }
        }
        Err(Error::NoClang(failures))
    }

    /// How it was come by.
    #[must_use]
    pub const fn way(&self) -> ClangWay {
        self.way
    }

    /// The compiler.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// A command that compiles and links for one of the two targets, in a clean environment: with wasi-libc or without any
    /// library.
    pub(crate) fn command(&self, with_libc: bool) -> Command {
        let mut command = Command::new(&self.program);
        crate::environment::clean(&mut command);
        if with_libc {
            command.arg(format!("--target={WASI_TARGET}"));
        } else {
            command.arg(format!("--target={TARGET}")).args(["-nostdlib", "-Wl,--no-entry"]);
        }
        command.arg(format!("-fuse-ld={}", self.linker.display()));
        command
    }

    /// Whether it compiles and links a program with wasi-libc; what it says otherwise.
    fn check(&self) -> Result<(), String> {
        let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
        let source = folder.path().join("check.c");
        let program = "#include <stdlib.h>\nint main(void) { return malloc(1) == NULL; }\n";
        std::fs::write(&source, program).map_err(|error| error.to_string())?;
        let mut command = self.command(true);
        command.arg(&source).arg("-o").arg(folder.path().join("check.wasm"));
        let told = process::run(&mut command, None, None).map_err(|error| error.to_string())?;
        if told.status.success() {
            return Ok(());
        }
        let line = told.stderr.lines().find(|line| line.contains("error")).unwrap_or("it failed").trim();
        Err(format!("{} links no program with wasi-libc: {line}", self.program.display()))
    }
}

impl fmt::Display for Clang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}), linked by {} ({})", self.way, self.version, self.linker.display(), self.linker_version)
    }
}

/// The places that finding looks at, so that a test can put its own in their place.
#[derive(Clone, Debug)]
struct Surroundings {
    wasi_sdk: PathBuf,
    /// The folders of programs.
    path: Vec<PathBuf>,
    debian: Debian,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            wasi_sdk: env::var_os("WASI_SDK_PATH").map_or_else(|| WASI_SDK.into(), PathBuf::from),
            path: env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect(),
            debian: Debian::default(),
        }
    }
}

/// Takes one way, or says why not.
fn take(
    way: ClangWay,
    surroundings: &Surroundings,
    toolchain: &Toolchain,
    progress: Option<&Progress>,
) -> Result<Clang, String> {
    let program = match way {
        ClangWay::WasiSdk => {
            let program = surroundings.wasi_sdk.join("bin").join(executable("clang"));
            if !program.is_file() {
                return Err(format!("there is no {}", program.display()));
            }
            program
        }
        ClangWay::Installed | ClangWay::DebianPackages => {
            if way == ClangWay::DebianPackages {
                surroundings.debian.install_clang(progress)?;
            }
            let names = (VERSIONS.1..=VERSIONS.0).rev().map(|version| format!("clang-{version}"));
            std::iter::once("clang".to_owned())
                .chain(names)
                .find_map(|name| on_path(&surroundings.path, &name))
                .ok_or("there is no clang")?
        }
    };
    let version = version_of(&program)?;
    let (linker, linker_version) = linker(surroundings, toolchain)?;
    let clang = Clang { way, program, version, linker, linker_version };
    clang.check()?;
    Ok(clang)
}

/// A linker that is as new as what the toolchain's compiler writes: the toolchain's own, or one on the path.
fn linker(surroundings: &Surroundings, toolchain: &Toolchain) -> Result<(PathBuf, String), String> {
    let told = process::run(Command::new(toolchain.rustc()).args(["--version", "--verbose"]), None, None)
        .map_err(|error| format!("`{}` cannot be run: {error}", toolchain.rustc().display()))?;
    let value = |key: &str| told.stdout.lines().find_map(|line| line.strip_prefix(key));
    let needed = value("LLVM version: ").and_then(major).ok_or("the Rust compiler does not say which LLVM it has")?;
    let own = value("host: ").map(|host| {
        let sysroot = toolchain.bin.parent().unwrap_or(&toolchain.bin);
        sysroot.join("lib/rustlib").join(host).join("bin/gcc-ld").join(executable("wasm-ld"))
    });
    let named = (needed..=VERSIONS.0.max(needed)).map(|version| format!("wasm-ld-{version}"));
    let others = std::iter::once("wasm-ld".to_owned()).chain(named);
    let candidates = own
        .into_iter()
        .chain(others.filter_map(|name| on_path(&surroundings.path, &name)))
        .chain([surroundings.wasi_sdk.join("bin").join(executable("wasm-ld"))]);
    let mut too_old = Vec::new();
    for candidate in candidates.filter(|candidate| candidate.is_file()) {
        let Ok(version) = version_of(&candidate) else { continue };
        match version.split_once("LLD ").and_then(|(_, number)| major(number)) {
            Some(found) if found >= needed => return Ok((candidate, version)),
            _ => too_old.push(format!("{} is {version}", candidate.display())),
        }
    }
    too_old.insert(0, format!("there is no wasm-ld of version {needed} or newer, which Rust's objects need"));
    Err(too_old.join("; "))
}

/// The first line that a program says of its version.
fn version_of(program: &Path) -> Result<String, String> {
    let told = process::run(Command::new(program).arg("--version"), None, None)
        .map_err(|error| format!("`{}` cannot be run: {error}", program.display()))?;
    match told.stdout.lines().next() {
        Some(line) if told.status.success() => Ok(line.trim().to_owned()),
        _ => Err(format!("`{} --version` failed: {}", program.display(), told.reason())),
    }
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.trim().parse().ok()
}
