//! `completions` and `man`, and how soon help is there.

use std::process::Command;

use crate::folder::Folder;

#[test]
fn every_shell_gets_completions_of_every_command() {
    let folder = Folder::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let said = folder.run(&format!("completions {shell}"));
        assert_eq!((said.status, said.stderr.as_str()), (Some(0), ""), "{shell}");
        for word in ["inspect", "compare", "build", "memory-limit", "counted-calls"] {
            assert!(said.stdout.contains(word), "{shell}: `{word}` is missing");
        }
    }
    folder.refuses("completions tcl", &["invalid value 'tcl'", "bash"]);
}

#[test]
fn a_shell_completes_by_them() {
    let folder = Folder::new();
    let script = folder.run("completions bash").stdout;
    folder.file("completions.bash", script.as_bytes());
    let ask = "source ./completions.bash; COMP_WORDS=(host-harness com); COMP_CWORD=1; \
               function=$(complete -p host-harness); function=${function##*-F }; \
               ${function%% *} host-harness com host-harness; echo \"${COMPREPLY[*]}\"";
    let Ok(output) = Command::new("bash").args(["-c", ask]).current_dir(folder.path()).output() else {
        // Without bash there is nothing to complete for.
        return;
    };
    let words = String::from_utf8(output.stdout).unwrap();
    let words: Vec<_> = words.split_whitespace().collect();
    assert_eq!(words, ["compare", "compile", "completions"], "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn pages_of_the_manual_are_printed_or_written() {
    let folder = Folder::new();
    let page = folder.run("man").stdout;
    assert!(page.contains(".TH host-harness 1") && page.contains("SUBCOMMANDS"), "{page}");
    let said = folder.run("man pages");
    assert_eq!((said.status, said.stdout.as_str(), said.stderr.as_str()), (Some(0), "", ""));
    for name in ["host-harness.1", "host-harness-compare.1", "host-harness-build.1"] {
        let page = std::fs::read_to_string(folder.path().join("pages").join(name)).unwrap();
        assert!(page.contains(".TH host-harness"), "{name}");
    }
    folder.refuses_in_one_line("man plain.wasm", &["cannot write the man pages into plain.wasm"]);
}

#[test]
fn text_fits_the_width_that_is_asked_for_and_has_no_limit_without_a_terminal() {
    let folder = Folder::new();
    let with = |line: &str, columns: Option<&str>| {
        let mut command = folder.command(line);
        command.env_remove("COLUMNS");
        if let Some(columns) = columns {
            command.env("COLUMNS", columns);
        }
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let widest = |text: &str| text.lines().map(|line| line.chars().count()).max().unwrap();
    let line = "verify plain.wasm --calls 3 --function do_nothing";
    let free = with(line, None);
    assert!(widest(&free) > 80, "{free}");
    for columns in [40, 80] {
        for text in [with(&format!("{line} --width {columns}"), None), with(line, Some(&columns.to_string()))] {
            assert!(widest(&text) <= columns, "{columns}: {text}");
            assert!(text.contains("passed"), "{text}");
        }
    }
    assert_eq!(widest(&with(line, Some("0"))), widest(&free), "a width that cannot be is none");
    folder.refuses(&format!("{line} --width 10"), &["10 is not in 20.."]);
}

#[test]
fn verdicts_have_colours_where_they_are_asked_for() {
    let folder = Folder::new();
    let colored = |line: &str, no_color: bool| {
        let mut command = folder.command(line);
        command.env_remove("NO_COLOR");
        if no_color {
            command.env("NO_COLOR", "1");
        }
        String::from_utf8(command.output().unwrap().stdout).unwrap().contains("\u{1b}[32madmitted\u{1b}[0m")
    };
    assert!(colored("inspect plain.wasm --color always", false));
    assert!(colored("inspect plain.wasm --color=always", true), "what is asked for comes before the environment");
    for line in ["inspect plain.wasm", "inspect plain.wasm --color auto", "inspect plain.wasm --color never"] {
        assert!(!colored(line, false), "{line}");
    }
}
