//! `new` on the command line, and the crates that it makes, built and run as written.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use host_harness::report::{Content, read};

use crate::folder::Folder;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().canonicalize().unwrap()
}

/// A folder for crates that are built, of one test at a time.
///
/// It is always the same: where the standard library must be built, it is built once, as its flags have the folder's name.
pub(crate) struct FixedFolder {
    path: PathBuf,
    _turn: MutexGuard<'static, ()>,
}

impl FixedFolder {
    /// Waits for its turn. What the last test made is gone, except for what cargo compiled.
    pub(crate) fn new() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        // A test that failed leaves nothing behind that matters.
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new");
        let _ = std::fs::remove_dir_all(path.join("crates"));
        for folder in [".cargo", "crates"] {
            std::fs::create_dir_all(path.join(folder)).unwrap();
        }
        let configuration = format!("build.target-dir = {:?}\n", path.join("target"));
        std::fs::write(path.join(".cargo/config.toml"), configuration).unwrap();
        // Without it the workspace's own would count, as the folder is in the workspace.
        std::fs::write(path.join("rustfmt.toml"), "").unwrap();
        Self { path, _turn: turn }
    }

    /// The folder of the crates.
    pub(crate) fn crates(&self) -> PathBuf {
        self.path.join("crates")
    }

    /// Cargo's target folder.
    pub(crate) fn target(&self) -> PathBuf {
        self.path.join("target")
    }

    /// The module of a crate.
    pub(crate) fn module(&self, name: &str) -> PathBuf {
        self.target().join("guests").join(name)
    }

    /// Makes an extension of this name, with the workspace's versions.
    pub(crate) fn extension(&self, folder: &Folder, name: &str) -> PathBuf {
        self.made(folder, name, "").0
    }

    /// Makes a crate with these options, with the workspace's versions. Returns its folder and what `new` printed.
    fn made(&self, folder: &Folder, name: &str, options: &str) -> (PathBuf, String) {
        let made = self.crates().join(name);
        let said = folder.run(&format!("new {} {options}", made.display()));
        assert_eq!((said.status, said.stderr.as_str()), (Some(0), ""));
        std::fs::copy(root().join("Cargo.lock"), made.join("Cargo.lock")).unwrap();
        (made, said.stdout)
    }
}

/// Runs cargo in a crate, without the network, and returns all that it printed.
fn cargo(crate_folder: &Path, line: &str) -> String {
    let mut command = Command::new("cargo");
    guest_build::clean(&mut command);
    command.args(line.split_whitespace()).env("CARGO_NET_OFFLINE", "true").env("CARGO_TERM_QUIET", "true");
    let output = command.current_dir(crate_folder).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "cargo {line}: {text}");
    assert!(!text.contains("warning"), "cargo {line}: {text}");
    text
}

#[test]
fn an_extension_is_tested_compared_and_formatted_as_it_was_written() {
    let (folder, place) = (Folder::new(), FixedFolder::new());
    let (made, said) = place.made(&folder, "my-shop", "");
    let start = format!("Made the extension `my-shop` in {}. It depends on the checkout ", made.display());
    assert!(said.starts_with(&start), "{}", said);
    assert!(said.contains(&format!("\n  cd {}\n", made.display())), "{}", said);

    assert!(cargo(&made, "test --lib").contains("3 passed"));
    cargo(&made, "fmt --check");
    let line = "compare --manifest-path MADE/Cargo.toml --allocator bump-reset --allocator leaking \
                --strategy watermark --calls 10 --budget 20ms --verify-calls 20 --format json";
    let compared = folder.run(&line.replace("MADE", &made.display().to_string()));
    assert_eq!(compared.status, Some(0), "{}", compared.stderr);
    let Content::Compare(report) = read(&compared.stdout).unwrap().content else { panic!("{}", compared.stdout) };
    assert!(report.verdicts.len() >= 2 && report.verdicts.iter().all(|verdict| verdict.passed), "{}", compared.stdout);
    assert!(report.rows.iter().all(|row| row.function == "add_order"), "{}", compared.stdout);
    assert_eq!(report.settings.memory_limit, 64 << 20, "its harness.toml counts");
    let module = place.module("my-shop-bump-reset.wasm");
    let state = made.join("state.json");
    let fits = folder.run(&format!("inspect {} --budget 256KiB --state {}", module.display(), state.display()));
    assert_eq!(fits.status, Some(0), "{}{}", fits.stdout, fits.stderr);
    assert!(fits.stdout.contains("| add_order | ok "), "{}", fits.stdout);
    let said = folder.run(&format!("run {} add_order --state {}", module.display(), state.display()));
    assert_eq!(said.status, Some(0), "{}", said.stderr);
    assert!(said.stdout.contains("2400"), "400 and the 2000 of the order: {}", said.stdout);
}

