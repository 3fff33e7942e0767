//! The workflow of the book's page on continuous integration: its steps are run one by one in a small guest crate, once as the
//! crate is and once with a regression planted.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use test_support::programs;
use yaml_rust2::{Yaml, YamlLoader};

use crate::commands::new::FixedFolder;

/// Steps that are not run, and why.
const SKIPPED: [(&str, &str); 4] = [
    ("Check out", "the crate is there"),
    ("Add the target of guests", "it changes the compilers of this machine"),
    ("Keep the harness between runs", "a service of the runner"),
    ("Keep the reports", "a service of the runner"),
];

/// Values of the expressions in the environment of steps.
const EXPRESSIONS: [(&str, &str); 2] =
    [("${{ github.token }}", "a-token"), ("${{ github.event.pull_request.number }}", "12")];

/// Conditions of steps that are run after a failure as well, on a pull request of the same repository.
const ALWAYS: [&str; 2] = [
    "${{ !cancelled() }}",
    "${{ !cancelled() && github.event.pull_request.head.repo.full_name == github.repository }}",
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The blocks of code of the page in this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    page.split(begin.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

/// A guest crate in a folder, and the programs that its workflow calls.
struct Crate(FixedFolder);

impl Crate {
    fn new() -> Self {
        let this = Self(FixedFolder::new());
        let sdk = root().join("guest-sdk");
        let manifest = format!(
            "[package]\nname = \"gated\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[lib]\ncrate-type = [\"cdylib\"]\n\n\
             [features]\nalloc-bump-reset = [\"guest-sdk/alloc-bump-reset\"]\n\n\
             [dependencies]\nguest-sdk = {{ path = {sdk:?} }}\n\n[workspace]\n"
        );
        this.file("crate/Cargo.toml", &manifest);
        std::fs::copy(root().join("Cargo.lock"), this.path("crate/Cargo.lock")).unwrap();
        this.allocates(3);
        std::fs::create_dir(this.path("bin")).unwrap();
        symlink(env!("CARGO_BIN_EXE_host-harness"), this.path("bin/host-harness")).unwrap();
        // Says what it was asked to do, and does nothing.
        programs::script(&this.path("bin/gh"), "#!/bin/sh\necho \"$GH_TOKEN: $*\" > ../said-to-gh\n");
        this
    }

    /// Gives the crate a function that makes so many allocations.
    fn allocates(&self, times: usize) {
        let source = format!(
            "use std::hint::black_box;\n\nuse guest_sdk::{{Context, Result, extension}};\n\n#[extension]\n\
             fn work(_cx: &mut Context) -> Result<()> {{\n    for size in 1..={times} {{\n        \
             black_box(Vec::<u8>::with_capacity(black_box(size)));\n    }}\n    Ok(())\n}}\n"
        );
        self.file("crate/src/lib.rs", &source);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.crates().join(name)
    }

    fn file(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// Runs a script in the crate's folder as a runner does.
    fn bash(&self, script: &str, environment: &[(String, String)]) -> Output {
        let path = format!("{}:{}", self.path("bin").display(), std::env::var("PATH").unwrap());
        let mut bash = Command::new("bash");
        bash.args(["--noprofile", "--norc", "-e", "-o", "pipefail", "-c", script]).current_dir(self.path("crate"));
        bash.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_BUILD_TARGET_DIR");
        bash.env("PATH", path).env("GITHUB_STEP_SUMMARY", self.path("summary.md"));
        bash.envs(environment.iter().map(|(name, value)| (name, value)));
        bash.output().unwrap()
    }

    /// Runs the job's steps; returns the names of those that were run, each with its exit status.
    fn run(&self, job: &Yaml) -> Vec<(String, Option<i32>)> {
        let mut done: Vec<(String, Option<i32>)> = Vec::new();
        let mut skipped = Vec::new();
        let mut is_failed = false;
        for step in job["steps"].as_vec().unwrap() {
            let name = step["name"].as_str().unwrap();
            if SKIPPED.iter().any(|(skipped, _)| *skipped == name) {
                skipped.push(name);
                continue;
            }
            let always = step["if"].as_str().map(|condition| {
                assert!(ALWAYS.contains(&condition), "{name}: {condition}");
            });
            if is_failed && always.is_none() {
                continue;
            }
            let script = step["run"].as_str().unwrap_or_else(|| panic!("{name}: a step that this test cannot run"));
            assert!(!script.contains("${{"), "{name}: an expression in a script may be anything that a stranger wrote");
            let environment: Vec<_> = [&job["env"], &step["env"]].into_iter().flat_map(variables).collect();
            let output = self.bash(script, &environment);
            is_failed |= !output.status.success();
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            println!("{name}: {}\n{said}", output.status);
            done.push((name.to_owned(), output.status.code()));
        }
        assert_eq!(skipped, SKIPPED.map(|(name, _)| name), "no step is skipped without a reason");
        done
    }
}

/// The variables of an environment, with the values of expressions.
fn variables(environment: &Yaml) -> Vec<(String, String)> {
    let Some(variables) = environment.as_hash() else { return Vec::new() };
    let value = |text: &str| match EXPRESSIONS.iter().find(|(expression, _)| *expression == text) {
        Some((_, value)) => (*value).to_owned(),
        None => {
            assert!(!text.contains("${{"), "`{text}` is an expression that this test does not know");
            text.to_owned()
        }
    };
    variables.iter().map(|(name, text)| (name.as_str().unwrap().to_owned(), value(text.as_str().unwrap()))).collect()
}

#[test]
fn the_workflow_of_the_book_passes_and_fails_on_a_planted_regression() {
    let page = std::fs::read_to_string(root().join("docs/src/ci.md")).unwrap();
    let workflow = &YamlLoader::load_from_str(&blocks(&page, "yaml")[0]).unwrap()[0];
    let job = &workflow["jobs"]["gate"];
    assert!(job["steps"].as_vec().is_some_and(|steps| steps.len() > SKIPPED.len()));
    let guest = Crate::new();
    let made = guest.bash(&blocks(&page, "sh")[0], &[]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert_eq!(String::from_utf8_lossy(&made.stdout), "", "it is quiet");

    let names = [
        "Install the harness",
        "Compare with the baseline",
        "Show the result on the page of the run",
        "Comment on the pull request",
    ];
    let expected = |gate| [(names[0], 0), (names[1], gate), (names[2], 0), (names[3], 0)];
    let expected = |gate| expected(gate).map(|(name, status)| (name.to_owned(), Some(status))).to_vec();
    assert_eq!(guest.run(job), expected(0));
    let comment = guest.read("crate/comment.md");
    assert!(comment.starts_with("## host-harness compare: passed\n\nBaseline: passed, nothing changed"), "{comment}");
    assert_eq!(guest.read("summary.md"), comment);
    let said = guest.read("said-to-gh");
    assert_eq!(said, "a-token: pr comment 12 --edit-last --create-if-none --body-file comment.md\n");

    // If nothing could be measured, the comment of the run before does not stay.
    guest.file("crate/src/lib.rs", "a guest that does not compile");
    std::fs::remove_file(guest.path("crate/comment.md")).unwrap();
    assert_eq!(guest.run(job), expected(2));
    let unmeasured = guest.read("crate/comment.md");
    assert!(unmeasured.starts_with("host-harness could not measure"), "{unmeasured}");
    std::fs::remove_file(guest.path("crate/comment.md")).unwrap();

    guest.allocates(5);
    assert_eq!(guest.run(job), expected(1));
    let worse = guest.read("crate/comment.md");
    assert!(worse.starts_with("## host-harness compare: FAILED\n\n**Baseline: FAILED by "), "{worse}");
    let row =
        worse.lines().find(|line| line.starts_with("| **allocations (fails)**")).unwrap_or_else(|| panic!("{worse}"));
    assert!(row.contains("| work |") && row.ends_with("| 3 | **5** | **+66.67%** |"), "{row}");
    assert_eq!(guest.read("summary.md"), comment + &unmeasured + &worse, "the page of the run has all");
    let junit = guest.read("crate/junit.xml");
    assert!(junit.contains("<failure type=\"allocations\""), "{junit}");
    assert!(junit.contains("restored by bump-reset, keep\""), "{junit}");
}
