//! `query`: the program of its own is found and started.

use crate::folder::Folder;

#[test]
fn options_before_it_are_sent_behind_it() {
    Folder::new().refuses_in_one_line("--quiet query SELECT", &["options of `query` go behind it"]);
}

#[cfg(unix)]
mod on_unix {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use crate::folder::Folder;

    /// A copy of the harness, so that what lies beside it is the test's.
    fn alone(folder: &Folder) -> std::process::Command {
        let copy = folder.path().join("host-harness");
        std::fs::copy(env!("CARGO_BIN_EXE_host-harness"), &copy).unwrap();
        let mut command = std::process::Command::new(copy);
        command.current_dir(folder.path()).env("PATH", "/nowhere");
        command
    }

    fn program(path: &Path) {
        std::fs::write(path, "#!/bin/sh\nfor word in \"$@\"; do echo \"<$word>\"; done\nexit 7\n").unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_program_that_is_missing_is_told_with_how_to_install_it() {
        let folder = Folder::new();
        let output = alone(&folder).args(["query", "SELECT 1"]).output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), output.stdout.len(), told.lines().count()), (Some(2), 0, 1), "{told}");
        assert!(told.contains("`cargo install host-harness-query`") && told.contains("in a checkout"), "{told}");
    }

    #[test]
    fn words_and_the_status_are_passed_on() {
        let folder = Folder::new();
        let mut command = alone(&folder);
        program(&folder.path().join("host-harness-query"));
        let output = command.args(["query", "SELECT 'a b'", "--format", "csv", "--help"]).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            (output.status.code(), printed.as_str()),
            (Some(7), "<SELECT 'a b'>\n<--format>\n<csv>\n<--help>\n")
        );
    }

    #[test]
    fn a_program_on_the_path_is_found() {
        let folder = Folder::new();
        let mut command = alone(&folder);
        let elsewhere = folder.path().join("bin");
        std::fs::create_dir(&elsewhere).unwrap();
        program(&elsewhere.join("host-harness-query"));
        // The script needs its shell's own commands alone.
        let output = command.env("PATH", &elsewhere).arg("query").output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(7), 0));
    }
}
