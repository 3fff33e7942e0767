//! `build`: what `compare` builds, and the way to the same with plain cargo.

use std::path::Path;

use host_harness::report::{Content, read};

use super::new::FixedFolder;
use crate::folder::Folder;

/// The manifest of a guest of this workspace.
fn manifest() -> String {
    let guests = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("guests");
    guests.join("minimal/Cargo.toml").display().to_string()
}

#[test]
fn the_modules_are_where_it_says_and_the_next_command_works_as_printed() {
    let folder = Folder::new();
    let line = format!("build --manifest-path {} --allocator leaking --allocator bump-reset --out out", manifest());
    let said = folder.run(&format!("{line} --format json"));
    assert_eq!(said.status, Some(0), "{}", said.stderr);
    let Content::Build(report) = read(&said.stdout).unwrap().content else { panic!("{}", said.stdout) };
    let files: Vec<_> = report.modules.iter().map(|module| module.file.as_str()).collect();
    assert_eq!(files, ["out/minimal-leaking.wasm", "out/minimal-bump-reset.wasm"]);
    for module in &report.modules {
        assert_eq!(folder.path().join(&module.file).metadata().unwrap().len(), module.bytes);
        assert!(module.strategy.is_some() && !module.reason.is_empty(), "{module:?}");
    }
    let [run, compare] = report.next.as_slice() else { panic!("{:?}", report.next) };
    assert!(run.starts_with("host-harness run out/minimal-leaking.wasm "), "{run}");
    assert_eq!(folder.run(run.strip_prefix("host-harness ").unwrap()).status, Some(0), "{run}");
    assert_eq!(*compare, format!("host-harness compare --manifest-path {}", manifest()));

    let plain = &report.plain_cargo;
    let words = ["build --release --target wasm32-unknown-unknown", "--features alloc-bump-reset"];
    assert!(words.iter().all(|word| plain.line.contains(word)), "{}", plain.line);
    assert!(plain.module.ends_with("wasm32-unknown-unknown/release/minimal.wasm"), "{}", plain.module);
    let builds_std = plain.line.contains("RUSTC_BOOTSTRAP=1") && plain.line.contains("-Zbuild-std=");
    assert_eq!(plain.because.as_ref().is_some_and(|reason| reason.contains("E0463")), builds_std, "{plain:?}");

    let text = folder.run(&line);
    assert_eq!(text.status, Some(0), "{}", text.stderr);
    for words in ["out/minimal-leaking.wasm", run, compare, &plain.line] {
        assert!(text.stdout.contains(words), "`{words}` is missing in: {}", text.stdout);
    }
}

#[test]
fn what_cannot_be_built_is_said_in_one_line() {
    let folder = Folder::new();
    folder.refuses_in_one_line("build", &["there is no manifest at Cargo.toml"]);
    folder.refuses("build --allocator slab", &["there is no allocator `slab`"]);
    let line = format!("build --manifest-path {} --features nothing", manifest());
    folder.refuses_in_one_line(&line, &["nothing was built", "has no feature `nothing`"]);
}

#[test]
fn a_crate_is_built_from_its_folder_into_the_users_target_folder() {
    let (folder, place) = (Folder::new(), FixedFolder::new());
    let made = place.extension(&folder, "my-shop");
    let configuration = made.join(".cargo/config.toml");
    let text = std::fs::read_to_string(&configuration).unwrap();
    std::fs::write(&configuration, text + "\n[build]\ntarget-dir = \"nowhere\"\n").unwrap();
    let build = |line: &str, from: &Path| {
        let mut command = folder.command(&format!("build --allocator freelist --allocator leaking {line}"));
        let output = command.current_dir(from).env("CARGO_TARGET_DIR", place.target()).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        let Content::Build(report) = read(&String::from_utf8(output.stdout).unwrap()).unwrap().content else {
            panic!("another report")
        };
        (report, stderr)
    };
    let (report, stderr) = build("--format json -v", &made);
    let files: Vec<_> = report.modules.iter().map(|module| module.file.clone()).collect();
    let expected =
        ["my-shop-freelist.wasm", "my-shop-leaking.wasm"].map(|name| place.module(name).display().to_string());
    assert_eq!(files, expected);
    assert!(expected.iter().all(|file| Path::new(file).is_file()) && !made.join("nowhere").exists());
    assert!(stderr.contains("] building my-shop with allocator leaking"), "{stderr}");
    let run = format!("host-harness run {} add_order --state state.json", expected[1]);
    assert_eq!(report.next, [run.as_str(), "host-harness compare"]);

    // A folder stands for the manifest in it.
    let (report, _) = build(&format!("--format json --manifest-path {}", made.display()), folder.path());
    let state = format!(" --state {}", made.join("state.json").display());
    assert!(report.next[0].ends_with(&state), "{:?}", report.next);
    assert_eq!(report.next[1], format!("host-harness compare --manifest-path {}", made.join("Cargo.toml").display()));
}

