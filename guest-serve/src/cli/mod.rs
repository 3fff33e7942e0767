//! The command line of `host-harness-serve`.

pub mod ending;
mod forget;
mod logs;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::error::ServeError;
use crate::server::{self, Options, Stopped};
use ending::{BAD_INPUT, FAILED, fail};
use forget::Forget;
use logs::Logs;

/// The word for the log of a guest, where it is the first.
const LOGS: &str = "logs";

/// The word for forgetting what programs kept.
const FORGET: &str = "forget";

/// Serve the functions of many small tenants over HTTP.
///
/// FOLDER has a folder for each guest, with a WebAssembly module and the file guest.toml, which says which path calls which
/// function. Changes in it are served within a second. The administration has a page, an API and metrics behind a token.
#[derive(Debug, Parser)]
#[command(
    name = "host-harness serve",
    bin_name = "host-harness serve",
    version,
    max_term_width = 100,
    args_override_self = true,
    after_help = "`host-harness serve logs FOLDER GUEST` prints the log of a guest; `serve logs --help` has its options.\n\
        `host-harness serve forget FOLDER GUEST` forgets what its program kept, while no server serves the folder."
)]
struct Serve {
    #[command(flatten)]
    options: Options,
}

/// A command line that was read.
#[derive(Debug)]
enum Asked {
    Serve(Box<Options>),
    Logs(Logs),
    Forget(Forget),
}

impl Asked {
    /// Reads words, the first of which is the program's name.
    fn parse(words: &[OsString]) -> Result<Self, clap::Error> {
        match words {
            [_, first, ..] if first == LOGS => Logs::try_parse_from(&words[1..]).map(Self::Logs),
            [_, first, ..] if first == FORGET => Forget::try_parse_from(&words[1..]).map(Self::Forget),
            _ => Serve::try_parse_from(words).map(|serve| Self::Serve(Box::new(serve.options))),
        }
    }
}

/// Runs the program with these words, the first of which is its name.
pub fn main(words: impl IntoIterator<Item = OsString>) -> ExitCode {
    let words: Vec<OsString> = words.into_iter().collect();
    match Asked::parse(&words) {
        Err(error) => ending::usage(&error),
        Ok(Asked::Logs(logs)) => ended(logs::run(&logs)),
        Ok(Asked::Forget(forget)) => ended(forget::run(&forget)),
        Ok(Asked::Serve(options)) => match server::run(&options) {
            Ok(Stopped::InOrder) => ExitCode::SUCCESS,
            Ok(Stopped::Forced(reason)) => fail(reason, FAILED),
            Err(error) => fail(&error.to_string(), BAD_INPUT),
        },
    }
}

fn ended(result: Result<(), ServeError>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), BAD_INPUT),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::CommandFactory as _;

    use super::*;

    fn parse(words: &[&str]) -> Result<Asked, String> {
        let words: Vec<OsString> = [&["host-harness-serve"], words].concat().into_iter().map(OsString::from).collect();
        Asked::parse(&words).map_err(|error| error.to_string())
    }

    #[test]
    fn the_definition_of_options_is_sound() {
        Serve::command().debug_assert();
        Logs::command().debug_assert();
        Forget::command().debug_assert();
    }

    #[test]
    fn a_folder_is_served_or_a_log_is_printed() {
        let Ok(Asked::Serve(options)) = parse(&["guests", "--admin", "127.0.0.1:0"]) else { panic!() };
        assert_eq!(
            (options.folder.as_path(), options.listen.port(), options.admin.port()),
            (Path::new("guests"), 8080, 0)
        );
        assert!(matches!(parse(&["./logs"]), Ok(Asked::Serve(_))));
        assert!(matches!(parse(&["logs", "guests", "one", "--follow"]), Ok(Asked::Logs(_))));
        for (words, told) in [
            (&[] as &[&str], "<FOLDER>"),
            (&["guests", "--log-size", "1KiB"], "give at least 4KiB"),
            (&["guests", "--listen", "8080"], "--listen"),
            (&["guests", "--shutdown-time", "3"], "such as 500us, 100ms or 1s"),
            (&["logs", "guests"], "<GUEST>"),
            (&["forget", "guests"], "<GUEST>"),
            (&["forget", "--help"], "[TENANT]"),
            (&["--help"], "serve logs --help"),
            (&["logs", "--help"], "host-harness serve logs"),
        ] {
            let error = parse(words).unwrap_err();
            assert!(error.contains(told), "{words:?}: {error}");
        }
    }
}
