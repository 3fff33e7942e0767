//! `compile` and what it makes, as users meet it.

use crate::folder::{Folder, Said};

/// A folder with guests and two keys.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.file("key", &[7; 32]);
    folder.file("other-key", &[8; 40]);
    folder
}

fn fine(said: &Said) -> &str {
    assert_eq!(said.status, Some(0), "{}{}", said.stdout, said.stderr);
    &said.stdout
}

fn refused(said: &Said, message: &str) {
    assert_eq!(said.status, Some(2), "{}{}", said.stdout, said.stderr);
    assert!(said.stderr.contains(message), "{}", said.stderr);
    assert!(said.stdout.is_empty(), "{}", said.stdout);
}

#[test]
fn an_artefact_stands_in_the_place_of_its_guest() {
    let folder = folder();
    let said = folder.run("compile plain.wasm -o plain.guest --artefact-key key");
    assert!(fine(&said).contains("plain.guest") && said.stdout.contains("sealed  yes"), "{}", said.stdout);
    for command in [
        "inspect plain.guest",
        "verify plain.guest --calls 5 --function do_nothing",
        "measure plain.guest --calls 10 --counted-calls 2 --function do_nothing",
        "compile plain.guest --output again.guest",
    ] {
        let said = folder.run(&format!("{command} --artefact-key key"));
        fine(&said);
        assert_eq!(said.stderr, "", "{command}");
    }
    // Counting instructions takes other code.
    let said = folder.run("run plain.guest say_hello --artefact-key key");
    assert!(fine(&said).contains("hello"), "{}", said.stdout);
    assert_eq!(
        said.stderr.trim_end(),
        "note: plain.guest: compiled the module in the artefact again: its code counts no instructions, and the \
         engine counts them"
    );
}

#[test]
fn inspection_is_the_same_of_an_artefact_as_of_its_module() {
    let folder = folder();
    fine(&folder.run("compile counted.wasm -o artefacts-counted.wasm"));
    let sections = |said: &Said| {
        let all: Vec<_> = fine(said).lines().skip(1).filter(|line| !line.contains("date")).map(String::from).collect();
        all
    };
    let of_artefact = sections(&folder.run("inspect artefacts-counted.wasm"));
    assert_eq!(of_artefact, sections(&folder.run("inspect counted.wasm")));
}

#[test]
fn code_that_is_not_trusted_or_damaged_is_compiled_anew_with_a_note() {
    let folder = folder();
    fine(&folder.run("compile plain.wasm -o sealed --artefact-key key"));
    let said = folder.run("compile plain.wasm -o unsealed");
    assert!(fine(&said).contains("sealed  no"), "{}", said.stdout);
    let mut damaged = std::fs::read(folder.path().join("sealed")).unwrap();
    damaged.truncate(damaged.len() - 1);
    folder.file("cut", &damaged);
    for (arguments, reason) in [
        ("sealed", "its code is trusted only with a key, and none was given"),
        ("sealed --artefact-key other-key", "it is sealed by another key"),
        ("unsealed --artefact-key key", "it is not sealed"),
        ("cut --artefact-key key", "it is damaged: its checksum does not match"),
    ] {
        let said = folder.run(&format!("verify --calls 5 --function do_nothing {arguments}"));
        fine(&said);
        assert!(said.stderr.contains(reason) && said.stderr.lines().count() == 1, "{arguments}: {}", said.stderr);
    }
    folder.file("stub", &damaged[..100]);
    refused(
        &folder.run("inspect stub"),
        "error: stub: the artefact cannot be used: it is damaged, and the module in it",
    );
}

#[test]
fn what_it_reads_is_never_overwritten() {
    let folder = folder();
    let before = folder.names();
    refused(&folder.run("compile plain.wasm -o plain.wasm"), "it is what the command reads");
    refused(&folder.run("compile plain.wasm -o key --artefact-key key"), "it is what the command reads");
    refused(&folder.run("compile plain.wasm -o key --artefact-key ./key"), "it is what the command reads");
    refused(&folder.run("compile plain.wasm -o missing/a"), "there is no folder missing");
    refused(&folder.run("compile plain.wasm -o -"), "give the name of a file");
    refused(&folder.run("compile plain.wasm -o a --export-json a"), "the artefact and a report would go to a");
    refused(&folder.run("compile missing.wasm -o a"), "missing.wasm: cannot be read");
    assert_eq!(folder.names(), before);
}

#[test]
fn a_key_that_is_none_is_refused() {
    let folder = folder();
    folder.file("short", &[7; 31]);
    refused(&folder.run("compile plain.wasm -o a --artefact-key missing"), "missing: cannot be read");
    refused(&folder.run("compile plain.wasm -o a --artefact-key short"), "a key of 31 bytes is too short");
}

#[test]
fn compiled_code_is_kept_in_the_folder_that_is_named() {
    let folder = folder();
    fine(&folder.run("inspect plain.wasm --compile-cache cache"));
    assert!(folder.path().join("cache").is_dir());
    fine(&folder.run("inspect plain.wasm --compile-cache cache"));
    refused(&folder.run("inspect plain.wasm --compile-cache key"), "cannot keep compiled code in key");
}
