//! Trying the ways to a toolchain in their order.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use super::{Toolchain, Way, active::Active, debian::Debian, memory::Memory};
use crate::{Error, Progress, TARGET, WayFailure, process};

/// How long `rustup target add` may take. It is a download of about 20 MB.
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// Finds a toolchain by trying the [`Way`]s in their order.
#[derive(Clone)]
#[must_use = "a finder does nothing until `find` is called"]
pub struct Finder {
    install: bool,
    forget: bool,
    among: Option<Vec<Way>>,
    memory: Option<PathBuf>,
    progress: Option<Progress>,
    pub(super) surroundings: Surroundings,
}

/// The programs and places that finding looks at, so that a test can put its own in their place.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub(super) rustc: PathBuf,
    pub(super) rustup: PathBuf,
    pub(super) rustup_limit: Duration,
    /// Whether rustup may install by itself; `RUSTUP_AUTO_INSTALL=0` is how its users say no.
    pub(super) rustup_may_install: bool,
    pub(super) debian: Debian,
}

impl Default for Surroundings {
    fn default() -> Self {
        Self {
            rustc: "rustc".into(),
            rustup: "rustup".into(),
            rustup_limit: RUSTUP_LIMIT,
            rustup_may_install: std::env::var_os("RUSTUP_AUTO_INSTALL").is_none_or(|value| value != "0"),
            debian: Debian::default(),
        }
    }
}

impl Default for Finder {
    fn default() -> Self {
        Self::new()
    }
}

impl Finder {
    /// A finder that may install, takes any way and remembers nothing.
    pub fn new() -> Self {
        Self {
            install: true,
            forget: false,
            among: None,
            memory: None,
            progress: None,
            surroundings: Surroundings::default(),
        }
    }

    /// Whether it may install what is missing.
    pub fn install(mut self, install: bool) -> Self {
        self.install = install;
        self
    }

    /// Remembers in `folder` what failed and what was chosen, and uses what is remembered there.
    pub fn remember_in(mut self, folder: impl Into<PathBuf>) -> Self {
        self.memory = Some(folder.into());
        self
    }

    /// Takes only these ways, now and (where it remembers) in later runs.
    pub fn among(mut self, ways: &[Way]) -> Self {
        self.among = Some(ways.to_vec());
        self
    }

    /// Starts anew: what is remembered is not used but replaced.
    pub fn forget(mut self) -> Self {
        self.forget = true;
        self
    }

    /// Hands each line of an installation to `progress`.
    pub fn progress(mut self, progress: Progress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Tries the ways.
    ///
    /// # Errors
    ///
    /// [`Error::NoToolchain`] with the ways to get one, and [`Error::File`] where it cannot remember.
    pub fn find(&self) -> Result<Toolchain, Error> {
        let active = Active::ask(&self.surroundings.rustc);
        let mut memory = match &self.memory {
            Some(folder) if !self.forget => Memory::load(folder, active.as_ref()),
            _ => Memory::new(active.as_ref()),
        };
        let before = memory.clone();
        if self.among.is_some() {
            memory.among.clone_from(&self.among);
        }
        let found = self.try_ways(active.as_ref(), &mut memory);
        if let Some(folder) = &self.memory
            && (self.forget || memory != before)
        {
            memory.store(folder).map_err(Error::file(folder))?;
        }
        found
    }

    fn try_ways(&self, active: Result<&Active, &String>, memory: &mut Memory) -> Result<Toolchain, Error> {
        let ways = memory.among.clone().unwrap_or_else(|| Way::ALL.to_vec());
        let mut failures = Vec::new();
        let mut skipped = false;
        for way in ways {
            let remembered = memory.rustup_failure.as_ref().filter(|_| way == Way::TargetAdded);
            let result = match remembered {
                Some(_) => {
                    skipped = true;
                    continue;
                }
                None => self.take(way, active),
            };
            match result {
                Ok(toolchain) => return Ok(toolchain),
                Err(reason) => {
                    if way == Way::TargetAdded && self.install {
                        memory.rustup_failure = Some(reason.clone());
                    }
                    failures.push(WayFailure { way, reason });
                }
            }
        }
        if skipped {
            // Everything else failed, so what failed before may as well be tried again.
            match self.take(Way::TargetAdded, active) {
                Ok(toolchain) => {
                    memory.rustup_failure = None;
                    return Ok(toolchain);
                }
                Err(reason) => failures.push(WayFailure { way: Way::TargetAdded, reason }),
            }
        }
        Err(Error::NoToolchain(failures))
    }

    /// Takes one way, or says why not.
    fn take(&self, way: Way, active: Result<&Active, &String>) -> Result<Toolchain, String> {
        let installs = matches!(way, Way::TargetAdded | Way::DebianPackages);
        if installs && !self.install {
            return Err("installing was not asked for".to_owned());
        }
        if matches!(way, Way::DebianSource | Way::DebianPackages) {
            if way == Way::DebianPackages {
                self.surroundings.debian.install(self.progress.as_ref())?;
            }
            let debian = Active::ask(&self.surroundings.debian.rustc())?;
            debian.check_usable()?;
            debian.has_source()?;
            return Ok(toolchain(way, &debian));
        }
        let active = active.map_err(String::clone)?;
        active.check_usable()?;
        match way {
            Way::TargetInstalled => active.has_target()?,
            Way::TargetAdded => self.add_target(active)?,
            _ => active.has_source()?,
        }
        Ok(toolchain(way, active))
    }

    fn add_target(&self, active: &Active) -> Result<(), String> {
        if !self.surroundings.rustup_may_install {
            return Err("`RUSTUP_AUTO_INSTALL=0` is set, so rustup is not asked to install anything".to_owned());
        }
        let rustup = &self.surroundings.rustup;
        let which =
            process::run(Command::new(rustup).args(["which", "rustc"]), Some(self.surroundings.rustup_limit), None)
                .map_err(|error| format!("`{}` cannot be run: {error}", rustup.display()))?;
        let rustups = Path::new(which.stdout.trim());
        if !is_same_file(rustups, &active.bin().join(format!("rustc{}", std::env::consts::EXE_SUFFIX))) {
            return Err("the active rustc is not one of rustup's".to_owned());
        }

        let told = format!("{} target add {TARGET}", rustup.display());
        if let Some(progress) = &self.progress {
            progress(&told);
        }
        let mut command = Command::new(rustup);
        command.args(["target", "add", TARGET]);
        if std::env::var_os("RUSTUP_MAX_RETRIES").is_none() {
            command.env("RUSTUP_MAX_RETRIES", "1");
        }
        let finished = process::run(&mut command, Some(self.surroundings.rustup_limit), self.progress.as_ref())
            .map_err(|error| format!("`{told}` {error}"))?;
        if !finished.status.success() {
            return Err(format!("`{told}` failed: {}", finished.reason()));
        }
        active.has_target()
    }
}

fn toolchain(way: Way, of: &Active) -> Toolchain {
    Toolchain { way, bin: of.bin(), version: of.version.clone() }
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}