/// The scripts of a crate's workflow, but for those that change the runner.
#[cfg(unix)]
fn scripts_of_ci(made: &Path, job: &str) -> Vec<String> {
    let workflow = std::fs::read_to_string(made.join(".github/workflows/ci.yml")).unwrap();
    let job = &yaml_rust2::YamlLoader::load_from_str(&workflow).unwrap()[0]["jobs"][job];
    let scripts = job["steps"].as_vec().unwrap().iter().filter_map(|step| step["run"].as_str());
    let is_here = |script: &&str| !["rustup ", "command "].iter().any(|start| script.starts_with(start));
    scripts.filter(is_here).map(str::to_owned).collect()
}

/// Runs scripts in a crate as its workflow does: the harness is on the path, and modules are where cargo puts them by itself.
#[cfg(unix)]
fn shell(place: &FixedFolder, made: &Path) -> impl Fn(&str) -> (Option<i32>, String, String) {
    std::os::unix::fs::symlink("../../target", made.join("target")).unwrap();
    let bin = place.crates().join("bin");
    std::fs::create_dir(&bin).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_host-harness"), bin.join("host-harness")).unwrap();
    move |script| {
        let mut bash = Command::new("bash");
        guest_build::clean(&mut bash);
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
        bash.args(["-e", "-o", "pipefail", "-c", script]).current_dir(made);
        let output = bash.env("PATH", path).env("CARGO_NET_OFFLINE", "true").output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

#[cfg(unix)]
#[test]
fn functions_are_tested_built_listed_and_called_as_they_were_written() {
    let (folder, place) = (Folder::new(), FixedFolder::new());
    let (made, said) = place.made(&folder, "offers", "--functions");
    let start = format!("Made the functions `offers` in {}. It depends on the checkout ", made.display());
    assert!(said.starts_with(&start) && said.contains("\n  host-harness build  # "), "{}", said);
    assert!(cargo(&made, "test --lib").contains("3 passed"));
    cargo(&made, "fmt --check");

    let shell = shell(&place, &made);
    let scripts = scripts_of_ci(&made, "functions");
    assert_eq!(scripts.len(), 4, "{scripts:?}");
    for script in &scripts {
        let (status, stdout, stderr) = shell(script);
        assert_eq!(status, Some(0), "{script}: {stdout}{stderr}");
        if script == "host-harness build" {
            let next = "host-harness functions ";
            let line =
                stdout.lines().find_map(|line| line.trim().strip_prefix(next)).unwrap_or_else(|| panic!("{stdout}"));
            assert!(line.ends_with("offers-leaking.wasm") && !stdout.contains("host-harness compare"), "{stdout}");
        }
        if script.starts_with("host-harness functions ") {
            for signature in [
                "similarity(a: string, b: string) -> f64\n",
                "reduced(price: f64, percent: f64) -> f64\n",
                "spread(number: f64) -> f64?\n",
            ] {
                assert!(stdout.contains(signature), "{stdout}");
            }
        }
    }
    // A gate that cannot fail is none.
    let wrong = scripts[3].replace("= 0.25", "= 0.5");
    assert!(wrong != scripts[3] && shell(&wrong).0 == Some(1), "{wrong}");

    for (arguments, status, result) in
        [("reduced 80 25", 0, "60\n"), ("reduced 80 101", 1, ""), ("spread 3 -1 2", 0, "4\n"), ("spread", 0, "null\n")]
    {
        let call = folder.run(&format!("call {} {arguments}", place.module("offers-leaking.wasm").display()));
        assert_eq!((call.status, call.stdout.as_str()), (Some(status), result), "{arguments}: {}", call.stderr);
    }
    folder.refuses("new d --functions --host", &["--functions", "--host"]);
    folder.refuses("new d --functions --program", &["--functions", "--program"]);
}

#[cfg(unix)]
#[test]
fn stages_are_tested_built_verified_and_run_as_they_were_written() {
    let (folder, place) = (Folder::new(), FixedFolder::new());
    let (made, said) = place.made(&folder, "frames", "--stages");
    assert!(said.starts_with(&format!("Made the stages `frames` in {}. ", made.display())), "{}", said);
    let next = "\n  host-harness pipe --verbose pipeline.toml  # ";
    assert!(said.contains("\n  host-harness build  ") && said.contains(next), "{}", said);
    assert!(cargo(&made, "test --lib").contains("1 passed"));
    cargo(&made, "fmt --check");
    // The book shows what it makes.
    let guide = std::fs::read_to_string(root().join("docs/src/blocks.md")).unwrap();
    for (file, language) in [("src/lib.rs", "rust,frames"), ("pipeline.toml", "toml")] {
        let text = std::fs::read_to_string(made.join(file)).unwrap();
        let text = text.split_once("\n\n").unwrap().1;
        assert!(guide.contains(&format!("```{language}\n{text}```\n")), "{file}: {text}");
    }

    let shell = shell(&place, &made);
    let scripts = scripts_of_ci(&made, "stages");
    assert_eq!(scripts.len(), 4, "{scripts:?}");
    for script in scripts.iter().map(String::as_str).chain(["host-harness pipe --verbose pipeline.toml"]) {
        let (status, stdout, stderr) = shell(script);
        assert_eq!(status, Some(0), "{script}: {stdout}{stderr}");
        if script.contains("--verbose") {
            let is_measured = |line: &&str| line.contains("1048576 pixels, mean 1");
            assert_eq!([stdout, stderr].concat().lines().filter(is_measured).count(), 100, "{script}");
        }
    }
    folder.refuses("new d --functions --stages", &["--functions", "--stages"]);
}

#[test]
fn a_program_is_tested_built_and_fits_its_memory_as_it_was_written() {
    let (folder, place) = (Folder::new(), FixedFolder::new());
    let (made, said) = place.made(&folder, "room", "--program");
    let start = format!("Made the program `room` in {}. It depends on the checkout ", made.display());
    assert!(said.starts_with(&start) && said.contains("\n  host-harness build  # "), "{}", said);
    assert!(cargo(&made, "test --lib").contains("2 passed"));
    cargo(&made, "fmt --check");
    let built = folder.run(&format!("build --manifest-path {}/Cargo.toml", made.display()));
    assert_eq!(built.status, Some(0), "{}", built.stderr);
    let fits = folder.run(&format!("inspect {} --budget 256KiB", place.module("room-freelist.wasm").display()));
    assert_eq!(fits.status, Some(0), "{}{}", fits.stdout, fits.stderr);
}

#[test]
fn a_service_has_the_sources_that_are_tested_here() {
    let folder = Folder::new();
    let said = folder.run("new orders --host");
    assert_eq!(said.status, Some(0), "{}", said.stderr);
    assert!(said.stdout.starts_with("Made the service `orders` in orders. "), "{}", said.stdout);
    let made = folder.path().join("orders");
    let templates = Path::new(env!("CARGO_MANIFEST_DIR")).join("templates/host");
    for source in ["src/main.rs", "src/service.rs", "src/store.rs"] {
        let read = |place: &Path| std::fs::read_to_string(place.join(source)).unwrap();
        assert_eq!(read(&made), read(&templates), "{source}: the test target `host_template` runs it as it is");
    }
    std::fs::copy(root().join("Cargo.lock"), made.join("Cargo.lock")).unwrap();
    // Cargo finds every dependency; compiling them would compile the engine anew.
    cargo(&made, "tree --edges normal,dev --depth 1");
    cargo(&made, "fmt --check");
}

#[test]
fn the_sdk_is_a_version_or_a_checkout() {
    let folder = Folder::new();
    let manifest = |name: &str, line: &str| {
        let said = folder.run(&format!("new {name} {line}"));
        assert_eq!(said.status, Some(0), "{}", said.stderr);
        std::fs::read_to_string(folder.path().join(name).join("Cargo.toml")).unwrap()
    };
    assert!(manifest("a", "--sdk 0.1.0").contains("guest-sdk = \"0.1.0\"\n"));
    let checkout = root();
    let path = format!("guest-sdk = {{ path = {:?} }}\n", checkout.join("guest-sdk"));
    assert!(manifest("b", &format!("--sdk {}", checkout.display())).contains(&path));
    let named = manifest("c", "--name my-shop");
    assert!(named.contains("name = \"my-shop\"\n") && named.contains(&path), "{named}");
    let read = |file: &str| std::fs::read_to_string(folder.path().join(file)).unwrap();
    assert!(!read("a/README.md").contains("HARNESS") && read("b/README.md").contains("HARNESS"));
    let harness = |made: &str| {
        let job = read(&format!("{made}/.github/workflows/ci.yml"));
        let job = &yaml_rust2::YamlLoader::load_from_str(&job).unwrap()[0]["jobs"]["extension"];
        let install =
            job["steps"].as_vec().unwrap().iter().find_map(|step| step["run"].as_str()?.strip_prefix("command"));
        assert_eq!(install, Some(" -v host-harness || cargo install --locked $HARNESS"));
        job["env"]["HARNESS"].as_str().unwrap().to_owned()
    };
    assert_eq!(harness("a"), "host-harness-cli --version 0.1.0");
    assert_eq!(harness("b"), format!("--path {}", checkout.join("host-harness-cli").display()));
    assert!(read("b/.github/workflows/ci.yml").contains("a submodule"));
    for (line, needs) in [("new e", true), ("new f --sdk 0.1.0", false), ("new g --host", false)] {
        let said = folder.run(line).stdout;
        assert_eq!(said.contains("must exist where the job runs"), needs, "{line}: {said}");
    }
    folder.refuses_in_one_line(
        "new d --sdk banana",
        &["--sdk banana: ", "the folder of a checkout, or a version such as 0.1.0"],
    );
    folder.refuses_in_one_line("new d --sdk .", &["there is no guest-sdk/Cargo.toml in it"]);
}

#[test]
fn nothing_is_overwritten_and_names_are_checked() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path().join("there")).unwrap();
    for line in ["new there", "new .", "new there/..", "new . --name shop"] {
        folder.refuses_in_one_line(line, &["there is a folder of that name", "overwrites nothing"]);
    }
    folder.refuses_in_one_line("new plain.wasm --name shop", &["there is a file of that name"]);
    folder.refuses_in_one_line("new plain.wasm/shop", &["plain.wasm is not a folder"]);
    folder.refuses_in_one_line("new 2shop", &["must begin with a letter", "such as `my-2shop`"]);
    folder.refuses_in_one_line("new async", &["keyword", "such as `my-async`"]);
    folder.refuses("new", &["<PATH>"]);
}
