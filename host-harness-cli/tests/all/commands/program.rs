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
    use std::path::Path;
    use std::process::Command;

    use test_support::programs;

    use crate::folder::Folder;

    /// A copy of the harness, so that what lies beside it is the test's.
    struct Alone(Folder);

    impl Alone {
        fn new() -> Self {
            let folder = Folder::new();
            programs::copy(Path::new(env!("CARGO_BIN_EXE_host-harness")), &folder.path().join("host-harness"));
            Self(folder)
        }

        fn path(&self) -> &Path {
            self.0.path()
        }

        fn command(&self) -> Command {
            let mut command = Command::new(self.path().join("host-harness"));
            command.current_dir(self.path()).env("PATH", "/nowhere");
            command
        }
    }

    fn program(path: &Path) {
        programs::script(path, "#!/bin/sh\nfor word in \"$@\"; do echo \"<$word>\"; done\nexit 7\n");
    }

    #[test]
    fn a_program_that_is_missing_is_told_with_how_to_install_it() {
        let alone = Alone::new();
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
            let output = alone.command().args([command, "x"]).output().unwrap();
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
        let alone = Alone::new();
        program(&alone.path().join("host-harness-query"));
        program(&alone.path().join("host-harness-serve"));
        let served = alone.command().args(["serve", "guests", "--help"]).output().unwrap();
        assert_eq!((served.status.code(), served.stdout.as_slice()), (Some(7), b"<guests>\n<--help>\n".as_slice()));
        let output = alone.command().args(["query", "SELECT 'a b'", "--format", "csv", "--help"]).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        assert_eq!(
            (output.status.code(), printed.as_str()),
            (Some(7), "<SELECT 'a b'>\n<--format>\n<csv>\n<--help>\n")
        );
    }

    #[test]
    fn a_program_on_the_path_is_found() {
        let alone = Alone::new();
        let elsewhere = alone.path().join("bin");
        std::fs::create_dir(&elsewhere).unwrap();
        program(&elsewhere.join("host-harness-query"));
        // The script needs its shell's own commands alone.
        let output = alone.command().env("PATH", &elsewhere).arg("query").output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(7), 0));
    }
}
