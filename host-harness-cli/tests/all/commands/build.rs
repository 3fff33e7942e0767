//! `build`: what `compare` builds, and the way to the same with plain cargo.

use std::path::Path;

use host_harness::report::{Content, read};

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
    assert!(run.starts_with("host-harness run out/minimal-bump-reset.wasm "), "{run}");
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

/// A cargo that never ends stands for a long compilation, and its child for a compiler.
#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_compilers_too() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

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
        let cargo =
            folder.file("cargo", b"#!/bin/sh\nsleep 600 &\necho $! > compiler.part\nmv compiler.part compiler\nwait\n");
        std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();
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
