//! `query` and `serve`: the programs of their own are found and started.

use crate::folder::Folder;

#[test]
fn options_before_it_are_sent_behind_it() {
    let query = ["options of `query` go behind it: `host-harness query --format csv ...`"];
    Folder::new().refuses_in_one_line("--quiet query SELECT", &query);
    let serve = ["options of `serve` go behind it: `host-harness serve FOLDER --listen ...`"];
    Folder::new().refuses_in_one_line("--quiet serve guests", &serve);
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
        for (command, install) in [
            (
                "query",
                "`cargo install host-harness-query`; in a checkout, `cargo install --locked --path query/host-harness-query`",
            ),
            ("serve", "`cargo install guest-serve`; in a checkout, `cargo install --locked --path guest-serve`"),
            (
                "serve-nats",
                "`cargo install guest-serve-nats`; in a checkout, `cargo install --locked --path guest-serve-nats`",
            ),
        ] {
            let output = alone(&folder).args([command, "x"]).output().unwrap();
            let told = String::from_utf8(output.stderr).unwrap();
            assert_eq!((output.status.code(), output.stdout.len(), told.lines().count()), (Some(2), 0, 1), "{told}");
            assert!(
                told.starts_with(&format!("error: `{command}` needs the program")) && told.contains(install),
                "{told}"
            );
        }
    }

    #[test]
    fn words_and_the_status_are_passed_on() {
        let folder = Folder::new();
        let mut command = alone(&folder);
        program(&folder.path().join("host-harness-query"));
        program(&folder.path().join("host-harness-serve"));
        let served = alone(&folder).args(["serve", "guests", "--help"]).output().unwrap();
        assert_eq!((served.status.code(), served.stdout.as_slice()), (Some(7), b"<guests>\n<--help>\n".as_slice()));
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