#[test]
fn a_crate_without_an_extension_is_told_once_how_to_add_one() {
    let (folder, place) = (Folder::new(), FixedFolder::new());
    let made = place.extension(&folder, "my-shop");
    std::fs::write(made.join("src/lib.rs"), "pub fn nothing() {}\n").unwrap();
    let line = format!("--manifest-path {} --allocator leaking --allocator freelist", made.display());
    folder.refuses_in_one_line(
        &format!("build {line}"),
        &["error: `my-shop` exports no extension function: ", "put `#[extension]` of `guest-sdk` before a function"],
    );
    folder.refuses_in_one_line(
        &format!("compare {line}"),
        &["exports no function that can be called", "put `#[extension]` of `guest-sdk` before a function"],
    );
}

/// On a terminal, which `script` stands for, cargo would colour what it says, and the colours would show as escaped characters.
#[cfg(target_os = "linux")]
#[test]
fn what_does_not_compile_is_readable_on_a_terminal() {
    let (folder, place) = (Folder::new(), FixedFolder::new());
    let made = place.extension(&folder, "my-shop");
    std::fs::write(made.join("src/lib.rs"), "pub fn broken() -> u8 { \"text\" }\n").unwrap();
    let line = format!("'{}' build --allocator leaking", env!("CARGO_BIN_EXE_host-harness"));
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).current_dir(&made).env("CARGO_TERM_COLOR", "always");
    script.env_remove("CARGO_TARGET_DIR").env_remove("CARGO_BUILD_TARGET_DIR").stdin(std::process::Stdio::null());
    let output = match script.output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
        output => output.unwrap(),
    };
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("error[E0308]: mismatched types"), "{said}");
    assert!(!said.contains("u001b") && !said.contains("u{1b}"), "{said}");
}

/// A cargo that never ends stands for a long compilation, and its child for a compiler.
#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_compilers_too() {
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use test_support::programs;

    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_secs(60), "{what} takes too long");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    let is_alive = |pid: &str| {
        Command::new("kill").args(["-0", pid]).stderr(Stdio::null()).status().unwrap().success()
            // One that has ended and is not waited for is not alive.
            && !std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    };
    for (command, signal) in
        [("compare", "TERM"), ("build", "INT"), ("replay t.trace --manifest-path Cargo.toml", "TERM")]
    {
        let folder = Folder::new();
        folder.file("Cargo.toml", b"[package]\nname = \"x\"\n");
        folder.file("t.trace", b"Alloc(8),\n");
        let cargo = "#!/bin/sh\nsleep 600 &\necho $! > compiler.part\nmv compiler.part compiler\nwait\n";
        programs::script(&folder.path().join("cargo"), cargo);
        let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
        let mut child =
            folder.command(command).env("PATH", path).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let compiler = folder.path().join("compiler");
        until("starting", &|| compiler.is_file());
        let compiler = std::fs::read_to_string(compiler).unwrap().trim().to_owned();
        assert!(is_alive(&compiler), "{command}");
        // To the harness alone, as a supervisor does; a terminal would tell the whole group.
        assert!(
            Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]).status().unwrap().success()
        );
        assert_eq!(child.wait().unwrap().code(), Some(130), "{command}");
        until("ending the compiler", &|| !is_alive(&compiler));
    }
}
